//! Containers that are contacted: shells that whoever calls commands, and services that he asks.

use std::borrow::Cow;
use std::net::IpAddr;

use engine::{Alert, Level, PeerRole};
use observation::{Fact, Grammar, InImage, LocalSide, Side, SocketTuple, SourceKind, Transport};

use crate::table::FAR;
use crate::talk::{Speak, Talk};
use crate::world::{Box_, GATEWAY, SOCKETS, START_MS, World, words};

const CALLER: Side = Side::Originator;
const CALLED: Side = Side::Responder;
const NEIGHBOUR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(172, 17, 0, 3));

/// The kernel's word about a socket that a container accepted: whose it is, and no more.
pub(crate) fn accepted(world: &mut World, talk: &Talk, cgroup: u64) {
    let (transport, local, remote) = (talk.key.transport, talk.key.responder, talk.key.originator);
    let tuple = SocketTuple { cookie: u64::from(remote.port), cgroup, transport, local, remote };
    world.tell(talk.opened_ms, SOCKETS, Fact::SocketTuple(tuple));
}

/// Somebody calls a port of this container.
pub(crate) fn called(it: &Box_, port: u16, caller: (IpAddr, u16), ms: u64) -> Talk {
    let near = (it.address, port);
    let mut talk = Talk::open_at(it.port, Transport::Tcp, caller, near, ms);
    talk.local = LocalSide::Responder;
    talk.accepted()
}

fn alerts_of(it: &Box_, port: u16, caller: IpAddr, speak: Speak) -> Vec<Alert> {
    let mut world = World::new();
    world.start(it);
    call(&mut world, it, port, (caller, 40_000), speak);
    world.alerts()
}

fn call(world: &mut World, it: &Box_, port: u16, caller: (IpAddr, u16), speak: Speak) {
    let mut talk = called(it, port, caller, START_MS + 2_000);
    accepted(world, &talk, it.cgroup);
    speak(&mut talk);
    world.talk(talk.end());
}

fn level_of(it: &Box_, port: u16, caller: IpAddr, speak: Speak) -> Level {
    let alerts = alerts_of(it, port, caller, speak);
    alerts.iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

fn ask(talk: &mut Talk, pause: u64, text: &str) {
    talk.say(CALLER, pause, text, Grammar::None);
}

fn answer(talk: &mut Talk, text: &str) {
    talk.say(CALLED, 4, text, Grammar::None);
}

fn exchange(talk: &mut Talk, rounds: &[(&str, &str)]) {
    for (asked, answered) in rounds {
        ask(talk, 900, asked);
        answer(talk, answered);
    }
}

const ID: (&str, &str) = ("id\n", "uid=0(root) gid=0(root)\n");
const LS: (&str, &str) = ("ls /\n", "bin\ndev\netc\nproc\n");

fn shell(talk: &mut Talk) {
    exchange(talk, &[ID, LS]);
}

fn one_command(talk: &mut Talk) {
    exchange(talk, &[ID]);
}

fn base64(talk: &mut Talk) {
    let id = ("aWQ7IHVuYW1lIC1hCg==\n", "dWlkPTAocm9vdCkgZ2lkPTAocm9vdCkK\n");
    exchange(talk, &[id, ("bHMgLwo=\n", "YmluCmRldgpldGMKcHJvYwo=\n")]);
}

fn terminal(talk: &mut Talk) {
    answer(talk, "/ # ");
    for line in ["id", "ls"] {
        for key in line.split("").filter(|key| !key.is_empty()) {
            ask(talk, 140, key);
            answer(talk, key);
        }
        ask(talk, 140, "\r");
        answer(talk, "\r\nuid=0(root) gid=0(root)\r\n/ # ");
    }
}

fn behind_http(talk: &mut Talk) {
    talk.speaks("http");
    talk.say(CALLER, 2, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Grammar::Obeyed);
    talk.say(CALLED, 2, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Grammar::Obeyed);
    talk.wait(800);
    talk.leaves(CALLER, "http");
    for (asked, answered) in [ID, LS] {
        talk.say(CALLER, 900, asked, Grammar::Left);
        talk.say(CALLED, 4, answered, Grammar::Left);
    }
}

/// A shell whose words nobody knows.
fn strange(talk: &mut Talk) {
    exchange(talk, &[("6c7320\n", "62696e0a646576\n"), ("6964\n", "7569643d30\n")]);
}

const SHELLS: [(&str, Speak); 5] = [
    ("in plain text", shell),
    ("one command", one_command),
    ("base64", base64),
    ("a terminal", terminal),
    ("behind HTTP", behind_http),
];

fn victims() -> [(&'static str, Box_); 3] {
    [
        ("open", Box_::throw_away(2, "nc -l -p 4444 -e sh")),
        ("masked", Box_::throw_away(2, "/opt/healthd - 4444")),
        ("undeclared", Box_::throw_away(2, "/opt/healthd")),
    ]
}

#[test]
fn a_shell_for_whoever_calls_is_high_whoever_calls_and_however_it_is_named() {
    for (name, it) in victims() {
        for caller in [FAR, NEIGHBOUR, GATEWAY] {
            for (shell, speak) in SHELLS {
                let alerts = alerts_of(&it, 4444, caller, speak);
                let [alert] = alerts.as_slice() else { panic!("{name} {shell}: {alerts:#?}") };
                assert_eq!(alert.strategy, "c2_server", "{name} {shell}");
                assert!(alert.level >= Level::High, "{name} {shell}: {alert:#?}");
                let main = alert.evidence.iter().max_by_key(|term| term.points_db).unwrap();
                assert_eq!(main.family, engine::Family::Session);
                assert_eq!(alert.peer.role, PeerRole::Caller);
                assert_eq!(alert.peer.endpoint.map(|peer| peer.address), Some(caller));
            }
        }
    }
}

#[test]
fn in_a_workload_a_shell_at_an_undeclared_port_is_high() {
    let it = Box_::long_running(2, "/srv/shop --port 80");
    assert!(level_of(&it, 4444, FAR, shell) >= Level::High);
    assert_eq!(level_of(&it, 4444, FAR, one_command), Level::Medium);
    // Declaring the port subtracts so much and no more.
    assert_eq!(level_of(&it, 80, FAR, shell), Level::Medium);
}

#[test]
fn a_listener_by_docker_exec_is_named_with_its_process() {
    let it = Box_::long_running(2, "/srv/shop --port 80");
    let mut world = World::new();
    world.start(&it);
    let command = "nc -l -p 4444 -e sh";
    world.exec(&it, START_MS + 900, command);
    world.process(&it, 9_700, 850, START_MS + 940, &words(command));
    call(&mut world, &it, 4444, (FAR, 40_000), shell);
    let alert = world.alert();
    assert_eq!(alert.level, Level::Critical, "{alert:#?}");
    assert_eq!(alert.subjects[0].process.as_ref().unwrap().pid, 9_700);
    let started = alert.evidence.iter().any(|term| term.observed.contains("inside a running"));
    assert!(started, "{alert:#?}");
}

#[test]
fn one_command_per_connection_is_one_alert() {
    let it = Box_::long_running(2, "/srv/shop --port 80");
    let mut world = World::new();
    world.start(&it);
    for port in 40_000..40_004 {
        call(&mut world, &it, 4444, (FAR, port), one_command);
    }
    let alert = world.alert();
    assert!(alert.level >= Level::High, "four of them say more than one: {alert:#?}");
    assert_eq!(alert.subjects[0].flow_count, 4);
}

#[test]
fn a_caller_behind_the_hosts_address_is_said_to_be_hidden() {
    let (_, it) = victims()[0].clone();
    for (caller, is_hidden) in [(GATEWAY, true), (FAR, false), (NEIGHBOUR, false)] {
        let alert = alerts_of(&it, 4444, caller, shell).remove(0);
        let hidden = alert.blind.iter().filter(|blind| blind.why.contains("hidden"));
        let kinds: Vec<SourceKind> = hidden.map(|blind| blind.kind).collect();
        assert_eq!(!kinds.is_empty(), is_hidden, "{caller}: {:?}", alert.blind);
    }
}

#[test]
fn whoever_commands_those_who_call_is_the_server_of_their_shells() {
    fn handler(talk: &mut Talk) {
        for (asked, answered) in [ID, LS] {
            talk.say(CALLED, 1_400, asked, Grammar::None);
            talk.say(CALLER, 5, answered, Grammar::None);
        }
    }
    for it in [Box_::throw_away(2, "nc -l -p 4444"), Box_::long_running(2, "/srv/shop")] {
        let alert = alerts_of(&it, 4444, FAR, handler).remove(0);
        assert!(alert.level >= Level::High, "{alert:#?}");
        assert!(alert.summary.contains("commands whoever calls"), "{}", alert.summary);
    }
}

#[test]
fn a_raw_listener_that_answers_in_no_known_grammar_is_medium() {
    let (_, it) = victims()[0].clone();
    assert_eq!(level_of(&it, 4444, FAR, strange), Level::Medium);
    // Called something else it is any home-made service.
    for (_, it) in &victims()[1..] {
        assert_eq!(level_of(it, 4444, FAR, strange), Level::Info);
    }
}

// ── what is asked of services ─────────────────────────────────────────────────────────────────

fn services() -> [Box_; 4] {
    let mut exposed = Box_::long_running(2, "/srv/queue");
    exposed.environment = vec![String::from("QUEUE_PORT=7000")];
    [
        exposed,
        Box_::long_running(2, "/srv/queue"),
        Box_::throw_away(2, "/srv/queue"),
        Box_::throw_away(2, "/srv/queue --port 7000"),
    ]
}

fn status_lines(talk: &mut Talk) {
    let queue = ("PUT job 17\n", "OK 17\n");
    exchange(talk, &[queue, ("STATUS\n", "READY 3 jobs\n"), ("GET 17\n", "OK job\n")]);
}

fn errors_of_the_system(talk: &mut Talk) {
    exchange(talk, &[("GET /a\n", "ERR /a: No such file or directory\n"), ("GET /b\n", "OK\n")]);
}

fn echo(talk: &mut Talk) {
    exchange(talk, &[("hello\n", "hello\n"), ("echo id\n", "echo id\n"), ("w\n", "w\n")]);
}

fn daytime(talk: &mut Talk) {
    answer(talk, "Sun Nov 29 06:20:26 UTC 2026\n");
}

fn a_log_with_errors(talk: &mut Talk) {
    ask(talk, 10, "sh: foo: not found\nuid=0(root) gid=0(root)\n");
    ask(talk, 900, "ls: /x: No such file or directory\n");
}

fn acknowledged_errors(talk: &mut Talk) {
    exchange(talk, &[("sh: foo: not found\n", "OK 1\n"), ("uid=0(root) gid=0(root)\n", "OK 2\n")]);
}

fn obeyed(talk: &mut Talk) {
    talk.speaks("redis");
    for (asked, answered) in [("SET a id\r\n", "+OK\r\n"), ("GET a\r\n", "$2\r\nid\r\n")] {
        talk.say(CALLER, 700, asked, Grammar::Obeyed);
        talk.say(CALLED, 2, answered, Grammar::Obeyed);
    }
}

fn a_wrong_port(talk: &mut Talk) {
    talk.speaks("http");
    talk.say(CALLER, 2, "\u{16}\u{3}\u{1}hello", Grammar::Left);
    talk.leaves(CALLER, "http");
    talk.say(CALLED, 2, "HTTP/1.1 400 Bad Request\r\n\r\n", Grammar::Obeyed);
}

#[test]
fn services_are_below_medium_whoever_asks_them() {
    let asked: [(&str, Speak); 8] = [
        ("status lines", status_lines),
        ("errors of the system", errors_of_the_system),
        ("echo", echo),
        ("daytime", daytime),
        ("a log with errors", a_log_with_errors),
        ("acknowledged errors", acknowledged_errors),
        ("a known grammar", obeyed),
        ("a wrong port", a_wrong_port),
    ];
    for it in services() {
        for caller in [FAR, NEIGHBOUR, GATEWAY] {
            for (name, speak) in asked {
                let is_tried_out = name == "errors of the system" && !it.privilege.kept_running;
                let level = level_of(&it, 7000, caller, speak);
                let most = if is_tried_out { Level::Medium } else { Level::Low };
                assert!(level <= most, "{name} of {:?}: {level:?}", it.command);
            }
        }
    }
}

#[test]
fn even_a_raw_listener_may_echo_or_tell_the_time() {
    let it = Box_::throw_away(2, "socat TCP-LISTEN:7000,fork EXEC:cat");
    assert_eq!(level_of(&it, 7000, FAR, echo), Level::Info);
    assert_eq!(level_of(&it, 7000, FAR, daytime), Level::Info);
}

#[test]
fn a_program_that_the_image_does_not_have_adds_to_it() {
    let mut it = Box_::long_running(2, "/srv/shop --port 80");
    let before = alerts_of(&it, 4444, FAR, one_command).remove(0);
    it.in_image = InImage::No;
    let after = alerts_of(&it, 4444, FAR, one_command).remove(0);
    assert!(before.level < after.level, "{after:#?}");
}

#[test]
fn a_port_is_declared_by_its_whole_number_and_transport() {
    let it = Box_::long_running(2, "/srv/shop");
    let declared = |spec: &'static str| {
        let mut world = World::new();
        world.start(&it);
        let mut fact = world.facts.clone().into_iter().find_map(|told| match told.fact {
            Fact::Container(fact) if fact.privilege.is_some() => Some(fact),
            _ => None,
        });
        let mut fact = fact.take().unwrap();
        fact.extra_hosts = vec![Cow::Borrowed(spec)];
        world.tell(START_MS + 70, crate::world::RUNTIME, Fact::Container(fact));
        call(&mut world, &it, 4444, (FAR, 40_000), shell);
        world.alert().level
    };
    for spec in ["0.0.0.0:80->4444/tcp", "4444/tcp", "[::]:4444->4444/tcp"] {
        assert_eq!(declared(spec), Level::Medium, "{spec}");
    }
    for spec in ["0.0.0.0:4444->80/tcp", "4444/udp", "44444/tcp", "444/tcp", "db:10.0.0.5"] {
        assert!(declared(spec) >= Level::High, "{spec}");
    }
}
