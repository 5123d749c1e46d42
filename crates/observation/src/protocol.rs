//! What a flow speaks, and the facts inside it that strategies need.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{FlowId, IpAddress, Name, Side, Time, digits};

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The query message's length in bytes; 0 where it was not seen.
    pub query_bytes: u16,
    /// The response message's length in bytes; 0 while unanswered.
    pub response_bytes: u16,
    /// The largest datagram that the one who asked can take (EDNS, RFC 6891); 0 without EDNS.
    pub edns_payload_bytes: u16,
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

/// One HTTP request and, where it was seen, its response. Told when the response has ended, or when
/// nothing more of the exchange can come: bodies are measured and not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpExchange<'a> {
    /// The flow.
    pub flow: FlowId,
    /// When the request line came.
    pub asked_at: Time,
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
    /// The request's version: 10, 11.
    pub version: u8,
    /// The names of the request's header fields as they were written and in their order, with
    /// commas between them; cut after 256 bytes.
    #[serde(borrow)]
    pub header_names: Cow<'a, str>,
    /// The request's `Content-Type`.
    #[serde(borrow)]
    pub request_type: Cow<'a, str>,
    /// The response's `Content-Type`.
    #[serde(borrow)]
    pub response_type: Cow<'a, str>,
    /// The request's body in bytes, without what chunks add.
    pub request_body_bytes: u64,
    /// The response's body in bytes, without what chunks add.
    pub response_body_bytes: u64,
    /// The first bytes of the request's body as they were sent, at most 128; empty where they were
    /// not seen.
    #[serde(borrow, with = "digits::bytes")]
    pub request_head: Cow<'a, [u8]>,
    /// The same of the response's body.
    #[serde(borrow, with = "digits::bytes")]
    pub response_head: Cow<'a, [u8]>,
}

/// A TLS ClientHello.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// All application protocols offered, with commas between them; cut after 256 bytes.
    #[serde(borrow)]
    pub alpn_offered: Cow<'a, str>,
    /// The highest version offered, as on the wire (`0x0304` is TLS 1.3).
    pub version: u16,
    /// Whether the server's name is encrypted (RFC 9849); many clients send a decoy.
    pub encrypted_hello: Ech,
    /// Whether it asks to go on with an earlier session.
    pub resumption: Resumption,
}

/// Whether a ClientHello carries an encrypted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ech {
    /// It does not.
    #[default]
    Absent,
    /// It does, or pretends to.
    Present,
}

/// Whether a session is an earlier one that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resumption {
    /// It is not, or nobody asked.
    #[default]
    None,
    /// The client asked for it. (In TLS 1.2 a session id in a ClientHello may also be a decoy.)
    Asked,
    /// The server agreed.
    Agreed,
}

/// What became of a TLS handshake, told once: when it is completed, refused, left, or when the flow
/// ends without it. A ClientHello that is followed by none of these has no answer yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSession<'a> {
    /// The flow.
    pub flow: FlowId,
    /// How it went.
    pub outcome: Handshake,
    /// The version that the server chose, as on the wire; 0 where no ServerHello was seen.
    pub version: u16,
    /// The cipher suite that it chose.
    pub cipher: u16,
    /// The application protocol that it chose; empty where none or where TLS 1.3 hides it.
    #[serde(borrow)]
    pub alpn: Cow<'a, str>,
    /// Whether it goes on with an earlier session.
    pub resumption: Resumption,
    /// The server's certificate, where TLS 1.2 and older show it.
    #[serde(borrow)]
    pub certificate: Option<Certificate<'a>>,
}

/// How a handshake went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handshake {
    /// The side that was asked has not answered in the protocol.
    #[default]
    Unanswered,
    /// Both sides have spoken, and it did not come to an end.
    Unfinished,
    /// This side has ended it with this alert (0 where it gave no reason).
    Refused(Side, u8),
    /// Both sides went on to what it was for.
    Completed,
    /// Part of it was not captured: nobody knows.
    Unseen,
}

/// What an X.509 certificate says of itself (RFC 5280).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate<'a> {
    /// Whom it names, as RFC 4514 writes it; cut after 256 bytes.
    #[serde(borrow)]
    pub subject: Cow<'a, str>,
    /// Who signed it. The same as the subject where it is self-signed.
    #[serde(borrow)]
    pub issuer: Cow<'a, str>,
    /// Valid from.
    pub not_before: Time,
    /// Valid until.
    pub not_after: Time,
    /// The names and addresses that it is for, at most 16.
    #[serde(borrow)]
    pub names: Vec<Cow<'a, str>>,
    /// How many certificates came with it, itself included.
    pub chain_count: u8,
}

/// Something that a protocol says in clear and that detection asks for. At most 64 of one flow are
/// told, and of each kind each value once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolDetail<'a> {
    /// The flow.
    pub flow: FlowId,
    /// The protocol that says it.
    #[serde(borrow)]
    pub protocol: Name<'a>,
    /// What it is.
    pub kind: DetailKind,
    /// Who said it.
    pub side: Side,
    /// Its value, cut after 256 bytes. What is no printable ASCII is escaped as `\xHH`.
    #[serde(borrow)]
    pub value: Cow<'a, str>,
}

/// The kinds of [`ProtocolDetail`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DetailKind {
    /// What a side calls its program: SSH's identification string, a MySQL server's version.
    Software,
    /// What was agreed on for encryption: SSH's key exchange, host key and cipher, with commas.
    Agreement,
    /// Both sides have completed their handshake; the value says how (`newkeys`).
    Handshake,
    /// A user's name.
    User,
    /// IRC's nick.
    Nick,
    /// IRC's channel.
    Channel,
    /// MQTT's client identifier.
    Client,
    /// MQTT's topic, published or subscribed to.
    Topic,
    /// A command word of SMTP, FTP, POP3 or IMAP, with an address where it names one.
    Command,
    /// What a proxy is asked to connect to (SOCKS, CONNECT): `host:port`.
    Target,
    /// Whom a balancer says that it speaks for (the PROXY protocol): `address:port`.
    Source,
}

/// The innermost tunnel that carried a flow's first packet: an overlay network, a mirror port. Told
/// right after [`crate::FlowOpened`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnelled {
    /// The flow inside.
    pub flow: FlowId,
    /// Which tunnel.
    pub kind: TunnelKind,
    /// The tunnel's end that sent it.
    pub from: IpAddress,
    /// The tunnel's end that received it.
    pub to: IpAddress,
    /// The network identifier, key or session in its header; 0 where it has none.
    pub network: u32,
}

/// The tunnels that the sensor looks into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TunnelKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
    /// RFC 2784, RFC 2890.
    Gre,
    /// Encapsulated Remote SPAN, types I to III.
    Erspan,
    /// RFC 2003, RFC 4213.
    IpInIp,
    /// The user plane of GTP: 3GPP TS 29.281.
    Gtp,
}

/// How the answers of an ICMP flow compare with its echo requests (RFC 792: an answer repeats its
/// request's payload). Told when the first answer differs, then at every power of four of the
/// answers that differ, and when the flow ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EchoSymmetry {
    /// The flow.
    pub flow: FlowId,
    /// Requests.
    pub request_count: u64,
    /// Answers that repeat their request.
    pub same_count: u64,
    /// Answers that do not.
    pub different_count: u64,
    /// Answers to no request that is remembered.
    pub unasked_count: u64,
    /// The smallest payload in bytes.
    pub payload_bytes_min: u32,
    /// The largest payload in bytes.
    pub payload_bytes_max: u32,
    /// How many different lengths payloads had, at most 16.
    pub length_count: u8,
    /// The highest entropy of a payload, in hundredths of a bit per byte.
    pub entropy_centibits_max: u16,
}
