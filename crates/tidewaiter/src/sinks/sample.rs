//! An alert for the tests of this folder: the brief's own case, with every field filled.

use std::borrow::Cow;

use engine::{
    Actor, Alert, AlertId, Blind, ContainerView, Counted, Evidence, Excerpt, Family, FlowView,
    Level, Peer, PeerName, PeerRole, Prevalence, ProcessView, Status, Subject,
};
use observation::{
    ConnState, ContainerId, ContainerState, Endpoint, ImageId, InImage, PortId, Privilege, Runtime,
    Side, SourceKind, Span, Time, Transport,
};

const AT: Time = Time(1_795_555_464_513_000_000);

/// The alert; everything that an attacker can write contains `name`.
pub(crate) fn alert_named(name: &str) -> Alert {
    Alert {
        id: AlertId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        revision: 1,
        status: Status::New,
        level: Level::High,
        strategy: Cow::Borrowed("telnet_c2"),
        techniques: vec![Cow::Borrowed("T1071"), Cow::Borrowed("T1571")],
        summary: Cow::Borrowed("A container opened a raw text session to a stranger."),
        first_seen: AT,
        last_seen: Time(AT.0 + 3_000_000),
        opened_at: Time(AT.0 + 600_000_000),
        subjects: vec![subject(name)],
        subject_count: 1,
        peer: Peer {
            role: PeerRole::Called,
            endpoint: Some(endpoint("198.51.100.10", 4444)),
            transport: Transport::Tcp,
            names: vec![PeerName {
                name: name.to_owned(),
                asked_before: Some(Span::from_millis(4)),
                answered_by: "172.17.0.1".parse().ok(),
            }],
        },
        evidence: vec![
            term(Family::Prior, "", name, -20, Counted::InSum),
            term(Family::Session, "network", "text, far end commands", 16, Counted::InSum),
            term(Family::Session, "network", "no known grammar", 9, Counted::Outweighed),
            term(Family::Identity, "runtime", "nothing was sent back", -4, Counted::InSum),
        ],
        sum_db: 15,
        witnesses: vec![SourceKind::Packets, SourceKind::RuntimeEvents],
        blind: vec![Blind { kind: SourceKind::ProcessEvents, why: name.to_owned() }],
        lost_count: 2,
        low_if: vec![Cow::Borrowed("the destination were declared")],
        prevalence: Prevalence {
            subject_count: 1,
            subject_total: 412,
            workload_count: 1,
            workload_total: 37,
        },
    }
}

fn subject(name: &str) -> Subject {
    Subject {
        port: PortId(7),
        address: "172.17.0.2".parse().ok(),
        container: Some(ContainerView {
            id: ContainerId([0x54; 32]),
            name: name.to_owned(),
            image: name.to_owned(),
            image_id: Some(ImageId([0x2e; 32])),
            registry_digests: Vec::new(),
            command: vec!["telnet".to_owned(), name.to_owned(), "4444".to_owned()],
            workload: "5a".repeat(16),
            privilege: Some(Privilege { root: true, auto_remove: true, ..Privilege::default() }),
            network: "own".to_owned(),
            state: ContainerState::Removed,
            runtime: Runtime::Docker,
        }),
        process: Some(ProcessView {
            pid: 4802,
            executable: name.to_owned(),
            arguments: vec!["telnet".to_owned(), name.to_owned()],
            uid: Some(0),
            sha256: Some([0x9c; 32]),
            in_image: InImage::Yes,
        }),
        started_by: Some(Actor { pid: 4711, uid: Some(1000), command: name.to_owned() }),
        flows: vec![FlowView {
            local: endpoint("172.17.0.2", 52224),
            remote: endpoint("198.51.100.10", 4444),
            transport: Transport::Tcp,
            community_id: "1:W9+p19AcZ0000000000000000000=".to_owned(),
            start: AT,
            end: Time(AT.0 + 3_000_000),
            sent_bytes: 0,
            received_bytes: 14,
            protocols: Vec::new(),
            state: Some(ConnState::RstO),
            excerpts: vec![Excerpt {
                at: AT,
                side: Side::Responder,
                bytes: format!("id; {name}\n").into_bytes(),
                burst_bytes: 14,
            }],
        }],
        flow_count: 1,
    }
}

fn term(
    family: Family,
    witness: &'static str,
    observed: &str,
    points_db: i16,
    counts: Counted,
) -> Evidence {
    Evidence {
        family,
        witness: Cow::Borrowed(witness),
        observed: observed.to_owned(),
        expected: Cow::Borrowed("known grammar"),
        points_db,
        strategy: Cow::Borrowed("telnet_c2"),
        counts,
    }
}

fn endpoint(address: &str, port: u16) -> Endpoint {
    Endpoint { address: address.parse().unwrap(), port }
}
