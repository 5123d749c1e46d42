//! Observations that somebody made up: nothing panics, grows without bound, or takes for ever.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use engine::{Engine, Limits};
use observation::{
    Certainty, ConnState, ContainerState, Fact, FlowId, Gap, GapCause, Observation, PortId,
    ProcessEnded, ProtocolIdentified, ReceiptFact, Side, SocketOpened, SocketTuple, SourceId, Span,
    Time, Transport,
};

use crate::busy;
use crate::properties::Dice;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, Told, World, judge, words};

/// Bends times, counts and texts of what was told.
fn bend(told: &mut Told, dice: &mut Dice) {
    let times = [0, 1, u64::MAX - 1, u64::MAX, told.at.0.wrapping_add(dice.below(1 << 40))];
    if dice.below(6) == 0 {
        told.at = Time(times[dice.below(5) as usize]);
    }
    let time = Time(times[dice.below(5) as usize]);
    match &mut told.fact {
        Fact::Burst(burst) => match dice.below(8) {
            0 => burst.bytes = u64::MAX,
            1 => (burst.start, burst.end) = (time, Time(0)),
            2 => burst.index = u32::MAX,
            3 => burst.excerpt = Cow::Borrowed(&[]),
            4 => burst.pause_before = Span(u64::MAX),
            5 => burst.shape.printable_percent = 255,
            6 => burst.side = burst.side.other(),
            _ => burst.excerpt = Cow::Owned(vec![0xff; 5000]),
        },
        Fact::FlowClosed(closed) => {
            closed.originator.payload_bytes = u64::MAX;
            (closed.start, closed.end) = (Time(u64::MAX), time);
            closed.state = [ConnState::Oth, ConnState::S1][dice.below(2) as usize];
            closed.protocols = vec![Cow::Owned("p".repeat(dice.below(50) as usize)); 9];
            closed.community_id = Cow::Owned("x".repeat(dice.below(200) as usize));
        }
        Fact::Dns(dns) => {
            dns.name = Cow::Borrowed("");
            dns.asked_at = time;
            dns.answers = dns.answers.iter().cycle().take(500).cloned().collect();
        }
        Fact::Container(container) => {
            container.created = Some(time);
            container.command = vec![Cow::Owned("é".repeat(5000)); 3];
            container.cgroup = dice.below(10);
        }
        Fact::NetworkAttached(attached) => {
            attached.addresses = attached.addresses.repeat(1000);
            attached.detached = [None, Some(time)][dice.below(2) as usize];
        }
        Fact::ProcessStarted(process) => {
            process.parent_pid = process.process.pid;
            process.arguments = vec![Cow::Borrowed(""); 300];
        }
        Fact::SocketOpened(socket) => socket.cgroup = dice.below(3),
        _ => {}
    }
}

#[test]
fn bent_facts_in_any_order_are_survived() {
    let facts = busy::world().merged();
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let limits = Limits::default().divided_by([1, 64, 100_000][seed as usize % 3]);
        let mut engine = Engine::new(limits, 0);
        for _ in 0..facts.len() {
            let mut told = facts[dice.below(facts.len() as u64) as usize].clone();
            if dice.below(3) == 0 {
                bend(&mut told, &mut dice);
            }
            engine.observe(&told, &mut |_| {});
            if dice.below(50) == 0 {
                engine.advance(Time(dice.below(u64::MAX)), &mut |_| {});
                engine = Engine::load(&engine.save()).unwrap();
            }
        }
        engine.finish(&mut |_| {});
    }
}

#[test]
fn facts_about_nothing_are_counted() {
    let mut engine = Engine::new(Limits::default(), 0);
    let mut tell = |fact| {
        let told = Observation { at: Time(5), witness: SourceId(9), order: 0, fact };
        engine.observe(&told, &mut |_| panic!("nothing to tell"));
    };
    let protocol = Cow::Borrowed("");
    let (flow, certainty) = (FlowId(0), Certainty::Proposed(Side::Responder));
    tell(Fact::ProtocolIdentified(ProtocolIdentified { flow, protocol, certainty }));
    tell(Fact::ProcessEnded(ProcessEnded { pid: 0, exit_code: None }));
    let (from, to) = (Time(u64::MAX), Time(0));
    let (source, lost_count, cause) = (SourceId(9), u64::MAX, GapCause::Damaged);
    tell(Fact::Gap(Gap { source, from, to, lost_count, cause }));
    tell(Fact::Receipt(ReceiptFact { alert: Cow::Borrowed(""), action: Cow::Borrowed("") }));
    assert_eq!((engine.tally().observation_count, engine.tally().unknown_flow_count), (4, 1));
}

#[test]
fn a_capture_that_is_read_twice_is_understood_once() {
    let facts = busy::world().merged();
    let twice: Vec<Told> = facts.iter().flat_map(|told| [told.clone(), told.clone()]).collect();
    let levels = |facts: &[Told]| -> Vec<_> {
        let alerts = judge(facts).into_values();
        alerts.map(|alert| (alert.id, alert.sum_db, alert.subject_count)).collect()
    };
    assert_eq!(levels(&facts), levels(&twice));
}

/// Runs it, and gives how long it kept the processor and how much had to be saved in the end.
fn cost(facts: &[Told]) -> (Duration, usize) {
    let mut engine = Engine::new(Limits::default(), 0);
    let started = processor_time();
    for told in facts {
        engine.observe(told, &mut |_| {});
    }
    (processor_time() - started, engine.save().len())
}

/// What this thread alone has used: other work on the machine does not show, and only what was used
/// beside it is ever compared with it.
fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
}

/// `count` flows from one place at one instant, told by packets and by sockets.
fn burst_of_flows(count: u32) -> Vec<Told> {
    let mut world = World::new();
    let it = Box_::throw_away(2, "/opt/flood");
    world.start(&it);
    for number in 0..count {
        let [_, second, third, fourth] = number.to_be_bytes();
        let far = (IpAddr::from([203, second, third, fourth]), 9000);
        let near = (it.address, 52_000);
        let mut talk = Talk::open_at(it.port, Transport::Tcp, near, far, START_MS + 300);
        world.socket(&talk, it.cgroup, it.pid);
        world.talk(talk.end());
    }
    world.merged()
}

#[test]
fn a_flood_takes_its_share_and_no_more() {
    let (short, small) = cost(&burst_of_flows(10_000));
    let (long, large) = cost(&burst_of_flows(80_000));
    // Eight times as much takes eight times as long, not sixty-four.
    let quadratic = short.saturating_mul(30) + Duration::from_millis(500);
    assert!(long < quadratic, "{short:?} and {long:?}");
    assert!(large < small * 5, "{small} and {large} bytes");
}

#[test]
fn an_event_costs_at_most_a_look_at_each_flow_of_its_container() {
    let (calm, _) = cost(&with_events(burst_of_flows(500)));
    let (flows, _) = cost(&burst_of_flows(10_000));
    let (busy, _) = cost(&with_events(burst_of_flows(10_000)));
    // Twenty times the flows make an event twenty times as dear, and not four hundred times.
    let linear = flows + calm.saturating_mul(60) + Duration::from_millis(500);
    assert!(busy < linear, "{calm:?}, {flows:?} and {busy:?}");
}

#[test]
fn a_program_costs_nothing_for_what_was_there_before() {
    let started = |seconds: u64| {
        let mut facts = held_flows();
        let mut world = World::default();
        let it = Box_::throw_away(2, "/opt/flood");
        for number in 0..20_000 {
            let at = START_MS + seconds * 1_000 + u64::from(number);
            world.process(&it, 50_000 + number, it.pid, at, &words("/opt/flood -v"));
        }
        facts.extend(world.facts);
        cost(&facts).0
    };
    let flows = cost(&held_flows()).0;
    let after = started(600);
    // A look at each flow that is held would take some thirty times as long as the flows did.
    assert!(
        after < flows.saturating_mul(4) + Duration::from_millis(500),
        "{flows:?} and {after:?}"
    );
}

/// 9,000 silent flows of one place to as many far ends as one is accused of.
fn held_flows() -> Vec<Told> {
    let mut world = World::new();
    let it = Box_::throw_away(2, "/opt/flood");
    world.start(&it);
    for number in 0..9_000_u32 {
        let far = (IpAddr::from([203, 0, 113, (number % 250) as u8]), 9000);
        let near = (it.address, 20_000 + (number % 40_000) as u16);
        let at = START_MS + 300 + u64::from(number);
        let mut talk = Talk::open_at(it.port, Transport::Tcp, near, far, at).accepted();
        talk.far(10, "who are you?\n").near(5, "nobody\n").wait(500);
        world.talk(talk);
    }
    world.merged()
}

/// The same, and 20,000 programs, calls and tuples of its container.
fn with_events(mut facts: Vec<Told>) -> Vec<Told> {
    let mut world = World::default();
    let it = Box_::throw_away(2, "/opt/flood");
    for number in 0..20_000 {
        let pid = 50_000 + number;
        world.process(&it, pid, it.pid, START_MS + 301, &words("/opt/flood -v"));
        let remote = Talk::open(&it, 1, (it.address, 7), START_MS).key.responder;
        let (cookie, transport, cgroup) = (u64::from(pid), Transport::Tcp, it.cgroup);
        let opened = SocketOpened { cookie, cgroup, pid, transport, remote };
        world.tell(START_MS + 301, SourceId(4), Fact::SocketOpened(opened));
        let tuple = SocketTuple { cookie, cgroup, transport, local: remote, remote };
        world.tell(START_MS + 301, SourceId(4), Fact::SocketTuple(tuple));
    }
    for number in 0..200 {
        world.state(&it, START_MS + 302 + number, ContainerState::Running);
    }
    facts.extend(world.facts);
    facts
}

#[test]
fn one_id_with_ever_new_cgroups_and_veths_does_not_grow() {
    let grow = |count: u64| {
        let mut world = World::new();
        for number in 0..count {
            let mut it = Box_::throw_away(2, "/opt/job");
            it.cgroup = 9000 + number;
            it.port = PortId(u32::try_from(number).unwrap() + 1);
            it.address = IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
            world.describe(&it, START_MS + number);
            world.attach(&it, START_MS + number);
        }
        cost(&world.merged()).1
    };
    assert!(grow(20_000) < grow(200) + 20_000);
}
