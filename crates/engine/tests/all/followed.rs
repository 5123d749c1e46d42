//! More accusations than are followed: nothing that was told is lost, what goes on is followed on,
//! and state does not grow with what comes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::{Alert, AlertId, Engine, Level, Limits};
use observation::{LocalSide, PortId, Transport};

use crate::talk::Talk;
use crate::world::{START_MS, Told, World, at_ms, keep};

/// Limits are this part of what they are by default: 64 channels.
const SMALLER: usize = 128;
const APART_MS: u64 = 60_000;

/// A shell of a subject of its own; of which container nobody knows.
fn shell(number: u32, ms: u64) -> Talk {
    let [_, _, third, fourth] = number.to_be_bytes();
    let near = (IpAddr::from([10, 7, third, fourth]), 40_000);
    let far = (IpAddr::from([198, 51, 100, 9]), 4444);
    let mut talk = Talk::open_at(PortId::UNKNOWN, Transport::Tcp, near, far, ms);
    talk.local = LocalSide::Originator;
    let mut talk = talk.accepted();
    talk.far(700, "id\n").near(4, "uid=0(root) gid=0(root)\n");
    talk.far(900, "uname -a\n").near(5, "Linux 6.18 x86_64\n");
    talk
}

/// The shell of number 0 stays open from before all others until after them.
fn shells(count: u32) -> Vec<Told> {
    let mut world = World::default();
    for number in 1..=count {
        world.talk(shell(number, START_MS + u64::from(number) * APART_MS).end());
    }
    let mut open = shell(0, START_MS);
    open.wait(u64::from(count + 20) * APART_MS);
    open.far(900, "cat /etc/shadow\n").near(5, "root:*:19000:0:99999:7:::\n");
    world.talk(open.end());
    world.merged().into_iter().collect()
}

struct Seen {
    alerts: BTreeMap<AlertId, Alert>,
    state_bytes: usize,
    evicted_count: u64,
}

fn seen(facts: &[Told], limits: Limits) -> Seen {
    let (mut engine, mut alerts) = (Engine::new(limits, 7), BTreeMap::new());
    for fact in facts {
        engine.observe(fact, &mut |update| keep(&mut alerts, update));
    }
    let state_bytes = engine.save().len();
    engine.finish(&mut |update| keep(&mut alerts, update));
    Seen { alerts, state_bytes, evicted_count: engine.tally().evicted_count }
}

#[test]
fn what_was_told_stays_told_and_state_does_not_grow() {
    let sizes = [400, 1600].map(|count| {
        let seen = seen(&shells(count), Limits::default().divided_by(SMALLER));
        let high = seen.alerts.values().filter(|alert| alert.level >= Level::High).count();
        assert_eq!(high, count as usize + 1, "of {count} shells and the open one");
        assert!(seen.evicted_count > u64::from(count) / 2, "{}", seen.evicted_count);
        seen.state_bytes
    });
    assert!(sizes[1] <= sizes[0] + sizes[0] / 10, "state grows with what comes: {sizes:?}");
}

#[test]
fn a_shell_that_stays_open_is_followed_past_all_the_others() {
    let facts = shells(400);
    let seen = seen(&facts, Limits::default().divided_by(SMALLER));
    let opened = |alert: &&Alert| alert.opened_at < at_ms(START_MS + APART_MS);
    let its: Vec<_> = seen.alerts.values().filter(opened).collect();
    let [alert] = its.as_slice() else { panic!("{} alerts for one shell", its.len()) };
    assert!(alert.revision > 1, "its last command was not told");
    assert!(alert.last_seen >= at_ms(START_MS + 420 * APART_MS), "{:?}", alert.last_seen);
}
