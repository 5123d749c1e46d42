//! Telnet, by its option negotiation: RFC 854, RFC 855.
//!
//! A conversation without negotiation is no telnet but text that nothing claims, whatever the name
//! of the program that holds it.

use observation::Side;

use super::follow::{Both, Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::Fit;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "telnet",
    first_bytes: FirstBytes::of(&[IAC]),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Telnet(Terminal::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first.is_some_and(|first| negotiates(heads.of(first)) == Fit::No) {
        return Verdict::Never;
    }
    match (negotiates(heads.opener), negotiates(heads.answerer)) {
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, _) => Verdict::Proposed(Side::Originator),
        (_, Fit::Yes) => Verdict::Proposed(Side::Responder),
        (Fit::No, Fit::No) => Verdict::Never,
        (Fit::Could, _) | (_, Fit::Could) => Verdict::Unsure,
    }
}

/// Whether `head` begins with an option command that is well formed.
fn negotiates(head: &[u8]) -> Fit {
    match head {
        [] | [IAC] | [IAC, SB | WILL..=DONT] => Fit::Could,
        [IAC, SB | WILL..=DONT, option, ..] if is_option(*option) => Fit::Yes,
        _ => Fit::No,
    }
}

/// IANA's telnet options, and those of MUD servers.
const fn is_option(option: u8) -> bool {
    matches!(option, 0..=49 | 69..=93 | 138..=140 | 200..=201 | 255)
}

/// Both directions' command state.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    sides: Both<State>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Data,
    Command,
    Option,
    Subnegotiation(u16),
    SubnegotiationCommand(u16),
}

impl Follow for Terminal {
    fn feed(&mut self, side: Side, bytes: &[u8], _: &mut Context<'_>) -> Step {
        let state = self.sides.of_mut(side);
        let mut step = Step::Obeys;
        for byte in bytes {
            *state = match (*state, *byte) {
                (State::Data, IAC) => State::Command,
                (State::Data, _) => {
                    // What a terminal carries has no grammar: telnet excuses nothing in it.
                    step = Step::Unchecked;
                    State::Data
                }
                (State::Command, SB) => State::Subnegotiation(0),
                (State::Command, WILL..=DONT) => State::Option,
                (State::Command, IAC) => {
                    step = Step::Unchecked;
                    State::Data
                }
                (State::Command, END_OF_FILE..=END_OF_RECORD | NOP..SB) => State::Data,
                (State::Command, _) => return Step::Left,
                (State::Option, _) => State::Data,
                (State::Subnegotiation(count), IAC) => State::SubnegotiationCommand(count),
                (State::Subnegotiation(count), _) => State::Subnegotiation(count + 1),
                (State::SubnegotiationCommand(_), SE) => State::Data,
                (State::SubnegotiationCommand(count), IAC) => State::Subnegotiation(count + 1),
                (State::SubnegotiationCommand(_), _) => return Step::Left,
            };
            if matches!(*state, State::Subnegotiation(SUBNEGOTIATION_BYTES_MAX)) {
                return Step::Left;
            }
        }
        step
    }

    fn gap(&mut self, side: Side) {
        *self.sides.of_mut(side) = State::Data;
    }
}

const END_OF_FILE: u8 = 236;
const END_OF_RECORD: u8 = 239;
const SE: u8 = 240;
const NOP: u8 = 241;
const SB: u8 = 250;
const WILL: u8 = 251;
const DONT: u8 = 254;
const IAC: u8 = 255;
/// An environment or a terminal list fits well; an endless subnegotiation hides data.
const SUBNEGOTIATION_BYTES_MAX: u16 = 4096;

#[cfg(test)]
mod tests {
    use observation::Grammar;

    use crate::protocols::story::{Story, client, server};

    #[test]
    fn telnet_that_negotiates_is_telnet_and_its_data_is_unchecked() {
        let story = Story::of(&[
            server(b"\xff\xfd\x18\xff\xfd\x20"),
            client(b"\xff\xfb\x18\xff\xfc\x20"),
            server(b"\xff\xfa\x18\x01\xff\xf0login: "),
            client(b"root\r\0"),
        ]);
        story.is_confirmed("telnet");
        assert_eq!(story.left, None);
        assert_eq!(
            story.grammars,
            [Grammar::Obeyed, Grammar::Obeyed, Grammar::Unchecked, Grammar::Unchecked]
        );
    }

    #[test]
    fn telnet_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"\xff\xfd")]).names.is_empty());
    }

    #[test]
    fn a_telnet_client_without_negotiation_is_unclaimed_text() {
        let story = Story::of(&[server(b"id\n"), client(b"uid=0(root) gid=0(root)\r\n")]);
        assert!(story.names.is_empty());
        assert_eq!(story.grammars, [Grammar::None, Grammar::None]);
    }

    #[test]
    fn a_command_that_telnet_does_not_have_leaves_it() {
        let story = Story::of(&[server(b"\xff\xfd\x18"), client(b"\xff\xfb\x18\xff\x07")]);
        story.is_left_by_client();
    }
}
