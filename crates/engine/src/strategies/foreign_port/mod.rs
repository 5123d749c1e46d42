//! A protocol on a port that is another's, or something unknown on a well-known port: T1571. See
//! `ads.md`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{FactKind, Likeness, Transport};

use super::terms::{self, Destination, Identity, NETWORK, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::{ChannelKey, Far};
use crate::context::{Context, Declared, Origin, Whose};
use crate::evidence::{Finding, Worth};
use crate::flows::{Flow, Misfit};
use crate::protocols::{Protocol, Sort, owner_of};
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "foreign_port",
    techniques: &[
        "T1571",
        "T1071",
        "T1071.001",
        "T1071.002",
        "T1071.003",
        "T1071.004",
        "T1071.005",
        "T1090",
        "T1090.003",
        "T1095",
        "T1219",
        "T1572",
    ],
    maturity: Maturity::Stable,
    listens: &[
        FactKind::ProtocolIdentified,
        FactKind::Burst,
        FactKind::FlowClosed,
        FactKind::Container,
    ],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: how strange it is on that port.

/// On a port that firewalls leave open for another protocol: that is what one would choose it for.
const EGRESS_DB: i16 = 10;
/// On one of the other ports that reach outside: remote administration and mail.
const ADMIN_DB: i16 = 6;
/// On any other port that is another's: ports are handed out by hand on container platforms.
const SHIFTED_DB: i16 = 3;
/// HTTP and TLS are spoken on any port; on a resolver's or a clock's they are not.
const WEB_ON_NAMES_DB: i16 = 12;
/// HTTP on 443, TLS on 80 and the like: an everyday mistake.
const WEB_DB: i16 = 0;
/// Something unknown on a resolver's or a clock's port, where nothing unknown is to be expected.
const UNKNOWN_ON_NAMES_DB: i16 = 16;
/// Something unknown on 80 or 443.
const UNKNOWN_DB: i16 = 8;
/// Something unknown on udp/443: also a QUIC connection that was under way.
const UNKNOWN_DATAGRAMS_DB: i16 = 4;
/// The far end leads in it.
const REVERSED_DB: i16 = 4;
/// A protocol of its own port on a port of nobody's.
const AWAY_DB: i16 = 6;

// What is added for the protocol: how often it is C2 where it does not belong.

/// DNS and chat carry C2 and tunnels, and have little reason to move.
const CARRIER_DB: i16 = 6;
const PROXY_DB: i16 = 4;
const SESSION_DB: i16 = 2;

// Identity: how it came to run. Trying things out by hand is what throw-away containers are for.

const CLIENT_DB: i16 = 6;
const BY_HAND_DB: i16 = 6;

/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: between neighbours ports are whatever somebody has written into a file.
const NEIGHBOUR_DB: i16 = -12;

/// DNS, HTTP, NTP and HTTPS: what leaves nearly every network.
const EGRESS_PORTS: [u16; 4] = [53, 80, 123, 443];
const NAMES_PORTS: [u16; 2] = [53, 123];
const ADMIN_PORTS: [u16; 12] = [21, 22, 23, 25, 110, 143, 465, 587, 853, 993, 995, 3389];

const _: () = assert!(SHIFTED_DB < ADMIN_DB && ADMIN_DB < EGRESS_DB);

fn concerns(flow: &Flow) -> bool {
    flow.oddity.misfit.is_some()
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let misfit = session.ports.misfit?;
    let Far::Endpoint(transport, far) = &key.far else { return None };
    let (transport, port) = (*transport, far.port);
    let strangeness_db = strangeness(misfit, transport, port, session.ports.reversed);
    let owner = owner_of(transport, port).map_or("nobody's", Protocol::name);
    let place = format!("{}/{port}", name_of(transport));
    let (observed, expected) = match misfit {
        Misfit::Foreign(protocol) => (
            format!("{} on {place}, a port of {owner}", protocol.name()),
            "what the port is known for",
        ),
        Misfit::Away(protocol) => {
            (format!("{} on {place}", protocol.name()), "the protocol's own port")
        }
        Misfit::Unidentified(likeness) => (
            format!("no known protocol{} on {place}, a port of {owner}", looks(likeness)),
            "what the port is known for",
        ),
    };
    let mut terms = alloc::vec![term(Family::Session, NETWORK, observed, expected, strangeness_db)];
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    terms::destination(context, DESTINATION, &mut terms);
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: techniques(misfit),
        summary: summary(misfit, context.origin),
        terms,
        low_if: low_if(misfit, context),
        worth: Worth::Telling,
    };
    finding.worth_keeping()
}

const IDENTITY: Identity = Identity {
    client_db: CLIENT_DB,
    probe_db: CLIENT_DB,
    ad_hoc_db: BY_HAND_DB,
    exec_db: BY_HAND_DB,
};
const DESTINATION: Destination = Destination {
    undeclared_db: UNDECLARED_DB,
    declared_db: DECLARED_DB,
    neighbour_db: NEIGHBOUR_DB,
};

fn strangeness(misfit: Misfit, transport: Transport, port: u16, reversed: u32) -> i16 {
    let protocol = match misfit {
        Misfit::Foreign(protocol) => protocol,
        Misfit::Away(_) => return AWAY_DB,
        Misfit::Unidentified(_) => {
            let base = match (transport, port) {
                _ if NAMES_PORTS.contains(&port) => UNKNOWN_ON_NAMES_DB,
                (Transport::Udp, _) => UNKNOWN_DATAGRAMS_DB,
                _ if EGRESS_PORTS.contains(&port) => UNKNOWN_DB,
                _ => SHIFTED_DB,
            };
            return base + if reversed > 0 { REVERSED_DB } else { 0 };
        }
    };
    if matches!(protocol.sort(), Sort::Web | Sort::Cover) {
        return if NAMES_PORTS.contains(&port) { WEB_ON_NAMES_DB } else { WEB_DB };
    }
    let place_db = match port {
        _ if EGRESS_PORTS.contains(&port) => EGRESS_DB,
        _ if ADMIN_PORTS.contains(&port) => ADMIN_DB,
        _ => SHIFTED_DB,
    };
    let protocol_db = match protocol.sort() {
        Sort::Names | Sort::Chat | Sort::FreeText => CARRIER_DB,
        Sort::Proxy | Sort::Mining => PROXY_DB,
        Sort::Vpn | Sort::Remote | Sort::Messages => SESSION_DB,
        Sort::Web
        | Sort::Cover
        | Sort::Mail
        | Sort::Files
        | Sort::Database
        | Sort::Control
        | Sort::Other => 0,
    };
    place_db + protocol_db
}

/// What it looks like, for whoever has to find out what it is.
const fn looks(likeness: Option<Likeness>) -> &'static str {
    match likeness {
        Some(Likeness::Text) => " (text)",
        Some(Likeness::Random) => " (random bytes)",
        Some(Likeness::Binary) => " (binary)",
        None => "",
    }
}

fn techniques(misfit: Misfit) -> Vec<Cow<'static, str>> {
    let mut ids = alloc::vec![Cow::Borrowed("T1571")];
    match misfit {
        Misfit::Foreign(protocol) | Misfit::Away(protocol) => {
            ids.push(Cow::Borrowed(protocol.technique()));
            if protocol.sort() == Sort::Names {
                ids.push(Cow::Borrowed("T1572"));
            }
        }
        Misfit::Unidentified(_) => ids.push(Cow::Borrowed("T1071")),
    }
    ids
}

fn summary(misfit: Misfit, origin: Origin) -> Cow<'static, str> {
    let who = match origin {
        Origin::AdHoc => "A throw-away container",
        Origin::Exec => "A program started inside a running container",
        Origin::Workload => "A workload",
        Origin::Unknown => "Somebody",
    };
    let what: String = match misfit {
        Misfit::Foreign(protocol) => {
            format!("speaks {} on a port of another protocol.", protocol.name())
        }
        Misfit::Away(protocol) => format!("speaks {} on a port of nobody's.", protocol.name()),
        Misfit::Unidentified(_) => String::from("speaks no known protocol on a well-known port."),
    };
    Cow::Owned(format!("{who} {what}"))
}

fn low_if(misfit: Misfit, context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("the destination were declared in the container's configuration"));
    }
    if context.whose == Whose::Strangers {
        all.push(Cow::Borrowed("the far end were a neighbour"));
    }
    if let Misfit::Foreign(_) | Misfit::Unidentified(_) = misfit {
        all.push(Cow::Borrowed("the port's own protocol were spoken there"));
    }
    all
}

const fn name_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Icmp => "icmp",
        Transport::Other(_) => "ip",
    }
}
