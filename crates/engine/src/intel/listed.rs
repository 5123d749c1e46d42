//! A match: what was seen, and what a feed says about it.

use alloc::string::String;

use observation::{Span, Time};
use serde::{Deserialize, Serialize};

use super::{About, Reach};

/// What was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Address,
    Domain,
    Url,
    Ja4,
    Sha256,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Domain => "name",
            Self::Url => "URL",
            Self::Ja4 => "JA4",
            Self::Sha256 => "SHA-256",
        }
    }

    /// For so long what attackers have used stays theirs, where the feed says nothing: addresses
    /// change hands in weeks, names in months, and a file stays what it is.
    const fn lifetime(self) -> Option<Span> {
        const DAY_S: u64 = 86_400;
        match self {
            Self::Address => Some(Span::from_secs(30 * DAY_S)),
            Self::Domain | Self::Url => Some(Span::from_secs(90 * DAY_S)),
            Self::Ja4 => Some(Span::from_secs(180 * DAY_S)),
            Self::Sha256 => None,
        }
    }
}

/// How old a feed's word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// The feed itself no longer stands to it.
    Expired,
    /// It is older than what it is about usually lasts.
    Old,
    Fresh,
}

/// A match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub kind: Kind,
    /// What was found: of a name the listed part.
    pub value: String,
    /// The feed's name.
    pub feed: String,
    pub about: Word,
    /// When it was seen here.
    pub at: Time,
}

/// What is kept of what the feed says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Word {
    pub confidence: Option<u8>,
    pub seen: Option<Time>,
    pub expires: Option<Time>,
    pub reach: Reach,
}

impl From<About> for Word {
    fn from(about: About) -> Self {
        let About { confidence, seen, expires, reach } = about;
        Self { confidence, seen, expires, reach }
    }
}

impl Listed {
    pub(crate) fn standing(&self) -> Standing {
        if self.about.expires.is_some_and(|expires| expires <= self.at) {
            return Standing::Expired;
        }
        let (lifetime, seen) = (self.kind.lifetime(), self.about.seen);
        match lifetime.zip(seen) {
            Some((lifetime, seen)) if self.at.since(seen) > lifetime => Standing::Old,
            _ => Standing::Fresh,
        }
    }

    /// Whether it says more than another.
    pub(crate) fn outweighs(&self, other: &Self) -> bool {
        let weight = |listed: &Self| {
            let confidence = listed.about.confidence.unwrap_or(u8::MAX);
            (listed.standing(), listed.about.reach, confidence)
        };
        weight(self) > weight(other)
    }

    /// The one of two that says more; of equals the first.
    pub(crate) fn stronger(self, other: Self) -> Self {
        if other.outweighs(&self) { other } else { self }
    }
}
