//! One Observation as a rule sees it.

use engine::{Attributed, Engine, Peer, PeerRole, ProcessView, Subject as Accused};
use observation::{
    DnsData, DnsExchange, Fact, FlowClosed, FlowId, HttpExchange, Observation, PortId,
    ProcessStarted, SourceKind, Time, Transport,
};
use sigma_rust::Event;

use super::source::{Facts, Subject};
use crate::sinks::{conn_state_name, hexadecimal, transport_name};

/// What a fact is about, if a rule may be about it.
pub(super) const fn subject(fact: &Fact<'_>) -> Option<Subject> {
    match fact {
        Fact::FlowClosed(_) => Some(Subject::Flow),
        Fact::Dns(_) => Some(Subject::Lookup),
        Fact::Http(_) => Some(Subject::Request),
        Fact::ProcessStarted(_) => Some(Subject::Program),
        _ => None,
    }
}

/// One Observation, whose it is, and what it says under the names that rules use.
pub(super) struct Seen {
    facts: Facts,
    pub(super) at: Time,
    pub(super) accused: Accused,
    pub(super) peer: Peer,
    pub(super) witness: SourceKind,
}

impl Seen {
    /// `None` where it is nobody's that is watched: the host's own.
    pub(super) fn of(
        observation: &Observation<'_>,
        engine: &Engine,
        subject: Subject,
    ) -> Option<Self> {
        let (at, mut facts) = (observation.at, Facts::new(subject));
        let (attributed, witness) = match &observation.fact {
            Fact::FlowClosed(fact) => {
                let attributed = engine.attributed(fact.flow)?;
                flow(&mut facts, fact, &attributed);
                (attributed, SourceKind::Packets)
            }
            Fact::Dns(fact) => {
                let attributed = addressed(&mut facts, engine, fact.flow)?;
                lookup(&mut facts, fact);
                (attributed, SourceKind::Packets)
            }
            Fact::Http(fact) => {
                let attributed = addressed(&mut facts, engine, fact.flow)?;
                request(&mut facts, fact);
                (attributed, SourceKind::Packets)
            }
            Fact::ProcessStarted(fact) => {
                (program(&mut facts, engine, fact)?, SourceKind::ProcessEvents)
            }
            _ => return None,
        };
        let Attributed { subject: accused, peer } = attributed;
        if let Some(container) = &accused.container {
            facts.text("container.name", &container.name);
            facts.text("container.image.name", &container.image);
            facts.text("container.id", &hexadecimal(&container.id.0));
        }
        Some(Self { facts, at, accused, peer, witness })
    }

    pub(super) fn event(&self) -> &Event {
        &self.facts.event
    }
}

fn flow(facts: &mut Facts, fact: &FlowClosed<'_>, attributed: &Attributed) {
    let (source, destination) = (fact.key.originator, fact.key.responder);
    facts.text("SourceIp", &source.address.to_string());
    facts.number("SourcePort", source.port.into());
    facts.text("DestinationIp", &destination.address.to_string());
    facts.number("DestinationPort", destination.port.into());
    facts.text("Protocol", &transport_name(fact.key.transport));
    let is_own = attributed.peer.role == PeerRole::Called;
    facts.text("Initiated", if is_own { "true" } else { "false" });
    if let Some(name) = attributed.peer.names.first() {
        facts.text("DestinationHostname", &name.name);
    }
    if let Some(protocol) = fact.protocols.last() {
        facts.text("service", protocol);
    }
    facts.number("duration", fact.end.since(fact.start).as_millis() / 1000);
    facts.number("orig_bytes", fact.originator.payload_bytes);
    facts.number("resp_bytes", fact.responder.payload_bytes);
    facts.number("orig_pkts", fact.originator.packets);
    facts.number("resp_pkts", fact.responder.packets);
    facts.text("conn_state", conn_state_name(fact.state).0);
    facts.text("community_id", &fact.community_id);
    if let Some(ja4) = &fact.ja4 {
        facts.text("ja4", ja4);
    }
    process(facts, &attributed.subject);
}

/// The flow that carried it, and its ends.
fn addressed(facts: &mut Facts, engine: &Engine, flow: FlowId) -> Option<Attributed> {
    let attributed = engine.attributed(flow)?;
    if let Some(address) = attributed.subject.address {
        facts.text("SourceIp", &address.to_string());
    }
    if let Some(far) = attributed.peer.endpoint {
        facts.text("DestinationIp", &far.address.to_string());
        facts.number("DestinationPort", far.port.into());
    }
    process(facts, &attributed.subject);
    Some(attributed)
}

fn lookup(facts: &mut Facts, fact: &DnsExchange<'_>) {
    facts.text("QueryName", &fact.name);
    facts.text("record_type", &type_name(fact.query_type));
    if let Some(code) = fact.response_code {
        facts.number("QueryStatus", code.into());
    }
    let answers: Vec<String> = fact
        .answers
        .iter()
        .filter_map(|answer| match &answer.data {
            DnsData::Address(address) => Some(address.to_string()),
            DnsData::Name(name) => Some(name.clone().into_owned()),
            DnsData::Other(..) => None,
        })
        .collect();
    facts.text("QueryResults", &answers.join(";"));
}

fn request(facts: &mut Facts, fact: &HttpExchange<'_>) {
    facts.text("cs-method", &fact.method);
    facts.text("cs-host", &fact.host);
    facts.text("c-uri", &fact.target);
    let (path, query) = fact.target.split_once('?').unwrap_or((&fact.target, ""));
    facts.text("cs-uri-stem", path);
    facts.text("cs-uri-query", query);
    facts.text("c-useragent", &fact.user_agent);
    facts.number("sc-status", fact.status.into());
    facts.number("cs-bytes", fact.request_body_bytes);
    facts.number("sc-bytes", fact.response_body_bytes);
}

/// A program of a container; others are the host's.
fn program(facts: &mut Facts, engine: &Engine, fact: &ProcessStarted<'_>) -> Option<Attributed> {
    let container = engine.container(&fact.container?)?;
    let arguments: Vec<String> = fact.arguments.iter().map(ToString::to_string).collect();
    let view = ProcessView {
        pid: fact.process.pid,
        executable: fact.executable.clone().into_owned(),
        arguments,
        uid: fact.uid,
        sha256: fact.sha256,
        in_image: fact.in_image,
    };
    let subject = Accused {
        port: PortId::UNKNOWN,
        address: None,
        container: Some(container),
        process: Some(view),
        started_by: None,
        flows: Vec::new(),
        flow_count: 0,
    };
    process(facts, &subject);
    facts.number("ProcessId", fact.process.pid.into());
    facts.number("ParentProcessId", fact.parent_pid.into());
    if let Some(hash) = fact.sha256 {
        facts.text("Hashes", &hexadecimal(&hash));
    }
    let peer = Peer {
        endpoint: None,
        transport: Transport::Tcp,
        names: Vec::new(),
        role: PeerRole::Called,
    };
    Some(Attributed { subject, peer })
}

fn process(facts: &mut Facts, subject: &Accused) {
    let Some(process) = &subject.process else { return };
    facts.text("Image", &process.executable);
    facts.text("CommandLine", &process.arguments.join(" "));
    if let Some(uid) = process.uid {
        let name = if uid == 0 { "root".to_owned() } else { uid.to_string() };
        facts.text("User", &name);
    }
}

/// A query type's name, or its number.
fn type_name(number: u16) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        other => return other.to_string(),
    };
    name.to_owned()
}
