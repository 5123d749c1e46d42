//! What a flow's recognizer heard becomes Observations of that flow.

use alloc::borrow::Cow;

use observation::{
    DnsExchange, Fact, FlowId, HttpExchange, Observation, ProtocolDetail, ProtocolIdentified,
    ProtocolLeft, SourceId, Time, TlsHello, TlsSession,
};

use super::{Announcement, Out};
use crate::protocols::Heard;

/// A flow's voice while its recognizer is borrowed.
pub(super) struct Voice<'v, 'o> {
    pub flow: FlowId,
    pub witness: SourceId,
    pub order: &'v mut u64,
    pub at: Time,
    pub burst: u32,
    pub announces: &'v mut Option<Announcement>,
    pub out: &'v mut Out<'o>,
}

/// The voice of a flow, field by field, so that its other fields stay free.
macro_rules! voice {
    ($flow:expr, $out:expr) => {
        Voice {
            flow: $flow.id,
            witness: $flow.witness,
            order: &mut $flow.order,
            at: $flow.end,
            burst: $flow.burst.index(),
            announces: &mut $flow.announces,
            out: $out,
        }
    };
}
pub(super) use voice;

impl Voice<'_, '_> {
    pub(super) fn hear(&mut self, heard: Heard<'_>) {
        let flow = self.flow;
        let fact = match heard {
            Heard::Identified { protocol, certainty } => {
                let protocol = Cow::Borrowed(protocol);
                Fact::ProtocolIdentified(ProtocolIdentified { flow, protocol, certainty })
            }
            Heard::Left { protocol, side } => {
                let (protocol, burst) = (Cow::Borrowed(protocol), self.burst);
                Fact::ProtocolLeft(ProtocolLeft { flow, protocol, side, burst })
            }
            Heard::Announced { protocol, side, port } => {
                *self.announces = Some(Announcement { protocol, side, port });
                return;
            }
            Heard::Dns(fact) => Fact::Dns(DnsExchange { flow, ..fact }),
            Heard::Http(fact) => Fact::Http(HttpExchange { flow, ..fact }),
            Heard::Tls(fact) => Fact::TlsHello(TlsHello { flow, ..fact }),
            Heard::TlsSession(fact) => Fact::TlsSession(TlsSession { flow, ..fact }),
            Heard::Detail { protocol, kind, side, value } => {
                let (protocol, value) = (Cow::Borrowed(protocol), Cow::Borrowed(value));
                Fact::Detail(ProtocolDetail { flow, protocol, kind, side, value })
            }
        };
        (self.out)(&Observation { at: self.at, witness: self.witness, order: *self.order, fact });
        *self.order += 1;
    }
}
