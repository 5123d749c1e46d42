//! Runs ordinary TLS flows through the engine and prints what one costs:
//! `cargo run --release -p engine --example measure -- [FLOWS] [FLOWS_PER_SECOND] [KIND]`,
//! where KIND is 0 for TLS, 1 for TLS with socket events, 2 for text of no known grammar in which
//! the far end commands.

use std::borrow::Cow;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use engine::{Engine, Limits};
use observation::{
    Burst, Certainty, ConnState, ContainerFact, ContainerId, ContainerState, Counts, Echo,
    Endpoint, Fact, Flaws, FlowClosed, FlowEstablished, FlowId, FlowKey, FlowOpened, Grammar,
    LocalSide, Network, NetworkAttached, Observation, PortId, Privilege, ProtocolIdentified,
    Runtime, Shape, Side, SocketOpened, SocketTuple, SourceId, Span, Tail, Time, TlsHello,
    Transport,
};

const CONTAINERS: u64 = 50;
const FARS: u64 = 5000;
/// A flow lives so many flows long.
const UNDER_WAY: u64 = 1000;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap_or(1));
    let flows = arguments.next().unwrap_or(1_000_000);
    let per_second = arguments.next().unwrap_or(10_000).max(1);
    let kind = arguments.next().unwrap_or(0);
    let mut engine = Engine::new(Limits::default(), 0);
    let mut alerts = 0_u64;
    let gap = 1_000_000_000 / per_second;
    for number in 0..CONTAINERS {
        container(&mut engine, number);
    }
    let before = resident_kib();
    let started = cpu_seconds();
    for number in 0..flows + UNDER_WAY {
        let mut tell = |at: u64, flow: u64, fact: Fact<'_>| {
            let told = Observation { at: Time(at), witness: SourceId(1), order: flow, fact };
            engine.observe(&told, &mut |_| alerts += 1);
        };
        if number < flows {
            open(kind, number, (number + 100) * gap, &mut tell);
        }
        if let Some(old) = number.checked_sub(UNDER_WAY) {
            close(old, (old + 100) * gap, (number + 100) * gap, &mut tell);
        }
    }
    let spent = cpu_seconds() - started;
    println!(
        "{flows} flows at {per_second}/s: {:.0} ns of CPU a flow, {} MiB more, {alerts} alerts, {:?}",
        spent * 1e9 / flows.max(1) as f64,
        resident_kib().saturating_sub(before) / 1024,
        engine.tally()
    );
}

fn id(number: u64) -> FlowId {
    FlowId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
}

fn small(number: u64) -> u16 {
    u16::try_from(number % 60_000).unwrap_or_default()
}

fn byte(number: u64) -> u8 {
    u8::try_from(number % 250).unwrap_or_default()
}

fn key(number: u64) -> FlowKey {
    let container = number % CONTAINERS;
    let far = number.wrapping_mul(7919) % FARS;
    let end = |address: Ipv4Addr, port| Endpoint { address: IpAddr::V4(address), port };
    FlowKey {
        port: PortId(10 + u32::from(byte(container))),
        transport: Transport::Tcp,
        originator: end(Ipv4Addr::new(172, 17, 0, byte(container) + 2), 1024 + small(number)),
        responder: end(Ipv4Addr::new(198, 51, byte(far / 200), byte(far % 200)), 443),
    }
}

fn open(kind: u64, number: u64, at: u64, tell: &mut impl FnMut(u64, u64, Fact<'_>)) {
    let flow = id(number);
    let key = key(number);
    if kind == 1 {
        sockets(number, key, at, tell);
    }
    let opened = FlowOpened { flow, key, local: LocalSide::Originator };
    tell(at, 0, Fact::FlowOpened(opened));
    tell(at + 1000, 1, Fact::FlowEstablished(FlowEstablished { flow }));
    if kind == 2 {
        tell(at + 3000, 2, Fact::Burst(text(flow, 0, Side::Responder, at + 2000, b"id\n")));
        let answer = b"uid=0(root) gid=0(root)\n";
        tell(at + 4000, 3, Fact::Burst(text(flow, 1, Side::Originator, at + 3000, answer)));
        return;
    }
    let protocol = Cow::Borrowed("tls");
    let certainty = Certainty::Proposed(Side::Originator);
    tell(at + 2000, 2, Fact::ProtocolIdentified(ProtocolIdentified { flow, protocol, certainty }));
    let hello = TlsHello {
        flow,
        server_name: Cow::Borrowed("api.example.com"),
        alpn: Cow::Borrowed("h2"),
        ja4: Cow::Borrowed("t13d1516h2_8daaf6152771_b186095e22b6"),
        ..TlsHello::default()
    };
    tell(at + 2000, 3, Fact::TlsHello(hello));
    tell(at + 3000, 4, Fact::Burst(burst(flow, 0, Side::Originator, at + 2000)));
    tell(at + 4000, 5, Fact::Burst(burst(flow, 1, Side::Responder, at + 3000)));
}

fn sockets(number: u64, key: FlowKey, at: u64, tell: &mut impl FnMut(u64, u64, Fact<'_>)) {
    let (cookie, transport, remote) = (number + 1, key.transport, key.responder);
    let cgroup = 500 + number % CONTAINERS;
    let opened = SocketOpened { cookie, cgroup, pid: 100, transport, remote };
    tell(at, 0, Fact::SocketOpened(opened));
    let tuple = SocketTuple { cookie, cgroup, transport, local: key.originator, remote };
    tell(at, 0, Fact::SocketTuple(tuple));
}

fn text(flow: FlowId, index: u32, side: Side, at: u64, said: &'static [u8]) -> Burst<'static> {
    let like = burst(flow, index, side, at);
    let shape = Shape { printable_percent: 100, ..like.shape };
    Burst { shape, grammar: Grammar::None, excerpt: Cow::Borrowed(said), ..like }
}

fn burst(flow: FlowId, index: u32, side: Side, at: u64) -> Burst<'static> {
    Burst {
        flow,
        index,
        side,
        start: Time(at),
        end: Time(at + 500),
        pause_before: Span(500),
        bytes: 900,
        segments: 2,
        shape: Shape { printable_percent: 38, tail: Tail::Open, echo: Echo::None, texture: None },
        grammar: Grammar::Unchecked,
        excerpt: Cow::Borrowed(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
    }
}

fn close(number: u64, start: u64, at: u64, tell: &mut impl FnMut(u64, u64, Fact<'_>)) {
    let counts = Counts { packets: 9, payload_bytes: 4000, ip_bytes: 4400 };
    let closed = FlowClosed {
        flow: id(number),
        key: key(number),
        local: LocalSide::Originator,
        start: Time(start),
        end: Time(at),
        state: ConnState::SF,
        originator: counts,
        responder: counts,
        responder_bytes_after_close: 0,
        burst_count: 2,
        protocols: vec![Cow::Borrowed("tls")],
        likeness: [None; 2],
        ja4: Some(Cow::Borrowed("t13d1516h2_8daaf6152771_b186095e22b6")),
        community_id: Cow::Borrowed("1:W9+p19AcWHtSl1cNtRdrbvCzBbA="),
        flaws: Flaws::default(),
    };
    tell(at, 6, Fact::FlowClosed(closed));
}

fn container(engine: &mut Engine, number: u64) {
    let id = ContainerId([byte(number) + 1; 32]);
    let described = ContainerFact {
        id,
        runtime: Runtime::Docker,
        state: ContainerState::Running,
        name: Cow::Borrowed("shop"),
        image: Cow::Borrowed("shop:1"),
        image_id: None,
        registry_digests: Vec::new(),
        command: vec![Cow::Borrowed("/srv/shop"), Cow::Borrowed("--port=80")],
        environment: vec![Cow::Borrowed("API=https://api.example.com")],
        labels: Vec::new(),
        extra_hosts: Vec::new(),
        privilege: Some(Privilege { kept_running: true, ..Privilege::default() }),
        pid: 100,
        cgroup: 500 + number,
        network: Network::Own,
        created: Some(Time(0)),
    };
    let attached = NetworkAttached {
        id,
        network: Cow::Borrowed("bridge"),
        addresses: vec![IpAddr::V4(Ipv4Addr::new(172, 17, 0, byte(number) + 2))],
        aliases: Vec::new(),
        gateways: Vec::new(),
        port: Some(PortId(10 + u32::from(byte(number)))),
        netns: 0,
        detached: None,
    };
    for fact in [Fact::Container(described), Fact::NetworkAttached(attached)] {
        let told = Observation { at: Time(1), witness: SourceId(2), order: number, fact };
        engine.observe(&told, &mut |_| {});
    }
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// Processor time of this process: other load on the machine does not count.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}
