//! Who opened a flow, by its first packet.
//!
//! A SYN comes from the opener and a SYN-ACK goes to it; an ICMP reply answers it.
//! The first datagram comes from the opener.
//! A shard remembers who opened its last unclaimed conversations, so that a far end that commands
//! after idle minutes, or after a forged RST, has not opened anything.
//! A TCP flow that was under way when the capture began is a guess, marked `Flaws::MIDSTREAM`:
//! clients take their port from the ephemeral range, so the one side with a port in it opened the
//! flow; where both or neither have, the higher port did; and where the ports are equal, whoever
//! was seen first.

use observation::Flaws;

use crate::decode::{Kind, Segment, TcpFlags};

/// From here on Linux, and IANA some thousands later, take the ports of clients.
const EPHEMERAL_PORT_MIN: u16 = 32_768;

/// Who opened the flow of a first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    /// Who sent it.
    Sender,
    /// Who received it.
    Receiver,
}

/// How a flow begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub opener: Opener,
    pub flaws: Flaws,
}

/// Who opened the flow whose first packet this is.
pub(crate) fn opening(segment: &Segment<'_>) -> Opening {
    let (opener, flaws) = match segment.kind {
        Kind::Tcp { flags, .. } if flags.has(TcpFlags::SYN) => {
            let answers = flags.has(TcpFlags::ACK);
            (if answers { Opener::Receiver } else { Opener::Sender }, Flaws::NONE)
        }
        Kind::Tcp { .. } => (by_ports(segment.from.port, segment.to.port), Flaws::MIDSTREAM),
        Kind::Answer | Kind::EchoReply(_) => (Opener::Receiver, Flaws::MIDSTREAM),
        Kind::Datagram | Kind::Echo(_) | Kind::Report => (Opener::Sender, Flaws::NONE),
    };
    Opening { opener, flaws }
}

fn by_ports(from: u16, to: u16) -> Opener {
    match (from >= EPHEMERAL_PORT_MIN, to >= EPHEMERAL_PORT_MIN) {
        (true, false) => Opener::Sender,
        (false, true) => Opener::Receiver,
        _ if from < to => Opener::Receiver,
        _ => Opener::Sender,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ephemeral_port_opened_a_flow_that_was_under_way() {
        assert_eq!(by_ports(4444, 52_224), Opener::Receiver);
        assert_eq!(by_ports(52_224, 4444), Opener::Sender);
        assert_eq!(by_ports(80, 8080), Opener::Receiver);
        assert_eq!(by_ports(60_000, 40_000), Opener::Sender);
        assert_eq!(by_ports(179, 179), Opener::Sender);
    }
}
