//! MQTT, by CONNECT and CONNACK: MQTT 3.1, 3.1.1 and 5.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "mqtt",
    first_bytes: FirstBytes::of(&[CONNECT]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (connects(heads.opener), acknowledges(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// The packet type, its length in one to four bytes, then the protocol's name and level.
fn connects(head: &[u8]) -> Fit {
    let Some((first, rest)) = head.split_first() else { return Fit::Could };
    let length_bytes = rest.iter().take(4).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let Some(name) = rest.get(length_bytes..).filter(|_| length_bytes <= 4) else {
        return if *first == CONNECT && length_bytes <= 4 { Fit::Could } else { Fit::No };
    };
    let fit = NAMES.iter().fold(Fit::No, |fit, known| fit.or(literal(name, known)));
    if *first == CONNECT { fit } else { Fit::No }
}

fn acknowledges(head: &[u8]) -> Fit {
    match head {
        [] | [CONNACK] | [CONNACK, 2..=127] => Fit::Could,
        // Session present, then the reason.
        [CONNACK, 2..=127, 0 | 1, ..] => Fit::Yes,
        _ => Fit::No,
    }
}

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const NAMES: &[&[u8]] = &[b"\0\x04MQTT\x04", b"\0\x04MQTT\x05", b"\0\x06MQIsdp\x03"];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn connect_and_its_acknowledgement_are_mqtt() {
        let connect = client(b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04test");
        Story::of(&[connect, server(b"\x20\x02\0\0")]).is_confirmed("mqtt");
    }

    #[test]
    fn mqtt_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\x10\x10\0\x04MQ")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_connect_leaves() {
        let connect = client(b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04test");
        Story::of(&[connect, server(b"id\n")]).is_left_by_server();
    }
}
