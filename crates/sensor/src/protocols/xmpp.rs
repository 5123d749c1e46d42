//! XMPP, by the opening stream tag of both sides: RFC 6120, section 4.2; then tag by tag: between
//! stanzas there is nothing but blanks.

use observation::Side;

use super::follow::{Both, Context, Follow, Follower, Next, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "xmpp",
    first_bytes: FirstBytes::of(b"<"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Xmpp(Stanzas::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(opens(heads.opener), opens(heads.answerer))
}

/// A stream tag, perhaps behind an XML declaration.
fn opens(head: &[u8]) -> Fit {
    let begins = literal(head, b"<?xml ").or(literal(head, TAG));
    let early = head.get(..OPENING_BYTES_MAX).unwrap_or(head);
    let has_tag = early.windows(TAG.len()).any(|part| part == TAG);
    match (begins, has_tag) {
        (Fit::Yes, true) => Fit::Yes,
        (Fit::Yes, false) if head.len() < OPENING_BYTES_MAX => Fit::Could,
        (Fit::Yes, false) => Fit::No,
        (fit, _) => fit,
    }
}

/// Both directions' tags.
#[derive(Debug, Default)]
pub(super) struct Stanzas {
    sides: Both<Direction>,
}

#[derive(Debug, Default)]
struct Direction {
    at: At,
    /// Elements that are open; the stream itself is the first.
    depth: u32,
    /// The first bytes of the tag.
    name: [u8; NAME_BYTES],
    count: usize,
    before: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Text,
    Tag,
    /// Inside an attribute's value, which ends with this.
    Quoted(u8),
    /// After a gap, or behind compression.
    Lost,
}

impl Follow for Stanzas {
    fn feed(&mut self, side: Side, bytes: &[u8], _: &mut Context<'_>) -> Step {
        let direction = self.sides.of_mut(side);
        for (index, byte) in bytes.iter().enumerate() {
            let step = match direction.at {
                At::Lost => return Step::Unchecked,
                At::Text => direction.text(*byte),
                At::Tag => direction.tag(*byte),
                At::Quoted(mark) => {
                    if *byte == mark {
                        direction.at = At::Tag;
                    }
                    Step::Obeys
                }
            };
            match step {
                Step::Obeys => {}
                // Only a server proceeds.
                Step::Becomes(next, _) if side == Side::Responder => {
                    return Step::Becomes(next, bytes.len() - index - 1);
                }
                Step::Becomes(..) => return Step::Left,
                step => return step,
            }
        }
        Step::Obeys
    }

    fn gap(&mut self, side: Side) {
        self.sides.of_mut(side).at = At::Lost;
    }
}

impl Direction {
    fn text(&mut self, byte: u8) -> Step {
        match byte {
            b'<' => {
                (self.at, self.count, self.before) = (At::Tag, 0, 0);
                Step::Obeys
            }
            _ if self.depth > 1 || byte.is_ascii_whitespace() => Step::Obeys,
            _ => Step::Left,
        }
    }

    fn tag(&mut self, byte: u8) -> Step {
        let before = core::mem::replace(&mut self.before, byte);
        match byte {
            b'>' => {
                self.at = At::Text;
                return self.close(before);
            }
            b'"' | b'\'' => self.at = At::Quoted(byte),
            b'<' => return Step::Left,
            _ => {
                if let Some(place) = self.name.get_mut(self.count) {
                    *place = byte;
                    self.count += 1;
                }
            }
        }
        Step::Obeys
    }

    /// A tag has ended; `before` stood before its end.
    fn close(&mut self, before: u8) -> Step {
        let name = self.name.get(..self.count).unwrap_or_default();
        match name {
            [] => return Step::Left,
            [b'?' | b'!', ..] => {}
            [b'/', ..] => self.depth = self.depth.saturating_sub(1),
            // A stream begins anew after TLS and after login.
            _ if name.starts_with(b"stream:stream") => self.depth = 1,
            _ if self.depth == 1 && name.starts_with(b"proceed") => {
                return Step::Becomes(Next::Tls, 0);
            }
            _ if self.depth == 1 && name.starts_with(b"compressed") => {
                self.at = At::Lost;
                return Step::Unchecked;
            }
            _ if before == b'/' => {}
            _ => self.depth = self.depth.saturating_add(1),
        }
        Step::Obeys
    }
}

const NAME_BYTES: usize = 16;
const TAG: &[u8] = b"<stream:stream";
const OPENING_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_streams_are_xmpp() {
        let open = b"<?xml version='1.0'?><stream:stream to='a'>";
        Story::of(&[client(open), server(open)]).is_confirmed("xmpp");
    }

    #[test]
    fn stanzas_are_followed_and_text_between_them_leaves() {
        let open = b"<?xml version='1.0'?><stream:stream to='a>b'>";
        let turns = [
            client(open),
            server(open),
            client(b"<message to='a'><body>id; uname -a</body></message> \n<presence/>"),
            server(b"<iq type='result'/>"),
        ];
        Story::of(&turns).is_obeyed_after(0);
        Story::of(&[&turns[..], &[server(b"id\n")]].concat()).is_left_by_server();
        Story::of(&[&turns[..], &[client(b"uid=0(root)\n")]].concat()).is_left_by_client();
    }

    #[test]
    fn tls_begins_where_the_server_proceeds() {
        let open = b"<stream:stream to='a'>";
        let turns = [
            client(open),
            server(open),
            client(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            server(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            client(b"uid=0(root)\n"),
        ];
        Story::of(&turns).is_left_by_client();
    }

    #[test]
    fn xmpp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"<?xml version='1.0'?><stre")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_stream_leaves() {
        Story::of(&[client(b"<stream:stream to='a'>"), server(b"id\n")]).is_left_by_server();
    }
}
