//! What the rows of all logs about connections have in common: when, which connection, between
//! whom.

use observation::{Endpoint, Fact, FlowId, FlowKey, FlowOpened, LocalSide, Observation};
use observation::{PortId, SourceId, Time, Transport};

use super::values::{Address, Count, Text, When};
use crate::parsed::Reason;

/// Orders within one flow at one time: it is opened first and closed last.
pub(super) const ORDER_OPENED: u64 = 0;
/// What a protocol says once.
pub(super) const ORDER_SAID: u64 = 1;
/// Exchanges, by their number in the connection or the message.
pub(super) const ORDER_EXCHANGE: u64 = 1 << 32;
pub(super) const ORDER_CLOSED: u64 = u64::MAX;

/// A row's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) at: Time,
    pub(super) flow: FlowId,
    pub(super) originator: Endpoint,
    pub(super) responder: Endpoint,
    /// Names the row: the same row in two files is one.
    pub(super) row: u64,
}

/// The fields that make a [`Head`].
pub(super) struct Fields<'r> {
    pub(super) ts: When,
    pub(super) uid: &'r Text<'r>,
    pub(super) originator: (Address, Count),
    pub(super) responder: (Address, Count),
}

impl Head {
    pub(super) fn of(fields: &Fields<'_>) -> Result<Self, Reason> {
        let at = fields.ts.0.ok_or(Reason::BadTime)?;
        let end = |(address, port): (Address, Count), missing| {
            let address = address.0.ok_or(Reason::Missing(missing))?;
            let port = u16::try_from(port.or_zero()).map_err(|_| Reason::Missing(missing))?;
            Ok(Endpoint { address, port })
        };
        let originator = end(fields.originator, "id.orig_h, id.orig_p")?;
        let responder = end(fields.responder, "id.resp_h, id.resp_p")?;
        let uid = fields.uid.0.as_bytes();
        let flow = flow_id(uid, at, &originator, &responder);
        Ok(Self { at, flow, originator, responder, row: fold(flow.0 ^ at.0, K2) })
    }

    /// The same, for one of several rows of a connection.
    pub(super) fn numbered(self, number: u64, name: &str) -> Self {
        Self { row: bytes(fold(self.row ^ number, K1), name.as_bytes()), ..self }
    }

    pub(super) const fn key(&self, transport: Transport) -> FlowKey {
        let (originator, responder) = (self.originator, self.responder);
        FlowKey { port: PortId::UNKNOWN, transport, originator, responder }
    }

    /// Names the connection before something is said of it: its own row comes when it is over.
    pub(super) const fn opened(&self, transport: Transport) -> Observation<'static> {
        let (flow, key) = (self.flow, self.key(transport));
        let opened = FlowOpened { flow, key, local: LocalSide::Unknown };
        self.said(self.at, ORDER_OPENED, Fact::FlowOpened(opened))
    }

    pub(super) const fn said(
        &self,
        at: Time,
        order: u64,
        fact: Fact<'static>,
    ) -> Observation<'static> {
        Observation { at, witness: SourceId(0), order, fact }
    }
}

const K0: u64 = 0xa076_1d64_78bd_642f;
const K1: u64 = 0xe703_7ed1_a0b4_28db;
const K2: u64 = 0x8ebc_6af0_9c88_c6e3;

/// Digits of our own uids, after their `C`; see the program's `sinks::conn`.
const OWN_DIGIT_COUNT: usize = 11;

/// A flow's name is the hash of its uid and ends, so that rows of all logs about it meet, and uids
/// that a log counts up from the beginning stay apart. Our own uids are the flow's id, written in
/// base 62.
fn flow_id(uid: &[u8], at: Time, originator: &Endpoint, responder: &Endpoint) -> FlowId {
    if let Some(own) = own_uid(uid) {
        return own;
    }
    let end = |hash: u64, end: &Endpoint| {
        let address = match end.address {
            std::net::IpAddr::V4(v4) => u64::from(v4.to_bits()),
            std::net::IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                fold((bits >> 64) as u64 ^ K1, K2) ^ bits as u64
            }
        };
        fold(hash ^ address ^ K1, u64::from(end.port) ^ K2)
    };
    let named = if uid.is_empty() { at.0 } else { bytes(K0, uid) };
    FlowId(end(end(named, originator), responder).max(1))
}

fn own_uid(uid: &[u8]) -> Option<FlowId> {
    let digits = uid.strip_prefix(b"C").filter(|digits| digits.len() == OWN_DIGIT_COUNT)?;
    digits
        .iter()
        .try_fold(0_u64, |number, digit| {
            let digit = match digit {
                b'0'..=b'9' => digit - b'0',
                b'A'..=b'Z' => digit - b'A' + 10,
                b'a'..=b'z' => digit - b'a' + 36,
                _ => return None,
            };
            number.checked_mul(62)?.checked_add(u64::from(digit))
        })
        .filter(|number| *number > 0)
        .map(FlowId)
}

/// A multiplication folded to 64 bits, as in wyhash.
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

fn bytes(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words
        .iter()
        .fold(seed ^ bytes.len() as u64, |hash, word| fold(hash ^ u64::from_le_bytes(*word), K1));
    let rest = rest.iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    fold(hash ^ rest, K2)
}

/// The first bytes of a text, on a character's boundary.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

/// The same, as the contract keeps it.
pub(super) fn owned(text: &str, bytes_max: usize) -> std::borrow::Cow<'static, str> {
    let text = cut(text, bytes_max);
    if text.is_empty() { Default::default() } else { text.to_owned().into() }
}
