//! Builds what sources would tell of a small world: containers, processes, sockets, names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use engine::{Alert, AlertId, AlertUpdate, Engine, Limits};
use observation::{
    ContainerFact, ContainerId, ContainerState, DnsAnswer, DnsData, DnsExchange, ExecStarted, Fact,
    FlowId, ImageId, InImage, LocalSide, Network, NetworkAttached, Observation, PortId, Privilege,
    ProcessEnded, ProcessKey, ProcessStarted, Runtime, SocketOpened, SocketTuple, SourceId,
    SourceKind, SourceState, SourceStatus, Time, Transport,
};

use crate::talk::Talk;

pub(crate) const PACKETS: SourceId = SourceId(1);
pub(crate) const RUNTIME: SourceId = SourceId(2);
pub(crate) const PROCESSES: SourceId = SourceId(3);
pub(crate) const SOCKETS: SourceId = SourceId(4);

/// 2026-11-24T21:24:24Z in milliseconds: when most of it begins.
pub(crate) const START_MS: u64 = 1_795_555_464_000;

/// The host's own address on the bridge.
pub(crate) const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 17, 0, 1));

pub(crate) type Told = Observation<'static>;

/// What was told so far, by all witnesses.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub facts: Vec<Told>,
    order: u64,
    sockets: u64,
}

/// A container of the world.
#[derive(Clone, Debug)]
pub(crate) struct Box_ {
    pub id: ContainerId,
    pub number: u8,
    pub address: IpAddr,
    pub port: PortId,
    pub cgroup: u64,
    pub pid: u32,
    pub command: Vec<String>,
    pub image: String,
    pub environment: Vec<String>,
    pub privilege: Privilege,
    pub created_ms: u64,
    pub network: Network<'static>,
    pub in_image: InImage,
}

pub(crate) fn at_ms(ms: u64) -> Time {
    Time(ms * 1_000_000)
}

pub(crate) fn words(line: &str) -> Vec<String> {
    line.split(' ').map(String::from).collect()
}

fn cows(words: &[String]) -> Vec<Cow<'static, str>> {
    words.iter().map(|word| Cow::Owned(word.clone())).collect()
}

impl Box_ {
    /// A throw-away container with this command, as `docker run --rm` makes it.
    pub(crate) fn throw_away(number: u8, command: &str) -> Self {
        Self {
            id: ContainerId([number; 32]),
            number,
            address: IpAddr::from([172, 17, 0, number]),
            port: PortId(100 + u32::from(number)),
            cgroup: 5000 + u64::from(number),
            pid: 4000 + u32::from(number) * 20,
            command: words(command),
            image: String::from("alpine"),
            environment: Vec::new(),
            privilege: Privilege { root: true, auto_remove: true, ..Privilege::default() },
            created_ms: START_MS,
            network: Network::Own,
            in_image: InImage::Yes,
        }
    }

    /// A container that something keeps running, and that has run for a day.
    pub(crate) fn long_running(number: u8, command: &str) -> Self {
        Self {
            privilege: Privilege { kept_running: true, ..Privilege::default() },
            created_ms: START_MS - 86_400_000,
            ..Self::throw_away(number, command)
        }
    }
}

impl World {
    /// A world in which every kind of source is open.
    pub(crate) fn new() -> Self {
        let mut world = Self::default();
        world.sources(&[
            (PACKETS, SourceKind::Packets),
            (RUNTIME, SourceKind::RuntimeEvents),
            (PROCESSES, SourceKind::ProcessEvents),
            (SOCKETS, SourceKind::SocketEvents),
        ]);
        world
    }

    pub(crate) fn sources(&mut self, sources: &[(SourceId, SourceKind)]) {
        for &(source, kind) in sources {
            let detail = Cow::Borrowed("");
            let status = SourceStatus { source, kind, state: SourceState::Open, detail };
            self.tell(START_MS - 100_000_000, source, Fact::SourceStatus(status));
        }
    }

    pub(crate) fn tell(&mut self, ms: u64, witness: SourceId, fact: Fact<'static>) {
        self.tell_at(at_ms(ms), witness, fact);
    }

    pub(crate) fn tell_at(&mut self, at: Time, witness: SourceId, fact: Fact<'static>) {
        self.order += 1;
        self.facts.push(Observation { at, witness, order: self.order, fact });
    }

    /// The runtime creates and describes it, its veth appears, and its first process runs 200 ms
    /// later.
    pub(crate) fn start(&mut self, it: &Box_) {
        self.create(it);
        self.describe(it, it.created_ms + 60);
        self.attach(it, it.created_ms + 50);
        let began = it.created_ms + 200;
        self.process(it, it.pid, 900, began, &it.command.clone());
        self.state(it, began + 100, ContainerState::Running);
    }

    pub(crate) fn create(&mut self, it: &Box_) {
        let fact = ContainerFact {
            image: Cow::Owned(it.image.clone()),
            state: ContainerState::Created,
            name: Cow::Owned(format!("name-{}", it.number)),
            ..unsaid(it)
        };
        self.tell(it.created_ms, RUNTIME, Fact::Container(fact));
    }

    /// What `inspect` says.
    pub(crate) fn describe(&mut self, it: &Box_, ms: u64) {
        let fact = ContainerFact {
            image: Cow::Owned(it.image.clone()),
            image_id: Some(ImageId([9; 32])),
            command: cows(&it.command),
            environment: cows(&it.environment),
            privilege: Some(it.privilege),
            pid: it.pid,
            cgroup: it.cgroup,
            network: it.network.clone(),
            created: Some(at_ms(it.created_ms)),
            ..unsaid(it)
        };
        self.tell(ms, RUNTIME, Fact::Container(fact));
    }

    pub(crate) fn attach(&mut self, it: &Box_, ms: u64) {
        let fact = NetworkAttached {
            id: it.id,
            network: Cow::Borrowed("bridge"),
            addresses: vec![it.address],
            aliases: vec![Cow::Owned(format!("alias-{}", it.number))],
            gateways: vec![GATEWAY],
            port: Some(it.port),
            netns: 0,
            detached: None,
        };
        self.tell(ms, RUNTIME, Fact::NetworkAttached(fact));
    }

    pub(crate) fn state(&mut self, it: &Box_, ms: u64, state: ContainerState) {
        self.tell(ms, RUNTIME, Fact::Container(ContainerFact { state, ..unsaid(it) }));
    }

    pub(crate) fn exit(&mut self, it: &Box_, ms: u64, code: i32) {
        let ended = ProcessEnded { pid: it.pid, exit_code: Some(code) };
        self.tell(ms, PROCESSES, Fact::ProcessEnded(ended));
        self.state(it, ms + 20, ContainerState::Exited(Some(code)));
        self.state(it, ms + 60, ContainerState::Removed);
    }

    pub(crate) fn process(
        &mut self,
        it: &Box_,
        pid: u32,
        parent: u32,
        ms: u64,
        arguments: &[String],
    ) {
        let fact = ProcessStarted {
            process: ProcessKey { pid, started: at_ms(ms) },
            parent_pid: parent,
            uid: Some(0),
            container: Some(it.id),
            cgroup: it.cgroup,
            executable: Cow::Owned(format!("/bin/{}", arguments[0].rsplit('/').next().unwrap())),
            arguments: cows(arguments),
            sha256: None,
            in_image: it.in_image,
        };
        self.tell(ms, PROCESSES, Fact::ProcessStarted(fact));
    }

    /// A program outside of any container.
    pub(crate) fn host_process(&mut self, pid: u32, ms: u64, line: &str) {
        self.host_child(1, pid, ms, line);
    }

    pub(crate) fn host_child(&mut self, parent_pid: u32, pid: u32, ms: u64, line: &str) {
        let fact = ProcessStarted {
            process: ProcessKey { pid, started: at_ms(ms) },
            parent_pid,
            uid: Some(1000),
            container: None,
            cgroup: 77,
            executable: Cow::Borrowed("/usr/bin/docker"),
            arguments: cows(&words(line)),
            sha256: None,
            in_image: InImage::Unknown,
        };
        self.tell(ms, PROCESSES, Fact::ProcessStarted(fact));
    }

    pub(crate) fn exec(&mut self, it: &Box_, ms: u64, command: &str) {
        let fact = ExecStarted { id: it.id, command: Cow::Owned(String::from(command)) };
        self.tell(ms, RUNTIME, Fact::ExecStarted(fact));
    }

    /// The socket events of a conversation, by the process `pid` in `cgroup`.
    pub(crate) fn socket(&mut self, talk: &Talk, cgroup: u64, pid: u32) {
        self.sockets += 1;
        let cookie = self.sockets;
        let (transport, remote) = (talk.key.transport, talk.key.responder);
        let opened = SocketOpened { cookie, cgroup, pid, transport, remote };
        self.tell(talk.opened_ms, SOCKETS, Fact::SocketOpened(opened));
        let tuple = SocketTuple { cookie, cgroup, transport, local: talk.key.originator, remote };
        self.tell(talk.opened_ms, SOCKETS, Fact::SocketTuple(tuple));
    }

    /// A lookup at `ms`, answered two milliseconds later.
    pub(crate) fn dns(&mut self, it: &Box_, ms: u64, name: &str, answer: Result<IpAddr, u8>) {
        let server = (IpAddr::from([172, 17, 0, 1]), 53);
        let near = (it.address, 40_000 + u16::from(it.number));
        let mut talk = Talk::open_at(it.port, Transport::Udp, near, server, ms);
        talk.local = LocalSide::Originator;
        let exchange = DnsExchange {
            flow: talk.flow,
            asked_at: at_ms(ms),
            name: Cow::Owned(String::from(name)),
            query_type: 1,
            response_code: Some(answer.err().unwrap_or(0)),
            answers: answer
                .ok()
                .map(|address| DnsAnswer { ttl_s: 60, data: DnsData::Address(address) })
                .into_iter()
                .collect(),
            ..DnsExchange::default()
        };
        talk.extra.push((ms + 2, Fact::Dns(exchange)));
        talk.protocols.push("dns");
        talk.wait(2);
        self.talk(talk.end());
    }

    /// Everything that the sensor told of a conversation.
    pub(crate) fn talk(&mut self, talk: Talk) {
        for (order, (at, fact)) in (0..).zip(talk.told()) {
            self.facts.push(Observation { at, witness: PACKETS, order, fact });
        }
    }

    /// In the order in which the program merges: by time, flow and position.
    pub(crate) fn merged(&self) -> Vec<Told> {
        let mut facts = self.facts.clone();
        facts.sort_by_key(|told| (told.at, told.flow(), told.order));
        facts
    }

    /// The final alerts, by id.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        judge(&self.merged()).into_values().collect()
    }

    /// The only alert.
    pub(crate) fn alert(&self) -> Alert {
        let alerts = self.alerts();
        assert_eq!(alerts.len(), 1, "{alerts:#?} of {} facts", self.facts.len());
        alerts.into_iter().next().unwrap()
    }
}

fn unsaid(it: &Box_) -> ContainerFact<'static> {
    ContainerFact {
        id: it.id,
        runtime: Runtime::Docker,
        state: ContainerState::Unsaid,
        name: Cow::Borrowed(""),
        image: Cow::Borrowed(""),
        image_id: None,
        registry_digests: Vec::new(),
        command: Vec::new(),
        environment: Vec::new(),
        labels: Vec::new(),
        extra_hosts: Vec::new(),
        privilege: None,
        pid: 0,
        cgroup: 0,
        network: Network::Unsaid,
        created: None,
    }
}

/// Keeps the last word about every alert.
pub(crate) fn keep(alerts: &mut BTreeMap<AlertId, Alert>, update: AlertUpdate) {
    match update {
        AlertUpdate::Opened(alert) => {
            assert!(alerts.insert(alert.id, alert).is_none(), "opened twice");
        }
        AlertUpdate::Revised(alert) | AlertUpdate::Adopted(alert, _) => {
            let before = alerts.insert(alert.id, alert.clone()).expect("revised before opened");
            assert!(before.revision < alert.revision, "the revision rises");
        }
        AlertUpdate::Closed(id) => {
            alerts.remove(&id).expect("closed before opened");
        }
    }
}

/// The final alerts of what was told in this order.
pub(crate) fn judge(facts: &[Told]) -> BTreeMap<AlertId, Alert> {
    let mut alerts = BTreeMap::new();
    let mut engine = Engine::new(Limits::default(), 0);
    for told in facts {
        engine.observe(told, &mut |update| keep(&mut alerts, update));
    }
    engine.finish(&mut |update| keep(&mut alerts, update));
    alerts
}

pub(crate) fn flow_id(text: &impl std::fmt::Debug) -> FlowId {
    // FNV-1a: the tests need ids that are stable and far apart, nothing more.
    let bytes = format!("{text:?}");
    let hash = bytes.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    FlowId(hash | 1)
}
