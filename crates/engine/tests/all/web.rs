//! Clients of the web: those that are led by it, and those that use it.

use std::borrow::Cow;

use engine::{Alert, Family, Level};
use observation::{Fact, Grammar, HttpExchange, Side};

use crate::masks::{BOTH, Who, container};
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World, at_ms};

/// What a client asks and what it gets.
#[derive(Clone, Debug)]
struct Ask {
    exchange: HttpExchange<'static>,
    count: u64,
}

const CURL: &str = "curl/8.5.0";
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)";
const CODE: &[u8] = b"aG9zdD1hYmM7dWlkPTA7aWQ9";

impl Ask {
    /// Some requests of curl to an address, each in a connection of its own.
    fn get() -> Self {
        let exchange = HttpExchange {
            method: Cow::Borrowed("GET"),
            host: Cow::Owned(FAR.to_string()),
            target: Cow::Borrowed("/job"),
            user_agent: Cow::Borrowed(CURL),
            header_names: Cow::Borrowed("Host,User-Agent,Accept"),
            status: 200,
            version: 11,
            ..HttpExchange::default()
        };
        Self { exchange, count: 4 }
    }

    fn post(body: &'static [u8]) -> Self {
        let mut ask = Self::get();
        ask.exchange.method = Cow::Borrowed("POST");
        ask.exchange.request_body_bytes = body.len() as u64;
        ask.exchange.request_head = Cow::Borrowed(body);
        ask
    }

    fn answered(mut self, body: &'static [u8]) -> Self {
        self.exchange.response_body_bytes = body.len() as u64;
        self.exchange.response_head = Cow::Borrowed(body);
        self
    }

    fn agent(mut self, agent: &'static str, names: &'static str) -> Self {
        self.exchange.user_agent = Cow::Borrowed(agent);
        self.exchange.header_names = Cow::Borrowed(names);
        self
    }

    fn host(mut self, host: &'static str) -> Self {
        self.exchange.host = Cow::Borrowed(host);
        self
    }

    /// One connection, `number` of several, at irregular times.
    fn talk(&self, it: &Box_, number: u64, port: u16) -> Talk {
        let at = START_MS + 2_000 + number * 9_000 + number * number * 1_700;
        let near = 52_000 + u16::try_from(number).unwrap();
        let mut talk = Talk::open(it, near, (FAR, port), at);
        talk.speaks("http");
        talk.say(Side::Originator, 1, &"q".repeat(180), Grammar::Obeyed);
        talk.say(Side::Responder, 4, &"a".repeat(200), Grammar::Obeyed);
        let asked_at = at_ms(talk.now_ms);
        talk.fact(Fact::Http(HttpExchange { flow: talk.flow, asked_at, ..self.exchange.clone() }));
        talk.end()
    }

    fn alerts_of(&self, it: &Box_, name: Option<&str>) -> Vec<Alert> {
        let mut world = World::new();
        world.start(it);
        let asked = name.unwrap_or("other.example.org");
        let led = if name.is_some() { FAR } else { [203, 0, 113, 9].into() };
        world.dns(it, START_MS + 1_000, asked, Ok(led));
        for number in 0..self.count {
            let talk = self.talk(it, number, 8080);
            world.socket(&talk, it.cgroup, it.pid);
            world.talk(talk);
        }
        world.alerts()
    }

    fn level(&self, who: Who) -> Level {
        level(&self.alerts_of(&container(who), None))
    }
}

fn level(alerts: &[Alert]) -> Level {
    alerts.iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

/// Commands in, output out.
fn ordered() -> Ask {
    Ask::post(b"uid=0(root) gid=0(root)\n").answered(b"id\n")
}

#[test]
fn orders_and_output_are_found_by_their_main_term() {
    for who in BOTH {
        for ask in [
            ordered(),
            Ask::post(CODE).answered(CODE),
            Ask::get().answered(b"uname -a; cat /etc/passwd"),
            Ask::post(b"root:x:0:0:root:/root:/bin/sh\n"),
        ] {
            let alerts = ask.alerts_of(&container(who), None);
            let [alert] = &*alerts else { panic!("{ask:?} {who:?} {alerts:#?}") };
            assert_eq!(alert.strategy, "web_c2", "{who:?}");
            assert!(alert.level >= Level::Medium, "{who:?} {:#?}", alert.evidence);
            let main = alert.evidence.iter().max_by_key(|term| term.points_db).unwrap();
            assert_eq!(main.family, Family::Session, "{who:?} {:#?}", alert.evidence);
        }
    }
}

#[test]
fn orders_that_come_from_a_name_are_found_too() {
    for who in BOTH {
        let alerts =
            ordered().host("c2.example.com").alerts_of(&container(who), Some("c2.example.com"));
        assert!(level(&alerts) >= Level::Medium, "{who:?}");
    }
}

/// The separating fact is what goes by.
#[test]
fn the_same_requests_with_a_services_words_accuse_nobody() {
    for who in BOTH {
        for ask in [
            Ask::post(b"{\"uid\":0,\"gid\":0}").answered(b"{\"id\":7}"),
            Ask::post(b"name=anna").answered(b"ok"),
            Ask::get().answered(b"id,name\n1,anna\n"),
            Ask::get().answered(b"da39a3ee5e6b4b0d3255bfef95601890afd80709\n"),
        ] {
            assert!(ask.level(who) < Level::Low, "{ask:?} {who:?}");
        }
    }
}

#[test]
fn an_odd_client_alone_is_low() {
    let browser = Ask::get().agent(BROWSER, "Host,User-Agent,Connection");
    let silent = Ask::post(b"{\"cpu\":7}").answered(b"ok").agent("", "Host,Connection");
    for who in BOTH {
        for ask in [&browser, &silent, &Ask::get().answered(CODE)] {
            assert!(ask.level(who) < Level::Medium, "{ask:?} {who:?}");
        }
    }
}

#[test]
fn several_oddities_together_are_an_agent() {
    let agent = Ask::post(b"id=7&n=2")
        .answered(b"none")
        .agent(BROWSER, "User-Agent,Host,Content-Length")
        .host("www.example.org");
    for who in BOTH {
        assert!(agent.level(who) >= Level::Medium, "{who:?}");
        let led = agent.alerts_of(&container(who), Some("www.example.org"));
        assert!(level(&led) < Level::Medium, "it went where that name leads: {who:?}");
    }
}

#[test]
fn a_declared_upstream_may_speak_in_codes() {
    let mut it = container(Who::Workload);
    it.environment = vec![format!("UPSTREAM=http://{FAR}:8080")];
    let alerts = Ask::post(CODE).answered(CODE).alerts_of(&it, None);
    assert!(level(&alerts) < Level::Medium, "{alerts:#?}");
}

#[test]
fn what_a_proxy_is_asked_is_nobodys_oddity() {
    let mut ask = Ask::get().agent("", "Proxy-Connection").host("");
    ask.exchange.target = Cow::Borrowed("http://c2.example.com/");
    for who in BOTH {
        assert!(ask.level(who) < Level::Low, "{who:?}");
    }
}
