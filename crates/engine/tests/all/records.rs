//! Flow logs tell of a conversation once, when it is over.

use std::borrow::Cow;

use engine::{Engine, Limits, Tally};
use observation::{
    ConnState, Counts, Endpoint, Fact, Flaws, FlowClosed, FlowKey, FlowOpened, LocalSide,
    Observation, PortId, SourceId, SourceKind, Transport,
};

use crate::world::{START_MS, Told, World, at_ms, flow_id};

const WITNESS: SourceId = SourceId(9);

fn record(state: ConnState) -> FlowClosed<'static> {
    let end = |last: u8, port| Endpoint { address: [10, 0, 0, last].into(), port };
    let (originator, responder) = (end(1, 40_000), end(2, 443));
    let key = FlowKey { port: PortId::UNKNOWN, transport: Transport::Tcp, originator, responder };
    FlowClosed {
        flow: flow_id(&key),
        key,
        local: LocalSide::Unknown,
        start: at_ms(START_MS),
        end: at_ms(START_MS + 3_600_000),
        state,
        originator: Counts { packets: 9, payload_bytes: 500, ip_bytes: 900 },
        responder: Counts { packets: 9, payload_bytes: 500, ip_bytes: 900 },
        responder_bytes_after_close: 0,
        burst_count: 0,
        protocols: Vec::new(),
        likeness: [None; 2],
        ja4: None,
        community_id: Cow::Borrowed(""),
        flaws: Flaws::NONE,
    }
}

fn told_by(kind: SourceKind, facts: &[Fact<'static>]) -> Tally {
    let mut world = World::default();
    world.sources(&[(WITNESS, kind)]);
    let mut told: Vec<Told> = world.facts;
    for (order, fact) in (0..).zip(facts) {
        let at = match fact {
            Fact::FlowClosed(closed) => closed.end,
            _ => at_ms(START_MS),
        };
        told.push(Observation { at, witness: WITNESS, order, fact: fact.clone() });
    }
    let mut engine = Engine::new(Limits::default(), 1);
    told.iter().for_each(|told| engine.observe(told, &mut |_| {}));
    engine.finish(&mut |_| {});
    engine.tally()
}

#[test]
fn the_record_of_a_flow_log_is_the_whole_flow() {
    let record = Fact::FlowClosed(record(ConnState::SF));
    let tally = told_by(SourceKind::FlowLog, std::slice::from_ref(&record));
    assert_eq!((tally.unknown_flow_count, tally.alert_count), (0, 0));
    let tally = told_by(SourceKind::Packets, &[record]);
    assert_eq!(tally.unknown_flow_count, 1, "packets tell of the beginning too");
}

#[test]
fn a_record_comes_hours_after_another_log_named_the_flow() {
    let record = record(ConnState::SF);
    let FlowClosed { flow, key, local, .. } = record;
    let opened = Fact::FlowOpened(FlowOpened { flow, key, local });
    let tally = told_by(SourceKind::FlowLog, &[opened, Fact::FlowClosed(record)]);
    assert_eq!((tally.unknown_flow_count, tally.evicted_count), (0, 0));
}
