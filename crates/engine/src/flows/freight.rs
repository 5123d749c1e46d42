//! What a flow carries, whatever it speaks: much out, a program in, what clouds and other services
//! for everybody are asked for.

use observation::{Burst, Transport};
use serde::{Deserialize, Serialize};

use super::flow::Flow;
use crate::cargo::Kind;
use crate::cloud::{self, Metadata};
use crate::ledger::near_side;
use crate::services::Service;

/// Less is sent by everybody.
const MUCH_BYTES_MIN: u64 = 1 << 20;
/// Whoever brings something away sends so many times what he gets.
const OUT_PER_IN_MIN: u64 = 8;
/// A program comes at the beginning, after a word or two.
const FIRST_BURST_COUNT: u32 = 8;

/// Much that goes out; the logarithm to the base 2 of its size in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub mib_log2: u8,
}

/// How far somebody came with a metadata service; the most telling last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Reached {
    /// Nobody answered.
    Tried,
    /// It was spoken to, and nobody saw about what.
    Spoken,
    /// This was asked.
    Asked(Metadata),
}

impl Flow {
    pub(super) fn volume(&self) -> Option<Volume> {
        let is_much = self.near_bytes >= MUCH_BYTES_MIN
            && self.near_bytes >= self.far_bytes.saturating_mul(OUT_PER_IN_MIN);
        let mib_log2 = u8::try_from((self.near_bytes / MUCH_BYTES_MIN).max(1).ilog2());
        is_much.then_some(Volume { mib_log2: mib_log2.unwrap_or(u8::MAX) })
    }

    /// A program that came in.
    pub(super) fn fetched(&self) -> Option<Kind> {
        let kind = self.web.as_ref().and_then(|web| web.fetched).max(self.cargo)?;
        // What is installed comes packed, from where a name leads.
        let is_named = self.web.as_ref().is_some_and(|web| web.host != 0);
        (kind != Kind::Archive || !is_named).then_some(kind)
    }

    /// Takes the beginning of a burst in, where it may be a file's.
    pub(super) fn unload(&mut self, burst: &Burst<'_>) {
        if burst.side != near_side(self.local) && burst.index < FIRST_BURST_COUNT {
            self.cargo = self.cargo.max(Kind::of(&burst.excerpt));
        }
    }

    pub(super) fn reached(&self) -> Option<Reached> {
        let asked = self.web.as_ref().map(|web| web.metadata).unwrap_or_default();
        let is_there = cloud::is_at(self.far().address) && self.transport() == Transport::Tcp;
        match asked {
            Metadata::Nothing if !is_there => None,
            Metadata::Nothing if self.has_failed() => Some(Reached::Tried),
            Metadata::Nothing if self.near_bytes > 0 => Some(Reached::Spoken),
            Metadata::Nothing => None,
            asked => Some(Reached::Asked(asked)),
        }
    }

    /// A service for everybody that it was opened to, going by the name that it asked for.
    pub(super) fn service(&self) -> Option<Service> {
        let by_tls = self.speech.tls.and_then(|tls| tls.service);
        self.web.as_ref().and_then(|web| web.service).or(by_tls)
    }
}
