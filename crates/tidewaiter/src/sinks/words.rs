//! The words for the contract's enums, the same in every form of output.

use engine::Family;
use observation::{
    ConnState, ContainerId, ContainerState, Flaws, InImage, Privilege, Runtime, SourceKind,
    Transport,
};

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The full id, as the runtime writes it.
pub(super) fn container_id(id: ContainerId) -> String {
    hex(&id.0)
}

pub(crate) const fn source_kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Packets => "packets",
        SourceKind::FlowLog => "flow log",
        SourceKind::RuntimeEvents => "runtime events",
        SourceKind::ProcessEvents => "process events",
        SourceKind::SocketEvents => "socket events",
        SourceKind::Counters => "counters",
        SourceKind::AuditLog => "audit log",
    }
}

pub(crate) const fn family(family: Family) -> &'static str {
    match family {
        Family::Prior => "prior",
        Family::Session => "session",
        Family::Rhythm => "rhythm",
        Family::Destination => "destination",
        Family::Identity => "identity",
        Family::Process => "process",
        Family::Runtime => "runtime",
        Family::Intelligence => "intelligence",
        Family::Health => "health",
    }
}

pub(crate) fn transport(transport: Transport) -> String {
    match transport {
        Transport::Tcp => "tcp".to_owned(),
        Transport::Udp => "udp".to_owned(),
        Transport::Icmp => "icmp".to_owned(),
        Transport::Other(number) => format!("ip-{number}"),
    }
}

pub(super) const fn protocol_number(transport: Transport) -> u8 {
    match transport {
        Transport::Icmp => 1,
        Transport::Tcp => 6,
        Transport::Udp => 17,
        Transport::Other(number) => number,
    }
}

pub(super) const fn runtime(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Docker => "docker",
        Runtime::Podman => "podman",
        Runtime::Containerd => "containerd",
        Runtime::CriO => "cri-o",
        Runtime::Unknown => "unknown runtime",
    }
}

pub(super) fn container_state(state: ContainerState) -> String {
    match state {
        ContainerState::Created => "created".to_owned(),
        ContainerState::Running => "running".to_owned(),
        ContainerState::Paused => "paused".to_owned(),
        ContainerState::Exited(Some(code)) => format!("exited {code}"),
        ContainerState::Exited(None) => "exited".to_owned(),
        ContainerState::Removed => "removed".to_owned(),
        ContainerState::Unsaid => "state unknown".to_owned(),
    }
}

pub(super) const fn in_image(in_image: InImage) -> &'static str {
    match in_image {
        InImage::Yes => "in image",
        InImage::No => "not in image",
        InImage::Unknown => "image membership unknown",
    }
}

/// Zeek's name and what it means.
pub(crate) const fn conn_state(state: ConnState) -> (&'static str, &'static str) {
    match state {
        ConnState::S0 => ("S0", "no answer"),
        ConnState::S1 => ("S1", "open"),
        ConnState::SF => ("SF", "closed"),
        ConnState::Rej => ("REJ", "refused"),
        ConnState::S2 => ("S2", "half closed by the opener"),
        ConnState::S3 => ("S3", "half closed by the far end"),
        ConnState::RstO => ("RSTO", "reset by the opener"),
        ConnState::RstR => ("RSTR", "reset by the far end"),
        ConnState::RstOS0 => ("RSTOS0", "given up by the opener"),
        ConnState::RstRH => ("RSTRH", "reset by the far end, opening not seen"),
        ConnState::SH => ("SH", "half closed, no answer"),
        ConnState::SHR => ("SHR", "half closed by the far end, opening not seen"),
        ConnState::Oth => ("OTH", "opening not seen"),
    }
}

/// How a container was started, in words.
pub(super) fn privilege(privilege: Privilege) -> String {
    let word = |holds: bool, yes: &'static str, no: &'static str| if holds { yes } else { no };
    let words = [
        word(privilege.privileged, "privileged", ""),
        word(privilege.root, "root", "not root"),
        word(privilege.capabilities_added, "capabilities added", "default capabilities"),
        word(privilege.runtime_socket, "runtime socket mounted", "no runtime socket"),
        word(privilege.auto_remove, "removed when it ends", ""),
        word(privilege.open_stdin, "stdin open", ""),
        word(privilege.tty, "tty", ""),
        word(privilege.kept_running, "kept running", ""),
    ];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Every flaw and its name.
pub(super) const FLAWS: &[(Flaws, &str)] = Flaws::NAMES;
