//! The judge: engine, store and sink in one order. Observe, commit, and only then show.

use engine::{AlertId, AlertUpdate, Engine, Expectations, Following, Indicators, Limits};
use observation::{Observation, Time};

use super::host_gate::HostGate;
use super::outlet::{COMMIT_UPDATE_COUNT, Outlet, Showing};
use super::replay::REPLAY_SEED;
use super::totals::LevelCounts;
use crate::rules::Rules;
use crate::sinks::Sink;
use crate::store::Store;
use crate::suppressions::Suppressions;
use crate::timestamp;

/// Engine, store and sink.
pub(crate) struct Judge {
    gate: HostGate,
    engine: Engine,
    outlet: Outlet,
    rules: Rules,
    /// Baselines that had to go from the store for newer ones.
    baseline_forgotten_count: u64,
    /// Updates of the current call.
    fresh: Vec<AlertUpdate>,
}

impl Judge {
    /// A judge that knows what this engine knows.
    pub(crate) fn resuming(engine: Engine, store: Store, sink: Sink, showing: Showing) -> Self {
        Self {
            gate: HostGate::default(),
            engine,
            outlet: Outlet::new(store, sink, showing),
            rules: Rules::default(),
            baseline_forgotten_count: 0,
            fresh: Vec::new(),
        }
    }

    /// The same judge, which does not show what these suppressions hide.
    pub(crate) fn honouring(mut self, mut suppressions: Suppressions) -> Self {
        suppressions.speak(timestamp::now());
        self.outlet.suppressions = suppressions;
        self
    }

    /// The same judge, with rules of the user's own beside the strategies.
    pub(crate) fn ruled_by(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// The same judge, which expects what the store's baselines and a person's word on them say.
    pub(crate) fn expecting(mut self, expectations: Expectations) -> anyhow::Result<Self> {
        self.engine.expect(expectations);
        let _ = self.outlet.store.has_changed_elsewhere()?;
        // What the store holds was learned after it was told to forget.
        self.decide()?;
        let learned = self.outlet.store.baselines()?;
        learned.into_iter().for_each(|baseline| self.engine.recall(baseline));
        Ok(self)
    }

    /// Somebody may have approved a baseline meanwhile, or forgotten one.
    pub(crate) fn refresh_decisions(&mut self) -> anyhow::Result<&[AlertUpdate]> {
        self.fresh.clear();
        if self.outlet.store.has_changed_elsewhere()? {
            self.decide()?;
        }
        Ok(&self.fresh)
    }

    fn decide(&mut self) -> anyhow::Result<()> {
        let fresh = &mut self.fresh;
        fresh.clear();
        self.engine.decide(self.outlet.store.decisions()?, &mut |update| fresh.push(update));
        self.outlet.settle(fresh)
    }

    /// Keeps what was learned since this was done last.
    pub(crate) fn keep_baselines(&mut self) -> anyhow::Result<()> {
        let learned = self.engine.take_learned();
        self.baseline_forgotten_count += self.outlet.store.save_baselines(&learned)?;
        Ok(())
    }

    /// Baselines that had to go from the store for newer ones.
    pub(crate) const fn baseline_forgotten_count(&self) -> u64 {
        self.baseline_forgotten_count
    }

    /// Matches of rules that found no room among the alerts.
    pub(crate) const fn rule_dropped_count(&self) -> u64 {
        self.rules.dropped_count()
    }

    /// Replaces what the feed in this place said before.
    pub(crate) fn learn(&mut self, place: usize, indicators: Indicators) {
        self.engine.learn(place, indicators);
    }

    /// Somebody may have changed the suppressions, and some may have expired.
    pub(crate) fn refresh_suppressions(&mut self, now: Time) {
        self.outlet.suppressions.refresh();
        self.outlet.suppressions.speak(now);
    }

    /// A judge of recorded input: the same every time, each alert shown once and in the end.
    pub(crate) fn replaying(store: Store, sink: Sink) -> Self {
        let engine = Engine::new(Limits::default(), REPLAY_SEED).followed(Following::InTheEnd);
        Self::resuming(engine, store, sink, Showing::AtTheEnd)
    }

    /// Judges one Observation. The updates that it caused are returned; with
    /// [`Showing::AsTheyCome`] they are on the disk by then.
    pub(crate) fn observe(
        &mut self,
        observation: &Observation<'_>,
    ) -> anyhow::Result<&[AlertUpdate]> {
        let (fresh, engine, rules) = (&mut self.fresh, &mut self.engine, &mut self.rules);
        fresh.clear();
        self.gate.pass(observation, &mut |passed| {
            engine.observe(passed, &mut |update| fresh.push(update));
            rules.look(passed, engine, &mut |update| fresh.push(update));
        });
        self.outlet.settle(fresh)?;
        Ok(&self.fresh)
    }

    /// Time passes without an Observation.
    pub(crate) fn advance(&mut self, to: Time) -> anyhow::Result<&[AlertUpdate]> {
        let fresh = &mut self.fresh;
        fresh.clear();
        self.engine.advance(to, &mut |update| fresh.push(update));
        self.outlet.settle(&mut self.fresh)?;
        Ok(&self.fresh)
    }

    /// The input has ended: what waits is judged, committed and shown.
    pub(crate) fn finish(&mut self) -> anyhow::Result<LevelCounts> {
        let (fresh, outlet) = (&mut self.fresh, &mut self.outlet);
        fresh.clear();
        let mut settled = Ok(());
        let mut take = |update| {
            fresh.push(update);
            if fresh.len() >= COMMIT_UPDATE_COUNT && settled.is_ok() {
                settled = outlet.settle(fresh);
                fresh.clear();
            }
        };
        self.engine.finish(&mut take);
        self.rules.finish(&mut take);
        settled?;
        self.outlet.settle(&mut self.fresh)?;
        self.keep_baselines()?;
        self.outlet.finish()?;
        Ok(self.counts())
    }

    /// Alerts of this run by level.
    pub(crate) fn counts(&self) -> LevelCounts {
        self.outlet.counts()
    }

    /// The alerts of this run, by the time at which they opened.
    pub(crate) fn alert_ids(&self) -> Vec<AlertId> {
        self.outlet.alert_ids()
    }

    /// What the next judge needs to go on from here.
    pub(crate) fn save(&self) -> Vec<u8> {
        self.engine.save()
    }

    /// What the engine counted.
    pub(crate) fn tally(&self) -> engine::Tally {
        self.engine.tally()
    }

    /// The store, for what belongs to an alert beside the alert itself.
    pub(crate) fn store(&mut self) -> &mut Store {
        &mut self.outlet.store
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::net::IpAddr;

    use engine::{Approval, Baseline, Decision, Level};
    use observation::{
        ConnState, ContainerFact, ContainerId, ContainerState, Counts, Endpoint, Fact, Flaws,
        FlowClosed, FlowId, FlowKey, FlowOpened, LocalSide, Network, NetworkAttached, PortId,
        Privilege, Runtime, SourceId, Span, Transport,
    };

    use super::*;
    use crate::sinks::{Commands, Format};

    const ID: ContainerId = ContainerId([7; 32]);
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(172, 17, 0, 2));
    const START: Time = Time(1_795_550_400_000_000_000);

    fn observed(at: Time, fact: Fact<'static>) -> Observation<'static> {
        Observation { at, witness: SourceId(1), order: 0, fact }
    }

    fn container() -> [Observation<'static>; 2] {
        let privilege = Privilege { kept_running: true, ..Privilege::default() };
        let described = ContainerFact {
            id: ID,
            runtime: Runtime::Docker,
            state: ContainerState::Running,
            name: Cow::Borrowed("shop"),
            image: Cow::Borrowed("shop:1"),
            image_id: None,
            registry_digests: Vec::new(),
            command: vec![Cow::Borrowed("/srv/shop")],
            environment: Vec::new(),
            labels: Vec::new(),
            extra_hosts: Vec::new(),
            privilege: Some(privilege),
            pid: 0,
            cgroup: 0,
            network: Network::Own,
            created: Some(START),
        };
        let attached = NetworkAttached {
            id: ID,
            network: Cow::Borrowed("bridge"),
            addresses: vec![HOME],
            aliases: Vec::new(),
            gateways: Vec::new(),
            port: None,
            netns: 0,
            detached: None,
        };
        [Fact::Container(described), Fact::NetworkAttached(attached)]
            .map(|fact| observed(START, fact))
    }

    /// One of many calls by a timer.
    fn call(number: u64) -> [Observation<'static>; 2] {
        let start = START + Span::from_secs(3600 + number * 1440 + number * 37 % 60);
        let end = start + Span::from_millis(200);
        let address = IpAddr::from([198, 51, 100, 10]);
        let key = FlowKey {
            port: PortId::UNKNOWN,
            transport: Transport::Tcp,
            originator: Endpoint { address: HOME, port: 20_000 + (number % 9000) as u16 },
            responder: Endpoint { address, port: 443 },
        };
        let (flow, local) = (FlowId(number + 1), LocalSide::Originator);
        let counts = |payload_bytes| Counts { packets: 4, payload_bytes, ip_bytes: 300 };
        let closed = FlowClosed {
            flow,
            key,
            local,
            start,
            end,
            state: ConnState::SF,
            originator: counts(500),
            responder: counts(900),
            responder_bytes_after_close: 0,
            burst_count: 2,
            protocols: vec![Cow::Borrowed("tls")],
            likeness: [None; 2],
            ja4: None,
            community_id: Cow::Borrowed("1:AAAA"),
            flaws: Flaws::NONE,
        };
        let opened = Fact::FlowOpened(FlowOpened { flow, key, local });
        [observed(start, opened), observed(end, Fact::FlowClosed(closed))]
    }

    fn approval(baseline: &Baseline) -> Decision {
        Decision::Approved(Approval {
            workload: baseline.workload.clone(),
            lineage: baseline.lineage.clone(),
            at: baseline.all.last,
            by: "ops".to_owned(),
            reason: "its vendor".to_owned(),
            destinations: baseline.destinations_to_approve(),
        })
    }

    #[test]
    fn an_approval_is_taken_up_while_it_runs_and_no_later_than_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let sink = Sink::stdout(Format::Json, Level::Critical, Commands::Nowhere);
        let engine = Engine::new(Limits::default(), 1);
        let judge = Judge::resuming(engine, store, sink, Showing::AsTheyCome);
        let mut judge = judge.expecting(Expectations::default()).unwrap();
        for seen in container().into_iter().chain((0..480).flat_map(call)) {
            judge.observe(&seen).unwrap();
        }
        judge.advance(START + Span::from_secs(9 * 86_400)).unwrap();
        judge.keep_baselines().unwrap();
        assert_eq!(judge.counts().at_or_above(Level::Medium), 1);
        assert!(judge.refresh_decisions().unwrap().is_empty());

        let mut person = Store::open(folder.path()).unwrap();
        let [baseline] = person.baselines().unwrap().try_into().unwrap();
        person.decide(&approval(&baseline)).unwrap();
        let updates = judge.refresh_decisions().unwrap();
        assert!(matches!(updates, [AlertUpdate::Revised(alert)] if alert.level == Level::Low));
        assert_eq!(judge.counts().at_or_above(Level::Medium), 0);
        assert!(judge.refresh_decisions().unwrap().is_empty());
        let workload = baseline.workload;
        let at = START + Span::from_secs(10 * 86_400);
        person.decide(&Decision::Forgotten { workload, at }).unwrap();
        judge.refresh_decisions().unwrap();
        assert_eq!(judge.counts().at_or_above(Level::Medium), 1);
    }
}
