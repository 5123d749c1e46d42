//! beanstalkd, by a client's command and the word that answers it: beanstalkd, `protocol.txt`.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, confirmed_only, exact_word};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "beanstalkd",
    first_bytes: FirstBytes::of(b"purwdiblskt"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let [asks, answers] = [exact_word(heads.opener, COMMANDS), exact_word(heads.answerer, ANSWERS)];
    // Words that others use too, until both sides have said theirs.
    confirmed_only(client_first(&heads, asks, answers.and(decided(heads.answerer))))
}

/// An answer's word may be the beginning of another word while its line has not ended.
fn decided(head: &[u8]) -> Fit {
    if head.iter().any(|byte| matches!(byte, b' ' | b'\r')) { Fit::Yes } else { Fit::Could }
}

const COMMANDS: &[&[u8]] = &[
    b"put",
    b"use",
    b"reserve",
    b"reserve-with-timeout",
    b"reserve-job",
    b"watch",
    b"delete",
    b"ignore",
    b"bury",
    b"peek-ready",
    b"peek-delayed",
    b"peek-buried",
    b"stats-tube",
    b"list-tubes",
    b"list-tube-used",
    b"list-tubes-watched",
    b"kick-job",
    b"touch",
    b"pause-tube",
];
const ANSWERS: &[&[u8]] = &[
    b"INSERTED",
    b"BURIED",
    b"EXPECTED_CRLF",
    b"JOB_TOO_BIG",
    b"DRAINING",
    b"USING",
    b"RESERVED",
    b"DEADLINE_SOON",
    b"TIMED_OUT",
    b"DELETED",
    b"NOT_FOUND",
    b"RELEASED",
    b"TOUCHED",
    b"WATCHING",
    b"NOT_IGNORED",
    b"KICKED",
    b"PAUSED",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_command_and_its_answer_are_beanstalkd() {
        let asks = client(b"use mail\r\nput 0 0 60 2\r\nok\r\n");
        Story::of(&[asks, server(b"USING mail\r\nINSERTED 1\r\n")]).is_confirmed("beanstalkd");
    }

    #[test]
    fn a_command_that_is_not_answered_is_unsure() {
        Story::of(&[client(b"use mail\r\n")]).is_nothing();
        Story::of(&[client(b"use mail\r\n"), server(b"USIN")]).is_nothing();
    }

    #[test]
    fn a_shell_that_is_told_to_touch_is_not_beanstalkd() {
        Story::of(&[client(b"touch a\n"), server(b"touch: cannot touch\n")]).is_nothing();
    }
}
