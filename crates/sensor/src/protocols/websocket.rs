//! WebSocket frames behind an HTTP upgrade: RFC 6455, section 5.

use observation::Side;

use super::follow::{Both, Context, Follow, Skipped, Step};

/// Both directions' frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    sides: Both<Direction>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Direction {
    stage: Stage,
    /// Header bytes so far, and the length that they have given.
    count: u8,
    length: u64,
    extended: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Header,
    Payload(u64),
    Lost,
}

impl Follow for Frames {
    fn feed(&mut self, side: Side, mut bytes: &[u8], _: &mut Context<'_>) -> Step {
        let direction = self.sides.of_mut(side);
        while let [byte, rest @ ..] = bytes {
            match direction.stage {
                Stage::Lost => return Step::Unchecked,
                Stage::Payload(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(taken..).unwrap_or_default();
                    direction.stage = match left - taken as u64 {
                        0 => Stage::Header,
                        left => Stage::Payload(left),
                    };
                }
                Stage::Header => {
                    if !direction.header(side, *byte) {
                        return Step::Left;
                    }
                    bytes = rest;
                }
            }
        }
        Step::Obeys
    }

    fn skip(&mut self, side: Side, count: u64) -> Skipped {
        let stage = &mut self.sides.of_mut(side).stage;
        match *stage {
            Stage::Payload(left) if count < left => {
                *stage = Stage::Payload(left - count);
                Skipped::Yes
            }
            _ => Skipped::No,
        }
    }

    fn gap(&mut self, side: Side) {
        self.sides.of_mut(side).stage = Stage::Lost;
    }
}

impl Direction {
    /// Takes a header byte; whether it may stand.
    fn header(&mut self, side: Side, byte: u8) -> bool {
        let mask_bytes = match side {
            Side::Originator => MASK_BYTES,
            Side::Responder => 0,
        };
        match self.count {
            // The first reserved bit is compression's; the others have no use.
            0 if byte & 0x30 != 0 || !matches!(byte & 15, 0..=2 | 8..=10) => return false,
            0 => {}
            1 => {
                // A client masks and a server does not.
                if (byte & 0x80 != 0) != (mask_bytes > 0) {
                    return false;
                }
                (self.extended, self.length) = match byte & 0x7f {
                    126 => (2, 0),
                    127 => (8, 0),
                    length => (0, length.into()),
                };
            }
            count if count < 2 + self.extended => self.length = self.length << 8 | u64::from(byte),
            _ => {}
        }
        self.count += 1;
        if self.count < 2 || self.count < 2 + self.extended + mask_bytes {
            return true;
        }
        let (length, extended) = (self.length, self.extended);
        *self = Self::default();
        if length > 0 {
            self.stage = Stage::Payload(length);
        }
        // The shortest form is the only one.
        match extended {
            2 => length > 125,
            8 => length > 0xffff && length >> 63 == 0,
            _ => true,
        }
    }
}

const MASK_BYTES: u8 = 4;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, Turn, client, server};

    const UPGRADE: Turn<'_> =
        (observation::Side::Originator, b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    const SWITCH: Turn<'_> = (
        observation::Side::Responder,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    );

    #[test]
    fn frames_behind_an_upgrade_are_websocket() {
        let story = Story::of(&[
            UPGRADE,
            SWITCH,
            server(b"\x81\x03id\n"),
            client(b"\x81\x82abcdxy\x89\x80abcd"),
        ]);
        assert_eq!(story.names, ["http", "websocket"]);
        story.is_obeyed_after(0);
    }

    #[test]
    fn an_upgrade_cut_short_is_only_http() {
        assert_eq!(Story::of(&[UPGRADE, SWITCH]).names, ["http"]);
    }

    #[test]
    fn a_shell_behind_an_upgrade_leaves() {
        Story::of(&[UPGRADE, SWITCH, server(b"id\n")]).is_left_by_server();
        Story::of(&[UPGRADE, SWITCH, server(b"\x81\x01a"), client(b"uid=0\n")]).is_left_by_client();
    }
}
