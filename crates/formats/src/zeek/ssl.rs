//! `ssl.log`: <https://docs.zeek.org/en/master/logs/ssl.html>.

use observation::{
    Certificate, Fact, Handshake, Resumption, Side, TlsHello, TlsSession, Transport,
};
use serde::Deserialize;

use super::row::{Fields, Head, ORDER_SAID, owned};
use super::values::{Address, Count, Flag, List, Text, When};
use super::{Kind, Seen};
use crate::parsed::Reason;

/// A row of `ssl.log`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ssl<'a> {
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
    version: Text<'a>,
    #[serde(borrow)]
    server_name: Text<'a>,
    resumed: Flag,
    #[serde(borrow)]
    last_alert: Text<'a>,
    #[serde(borrow)]
    next_protocol: Text<'a>,
    established: Flag,
    #[serde(borrow)]
    ssl_history: Text<'a>,
    /// Zeek 4 and older.
    #[serde(borrow)]
    cert_chain_fuids: List<Text<'a>>,
    /// Since Zeek 5.
    #[serde(borrow)]
    cert_chain_fps: List<Text<'a>>,
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow)]
    issuer: Text<'a>,
    /// A plug-in of its own.
    #[serde(borrow)]
    ja4: Text<'a>,
}

impl Ssl<'_> {
    pub(super) fn see(&self, out: &mut dyn FnMut(Seen)) -> Result<(), Reason> {
        let head = Head::of(&Fields {
            ts: self.ts,
            uid: &self.uid,
            originator: (self.orig_h, self.orig_p),
            responder: (self.resp_h, self.resp_p),
        })?;
        if self.established.0.is_none() && self.server_name.0.is_empty() {
            return Err(Reason::Missing("established"));
        }
        let head = head.numbered(0, "ssl");
        let version = version(&self.version.0);
        let hello = TlsHello {
            flow: head.flow,
            server_name: owned(&self.server_name.0, NAME_BYTES_MAX),
            alpn: owned(&self.next_protocol.0, NAME_BYTES_MAX),
            ja4: owned(&self.ja4.0, JA4_BYTES_MAX),
            resumption: if self.resumed.0 == Some(true) {
                Resumption::Asked
            } else {
                Resumption::None
            },
            ..TlsHello::default()
        };
        let session = TlsSession {
            flow: head.flow,
            outcome: self.outcome(version),
            version,
            alpn: owned(&self.next_protocol.0, NAME_BYTES_MAX),
            resumption: if self.resumed.0 == Some(true) {
                Resumption::Agreed
            } else {
                Resumption::None
            },
            certificate: self.certificate(),
            ..TlsSession::default()
        };
        let transport = if version >= DTLS { Transport::Udp } else { Transport::Tcp };
        let said = |order, fact| head.said(head.at, order, fact);
        for observation in [
            head.opened(transport),
            said(ORDER_SAID, Fact::TlsHello(hello)),
            said(ORDER_SAID + 1, Fact::TlsSession(session)),
        ] {
            out(Seen { kind: Kind::Ssl, row: head.row, observation });
        }
        Ok(())
    }

    fn outcome(&self, version: u16) -> Handshake {
        if self.established.0 == Some(true) {
            return Handshake::Completed;
        }
        if !self.last_alert.0.is_empty() {
            // Capital letters of the history are the client's, `l` is an alert.
            let side = match self.ssl_history.0.rfind(['l', 'L']) {
                Some(at) if self.ssl_history.0.get(at..=at) == Some("L") => Side::Originator,
                _ => Side::Responder,
            };
            return Handshake::Refused(side, alert(&self.last_alert.0));
        }
        if version == 0 { Handshake::Unanswered } else { Handshake::Unfinished }
    }

    fn certificate(&self) -> Option<Certificate<'static>> {
        let chain_count = self.cert_chain_fuids.0.len().max(self.cert_chain_fps.0.len());
        if chain_count == 0 && self.subject.0.is_empty() {
            return None;
        }
        Some(Certificate {
            subject: owned(&self.subject.0, SUBJECT_BYTES_MAX),
            issuer: owned(&self.issuer.0, SUBJECT_BYTES_MAX),
            chain_count: u8::try_from(chain_count).unwrap_or(u8::MAX),
            ..Certificate::default()
        })
    }
}

/// Zeek's name of a version as the number on the wire; 0 where there is none.
fn version(name: &str) -> u16 {
    match name {
        "TLSv13" => 0x0304,
        "TLSv12" => 0x0303,
        "TLSv11" => 0x0302,
        "TLSv10" => 0x0301,
        "SSLv3" => 0x0300,
        "SSLv2" => 0x0002,
        "DTLSv13" => 0xfefc,
        "DTLSv12" => 0xfefd,
        "DTLSv10" => 0xfeff,
        _ => 0,
    }
}

/// The numbers of RFC 8446, section 6; 0 for others.
fn alert(name: &str) -> u8 {
    match name {
        "unexpected_message" => 10,
        "bad_record_mac" => 20,
        "handshake_failure" => 40,
        "bad_certificate" => 42,
        "unsupported_certificate" => 43,
        "certificate_revoked" => 44,
        "certificate_expired" => 45,
        "certificate_unknown" => 46,
        "illegal_parameter" => 47,
        "unknown_ca" => 48,
        "access_denied" => 49,
        "decode_error" => 50,
        "decrypt_error" => 51,
        "protocol_version" => 70,
        "insufficient_security" => 71,
        "internal_error" => 80,
        "user_canceled" => 90,
        "unrecognized_name" => 112,
        "certificate_required" => 116,
        "no_application_protocol" => 120,
        _ => 0,
    }
}

const DTLS: u16 = 0xfe00;
const NAME_BYTES_MAX: usize = 255;
const JA4_BYTES_MAX: usize = 64;
const SUBJECT_BYTES_MAX: usize = 256;
