//! MQTT, by CONNECT and CONNACK: MQTT 3.1, 3.1.1 and 5; then packet by packet.

use observation::{DetailKind, Side};

use super::client_hello::Fields;
use super::follow::{Context, Follower, Step};
use super::framed::{Frame, Framed, Framing, Head};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "mqtt",
    first_bytes: FirstBytes::of(&[CONNECT]),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Mqtt(Framed::default())),
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

/// Control packets of both sides.
#[derive(Debug, Default)]
pub(super) struct Packets {
    version: Version,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    #[default]
    Before5,
    /// With properties.
    Five,
}

impl Framing for Packets {
    const LOOK_BYTES_MAX: usize = 512;

    fn head(&mut self, side: Side, head: &[u8]) -> Head {
        let [first, length @ ..] = head else { return Head::More };
        if !may_come(side, *first) {
            return Head::Wrong;
        }
        match length {
            [] => Head::More,
            [.., last] if last & 0x80 != 0 => {
                if length.len() < LENGTH_BYTES_MAX {
                    Head::More
                } else {
                    Head::Wrong
                }
            }
            _ => {
                let length =
                    length.iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
                if length >= body_bytes_min(*first) { Head::Body(length) } else { Head::Wrong }
            }
        }
    }

    fn frame(&mut self, side: Side, frame: &Frame<'_>, context: &mut Context<'_>) -> Step {
        let first = frame.head.first().copied().unwrap_or(0);
        let mut body = Fields(frame.body);
        match first >> 4 {
            1 => {
                if let Some(client) = self.connect(&mut body) {
                    context.detail("mqtt", DetailKind::Client, side, client);
                }
            }
            3 => {
                let Some(topic) = body.sized_by_short() else {
                    // A topic may be longer than what is kept of it.
                    let cut = frame.body.len() == Self::LOOK_BYTES_MAX;
                    return if cut { Step::Obeys } else { Step::Left };
                };
                // An empty one stands for an alias, and no name holds a wildcard.
                if topic.iter().any(|byte| matches!(byte, 0 | b'#' | b'+')) {
                    return Step::Left;
                }
                context.detail("mqtt", DetailKind::Topic, side, topic);
            }
            8 => self.subscribe(side, &mut body, context),
            _ => {}
        }
        Step::Obeys
    }
}

impl Packets {
    /// The client's identifier.
    fn connect<'a>(&mut self, body: &mut Fields<'a>) -> Option<&'a [u8]> {
        body.sized_by_short()?;
        let level = body.byte()?;
        body.take(3)?;
        if level >= 5 {
            self.version = Version::Five;
        }
        self.pass_properties(body)?;
        body.sized_by_short()
    }

    fn subscribe(&self, side: Side, body: &mut Fields<'_>, context: &mut Context<'_>) {
        let Some(_) = body.take(2).and_then(|_| self.pass_properties(body)) else { return };
        while let Some(topic) = body.sized_by_short() {
            context.detail("mqtt", DetailKind::Topic, side, topic);
            body.byte();
        }
    }

    fn pass_properties(&self, body: &mut Fields<'_>) -> Option<()> {
        if self.version == Version::Five {
            let mut length = 0;
            for shift in 0..LENGTH_BYTES_MAX {
                let byte = body.byte()?;
                length |= usize::from(byte & 0x7f) << (7 * shift);
                if byte & 0x80 == 0 {
                    break;
                }
            }
            body.take(length)?;
        }
        Some(())
    }
}

/// Whether `side` may send a packet of this type with these flags: MQTT 5, tables 2-1 and 2-2.
fn may_come(side: Side, first: u8) -> bool {
    let flags = first & 15;
    let both = match first >> 4 {
        // No message has a third quality of service.
        3 => flags & 6 != 6,
        4 | 5 | 7 | 14 | 15 => flags == 0,
        6 => flags == 2,
        _ => false,
    };
    both || match (side, first >> 4) {
        (Side::Originator, 1 | 12) | (Side::Responder, 2 | 9 | 11 | 13) => flags == 0,
        (Side::Originator, 8 | 10) => flags == 2,
        _ => false,
    }
}

const fn body_bytes_min(first: u8) -> u64 {
    match first >> 4 {
        1 => 10,
        2 | 4 | 5 | 6 | 7 | 11 => 2,
        3 | 9 => 2,
        8 | 10 => 5,
        _ => 0,
    }
}

const LENGTH_BYTES_MAX: usize = 4;
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const NAMES: &[&[u8]] = &[b"\0\x04MQTT\x04", b"\0\x04MQTT\x05", b"\0\x06MQIsdp\x03"];

#[cfg(test)]
mod tests {
    use observation::Side;

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

    #[test]
    fn messages_are_followed_and_their_topics_told() {
        let connect = client(b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04test");
        let opening = [connect, server(b"\x20\x02\0\0")];
        let turns = [
            client(b"\x82\x09\0\x01\0\x04in/#\0\xc0\0"),
            server(b"\x90\x03\0\x01\0\xd0\0"),
            server(b"\x30\x09\0\x04in/1id\n"),
            client(b"\x30\x0a\0\x05out/1uid"),
        ];
        let story = Story::of(&[&opening[..], &turns].concat());
        story.is_confirmed("mqtt");
        story.is_obeyed_after(0);
        let told =
            ["Client, side: Originator, value: \"test\"", "\"in/#\"", "\"in/1\"", "\"out/1\""];
        assert_eq!(story.facts.len(), told.len(), "{story:?}");
        assert!(story.facts.iter().zip(told).all(|(fact, told)| fact.contains(told)), "{story:?}");
        for shell in [&b"uid=0(root)\n"[..], b"ls\n", b"\xe0\x01x\x0b\x00"] {
            Story::of(&[&opening[..], &[(Side::Originator, shell)]].concat()).is_left_by_client();
        }
    }

    #[test]
    fn version_5_has_properties_before_its_identifier() {
        let connect = client(b"\x10\x16\0\x04MQTT\x05\x02\0\x3c\x05\x11\0\0\0\x0a\0\x04test");
        let story = Story::of(&[connect, server(b"\x20\x03\0\0\0")]);
        assert!(story.facts[0].contains("test"), "{story:?}");
    }
}
