//! Variants of the attack and of innocence: what is told apart, and, named as wrong, what is not.

use engine::Level;

use crate::table::{FAR, Mask, Stdin, client};
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World};

/// The level of a conversation of a masked throw-away container.
fn by_hand(speak: impl Fn(&mut Talk)) -> Level {
    let mut world = World::new();
    let (_, mut talk) = client(&mut world, Mask::Masked, Stdin::Open);
    speak(&mut talk);
    world.talk(talk.end());
    worst(&world)
}

/// The level of the same conversation of a container that has run for long.
fn by_a_workload(speak: impl Fn(&mut Talk)) -> Level {
    let mut world = World::new();
    let it = Box_::long_running(2, "/srv/shop --port 80");
    world.start(&it);
    let mut talk = Talk::open(&it, 52_000, (FAR, 7100), START_MS + 250);
    speak(&mut talk);
    world.talk(talk.end());
    worst(&world)
}

fn worst(world: &World) -> Level {
    world.alerts().iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

fn bot_that_speaks_first(talk: &mut Talk) {
    talk.near(1, "aGVsbG8=\n").far(2, "aWQ=\n").near(5, "dWlkPTAocm9vdCk=\n");
    talk.far(1, "bHM=\n").near(6, "YmluIGRldg==\n").wait(300);
}

#[test]
fn a_bot_that_speaks_first_and_obeys_at_once_is_high() {
    assert!(by_hand(bot_that_speaks_first) >= Level::High);
}

#[test]
fn text_behind_a_binary_length_is_high() {
    let framed = |talk: &mut Talk| {
        talk.far(400, "\0\0\0\u{3}id\n").near(5, "\0\0\0\u{b}dWlkPTA=abc");
        talk.far(1400, "\0\0\0\u{3}ls\n").near(5, "\0\0\0\u{9}YmluIGR=\n");
    };
    assert!(by_hand(framed) >= Level::High);
}

#[test]
fn slow_answers_and_slower_commands_are_high() {
    let slow = |talk: &mut Talk| {
        talk.near(1, "hello\n").far(9_000, "c2xlZXA=\n").near(1_200, "b2s=\n");
        talk.far(14_000, "bHM=\n").near(900, "YmluIGRldg==\n").wait(300);
    };
    assert!(by_hand(slow) >= Level::High);
}

fn automated_client_of_a_greeting_server(talk: &mut Talk) {
    talk.far(3, "OK MPD 0.23.5\n").near(1, "status\n").far(2, "volume: 80\nOK\n");
    talk.near(1, "currentsong\n").far(2, "file: a.ogg\nOK\n").near(1, "close\n");
}

#[test]
fn a_workload_that_uses_a_server_that_greets_is_silent() {
    assert_eq!(by_a_workload(automated_client_of_a_greeting_server), Level::Info);
    assert_eq!(by_hand(automated_client_of_a_greeting_server), Level::Info);
}

#[test]
fn a_heartbeat_is_silent_in_the_end() {
    let beats = |talk: &mut Talk| {
        talk.near(1, "login shop\n").far(2, "welcome\n");
        for _ in 0..4 {
            talk.far(30_000, "PING\n").near(1, "PONG\n");
        }
        talk.wait(300);
    };
    assert_eq!(by_a_workload(beats), Level::Info);
}

/// The brief's own conversation of a container that names its far end itself.
fn literal_that_names_its_far_end(change: impl Fn(&mut Box_)) -> Level {
    let mut world = World::new();
    let mut it = Box_::throw_away(2, "telnet 198.51.100.10 4444");
    it.environment = vec![String::from("UPSTREAM=198.51.100.10")];
    change(&mut it);
    world.start(&it);
    let mut talk = Talk::open(&it, 52_000, (FAR, 4444), START_MS + 250);
    world.socket(&talk, it.cgroup, it.pid);
    talk.far(2, "id; uname -a\n");
    world.talk(talk.end());
    worst(&world)
}

#[test]
fn a_throw_away_run_declares_nothing() {
    assert_eq!(literal_that_names_its_far_end(|_| {}), Level::High);
}

#[test]
fn what_is_kept_running_declares_its_destinations() {
    let level = literal_that_names_its_far_end(|it| it.privilege.kept_running = true);
    assert!(level <= Level::Low, "{level:?}");
}

// What follows is known to be wrong, and stands in ads.md as a blind spot or a false positive.

#[test]
fn gap_a_bot_that_polls_looks_like_a_client() {
    let polls = |talk: &mut Talk| {
        talk.near(1, "cG9sbA==\n").far(2, "aWQ=\n");
        talk.near(5_000, "dWlkPTAocm9vdCk=\n").far(2, "b2s=\n").wait(300);
    };
    assert_eq!(by_hand(polls), Level::Info, "should be High");
}

#[test]
fn gap_a_bot_without_pauses_that_takes_leave_looks_like_a_client() {
    let leaves = |talk: &mut Talk| {
        talk.far(3, "aWQ=\n").near(1, "dWlkPTAocm9vdCk=\n").far(2, "bHM=\n").near(1, "quit\n");
    };
    assert_eq!(by_hand(leaves), Level::Info, "should be High");
}

#[test]
fn gap_a_server_that_asks_and_is_answered_is_accused_in_a_workload() {
    let asks = |talk: &mut Talk| {
        talk.near(1, "agent shop-1\n").far(2, "ok\n");
        talk.far(9_000, "load?\n").near(1, "0.42\n").far(9_000, "disk?\n").near(1, "71\n");
        talk.wait(300);
    };
    assert_eq!(by_a_workload(asks), Level::Medium, "should be Low");
}
