//! What a flow speaks, and the facts inside it that strategies need.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{FlowId, IpAddress, Name, Side, Time};

/// How sure an identification is. What the *port* claims is kept apart: it is in the flow's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Certainty {
    /// One side has sent the protocol's opening.
    Proposed(Side),
    /// Both sides have, or the protocol is one-sided by nature and was obeyed.
    Confirmed,
}

/// A probe claims the flow. Sent again when a proposal is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolIdentified<'a> {
    /// The flow.
    pub flow: FlowId,
    /// The protocol.
    #[serde(borrow)]
    pub protocol: Name<'a>,
    /// How sure.
    pub certainty: Certainty,
}

/// The conversation stopped obeying the protocol that it was identified as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolLeft<'a> {
    /// The flow.
    pub flow: FlowId,
    /// The protocol that was left.
    #[serde(borrow)]
    pub protocol: Name<'a>,
    /// Who left it first.
    pub side: Side,
    /// In which burst.
    pub burst: u32,
}

/// One DNS question and, where it was seen, its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsExchange<'a> {
    /// The flow that carried it.
    pub flow: FlowId,
    /// When it was asked.
    pub asked_at: Time,
    /// The name, lower case, without the last dot; bytes other than letters, digits,
    /// hyphen and underscore are escaped as `\DDD`.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The query type's number (1 = A, 28 = AAAA, 16 = TXT …).
    pub query_type: u16,
    /// The response code; `None` while unanswered.
    pub response_code: Option<u8>,
    /// The answers.
    #[serde(borrow)]
    pub answers: Vec<DnsAnswer<'a>>,
}

/// One resource record of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsAnswer<'a> {
    /// Its time to live in seconds.
    pub ttl_s: u32,
    /// Its data.
    #[serde(borrow)]
    pub data: DnsData<'a>,
}

/// The data of a DNS record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DnsData<'a> {
    /// A or AAAA.
    Address(IpAddress),
    /// CNAME, NS, PTR or MX: another name.
    #[serde(borrow)]
    Name(Cow<'a, str>),
    /// Any other, by type and size in bytes.
    Other(u16, u16),
}

/// One HTTP request and, where it was seen, its response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpExchange<'a> {
    /// The flow.
    pub flow: FlowId,
    /// The method.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The `Host` header.
    #[serde(borrow)]
    pub host: Cow<'a, str>,
    /// The request target.
    #[serde(borrow)]
    pub target: Cow<'a, str>,
    /// The `User-Agent` header.
    #[serde(borrow)]
    pub user_agent: Cow<'a, str>,
    /// The status code; 0 while unanswered.
    pub status: u16,
}

/// A TLS ClientHello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsHello<'a> {
    /// The flow.
    pub flow: FlowId,
    /// The server name; empty where absent.
    #[serde(borrow)]
    pub server_name: Cow<'a, str>,
    /// The first application protocol offered; empty where absent.
    #[serde(borrow)]
    pub alpn: Cow<'a, str>,
    /// JA4.
    #[serde(borrow)]
    pub ja4: Cow<'a, str>,
}
