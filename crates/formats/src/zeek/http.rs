//! `http.log`: <https://docs.zeek.org/en/master/logs/http.html>.

use observation::{Fact, HttpExchange, Transport};
use serde::Deserialize;

use super::row::{Fields, Head, ORDER_EXCHANGE, owned};
use super::values::{Address, Count, List, Text, When};
use super::{Kind, Seen};
use crate::parsed::Reason;

/// A row of `http.log`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Http<'a> {
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
    trans_depth: Count,
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    host: Text<'a>,
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    user_agent: Text<'a>,
    request_body_len: Count,
    response_body_len: Count,
    status_code: Count,
    #[serde(borrow)]
    orig_mime_types: List<Text<'a>>,
    #[serde(borrow)]
    resp_mime_types: List<Text<'a>>,
    /// Zeek's policy script `protocols/http/header-names`.
    #[serde(borrow)]
    client_header_names: List<Text<'a>>,
}

impl Http<'_> {
    pub(super) fn see(&self, out: &mut dyn FnMut(Seen)) -> Result<(), Reason> {
        let head = Head::of(&Fields {
            ts: self.ts,
            uid: &self.uid,
            originator: (self.orig_h, self.orig_p),
            responder: (self.resp_h, self.resp_p),
        })?;
        if self.trans_depth.0.is_none() {
            return Err(Reason::Missing("trans_depth"));
        }
        let depth = self.trans_depth.or_zero();
        let head = head.numbered(depth, &self.uri.0);
        let first = |types: &List<Text<'_>>| {
            let first = types.0.first().map(|kind| owned(&kind.0, TYPE_BYTES_MAX));
            first.unwrap_or_default()
        };
        let exchange = HttpExchange {
            flow: head.flow,
            asked_at: head.at,
            method: owned(&self.method.0, METHOD_BYTES_MAX),
            host: owned(&self.host.0, HOST_BYTES_MAX),
            target: owned(&self.uri.0, TARGET_BYTES_MAX),
            user_agent: owned(&self.user_agent.0, AGENT_BYTES_MAX),
            status: self.status_code.as_u16(),
            version: version(&self.version.0),
            header_names: self.header_names().into(),
            request_type: first(&self.orig_mime_types),
            response_type: first(&self.resp_mime_types),
            request_body_bytes: self.request_body_len.or_zero(),
            response_body_bytes: self.response_body_len.or_zero(),
            // What a body begins with stands in no log.
            ..HttpExchange::default()
        };
        let opened = head.opened(Transport::Tcp);
        out(Seen { kind: Kind::Http, row: head.row, observation: opened });
        let order = ORDER_EXCHANGE.saturating_add(depth);
        let said = head.said(head.at, order, Fact::Http(exchange));
        out(Seen { kind: Kind::Http, row: head.row, observation: said });
        Ok(())
    }

    fn header_names(&self) -> String {
        let mut names = String::new();
        for name in &self.client_header_names.0 {
            if names.len() + name.0.len() >= HEADER_NAME_BYTES_MAX {
                break;
            }
            if !names.is_empty() {
                names.push(',');
            }
            names.push_str(&name.0);
        }
        names
    }
}

/// `1.1` is 11.
fn version(text: &str) -> u8 {
    match text.as_bytes() {
        [major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => (major - b'0') * 10 + (minor - b'0'),
        _ => 0,
    }
}

const METHOD_BYTES_MAX: usize = 32;
const HOST_BYTES_MAX: usize = 255;
const TARGET_BYTES_MAX: usize = 1024;
const AGENT_BYTES_MAX: usize = 256;
const TYPE_BYTES_MAX: usize = 128;
const HEADER_NAME_BYTES_MAX: usize = 256;
