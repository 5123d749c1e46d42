//! Followers: whether a conversation goes on obeying the protocol that it was identified as.

use alloc::boxed::Box;

use observation::{Side, Time, Transport};

use super::Heard;
use super::carried::Carried;
use super::details::Details;
use super::framed::Framed;
use super::lines::Lines;

/// What a follower says of the bytes that it was just fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// They obey.
    Obeys,
    /// The protocol says nothing about such bytes.
    Unchecked,
    /// The side that sent them no longer speaks the protocol.
    Left,
    /// The protocol hands the connection over; this many of the bytes belong to what comes.
    Becomes(Next, usize),
}

/// What a connection is handed over to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// TLS, by STARTTLS and its like.
    Tls,
    /// WebSocket frames, by an HTTP upgrade.
    Websocket,
    /// Anything, by CONNECT or SOCKS: it is identified like any other stream.
    Tunnel,
    /// Whoever shares the port with STUN, which goes on.
    BesideStun,
}

/// What a follower may use and whom it tells.
pub(super) struct Context<'a> {
    /// When the bytes came.
    pub(super) at: Time,
    /// What carries them.
    pub(super) transport: Transport,
    /// The client's fingerprint, once there is one.
    pub(super) ja4: &'a mut Option<Box<str>>,
    /// What else is spoken inside.
    pub(super) carried: &'a mut Carried,
    /// What the flow has told in clear.
    pub(super) details: &'a mut Details,
    /// Where facts go.
    pub(super) heard: &'a mut dyn FnMut(Heard<'_>),
}

/// One follower: bytes of both sides in order, for the life of the flow. Its state is bounded.
pub(super) trait Follow {
    /// The next bytes of `side`, or one datagram.
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step;
    /// So many bytes of `side` were lost here. Passes over them if all of them belong to a body of
    /// known length, so that what follows is still in step.
    fn skip(&mut self, _side: Side, _count: u64) -> Skipped {
        Skipped::No
    }
    /// Bytes of `side` were lost here, and with them the place in the conversation.
    fn gap(&mut self, side: Side);
    /// How much memory it holds beside itself, in bytes.
    fn held(&self) -> usize {
        0
    }
    /// The flow has ended.
    fn end(&mut self, _context: &mut Context<'_>) {}
}

/// Whether a follower still knows where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// The lost bytes lay inside a body.
    Yes,
    /// They did not.
    No,
}

/// An array with one entry for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Both<T> {
    originator: T,
    responder: T,
}

impl<T> Both<T> {
    pub(super) fn sum(&self, of: impl Fn(&T) -> usize) -> usize {
        of(&self.originator) + of(&self.responder)
    }

    pub(super) const fn of(&self, side: Side) -> &T {
        match side {
            Side::Originator => &self.originator,
            Side::Responder => &self.responder,
        }
    }

    pub(super) const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Originator => &mut self.originator,
            Side::Responder => &mut self.responder,
        }
    }
}

impl<F: Follow> Follow for Box<F> {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        (**self).feed(side, bytes, context)
    }
    fn skip(&mut self, side: Side, count: u64) -> Skipped {
        (**self).skip(side, count)
    }
    fn gap(&mut self, side: Side) {
        (**self).gap(side);
    }
    fn held(&self) -> usize {
        size_of::<F>() + (**self).held()
    }
    fn end(&mut self, context: &mut Context<'_>) {
        (**self).end(context);
    }
}

/// The closed set of followers and its dispatch; one line a follower.
macro_rules! followers {
    ($($name:ident($state:ty),)*) => {
        /// The follower of one flow.
        #[derive(Debug)]
        pub(super) enum Follower {
            $(#[allow(missing_docs, reason = "the protocol's name")] $name($state),)*
        }

        impl Follow for Follower {
            fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
                match self { $(Self::$name(state) => state.feed(side, bytes, context),)* }
            }
            fn skip(&mut self, side: Side, count: u64) -> Skipped {
                match self { $(Self::$name(state) => state.skip(side, count),)* }
            }
            fn gap(&mut self, side: Side) {
                match self { $(Self::$name(state) => state.gap(side),)* }
            }
            fn held(&self) -> usize {
                match self { $(Self::$name(state) => state.held(),)* }
            }
            fn end(&mut self, context: &mut Context<'_>) {
                match self { $(Self::$name(state) => state.end(context),)* }
            }
        }
    };
}

followers! {
    Amqp(Framed<super::amqp::Frames>),
    Clamd(super::clamd::Session),
    Dns(super::dns::Exchange),
    Dnscrypt(super::dnscrypt::Session),
    Fix(super::fix::Messages),
    Ftp(Lines<super::ftp::Dialogue>),
    Graphite(Lines<super::graphite::Stream>),
    HaproxyAgent(Lines<super::haproxy_agent::Check>),
    Hl7(super::hl7::Blocks),
    Http(Box<Lines<super::http_exchange::Exchange>>),
    Http2(Framed<super::http2::Frames>),
    Imap(Lines<super::imap::Dialogue>),
    Irc(Lines<super::irc::Dialogue>),
    Memcached(Lines<super::memcached::Dialogue>),
    Mqtt(Framed<super::mqtt::Packets>),
    Mysql(Framed<super::mysql::Packets>),
    Nats(Lines<super::nats::Dialogue>),
    Nntp(Lines<super::nntp::Dialogue>),
    Pdb(super::pdb::Session),
    Pop3(Lines<super::pop3::Dialogue>),
    Postgresql(super::postgresql::Messages),
    ProxyProtocol(super::proxy_protocol::Announcement),
    Quic(super::quic_initial::Initials),
    Redis(Lines<super::redis::Dialogue>),
    Rtsp(Lines<super::messages::Messages<super::rtsp::Rtsp>>),
    Sip(super::sip::Conversation),
    Smtp(Lines<super::smtp::Dialogue>),
    Socks(super::socks::Handshake),
    Ssh(super::ssh::Conversation),
    Stomp(super::stomp::Frames),
    Stun(super::stun::Share),
    Syslog(super::syslog::Stream),
    Telnet(super::telnet::Terminal),
    Tls(Box<super::tls::Records>),
    Websocket(super::websocket::Frames),
    Xmpp(super::xmpp::Stanzas),
    Zookeeper(Lines<super::zookeeper::Exchange>),
}
