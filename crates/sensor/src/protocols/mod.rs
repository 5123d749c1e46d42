//! Which protocol a flow speaks, by the first payload bytes of both directions and never by port,
//! and whether it goes on speaking it.
//!
//! The flow table owns one [`Recognizer`] a flow and feeds it payload in order; the recognizer
//! answers with what it [`Heard`].

use observation::{
    Certainty, DetailKind, DnsExchange, HttpExchange, Side, TlsHello, TlsSession, Transport,
};

mod by_number;
mod datagrams;
mod follow;
mod framed;
mod frames;
mod lines;
mod messages;
mod recognizer;
mod registry;
mod words;

mod aes;
mod carried;
mod certificate;
mod client_hello;
mod details;
mod dns_message;
mod hpack;
mod http2_exchange;
mod http_exchange;
mod http_record;
mod huffman;
mod quic_initial;
mod secp256k1;
mod services;
mod tls_habits;
mod tls_session;
mod tunnel;
mod turns;
mod websocket;

mod adb;
mod ajp;
mod amqp;
mod anydesk;
mod beanstalkd;
mod bgp;
mod bitcoin;
mod bittorrent;
mod bolt;
mod cassandra;
mod ceph;
mod clamd;
mod clickhouse;
mod coap;
mod dcerpc;
mod dhcp;
mod dns;
mod dnscrypt;
mod dtls;
mod edonkey;
mod elasticsearch;
mod erlang;
mod ethereum;
mod fastcgi;
mod fix;
mod fluentd;
mod ftp;
mod git;
mod gnutella;
mod graphite;
mod gtp;
mod haproxy_agent;
mod hl7;
mod http;
mod http2;
mod ident;
mod ike;
mod imap;
mod irc;
mod jdwp;
mod kafka;
mod kerberos;
mod l2tp;
mod ldap;
mod llmnr;
mod lumberjack;
mod mdns;
mod memcached;
mod memcached_binary;
mod midstream;
mod modbus;
mod mongodb;
mod mqtt;
mod mysql;
mod nats;
mod nbd;
mod netbios;
mod netflow;
mod nfs;
mod nntp;
mod nsq;
mod ntp;
mod opcua;
mod openvpn;
mod p9;
mod pdb;
mod pop3;
mod postgresql;
mod pptp;
mod proxy_protocol;
mod pulsar;
mod quic;
mod radius;
mod raft;
mod rdp;
mod redis;
mod redis_cluster;
mod rlogin;
mod rmi;
mod rpc;
mod rsh;
mod rsync;
mod rtcp;
mod rtmp;
mod rtp;
mod rtps;
mod rtsp;
mod sflow;
mod sip;
mod smb;
mod smtp;
mod snmp;
mod socks;
mod softether;
mod ssdp;
mod ssh;
mod stomp;
mod stratum;
mod stun;
mod svn;
mod syncthing;
mod syslog;
mod tds;
mod teamviewer;
mod telegram;
mod telnet;
mod teredo;
mod tftp;
mod thrift;
mod tinc;
mod tls;
mod tns;
mod tor;
mod uwsgi;
mod vnc;
mod wireguard;
mod x11;
mod xmpp;
mod yamux;
mod zabbix;
mod zmtp;
mod zookeeper;

#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod story;

pub(crate) use by_number::name as name_by_number;
pub(crate) use datagrams::{
    DATAGRAM_COUNT_MAX, Datagram, Datagrams, FIRST_BYTES_MAX, LATER_BYTES_MAX,
};
pub(crate) use recognizer::Recognizer;

/// What both sides have said so far, from the start: at most `HEAD_BYTES_MAX` bytes each.
/// For datagrams: each side's first datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads<'a> {
    /// The originator's first bytes.
    pub opener: &'a [u8],
    /// The responder's first bytes.
    pub answerer: &'a [u8],
    /// Who spoke first.
    pub first: Option<Side>,
    /// What carries them.
    pub transport: Transport,
    /// Whether a conversation's first bytes are among them.
    pub start: Start,
    /// For datagrams: what each side said after its first.
    pub later: [Datagrams<'a>; 2],
}

/// Whether the beginning of a conversation was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A SYN was, or nothing has to open the conversation.
    Seen,
    /// The capture began in the middle of it.
    Missed,
}

/// What a probe says of the heads. `Never` is final for every longer input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Both sides have shown it (or the one side of a one-sided protocol).
    Confirmed,
    /// This side has, the other has not answered yet.
    Proposed(Side),
    /// It still could be.
    Unsure,
    /// It is not.
    Never,
}

/// What the recognizer understood; the flow table makes Observations of it and says of which flow.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// A protocol was identified, or a proposal was confirmed.
    Identified { protocol: &'static str, certainty: Certainty },
    /// This side stopped obeying the protocol.
    Left { protocol: &'static str, side: Side },
    /// A DNS question, answered or given up.
    Dns(DnsExchange<'a>),
    /// An HTTP/1 request, with its response or without.
    Http(HttpExchange<'a>),
    /// A TLS ClientHello.
    Tls(TlsHello<'a>),
    /// What became of a TLS handshake.
    TlsSession(TlsSession<'a>),
    /// Another connection between the same machines was announced, to which `side` will listen.
    Announced { protocol: &'static str, side: Side, port: u16 },
    /// Something that the protocol says in clear.
    Detail { protocol: &'static str, kind: DetailKind, side: Side, value: &'a str },
}

/// What the recognizer still wants to be fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Payload as it comes, in order, and the heads, which are still being probed.
    Heads,
    /// Payload as it comes, in order; the heads are never looked at again and may be given back
    /// (pass empty ones from then on).
    Stream,
    /// Nothing any more: the flow is decided and its protocol has no follower.
    Done,
}

impl Heads<'_> {
    /// What `side` has said so far.
    pub(crate) const fn of(&self, side: Side) -> &[u8] {
        match side {
            Side::Originator => self.opener,
            Side::Responder => self.answerer,
        }
    }

    /// The datagrams of `side`: the first, and the beginnings of some that followed.
    pub(crate) fn datagrams(&self, side: Side) -> impl Iterator<Item = Datagram<'_>> {
        let [originator, responder] = self.later;
        let (first, later) = match side {
            Side::Originator => (self.opener, originator),
            Side::Responder => (self.answerer, responder),
        };
        let first = (!first.is_empty()).then_some(Datagram { length: first.len(), bytes: first });
        first.into_iter().chain(later)
    }
}
