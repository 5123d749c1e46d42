//! What one place asks about one registered domain.

use core::net::IpAddr;

use observation::{DnsData, DnsExchange, Endpoint, FlowKey, LocalSide, Time, Transport};
use serde::{Deserialize, Serialize};

use super::NAME_ERROR;
use super::distinct::{Distinct, Seen};
use super::labels::{Letters, Load};
use crate::flows::Flow;
use crate::ledger::{Owner, Place};

/// Where lookups are answered: RFC 1035, section 4.2.
const DNS_PORT: u16 = 53;
/// So many half bits are eight bits.
const HALF_BITS_PER_BYTE: u64 = 16;

/// The lookup that a domain's owner is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Lookup {
    pub opened: Time,
    pub key: FlowKey,
    pub local: LocalSide,
}

impl Lookup {
    /// What a flow asks of somebody else, if it does.
    pub(crate) fn of(flow: &Flow) -> Option<Self> {
        if !flow.is_outgoing() || is_for_neighbours(flow) {
            return None;
        }
        let (key, local) = (flow.key, flow.local);
        let is_answered_first = flow.near().port == DNS_PORT && flow.far().port != DNS_PORT;
        let key = match local {
            _ if !is_answered_first => key,
            // The capture began behind the first question.
            LocalSide::Unknown => {
                FlowKey { originator: key.responder, responder: key.originator, ..key }
            }
            LocalSide::Originator | LocalSide::Responder => return None,
        };
        Some(Self { opened: flow.opened, key, local })
    }
}

/// Names that are asked of everybody nearby: multicast DNS, LLMNR, NetBIOS.
fn is_for_neighbours(flow: &Flow) -> bool {
    let to_many = match flow.far().address {
        IpAddr::V4(address) => {
            let [.., last] = address.octets();
            address.is_multicast() || last == u8::MAX
        }
        IpAddr::V6(address) => address.is_multicast(),
    };
    flow.transport() == Transport::Udp && to_many
}

/// The lookups of one place below one registered domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Domain {
    pub name: alloc::string::String,
    /// Whose they are, as far as was known last.
    pub owner: Owner,
    /// The first of them.
    pub first: Lookup,
    pub first_asked: Time,
    pub last_asked: Time,
    pub count: u32,
    pub kinds: Kinds,
    pub replies: Replies,
    /// Who was asked first.
    pub server: Endpoint,
    names: Distinct,
    name_bytes: Range,
    load: Load,
    letters: Letters,
    shared: Option<Shared>,
    answers: Distinct,
    /// It is looked at again once there are so many.
    pub(super) look_at_count: u32,
}

/// What was asked for, in lookups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kinds {
    /// TXT: free text.
    pub text: u32,
    /// CNAME, MX, SRV and NS: names.
    pub names: u32,
    /// NULL and private types: bytes of no meaning.
    pub raw: u32,
}

/// What was answered, in lookups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replies {
    pub answered: u32,
    /// The name does not exist.
    pub missing: u32,
    /// An address in 127.0.0.0/8: how lists answer.
    pub listed: u32,
    /// An address that leads nowhere.
    pub nowhere: u32,
    /// Bytes of answers that are no addresses.
    pub bytes: u64,
    /// Bytes of addresses that had not been answered before.
    pub address_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    min: u32,
    max: u32,
}

/// What all names begin and end with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shared {
    first: alloc::vec::Vec<u8>,
    prefix_bytes: usize,
    suffix_bytes: usize,
}

/// What a domain's names can have carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Names that were asked for, each counted once.
    pub names: u32,
    /// Bytes of information in them.
    pub bytes: u64,
    /// Of a hundred letters so many belong to no word, are vowels, are digits.
    pub opaque_percent: u32,
    pub vowel_percent: u32,
    pub digit_percent: u32,
    pub lengths: Lengths,
    /// Answers that were given, each counted once with its name.
    pub answers: u32,
}

/// Whether names differ in length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lengths {
    #[default]
    Differ,
    /// All have the same, and consist of hexadecimal digits: digests have.
    OfDigests,
}

/// Lengths of digests in hexadecimal digits: MD5, SHA-1, SHA-256.
const DIGEST_BYTES: [u32; 3] = [32, 40, 64];

impl Domain {
    pub(super) fn new(name: &str, owner: Owner, first: Lookup, fact: &DnsExchange<'_>) -> Self {
        Self {
            name: name.into(),
            owner,
            first,
            first_asked: fact.asked_at,
            last_asked: fact.asked_at,
            count: 0,
            kinds: Kinds::default(),
            replies: Replies::default(),
            server: first.key.responder,
            names: Distinct::default(),
            name_bytes: Range { min: u32::MAX, max: 0 },
            load: Load::default(),
            letters: Letters::default(),
            shared: None,
            answers: Distinct::default(),
            look_at_count: 0,
        }
    }

    /// Adds a lookup; gives what its name carries, if it was not asked for before.
    pub(super) fn add(
        &mut self,
        first: Lookup,
        fact: &DnsExchange<'_>,
        below: &str,
        hash: impl Fn(&[u8]) -> u64,
    ) -> Option<Load> {
        self.count = self.count.saturating_add(1);
        if first < self.first {
            (self.first, self.server) = (first, first.key.responder);
        }
        self.first_asked = self.first_asked.min(fact.asked_at);
        self.last_asked = self.last_asked.max(fact.asked_at);
        let name = hash(below.as_bytes());
        self.kinds.add(fact.query_type);
        self.reply(fact, name, hash);
        if self.names.add(name) == Seen::Before || below.is_empty() {
            return None;
        }
        let load = self.letters.add(below);
        self.carry(load, below);
        Some(load)
    }

    fn carry(&mut self, load: Load, below: &str) {
        self.load.half_bits = self.load.half_bits.saturating_add(load.half_bits);
        self.load.opaque_bytes = self.load.opaque_bytes.saturating_add(load.opaque_bytes);
        self.load.bytes = self.load.bytes.saturating_add(load.bytes);
        self.load.vowels = self.load.vowels.saturating_add(load.vowels);
        self.load.digits = self.load.digits.saturating_add(load.digits);
        self.name_bytes.min = self.name_bytes.min.min(load.bytes);
        self.name_bytes.max = self.name_bytes.max.max(load.bytes);
        match &mut self.shared {
            Some(shared) => shared.narrow(below.as_bytes()),
            None => self.shared = Some(Shared::of(below.as_bytes())),
        }
    }

    /// The name turned out to be another one with this domain appended by a resolver's search list.
    pub(super) fn take_back(&mut self, load: Load) {
        self.load.half_bits = self.load.half_bits.saturating_sub(load.half_bits);
        self.load.opaque_bytes = self.load.opaque_bytes.saturating_sub(load.opaque_bytes);
        self.load.bytes = self.load.bytes.saturating_sub(load.bytes);
        self.load.vowels = self.load.vowels.saturating_sub(load.vowels);
        self.load.digits = self.load.digits.saturating_sub(load.digits);
    }

    fn reply(&mut self, fact: &DnsExchange<'_>, name: u64, hash: impl Fn(&[u8]) -> u64) {
        self.replies.answered += u32::from(fact.response_code.is_some());
        self.replies.missing += u32::from(fact.response_code == Some(NAME_ERROR));
        let (mut listed, mut nowhere) = (false, false);
        for answer in &fact.answers {
            match &answer.data {
                DnsData::Address(address) => {
                    listed |= address.is_loopback();
                    nowhere |= leads_nowhere(*address);
                    let (bytes, length) = octets(*address);
                    let bytes = bytes.get(..length).unwrap_or(&bytes);
                    if self.answers.add(hash(bytes)) == Seen::New {
                        self.replies.address_bytes += length as u64;
                    }
                }
                DnsData::Name(text) => {
                    if self.answers.add(name ^ hash(text.as_bytes())) == Seen::New {
                        self.replies.bytes += text.len() as u64;
                    }
                }
                DnsData::Other(kind, bytes) if is_signature(*kind) || *bytes == 0 => {}
                // What it says is not told, only how long it is.
                DnsData::Other(kind, bytes) => {
                    let said = [kind.to_be_bytes(), bytes.to_be_bytes()].concat();
                    if self.answers.add(name ^ hash(&said)) == Seen::New {
                        self.replies.bytes += u64::from(*bytes);
                    }
                }
            }
        }
        self.replies.listed += u32::from(listed);
        self.replies.nowhere += u32::from(nowhere);
    }

    /// Where it is asked for.
    pub(crate) const fn place(&self) -> Place {
        Place::of(&self.first.key, self.first.local)
    }

    /// What its names can have carried.
    pub(crate) fn carried(&self) -> Carried {
        let load = self.load;
        if load.bytes == 0 {
            return Carried { names: self.names.count(), ..Carried::default() };
        }
        let entropy = self.letters.entropy();
        let shared = self.shared.as_ref().map_or(0, Shared::bytes);
        let same = u64::from(self.names.count()).saturating_mul(shared as u64);
        let varies = u64::from(load.bytes).saturating_sub(same);
        // Two half bits are a bit; what is shared carries nothing.
        let opaque = libm::round(f64::from(load.opaque_bytes) * entropy * 2.0);
        let half_bits = u64::from(load.half_bits) + whole(opaque);
        let bytes = half_bits * varies / u64::from(load.bytes) / HALF_BITS_PER_BYTE;
        let lengths = match self.name_bytes {
            Range { min, max }
                if min == max
                    && DIGEST_BYTES.contains(&min.saturating_sub(self.fixed_bytes()))
                    && self.letters.are_hex() =>
            {
                Lengths::OfDigests
            }
            _ => Lengths::Differ,
        };
        Carried {
            names: self.names.count(),
            bytes,
            opaque_percent: percent(load.opaque_bytes, load.bytes),
            vowel_percent: percent(load.vowels, load.bytes.saturating_sub(load.digits)),
            digit_percent: percent(load.digits, load.bytes),
            lengths,
            answers: self.answers.count(),
        }
    }

    /// Letters of what all names end with, beginning at a dot.
    fn fixed_bytes(&self) -> u32 {
        self.shared.as_ref().map_or(0, |shared| {
            let from = shared.first.len().saturating_sub(shared.suffix_bytes);
            let suffix = shared.first.get(from..).unwrap_or_default();
            let labels = suffix.iter().skip_while(|byte| **byte != b'.');
            let letters = labels.filter(|byte| byte.is_ascii_alphanumeric());
            u32::try_from(letters.count()).unwrap_or(u32::MAX)
        })
    }
}

impl Kinds {
    fn add(&mut self, query_type: u16) {
        match query_type {
            16 => self.text += 1,
            2 | 5 | 15 | 33 => self.names += 1,
            10 | 65_280.. => self.raw += 1,
            _ => {}
        }
    }

    /// Lookups whose answer is free in what it says.
    pub(crate) const fn speaking(self) -> u32 {
        self.text.saturating_add(self.names).saturating_add(self.raw)
    }
}

impl Shared {
    fn of(name: &[u8]) -> Self {
        let first = name.to_vec();
        Self { prefix_bytes: first.len(), suffix_bytes: first.len(), first }
    }

    fn narrow(&mut self, name: &[u8]) {
        let same = |(left, right): &(&u8, &u8)| left == right;
        let prefix = self.first.iter().zip(name).take_while(same).count();
        let suffix = self.first.iter().rev().zip(name.iter().rev()).take_while(same).count();
        self.prefix_bytes = self.prefix_bytes.min(prefix);
        self.suffix_bytes = self.suffix_bytes.min(suffix);
    }

    fn bytes(&self) -> usize {
        (self.prefix_bytes + self.suffix_bytes).min(self.first.len())
    }
}

/// Records that only secure others: DNSSEC.
const fn is_signature(kind: u16) -> bool {
    matches!(kind, 43 | 46..=48 | 50 | 51)
}

/// Nobody can be reached there: RFC 1122, section 3.2.1.3, and class E.
fn leads_nowhere(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            first == 0 || first >= 240
        }
        IpAddr::V6(address) => address.is_unspecified(),
    }
}

fn octets(address: IpAddr) -> ([u8; 16], usize) {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            let octets = address.octets();
            bytes.iter_mut().zip(octets).for_each(|(byte, octet)| *byte = octet);
            (bytes, octets.len())
        }
        IpAddr::V6(address) => (address.octets(), 16),
    }
}

fn percent(part: u32, of: u32) -> u32 {
    let percent = u64::from(part) * 100 / u64::from(of.max(1));
    u32::try_from(percent).unwrap_or(u32::MAX)
}

/// A number that is neither negative nor large.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by its use")]
fn whole(number: f64) -> u64 {
    number as u64
}
