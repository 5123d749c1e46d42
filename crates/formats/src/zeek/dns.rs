//! `dns.log`: <https://docs.zeek.org/en/master/logs/dns.html>.

use std::fmt::Write;
use std::net::IpAddr;

use observation::{DnsAnswer, DnsData, DnsExchange, Fact, Span, Transport};
use serde::Deserialize;

use super::row::{Fields, Head, ORDER_EXCHANGE};
use super::values::{Address, Count, Lasted, List, Text, When};
use super::{Kind, Seen};
use crate::parsed::Reason;

/// A row of `dns.log`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Dns<'a> {
    ts: When,
    #[serde(borrow)]
    uid: Text<'a>,
    #[serde(rename = "id.orig_h", alias = "id_orig_h")]
    orig_h: Address,
    #[serde(rename = "id.orig_p", alias = "id_orig_p")]
    orig_p: Count,
    #[serde(rename = "id.resp_h", alias = "id_resp_h")]
    resp_h: Address,
    #[serde(rename = "id.resp_p", alias = "id_resp_p")]
    resp_p: Count,
    #[serde(borrow)]
    proto: Text<'a>,
    trans_id: Count,
    rtt: Lasted,
    #[serde(borrow)]
    query: Text<'a>,
    qtype: Count,
    #[serde(borrow)]
    qtype_name: Text<'a>,
    rcode: Count,
    #[serde(borrow)]
    rcode_name: Text<'a>,
    #[serde(borrow)]
    answers: List<Text<'a>>,
    #[serde(rename = "TTLs")]
    ttls: List<Lasted>,
}

impl Dns<'_> {
    pub(super) fn see(&self, out: &mut dyn FnMut(Seen)) -> Result<(), Reason> {
        let head = Head::of(&Fields {
            ts: self.ts,
            uid: &self.uid,
            originator: (self.orig_h, self.orig_p),
            responder: (self.resp_h, self.resp_p),
        })?;
        let asks = self.qtype.0.is_some() || !self.qtype_name.0.is_empty();
        if !asks && self.query.0.is_empty() && self.trans_id.0.is_none() {
            return Err(Reason::Missing("query"));
        }
        let query_type = self.query_type();
        let number = self.trans_id.or_zero() << 16 | u64::from(query_type);
        let head = head.numbered(number, &self.query.0);
        let response_code = self.response_code();
        let exchange = DnsExchange {
            flow: head.flow,
            asked_at: head.at,
            name: name(&self.query.0).into(),
            query_type,
            response_code,
            answers: self.answers(query_type),
            ..DnsExchange::default()
        };
        let transport = if self.proto.0 == "tcp" { Transport::Tcp } else { Transport::Udp };
        let answered_at = head.at + self.rtt.0.unwrap_or(Span::ZERO);
        let order = ORDER_EXCHANGE + (number & u64::from(u32::MAX));
        out(Seen { kind: Kind::Dns, row: head.row, observation: head.opened(transport) });
        let said = head.said(answered_at, order, Fact::Dns(exchange));
        out(Seen { kind: Kind::Dns, row: head.row, observation: said });
        Ok(())
    }

    fn query_type(&self) -> u16 {
        match self.qtype.0 {
            Some(_) => self.qtype.as_u16(),
            None => number(QUERY_TYPES, &self.qtype_name.0).unwrap_or_default(),
        }
    }

    fn response_code(&self) -> Option<u8> {
        let code = match self.rcode.0 {
            Some(code) => u16::try_from(code).ok(),
            None => number(RESPONSE_CODES, &self.rcode_name.0),
        };
        code.and_then(|code| u8::try_from(code).ok())
    }

    fn answers(&self, query_type: u16) -> Vec<DnsAnswer<'static>> {
        let ttls = self.ttls.0.iter().map(|ttl| ttl.0.unwrap_or(Span::ZERO).0 / 1_000_000_000);
        let ttls = ttls.map(|ttl_s| u32::try_from(ttl_s).unwrap_or(u32::MAX));
        let ttls = ttls.chain(std::iter::repeat(0));
        self.answers
            .0
            .iter()
            .zip(ttls)
            .map(|(answer, ttl_s)| DnsAnswer { ttl_s, data: data(&answer.0, query_type) })
            .collect()
    }
}

/// Zeek writes an answer as text: an address, a name, or a type and what it carries.
fn data(answer: &str, query_type: u16) -> DnsData<'static> {
    if let Ok(address) = answer.parse::<IpAddr>() {
        return DnsData::Address(address);
    }
    // `TXT 18 302f017537c68f5169`: a string's length and the string; several follow each other.
    if let Some(text) = answer.strip_prefix("TXT ") {
        return DnsData::Other(TXT, text_bytes(text));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let names_a_host = !answer.is_empty() && answer.bytes().all(is_name);
    if names_a_host && !matches!(query_type, TXT | NULL) {
        return DnsData::Name(name(answer).into());
    }
    DnsData::Other(query_type, u16::try_from(answer.len()).unwrap_or(u16::MAX))
}

/// The bytes of the strings of a TXT record, each of which costs one more for its length.
fn text_bytes(text: &str) -> u16 {
    let stated = text.split_once(' ').and_then(|(length, _)| length.parse::<u16>().ok());
    let written = u16::try_from(text.len()).unwrap_or(u16::MAX);
    stated.map_or(written, |length| length.saturating_add(1).max(written.saturating_sub(4)))
}

/// A name as the contract has it: lower case, what is neither letter, digit, hyphen nor underscore
/// escaped as `\DDD`. Zeek writes such bytes as `\xHH`.
fn name(text: &str) -> String {
    let bytes = text.as_bytes();
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    let mut name = String::with_capacity(bytes.len().min(NAME_BYTES_MAX));
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match after {
            [b'x', high, low, after @ ..] if *first == b'\\' => match hex(*high, *low) {
                Some(byte) => (byte, after),
                None => (*first, after),
            },
            _ => (*first, after),
        };
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                name.push(char::from(byte.to_ascii_lowercase()));
            }
            // Writing to a String cannot fail.
            _ => drop(write!(name, "\\{byte:03}")),
        }
        if name.len() >= NAME_BYTES_MAX {
            break;
        }
        rest = after;
    }
    name
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

fn number(names: &[(u16, &str)], name: &str) -> Option<u16> {
    names.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
}

const TXT: u16 = 16;
const NULL: u16 = 10;
/// 255 bytes of a name, each escaped.
const NAME_BYTES_MAX: usize = 4 * 255;

/// IANA's numbers and Zeek's names, for logs that keep only the names.
const QUERY_TYPES: &[(u16, &str)] = &[
    (1, "A"),
    (28, "AAAA"),
    (12, "PTR"),
    (TXT, "TXT"),
    (33, "SRV"),
    (65, "HTTPS"),
    (5, "CNAME"),
    (15, "MX"),
    (2, "NS"),
    (6, "SOA"),
    (NULL, "NULL"),
    (255, "*"),
    (35, "NAPTR"),
    (64, "SVCB"),
    (32, "NB"),
    (43, "DS"),
    (46, "RRSIG"),
    (48, "DNSKEY"),
    (52, "TLSA"),
    (99, "SPF"),
    (257, "CAA"),
];

const RESPONSE_CODES: &[(u16, &str)] = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (9, "NOTAUTH"),
];
