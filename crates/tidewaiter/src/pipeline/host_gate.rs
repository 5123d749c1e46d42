//! Lets through what containers do on the host's own interfaces, and keeps back what the host
//! itself does there: a flow at such a port passes once its socket's cgroup names a container.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use observation::{
    ContainerId, Endpoint, Fact, FlowId, FlowKey, IpAddress, Network, Observation, Span, Time,
    Transport,
};

/// Sockets, cgroups and addresses remembered, the latest ones.
const REMEMBERED_COUNT_MAX: usize = 1 << 16;
/// Flows of the host's own ports that are told apart at one time.
const FLOW_COUNT_MAX: usize = 1 << 15;
/// Observations of one flow that wait for its socket's owner.
const HELD_COUNT_MAX: usize = 64;
/// How long they wait. Events of sockets come within milliseconds.
const UNDECIDED: Span = Span::from_millis(2000);

/// The gate. It stands before the engine, live and in replay.
#[derive(Debug, Default)]
pub(crate) struct HostGate {
    cgroups: Remembered<u64, ()>,
    /// Whose sockets hold a conversation: both ends may be on this host.
    owners: Remembered<Conversation, [u64; 2]>,
    /// A socket's transport and own end.
    sockets: Remembered<u64, (Transport, Endpoint)>,
    /// Far ends of sockets whose own end is not known yet.
    opened: Remembered<u64, (Transport, Endpoint)>,
    macvlan: BTreeSet<ContainerId>,
    addresses: Remembered<IpAddress, ()>,
    flows: BTreeMap<FlowId, Flow>,
    /// Flows that wait, by their conversation.
    waiting: BTreeMap<Conversation, FlowId>,
    order: VecDeque<FlowId>,
    /// Observations that were kept back.
    pub(crate) kept_back_count: u64,
}

/// Both ends, in no order: who opened it is not the socket's to say.
type Conversation = (Transport, Endpoint, Endpoint);

/// What was learned, as far as it may decide a flow.
enum News {
    Nothing,
    Owner(Conversation),
    Containers,
}

#[derive(Debug)]
enum Flow {
    Container,
    Host,
    Undecided { key: FlowKey, since: Time, held: Vec<Vec<u8>> },
}

impl HostGate {
    /// Looks at one Observation and hands on it, what waited for it, or nothing.
    pub(crate) fn pass(
        &mut self,
        observation: &Observation<'_>,
        out: &mut impl FnMut(&Observation<'_>),
    ) {
        if observation.flow() == FlowId(0) {
            out(observation);
            let news = self.learn(&observation.fact);
            self.decide(news, out);
            return;
        }
        if let Fact::FlowOpened(opened) = &observation.fact
            && opened.key.port.is_of_host()
        {
            self.open(opened.flow, opened.key, observation.at);
        }
        let flow = observation.flow();
        let over = matches!(observation.fact, Fact::FlowClosed(_));
        match self.flows.get_mut(&flow) {
            None => return out(observation),
            Some(Flow::Container) => out(observation),
            Some(Flow::Host) => self.kept_back_count += 1,
            Some(Flow::Undecided { since, held, .. }) => {
                if observation.at.since(*since) <= UNDECIDED && held.len() < HELD_COUNT_MAX {
                    held.extend(postcard::to_allocvec(observation).ok());
                    return;
                }
                self.kept_back_count += 1 + held.len() as u64;
                self.forget(flow);
                self.flows.insert(flow, Flow::Host);
            }
        }
        if over {
            self.forget(flow);
        }
    }

    fn open(&mut self, flow: FlowId, key: FlowKey, at: Time) {
        let state = if self.is_containers(&key) {
            Flow::Container
        } else {
            self.waiting.insert(conversation(key.transport, key.originator, key.responder), flow);
            Flow::Undecided { key, since: at, held: Vec::new() }
        };
        if self.flows.insert(flow, state).is_none() {
            self.order.push_back(flow);
        }
        while self.order.len() > FLOW_COUNT_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, flow: FlowId) {
        if let Some(Flow::Undecided { key, .. }) = self.flows.remove(&flow) {
            self.waiting.remove(&conversation(key.transport, key.originator, key.responder));
        }
    }

    /// Takes in whose is what.
    fn learn(&mut self, fact: &Fact<'_>) -> News {
        let new_container = match fact {
            Fact::Container(container) => {
                if matches!(container.network, Network::Macvlan(_)) {
                    self.macvlan.insert(container.id);
                }
                container.cgroup != 0 && self.cgroups.put(container.cgroup, ())
            }
            Fact::ProcessStarted(started) if started.container.is_some() => {
                started.cgroup != 0 && self.cgroups.put(started.cgroup, ())
            }
            Fact::NetworkAttached(attached) if self.macvlan.contains(&attached.id) => {
                let mut new = false;
                for address in &attached.addresses {
                    new |= self.addresses.put(*address, ());
                }
                new
            }
            Fact::SocketTuple(tuple) => {
                let (transport, local) = (tuple.transport, tuple.local);
                self.sockets.put(tuple.cookie, (transport, local));
                if let Some((transport, remote)) = self.opened.get(&tuple.cookie).copied() {
                    self.own(transport, local, remote, tuple.cgroup);
                }
                return self.own(transport, local, tuple.remote, tuple.cgroup);
            }
            Fact::SocketOpened(opened) => {
                self.opened.put(opened.cookie, (opened.transport, opened.remote));
                return match self.sockets.get(&opened.cookie).copied() {
                    Some((transport, local)) => {
                        self.own(transport, local, opened.remote, opened.cgroup)
                    }
                    None => News::Nothing,
                };
            }
            _ => false,
        };
        if new_container { News::Containers } else { News::Nothing }
    }

    fn own(&mut self, transport: Transport, one: Endpoint, other: Endpoint, cgroup: u64) -> News {
        let conversation = conversation(transport, one, other);
        let known = self.owners.get(&conversation).copied().unwrap_or([0; 2]);
        let owners = match known {
            [first, _] if first == cgroup => known,
            [first, _] => [cgroup, first],
        };
        self.owners.put(conversation, owners);
        News::Owner(conversation)
    }

    fn is_containers(&self, key: &FlowKey) -> bool {
        let ends = [key.originator.address, key.responder.address];
        if ends.iter().any(|address| self.addresses.get(address).is_some()) {
            return true;
        }
        let owners = self.owners.get(&conversation(key.transport, key.originator, key.responder));
        owners.into_iter().flatten().any(|cgroup| self.cgroups.get(cgroup).is_some())
    }

    /// Lets go of flows whose owner has become known.
    fn decide(&mut self, news: News, out: &mut impl FnMut(&Observation<'_>)) {
        let candidates: Vec<FlowId> = match news {
            News::Nothing => return,
            News::Owner(conversation) => {
                self.waiting.get(&conversation).copied().into_iter().collect()
            }
            News::Containers => self.waiting.values().copied().collect(),
        };
        for flow in candidates {
            let is_containers = matches!(
                self.flows.get(&flow),
                Some(Flow::Undecided { key, .. }) if self.is_containers(key)
            );
            if !is_containers {
                continue;
            }
            let Some(Flow::Undecided { key, held, .. }) = self.flows.insert(flow, Flow::Container)
            else {
                continue;
            };
            self.waiting.remove(&conversation(key.transport, key.originator, key.responder));
            for bytes in held {
                if let Ok(observation) = postcard::from_bytes(&bytes) {
                    out(&observation);
                }
            }
        }
    }
}

fn conversation(transport: Transport, one: Endpoint, other: Endpoint) -> Conversation {
    (transport, one.min(other), one.max(other))
}

/// A map that forgets what was put first.
#[derive(Debug)]
struct Remembered<K, V> {
    map: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Copy, V> Remembered<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    /// Whether the key is new.
    fn put(&mut self, key: K, value: V) -> bool {
        if self.map.insert(key, value).is_some() {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use observation::{
        FlowEstablished, FlowOpened, InImage, LocalSide, PortId, ProcessKey, ProcessStarted,
        SocketTuple, SourceId,
    };

    fn end(text: &str) -> Endpoint {
        let address: std::net::SocketAddr = text.parse().unwrap();
        Endpoint { address: address.ip(), port: address.port() }
    }

    fn observed(at_ms: u64, fact: Fact<'static>) -> Observation<'static> {
        Observation { at: Time(at_ms * 1_000_000), witness: SourceId(1), order: 0, fact }
    }

    fn opened(port: PortId) -> Observation<'static> {
        let key = FlowKey {
            port,
            transport: Transport::Tcp,
            originator: end("198.51.100.1:50000"),
            responder: end("198.51.100.10:4444"),
        };
        let local = LocalSide::Originator;
        observed(1, Fact::FlowOpened(FlowOpened { flow: FlowId(9), key, local }))
    }

    fn established(at_ms: u64) -> Observation<'static> {
        observed(at_ms, Fact::FlowEstablished(FlowEstablished { flow: FlowId(9) }))
    }

    fn tuple(cgroup: u64) -> Observation<'static> {
        observed(
            1,
            Fact::SocketTuple(SocketTuple {
                cookie: 5,
                cgroup,
                transport: Transport::Tcp,
                local: end("198.51.100.1:50000"),
                remote: end("198.51.100.10:4444"),
            }),
        )
    }

    fn container_process(cgroup: u64) -> Observation<'static> {
        observed(
            1,
            Fact::ProcessStarted(ProcessStarted {
                process: ProcessKey { pid: 7, started: Time(1) },
                parent_pid: 1,
                uid: None,
                container: Some(ContainerId([1; 32])),
                cgroup,
                executable: "".into(),
                arguments: Vec::new(),
                sha256: None,
                in_image: InImage::Unknown,
            }),
        )
    }

    fn passed(observations: &[Observation<'static>]) -> usize {
        let mut gate = HostGate::default();
        let mut flow_count = 0;
        for observation in observations {
            let mut out = |passed: &Observation<'_>| {
                flow_count += usize::from(passed.flow() != FlowId(0));
            };
            gate.pass(observation, &mut out);
        }
        flow_count
    }

    #[test]
    fn a_containers_flow_passes_whatever_comes_first() {
        let port = PortId::of_host(2);
        let all = [container_process(77), tuple(77), opened(port), established(2)];
        assert_eq!(passed(&all), 2);
        let late = [opened(port), established(2), tuple(77), container_process(77)];
        assert_eq!(passed(&late), 2);
    }

    #[test]
    fn a_far_end_on_this_very_host_hides_no_container() {
        let port = PortId::of_host(2);
        assert_eq!(passed(&[container_process(77), tuple(77), tuple(1), opened(port)]), 1);
        assert_eq!(passed(&[container_process(77), tuple(1), tuple(77), opened(port)]), 1);
    }

    #[test]
    fn the_hosts_own_flow_does_not() {
        let port = PortId::of_host(2);
        let all = [container_process(77), tuple(1), opened(port), established(2)];
        assert_eq!(passed(&all), 0);
        let too_late = [opened(port), established(5000), container_process(77), tuple(77)];
        assert_eq!(passed(&too_late), 0);
    }

    #[test]
    fn a_flow_at_a_containers_port_is_not_asked() {
        assert_eq!(passed(&[opened(PortId(2)), established(2)]), 2);
    }
}
