//! What the engine knows of protocols by name: what sort they are, and which ports are theirs by
//! their specification or by the IANA registry.
//!
//! The sensor identifies by bytes alone; what a port claims is a fact beside it, and this is where
//! the two are compared.

use observation::Transport;
use serde::{Deserialize, Serialize};

/// A protocol by its place in the table, so that a flow carries a byte and no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Protocol(u8);

/// What a protocol is for, as far as strategies tell protocols apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// HTTP in all its versions and what runs on top: spoken on any port.
    Web,
    /// Encryption for whatever is inside: spoken on any port.
    Cover,
    /// Free text between options: it excuses nobody.
    FreeText,
    Names,
    Mail,
    Files,
    Messages,
    Chat,
    Proxy,
    Vpn,
    /// A person's session on another machine.
    Remote,
    Database,
    /// Work for a pool of miners.
    Mining,
    /// Echo requests, and whatever else is below the application layer.
    Control,
    Other,
}

/// One row of the table.
struct Known {
    name: &'static str,
    sort: Sort,
    tcp: &'static [u16],
    udp: &'static [u16],
}

const fn known(name: &'static str, sort: Sort, tcp: &'static [u16], udp: &'static [u16]) -> Known {
    Known { name, sort, tcp, udp }
}

/// In the order of the names. A port stands here only where something else on it is strange:
/// nobody owns 8080.
static TABLE: &[Known] = &[
    known("9p", Sort::Files, &[564], &[]),
    known("amqp", Sort::Messages, &[5671, 5672], &[]),
    known("anydesk", Sort::Remote, &[], &[]),
    known("bgp", Sort::Other, &[179], &[]),
    known("bittorrent", Sort::Files, &[], &[]),
    known("bolt", Sort::Database, &[7687], &[]),
    known("cassandra", Sort::Database, &[9042], &[]),
    known("ceph", Sort::Files, &[3300], &[]),
    known("clickhouse", Sort::Database, &[], &[]),
    known("coap", Sort::Messages, &[], &[5683]),
    known("dcerpc", Sort::Other, &[135], &[]),
    known("dhcp", Sort::Other, &[], &[67, 68]),
    known("dns", Sort::Names, &[53], &[53]),
    known("dnscrypt", Sort::Names, &[443], &[443]),
    known("dtls", Sort::Cover, &[], &[]),
    known("elasticsearch", Sort::Database, &[], &[]),
    known("ftp", Sort::Files, &[21], &[]),
    known("git", Sort::Files, &[9418], &[]),
    known("gre", Sort::Vpn, &[], &[]),
    known("gtp", Sort::Other, &[], &[2123, 2152]),
    known("hl7", Sort::Other, &[2575], &[]),
    known("http", Sort::Web, &[80], &[]),
    known("http2", Sort::Web, &[80], &[]),
    known("icmp", Sort::Control, &[], &[]),
    known("ident", Sort::Other, &[113], &[]),
    known("ike", Sort::Vpn, &[], &[500, 4500]),
    known("imap", Sort::Mail, &[143], &[]),
    known("ipsec", Sort::Vpn, &[], &[500, 4500]),
    known("irc", Sort::Chat, &[6667], &[]),
    known("kafka", Sort::Messages, &[9092], &[]),
    known("kerberos", Sort::Other, &[88], &[88]),
    known("l2tp", Sort::Vpn, &[], &[1701]),
    known("ldap", Sort::Other, &[389], &[389]),
    known("llmnr", Sort::Names, &[5355], &[5355]),
    known("mdns", Sort::Names, &[], &[5353]),
    known("memcached", Sort::Database, &[11211], &[11211]),
    known("memcached_binary", Sort::Database, &[11211], &[11211]),
    known("modbus", Sort::Other, &[502], &[]),
    known("mongodb", Sort::Database, &[27017], &[]),
    known("mqtt", Sort::Messages, &[1883], &[]),
    known("mysql", Sort::Database, &[3306], &[]),
    known("nats", Sort::Messages, &[4222], &[]),
    known("nbd", Sort::Files, &[10809], &[]),
    known("netbios", Sort::Names, &[139], &[137, 138]),
    known("nfs", Sort::Files, &[2049], &[2049]),
    known("nntp", Sort::Mail, &[119], &[]),
    known("ntp", Sort::Other, &[], &[123]),
    known("opcua", Sort::Other, &[4840], &[]),
    known("openvpn", Sort::Vpn, &[1194], &[1194]),
    known("pop3", Sort::Mail, &[110], &[]),
    known("postgresql", Sort::Database, &[5432], &[]),
    known("pptp", Sort::Vpn, &[1723], &[]),
    known("quic", Sort::Cover, &[], &[80, 443]),
    known("radius", Sort::Other, &[], &[1812, 1813]),
    known("raft", Sort::Database, &[2380], &[]),
    known("rdp", Sort::Remote, &[3389], &[3389]),
    known("redis", Sort::Database, &[6379], &[]),
    known("redis_cluster", Sort::Database, &[], &[]),
    known("rlogin", Sort::FreeText, &[513], &[]),
    known("rmi", Sort::Other, &[1099], &[]),
    known("rpc", Sort::Other, &[111], &[111]),
    known("rsh", Sort::FreeText, &[514], &[]),
    known("rsync", Sort::Files, &[873], &[]),
    known("rtmp", Sort::Other, &[1935], &[]),
    known("rtsp", Sort::Other, &[554], &[]),
    known("sflow", Sort::Other, &[], &[6343]),
    known("sip", Sort::Other, &[5060], &[5060]),
    known("smb", Sort::Files, &[445], &[]),
    known("smtp", Sort::Mail, &[25, 587], &[]),
    known("snmp", Sort::Other, &[], &[161, 162]),
    known("socks", Sort::Proxy, &[1080], &[]),
    known("softether", Sort::Vpn, &[], &[]),
    known("ssdp", Sort::Other, &[], &[1900]),
    known("ssh", Sort::Remote, &[22], &[]),
    known("stomp", Sort::Messages, &[61613], &[]),
    known("stratum", Sort::Mining, &[], &[]),
    known("stun", Sort::Other, &[3478], &[443, 3478]),
    known("svn", Sort::Files, &[3690], &[]),
    known("syncthing", Sort::Files, &[], &[]),
    known("syslog", Sort::Other, &[514, 601], &[514]),
    known("tds", Sort::Database, &[1433], &[]),
    known("teamviewer", Sort::Remote, &[], &[]),
    known("telnet", Sort::FreeText, &[23], &[]),
    known("teredo", Sort::Vpn, &[], &[3544]),
    known("tftp", Sort::Files, &[], &[69]),
    known("tinc", Sort::Vpn, &[655], &[655]),
    known("tls", Sort::Cover, &[443, 465, 636, 853, 993, 995, 5671, 8883], &[]),
    known("tns", Sort::Database, &[], &[]),
    known("tor", Sort::Proxy, &[], &[]),
    known("vnc", Sort::Remote, &[5900], &[]),
    known("websocket", Sort::Web, &[80], &[]),
    known("wireguard", Sort::Vpn, &[], &[51820]),
    known("x11", Sort::Remote, &[6000], &[]),
    known("xmpp", Sort::Chat, &[5222, 5269], &[]),
    known("zabbix", Sort::Other, &[10050, 10051], &[]),
    known("zookeeper", Sort::Other, &[2181], &[]),
];

/// The first bytes of the names: numbers are found faster than text.
static BEGINNINGS: [u128; TABLE.len()] = {
    let mut beginnings = [0; TABLE.len()];
    let (mut rest, mut rows) = (beginnings.as_mut_slice(), TABLE);
    while let ([place, after @ ..], [row, rows_after @ ..]) = (rest, rows) {
        *place = beginning(row.name.as_bytes());
        (rest, rows) = (after, rows_after);
    }
    beginnings
};

/// The first sixteen bytes of a name as a number, so that it orders as they do.
const fn beginning(name: &[u8]) -> u128 {
    let (mut number, mut rest, mut shift) = (0, name, u128::BITS);
    while let [byte, after @ ..] = rest
        && shift > 0
    {
        shift -= 8;
        number |= (*byte as u128) << shift;
        rest = after;
    }
    number
}

/// Protocols of publishing and subscribing. Kafka's clients are sent to brokers that nobody has
/// written down, and coap's are things.
const PUBLISHERS: [&str; 4] = ["amqp", "mqtt", "nats", "stomp"];
const MAILERS: [&str; 3] = ["imap", "pop3", "smtp"];
/// Protocols of file transfer; whoever builds software clones by git.
const FILERS: [&str; 4] = ["ftp", "rsync", "smb", "tftp"];
/// Remote support, through servers of its own.
const HELPERS: [&str; 2] = ["anydesk", "teamviewer"];
/// Errands in lines that people type, so that a server can be tried with `nc`.
const TYPED: [&str; 6] = ["ftp", "imap", "nats", "pop3", "smtp", "stomp"];

const _: () = assert!(TABLE.len() < Protocol::OTHER.0 as usize);

/// How what is spoken goes with the port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PortFit {
    /// The port claims nothing, and the protocol has none of its own.
    #[default]
    Free,
    /// The port is the protocol's own.
    Own,
    /// The port is another protocol's.
    Foreign,
    /// The port is nobody's, and the protocol has its own.
    Away,
}

impl Protocol {
    /// One that is in no row of the table.
    const OTHER: Self = Self(u8::MAX);

    /// The protocol of this name.
    pub(crate) fn named(name: &str) -> Self {
        let Ok(place) = BEGINNINGS.binary_search(&beginning(name.as_bytes())) else {
            return Self::OTHER;
        };
        let is_it = TABLE.get(place).is_some_and(|known| known.name == name);
        u8::try_from(place).ok().filter(|_| is_it).map_or(Self::OTHER, Self)
    }

    fn row(self) -> Option<&'static Known> {
        TABLE.get(usize::from(self.0))
    }

    /// Its name in the field's terms.
    pub(crate) fn name(self) -> &'static str {
        self.row().map_or("another protocol", |known| known.name)
    }

    pub(crate) fn sort(self) -> Sort {
        self.row().map_or(Sort::Other, |known| known.sort)
    }

    /// What ATT&CK calls C2 that hides in it.
    pub(crate) fn technique(self) -> &'static str {
        match self.sort() {
            // TLS and QUIC are what the web looks like from outside.
            Sort::Web | Sort::Cover => "T1071.001",
            Sort::Files => "T1071.002",
            Sort::Mail => "T1071.003",
            Sort::Names => "T1071.004",
            Sort::Messages => "T1071.005",
            Sort::Control => "T1095",
            Sort::Proxy if self.name() == "tor" => "T1090.003",
            Sort::Proxy => "T1090",
            Sort::Vpn => "T1572",
            Sort::Mining => "T1496",
            Sort::Remote if HELPERS.contains(&self.name()) => "T1219",
            Sort::FreeText | Sort::Chat | Sort::Remote | Sort::Database | Sort::Other => "T1071",
        }
    }

    /// Whether it carries free text, which excuses nobody.
    pub(crate) fn is_free_text(self) -> bool {
        self.sort() == Sort::FreeText
    }

    /// Whether a container has seldom business with strangers in it.
    pub(crate) fn is_errand(self) -> bool {
        match self.sort() {
            Sort::Mining | Sort::Proxy | Sort::Vpn => true,
            Sort::Chat => true,
            Sort::Messages => PUBLISHERS.contains(&self.name()),
            Sort::Mail => MAILERS.contains(&self.name()),
            Sort::Files => FILERS.contains(&self.name()),
            _ => false,
        }
    }

    /// Whether people try servers of it by hand.
    pub(crate) fn is_typed(self) -> bool {
        TYPED.contains(&self.name())
    }

    /// How it goes with this port.
    pub(crate) fn fit(self, transport: Transport, port: u16) -> PortFit {
        let Some(row) = self.row() else {
            return unclaimed(transport, port);
        };
        let own = row.ports(transport);
        if own.contains(&port) {
            PortFit::Own
        } else if owner_of(transport, port).is_some() {
            PortFit::Foreign
        } else if own.is_empty() {
            PortFit::Free
        } else {
            PortFit::Away
        }
    }
}

impl Known {
    const fn ports(&self, transport: Transport) -> &'static [u16] {
        match transport {
            Transport::Tcp => self.tcp,
            Transport::Udp => self.udp,
            Transport::Icmp | Transport::Other(_) => &[],
        }
    }
}

/// How content that no protocol claims goes with this port.
pub(crate) fn unclaimed(transport: Transport, port: u16) -> PortFit {
    if owner_of(transport, port).is_some() { PortFit::Foreign } else { PortFit::Free }
}

/// The ports that stand in the table, a bit each, whatever the transport: most flows go to others,
/// and nobody walks through the table for them.
static CLAIMED: [u64; 1024] = claimed_ports();

const fn claimed_ports() -> [u64; 1024] {
    const fn with(mut bits: [u64; 1024], ports: &[u16]) -> [u64; 1024] {
        let mut rest = ports;
        while let [port, after @ ..] = rest {
            #[allow(clippy::indexing_slicing, reason = "65536 bits have room for every port")]
            let word = &mut bits[*port as usize / 64];
            *word |= 1 << (*port % 64);
            rest = after;
        }
        bits
    }
    let (mut bits, mut rows) = ([0; 1024], TABLE);
    while let [row, after @ ..] = rows {
        bits = with(with(bits, row.tcp), row.udp);
        rows = after;
    }
    bits
}

/// Whose well-known port this is: of several the best known.
pub(crate) fn owner_of(transport: Transport, port: u16) -> Option<Protocol> {
    let word = CLAIMED.get(usize::from(port / 64))?;
    if word >> (port % 64) & 1 == 0 {
        return None;
    }
    let claimed = |protocol: &Protocol| {
        protocol.row().is_some_and(|row| row.ports(transport).contains(&port))
    };
    let all = (0..u8::MAX).map_while(|number| {
        let protocol = Protocol(number);
        protocol.row().map(|_| protocol)
    });
    let mut owners = all.filter(claimed);
    let first = owners.next()?;
    // 443 is TLS's and QUIC's, whoever else may be met there.
    let covers = core::iter::once(first).chain(owners);
    Some(covers.fold(first, |best, next| if next.sort() == Sort::Cover { next } else { best }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(TABLE.is_sorted_by(|left, right| left.name < right.name));
        assert!(BEGINNINGS.is_sorted_by(|left, right| left < right));
        assert!(TABLE.iter().all(|known| Protocol::named(known.name).name() == known.name));
    }

    #[test]
    fn what_hides_in_a_protocol_has_its_own_technique() {
        let technique = |name| Protocol::named(name).technique();
        assert_eq!((technique("tor"), technique("socks")), ("T1090.003", "T1090"));
        assert_eq!((technique("anydesk"), technique("rdp")), ("T1219", "T1071"));
        assert_eq!(technique("softether"), "T1572");
    }

    #[test]
    fn a_port_is_compared_with_what_is_spoken() {
        let fit = |name, transport, port| Protocol::named(name).fit(transport, port);
        assert_eq!(fit("ssh", Transport::Tcp, 22), PortFit::Own);
        assert_eq!(fit("ssh", Transport::Tcp, 443), PortFit::Foreign);
        assert_eq!(fit("ssh", Transport::Tcp, 2222), PortFit::Away);
        assert_eq!(fit("dns", Transport::Udp, 443), PortFit::Foreign);
        assert_eq!(fit("bittorrent", Transport::Tcp, 51413), PortFit::Free);
        assert_eq!(fit("never-heard-of", Transport::Tcp, 443), PortFit::Foreign);
        assert_eq!(fit("never-heard-of", Transport::Tcp, 8080), PortFit::Free);
    }

    #[test]
    fn the_best_known_owner_of_a_port() {
        let owner = |transport, port| owner_of(transport, port).map(Protocol::name);
        assert_eq!(owner(Transport::Tcp, 443), Some("tls"));
        assert_eq!(owner(Transport::Udp, 443), Some("quic"));
        assert_eq!(owner(Transport::Tcp, 80), Some("http"));
        assert_eq!(owner(Transport::Tcp, 8080), None);
        assert_eq!(owner(Transport::Icmp, 8), None);
    }
}
