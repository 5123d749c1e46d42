//! `ssh.log`: <https://docs.zeek.org/en/master/logs/ssh.html>.

use observation::{DetailKind, Fact, ProtocolDetail, Side, Transport};
use serde::Deserialize;

use super::row::{Fields, Head, ORDER_SAID, owned};
use super::values::{Address, Count, Flag, Text, When};
use super::{Kind, Seen};
use crate::parsed::Reason;

/// A row of `ssh.log`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ssh<'a> {
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
    auth_success: Flag,
    #[serde(borrow)]
    client: Text<'a>,
    #[serde(borrow)]
    server: Text<'a>,
    #[serde(borrow)]
    kex_alg: Text<'a>,
    #[serde(borrow)]
    host_key_alg: Text<'a>,
    #[serde(borrow)]
    cipher_alg: Text<'a>,
}

impl Ssh<'_> {
    pub(super) fn see(&self, out: &mut dyn FnMut(Seen)) -> Result<(), Reason> {
        let head = Head::of(&Fields {
            ts: self.ts,
            uid: &self.uid,
            originator: (self.orig_h, self.orig_p),
            responder: (self.resp_h, self.resp_p),
        })?;
        if [&self.client, &self.server, &self.kex_alg].iter().all(|text| text.0.is_empty()) {
            return Err(Reason::Missing("client, server"));
        }
        let head = head.numbered(0, "ssh");
        let mut say = |observation| out(Seen { kind: Kind::Ssh, row: head.row, observation });
        say(head.opened(Transport::Tcp));
        let mut order = ORDER_SAID;
        let mut detail = |kind, side, value: &str| {
            if value.is_empty() {
                return;
            }
            let (flow, value) = (head.flow, owned(value, VALUE_BYTES_MAX));
            let detail = ProtocolDetail { flow, protocol: "ssh".into(), kind, side, value };
            say(head.said(head.at, order, Fact::Detail(detail)));
            order += 1;
        };
        detail(DetailKind::Software, Side::Originator, &self.client.0);
        detail(DetailKind::Software, Side::Responder, &self.server.0);
        if !self.kex_alg.0.is_empty() {
            let agreed = [&self.kex_alg.0, &self.host_key_alg.0, &self.cipher_alg.0];
            let agreed = agreed.map(|part| part.as_ref()).join(",");
            detail(DetailKind::Agreement, Side::Responder, &agreed);
        }
        // Nobody can authenticate before the keys are changed.
        if self.auth_success.0 == Some(true) {
            detail(DetailKind::Handshake, Side::Responder, "newkeys");
        }
        Ok(())
    }
}

const VALUE_BYTES_MAX: usize = 256;
