//! `conn.log`: <https://docs.zeek.org/en/master/logs/conn.html>. One row is one whole flow.

use std::borrow::Cow;

use observation::{
    ConnState, Counts, Fact, Flaws, FlowClosed, Likeness, LocalSide, Name, PortId, Span, Transport,
};
use serde::Deserialize;

use super::row::{Fields, Head, ORDER_CLOSED, cut};
use super::values::{Address, Count, Flag, Lasted, List, Text, When};
use super::{Kind, Seen};
use crate::parsed::Reason;

/// A row of `conn.log`, or of our own `flows --format zeek-json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Conn<'a> {
    pub(super) ts: When,
    #[serde(borrow)]
    pub(super) uid: Text<'a>,
    #[serde(rename = "id.orig_h", alias = "id_orig_h")]
    pub(super) orig_h: Address,
    #[serde(rename = "id.orig_p", alias = "id_orig_p")]
    pub(super) orig_p: Count,
    #[serde(rename = "id.resp_h", alias = "id_resp_h")]
    pub(super) resp_h: Address,
    #[serde(rename = "id.resp_p", alias = "id_resp_p")]
    pub(super) resp_p: Count,
    #[serde(borrow)]
    pub(super) proto: Text<'a>,
    #[serde(borrow)]
    pub(super) service: Text<'a>,
    pub(super) duration: Lasted,
    pub(super) orig_bytes: Count,
    pub(super) resp_bytes: Count,
    #[serde(borrow)]
    pub(super) conn_state: Text<'a>,
    pub(super) local_orig: Flag,
    pub(super) local_resp: Flag,
    pub(super) missed_bytes: Count,
    #[serde(borrow)]
    pub(super) history: Text<'a>,
    pub(super) orig_pkts: Count,
    pub(super) orig_ip_bytes: Count,
    pub(super) resp_pkts: Count,
    pub(super) resp_ip_bytes: Count,
    #[serde(borrow)]
    pub(super) community_id: Text<'a>,
    #[serde(borrow)]
    pub(super) tunnel_parents: List<Text<'a>>,
    /// Since Zeek 7.1.
    pub(super) ip_proto: Count,
    /// A plug-in of its own, and ours.
    #[serde(borrow)]
    pub(super) ja4: Text<'a>,
    /// Ours: the capture port.
    pub(super) port: Count,
    /// Ours.
    pub(super) bursts: Count,
    /// Ours.
    pub(super) resp_bytes_after_close: Count,
    /// Ours.
    #[serde(borrow)]
    pub(super) flaws: List<Text<'a>>,
    /// Ours.
    #[serde(borrow)]
    pub(super) orig_likeness: Text<'a>,
    /// Ours.
    #[serde(borrow)]
    pub(super) resp_likeness: Text<'a>,
}

impl Conn<'_> {
    pub(super) fn see(&self, out: &mut dyn FnMut(Seen)) -> Result<(), Reason> {
        let head = Head::of(&Fields {
            ts: self.ts,
            uid: &self.uid,
            originator: (self.orig_h, self.orig_p),
            responder: (self.resp_h, self.resp_p),
        })?;
        // Rows of other logs name a connection and its transport too.
        if self.conn_state.0.is_empty() && self.orig_pkts.0.is_none() {
            return Err(Reason::Missing("conn_state"));
        }
        let transport = self.transport().ok_or(Reason::Missing("proto"))?;
        let mut key = head.key(transport);
        key.port = PortId(u32::try_from(self.port.or_zero()).unwrap_or_default());
        let end = head.at + self.duration.0.unwrap_or(Span::ZERO);
        let overhead = header_bytes(transport);
        let closed = FlowClosed {
            flow: head.flow,
            key,
            local: self.local(),
            start: head.at,
            end,
            state: self.state(),
            originator: counts(self.orig_pkts, self.orig_bytes, self.orig_ip_bytes, overhead),
            responder: counts(self.resp_pkts, self.resp_bytes, self.resp_ip_bytes, overhead),
            responder_bytes_after_close: self.resp_bytes_after_close.or_zero(),
            burst_count: u32::try_from(self.bursts.or_zero()).unwrap_or(u32::MAX),
            protocols: self.protocols(),
            likeness: [&self.orig_likeness, &self.resp_likeness].map(likeness),
            ja4: self.ja4(),
            community_id: Cow::Owned(cut(&self.community_id.0, COMMUNITY_ID_BYTES_MAX).to_owned()),
            flaws: self.flaws(transport),
        };
        let seen = head.said(end, ORDER_CLOSED, Fact::FlowClosed(closed));
        out(Seen { kind: Kind::Conn, row: head.row, observation: seen });
        Ok(())
    }

    fn transport(&self) -> Option<Transport> {
        match self.proto.0.as_ref() {
            "tcp" => Some(Transport::Tcp),
            "udp" => Some(Transport::Udp),
            "icmp" | "icmp6" => Some(Transport::Icmp),
            "" => None,
            _ => Some(Transport::Other(u8::try_from(self.ip_proto.or_zero()).unwrap_or_default())),
        }
    }

    /// Zeek knows the site's networks: whoever is inside is near, unless both are.
    fn local(&self) -> LocalSide {
        match (self.local_orig.0, self.local_resp.0) {
            (Some(true), Some(false)) => LocalSide::Originator,
            (Some(false), Some(true)) => LocalSide::Responder,
            _ => LocalSide::Unknown,
        }
    }

    fn state(&self) -> ConnState {
        match self.conn_state.0.as_ref() {
            "S0" => ConnState::S0,
            "S1" => ConnState::S1,
            "SF" => ConnState::SF,
            "REJ" => ConnState::Rej,
            "S2" => ConnState::S2,
            "S3" => ConnState::S3,
            "RSTO" => ConnState::RstO,
            "RSTR" => ConnState::RstR,
            "RSTOS0" => ConnState::RstOS0,
            "RSTRH" => ConnState::RstRH,
            "SH" => ConnState::SH,
            "SHR" => ConnState::SHR,
            _ => ConnState::Oth,
        }
    }

    /// What Zeek's analyzers confirmed. One with a minus sign was confirmed and then violated.
    fn protocols(&self) -> Vec<Name<'static>> {
        let names =
            self.service.0.split(',').filter(|name| !name.is_empty() && !name.starts_with('-'));
        names.take(PROTOCOL_COUNT_MAX).map(protocol).collect()
    }

    fn ja4(&self) -> Option<Cow<'static, str>> {
        let ja4 = cut(&self.ja4.0, JA4_BYTES_MAX);
        (!ja4.is_empty()).then(|| Cow::Owned(ja4.to_owned()))
    }

    fn flaws(&self, transport: Transport) -> Flaws {
        let (mut flaws, mut began) = (Flaws::NONE, self.history.0.is_empty());
        for letter in self.history.0.bytes() {
            match letter {
                b's' | b'S' | b'h' | b'H' => began = true,
                b'g' | b'G' => flaws = flaws.with(Flaws::GAP),
                // Flags that contradict each other. Wrong checksums are mostly a network card's
                // doing.
                b'i' | b'I' | b'q' | b'Q' => flaws = flaws.with(Flaws::BAD_HEADER),
                _ => {}
            }
        }
        if self.missed_bytes.or_zero() > 0 {
            flaws = flaws.with(Flaws::GAP);
        }
        if transport == Transport::Tcp && !began {
            flaws = flaws.with(Flaws::MIDSTREAM);
        }
        if !self.tunnel_parents.0.is_empty() {
            flaws = flaws.with(Flaws::TUNNELLED);
        }
        self.flaws.0.iter().filter_map(|name| own_flaw(&name.0)).fold(flaws, Flaws::with)
    }
}

/// Where Zeek did not follow the payload it says so by leaving it out: then it is at most what IP
/// carried beyond the smallest headers.
fn counts(packets: Count, payload: Count, ip: Count, header_bytes: u64) -> Counts {
    let (packets, ip_bytes) = (packets.or_zero(), ip.or_zero());
    let beyond_headers = || ip_bytes.saturating_sub(packets.saturating_mul(header_bytes));
    Counts { packets, payload_bytes: payload.0.unwrap_or_else(beyond_headers), ip_bytes }
}

fn likeness(name: &Text<'_>) -> Option<Likeness> {
    Likeness::ALL.into_iter().find(|likeness| likeness.name() == name.0)
}

const fn header_bytes(transport: Transport) -> u64 {
    match transport {
        Transport::Tcp => 40,
        Transport::Udp | Transport::Icmp => 28,
        Transport::Other(_) => 20,
    }
}

/// Zeek's names, where ours are others; all that have a name of their own cost no memory.
fn protocol(name: &str) -> Name<'static> {
    let known = match name {
        "ssl" | "tls" => "tls",
        "http" => "http",
        "dns" => "dns",
        "ssh" => "ssh",
        "quic" => "quic",
        "ntp" => "ntp",
        "smtp" => "smtp",
        "postgresql" => "postgresql",
        "mysql" => "mysql",
        "redis" => "redis",
        "krb" | "krb_tcp" | "krb_udp" => "kerberos",
        "rfb" => "vnc",
        _ => return Cow::Owned(cut(name, PROTOCOL_BYTES_MAX).to_ascii_lowercase()),
    };
    Cow::Borrowed(known)
}

/// The names of our own `flaws`.
fn own_flaw(name: &str) -> Option<Flaws> {
    Flaws::NAMES.iter().find(|(_, known)| *known == name).map(|(flaw, _)| *flaw)
}

const COMMUNITY_ID_BYTES_MAX: usize = 64;
const JA4_BYTES_MAX: usize = 64;
const PROTOCOL_COUNT_MAX: usize = 8;
const PROTOCOL_BYTES_MAX: usize = 32;
