//! What comes in: programs by their first bytes, and what is started afterwards.

use observation::Span;
use serde::{Deserialize, Serialize};

use crate::flows::Flow;
use crate::ledger::{Container, Ledger, Process};

/// What is fetched to be started is started within this time.
const START_SPAN_MAX: Span = Span::from_secs(600);

/// A program that came in; the surest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Something packed: most of what is installed comes so.
    Archive,
    /// A script, by the interpreter that it names.
    Script,
    /// A program for Windows: nothing in a container runs it.
    Windows,
    /// ELF.
    Executable,
}

/// Beginnings of files.
const MAGIC: [(&[u8], Kind); 8] = [
    (b"\x7fELF", Kind::Executable),
    (b"MZ\x90\0", Kind::Windows),
    (b"#!/", Kind::Script),
    (b"#! /", Kind::Script),
    (b"\x1f\x8b\x08", Kind::Archive),
    (b"PK\x03\x04", Kind::Archive),
    (b"\xfd7zXZ\0", Kind::Archive),
    (b"\x28\xb5\x2f\xfd", Kind::Archive),
];

impl Kind {
    /// What begins like this.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        MAGIC.into_iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| kind)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Archive => "an archive",
            Self::Script => "a script",
            Self::Windows => "a program for Windows",
            Self::Executable => "an ELF program",
        }
    }
}

/// What was started after a program had come in by this flow.
pub(crate) fn started<'a>(
    ledger: &'a Ledger,
    flow: &Flow,
    container: Option<&Container>,
) -> Option<&'a Process> {
    flow.oddity.fetched?;
    ledger.brought_in(container?, flow.opened, flow.opened + START_SPAN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_by_their_first_bytes() {
        assert_eq!(Kind::of(b"\x7fELF\x02\x01\x01"), Some(Kind::Executable));
        assert_eq!(Kind::of(b"#!/bin/sh\nset -e\n"), Some(Kind::Script));
        assert_eq!(Kind::of(b"\x1f\x8b\x08\0"), Some(Kind::Archive));
        assert_eq!(Kind::of(b"# a note"), None);
        assert_eq!(Kind::of(b"HTTP/1.1 200 OK"), None);
        assert_eq!(Kind::of(b""), None);
    }
}
