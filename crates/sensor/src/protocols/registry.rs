//! The registry of protocols: one slice, walked by the recognizer and by the tests.
//!
//! The order is the order of precedence where two probes claim the same heads.

use observation::Transport;

use super::follow::Follower;
use super::{Heads, Verdict};

/// One protocol: data, and the probe that knows its opening.
#[derive(Debug)]
pub(super) struct Protocol {
    /// Its name in every output.
    pub(super) name: &'static str,
    /// What the first byte of whoever speaks first can be.
    pub(super) first_bytes: FirstBytes,
    /// What carries it.
    pub(super) transports: Transports,
    /// Says what the heads are.
    pub(super) probe: fn(Heads<'_>) -> Verdict,
    /// Makes its follower, where it has one.
    pub(super) follow: Option<fn() -> Follower>,
}

/// What can carry a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub(super) enum Transports {
    Tcp,
    Udp,
    Both,
}

impl Transports {
    pub(super) const fn include(self, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => matches!(self, Self::Tcp | Self::Both),
            Transport::Udp => matches!(self, Self::Udp | Self::Both),
            Transport::Icmp | Transport::Other(_) => false,
        }
    }
}

/// Every protocol, each of them two lines: its `mod` and its place here.
pub(super) static REGISTRY: &[&Protocol] = &[
    &super::proxy_protocol::PROTOCOL,
    &super::tls::PROTOCOL,
    &super::ssh::PROTOCOL,
    &super::telnet::PROTOCOL,
    &super::http::PROTOCOL,
    &super::netbios::PROTOCOL,
    &super::dnscrypt::PROTOCOL,
    &super::mdns::PROTOCOL,
    &super::llmnr::PROTOCOL,
    &super::dns::PROTOCOL,
    &super::redis::PROTOCOL,
    &super::memcached::PROTOCOL,
    &super::irc::PROTOCOL,
    &super::nats::PROTOCOL,
    &super::stomp::PROTOCOL,
    &super::smtp::PROTOCOL,
    &super::ftp::PROTOCOL,
    &super::pop3::PROTOCOL,
    &super::imap::PROTOCOL,
    &super::nntp::PROTOCOL,
    &super::fix::PROTOCOL,
    &super::hl7::PROTOCOL,
    &super::clamd::PROTOCOL,
    &super::zookeeper::PROTOCOL,
    &super::pdb::PROTOCOL,
    &super::postgresql::PROTOCOL,
    &super::mysql::PROTOCOL,
    &super::mqtt::PROTOCOL,
    &super::amqp::PROTOCOL,
    &super::http2::PROTOCOL,
    &super::rsync::PROTOCOL,
    &super::vnc::PROTOCOL,
    &super::ntp::PROTOCOL,
    &super::dhcp::PROTOCOL,
    &super::quic::PROTOCOL,
    &super::dcerpc::PROTOCOL,
    &super::socks::PROTOCOL,
    &super::sip::PROTOCOL,
    &super::rtsp::PROTOCOL,
    &super::ssdp::PROTOCOL,
    &super::bittorrent::PROTOCOL,
    &super::xmpp::PROTOCOL,
    &super::git::PROTOCOL,
    &super::svn::PROTOCOL,
    &super::stun::PROTOCOL,
    &super::dtls::PROTOCOL,
    &super::zabbix::PROTOCOL,
    &super::rdp::PROTOCOL,
    &super::ident::PROTOCOL,
    &super::snmp::PROTOCOL,
    &super::kerberos::PROTOCOL,
    &super::openvpn::PROTOCOL,
    &super::wireguard::PROTOCOL,
    &super::bgp::PROTOCOL,
    &super::syslog::PROTOCOL,
    &super::graphite::PROTOCOL,
    &super::haproxy_agent::PROTOCOL,
    &super::midstream::tls::PROTOCOL,
    &super::midstream::websocket::PROTOCOL,
    &super::midstream::amqp::PROTOCOL,
    &super::midstream::mqtt::PROTOCOL,
    &super::midstream::xmpp::PROTOCOL,
    &super::smb::PROTOCOL,
    &super::mongodb::PROTOCOL,
    &super::tds::PROTOCOL,
    &super::ldap::PROTOCOL,
    &super::radius::PROTOCOL,
    &super::x11::PROTOCOL,
    &super::tftp::PROTOCOL,
    &super::l2tp::PROTOCOL,
    &super::gnutella::PROTOCOL,
    &super::rtmp::PROTOCOL,
    &super::telegram::PROTOCOL,
    &super::edonkey::PROTOCOL,
    &super::jdwp::PROTOCOL,
    &super::adb::PROTOCOL,
    &super::ajp::PROTOCOL,
    &super::beanstalkd::PROTOCOL,
    &super::bolt::PROTOCOL,
    &super::ceph::PROTOCOL,
    &super::clickhouse::PROTOCOL,
    &super::erlang::PROTOCOL,
    &super::fastcgi::PROTOCOL,
    &super::fluentd::PROTOCOL,
    &super::lumberjack::PROTOCOL,
    &super::memcached_binary::PROTOCOL,
    &super::nbd::PROTOCOL,
    &super::nsq::PROTOCOL,
    &super::opcua::PROTOCOL,
    &super::p9::PROTOCOL,
    &super::pulsar::PROTOCOL,
    &super::redis_cluster::PROTOCOL,
    &super::rtps::PROTOCOL,
    &super::teamviewer::PROTOCOL,
    &super::thrift::PROTOCOL,
    &super::tns::PROTOCOL,
    &super::uwsgi::PROTOCOL,
    &super::yamux::PROTOCOL,
    &super::zmtp::PROTOCOL,
    &super::rmi::PROTOCOL,
    &super::bitcoin::PROTOCOL,
    &super::elasticsearch::PROTOCOL,
    &super::cassandra::PROTOCOL,
    &super::stratum::PROTOCOL,
    &super::tinc::PROTOCOL,
    &super::tor::PROTOCOL,
    &super::anydesk::PROTOCOL,
    &super::pptp::PROTOCOL,
    &super::raft::PROTOCOL,
    &super::syncthing::PROTOCOL,
    &super::ike::PROTOCOL,
    &super::nfs::PROTOCOL,
    &super::rpc::PROTOCOL,
    &super::kafka::PROTOCOL,
    &super::ethereum::PROTOCOL,
    &super::coap::PROTOCOL,
    &super::gtp::PROTOCOL,
    &super::netflow::PROTOCOL,
    &super::sflow::PROTOCOL,
    &super::teredo::PROTOCOL,
    &super::rlogin::PROTOCOL,
    &super::rsh::PROTOCOL,
    &super::modbus::PROTOCOL,
    &super::softether::PROTOCOL,
    &super::rtcp::PROTOCOL,
    &super::rtp::PROTOCOL,
];

const _: () = assert!(REGISTRY.len() <= CANDIDATE_COUNT_MAX);

/// How many protocols a candidate set can hold.
const CANDIDATE_COUNT_MAX: usize = 128;

/// A set of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstBytes([u64; 4]);

impl FirstBytes {
    /// Every byte.
    pub(super) const ANY: Self = Self([u64::MAX; 4]);

    /// Exactly these.
    pub(super) const fn of(mut bytes: &[u8]) -> Self {
        let mut set = [0; 4];
        while let [byte, rest @ ..] = bytes {
            add(&mut set, *byte);
            bytes = rest;
        }
        Self(set)
    }

    /// From `low` to `high`, both included.
    pub(super) const fn range(low: u8, high: u8) -> Self {
        let mut set = [0; 4];
        let mut byte = low;
        while byte < high {
            add(&mut set, byte);
            byte += 1;
        }
        add(&mut set, high);
        Self(set)
    }

    /// These and those.
    pub(super) const fn or(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// Whether `byte` is one of them.
    pub(super) const fn has(&self, byte: u8) -> bool {
        let [a, b, c, d] = self.0;
        let word = match byte >> 6 {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        };
        word >> (byte & 63) & 1 == 1
    }
}

const fn add(set: &mut [u64; 4], byte: u8) {
    let [a, b, c, d] = set;
    let word = match byte >> 6 {
        0 => a,
        1 => b,
        2 => c,
        _ => d,
    };
    *word |= 1 << (byte & 63);
}

/// The protocols that a flow can still be: one bit for each entry of the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Candidates(u128);

impl Candidates {
    /// Whoever speaks first said `first` over `transport`.
    pub(super) fn after(first: u8, transport: Transport) -> Self {
        let carried = match transport {
            Transport::Tcp => OVER_TCP,
            Transport::Udp => OVER_UDP,
            Transport::Icmp | Transport::Other(_) => 0,
        };
        Self(BY_FIRST_BYTE.get(usize::from(first)).map_or(0, |set| set & carried))
    }

    /// Whether none is left.
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Strikes the protocol at `index`.
    pub(super) const fn strike(&mut self, index: u32) {
        self.0 &= !(1 << index);
    }

    /// Those that are left, in order of precedence.
    pub(super) fn iter(self) -> impl Iterator<Item = (u32, &'static Protocol)> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let index = left.trailing_zeros();
            left &= left - 1;
            REGISTRY.get(index as usize).map(|protocol| (index, *protocol))
        })
    }
}

static BY_FIRST_BYTE: [u128; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u128] = &mut table;
    let mut byte: u8 = 0;
    while let [set, after @ ..] = rest {
        *set = starting_with(byte);
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

const OVER_TCP: u128 = carried_by(Transport::Tcp);
const OVER_UDP: u128 = carried_by(Transport::Udp);

const fn starting_with(byte: u8) -> u128 {
    let (mut set, mut bit, mut rest) = (0, 1, REGISTRY);
    while let [protocol, after @ ..] = rest {
        if protocol.first_bytes.has(byte) {
            set |= bit;
        }
        bit <<= 1;
        rest = after;
    }
    set
}

const fn carried_by(transport: Transport) -> u128 {
    let (mut set, mut bit, mut rest) = (0, 1, REGISTRY);
    while let [protocol, after @ ..] = rest {
        if protocol.transports.include(transport) {
            set |= bit;
        }
        bit <<= 1;
        rest = after;
    }
    set
}
