//! Connections that another conversation has announced: FTP's data connections, whose bytes are
//! whatever a file holds.

use alloc::collections::VecDeque;

use observation::{Endpoint, FlowKey, PortId, Side, Transport};

/// What is expected of one shard at one time; the oldest makes room.
const EXPECTED_COUNT_MAX: usize = 64;

/// What a conversation says of another one: who will listen, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub protocol: &'static str,
    pub side: Side,
    pub port: u16,
}

/// The announced connections that have not come.
#[derive(Debug, Default)]
pub(crate) struct Expected(VecDeque<Connection>);

#[derive(Clone, Copy, Debug)]
struct Connection {
    protocol: &'static str,
    port: PortId,
    /// Who will open it, from any port.
    opener: Endpoint,
    listener: Endpoint,
}

impl Expected {
    /// The conversation of these ends has announced a connection between the same machines: what
    /// address it names is not believed.
    pub(crate) fn add(&mut self, key: &FlowKey, announcement: Announcement) {
        let Announcement { protocol, side, port } = announcement;
        let (opener, listener) = match side {
            Side::Originator => (key.responder, key.originator),
            Side::Responder => (key.originator, key.responder),
        };
        if self.0.len() >= EXPECTED_COUNT_MAX {
            self.0.pop_front();
        }
        let listener = Endpoint { port, ..listener };
        self.0.push_back(Connection { protocol, port: key.port, opener, listener });
    }

    /// What a new flow was announced as.
    pub(crate) fn claim(&mut self, key: &FlowKey) -> Option<&'static str> {
        if key.transport != Transport::Tcp || self.0.is_empty() {
            return None;
        }
        let place = self.0.iter().position(|expected| {
            expected.port == key.port
                && expected.listener == key.responder
                && expected.opener.address == key.originator.address
        })?;
        self.0.remove(place).map(|expected| expected.protocol)
    }
}
