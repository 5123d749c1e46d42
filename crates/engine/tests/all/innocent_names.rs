//! What innocent programs look up, and the known gaps behind which lookups look like theirs.

use engine::{Alert, Level};
use observation::DnsData;

use crate::lookups::{
    A, ALL, Ask, HEX, NAME_ERROR, TXT, Who, accused, address, ask, asking, missing,
};
use crate::properties::Dice;

fn innocent(what: &str, every_ms: u64, asks: &[Ask]) {
    for who in ALL {
        let world = asking(who, every_ms, asks);
        let loud: Vec<Alert> =
            world.alerts().into_iter().filter(|alert| alert.level >= Level::Medium).collect();
        assert!(loud.is_empty(), "{what} {who:?}: {:#?}", loud[0].evidence);
    }
}

#[test]
fn clouds_name_their_machines_by_digests() {
    let mut dice = Dice(8);
    let asks: Vec<Ask> = (0..400)
        .map(|number| {
            let host = dice.label(HEX, 14);
            let name = match number % 4 {
                0 => format!("d{host}.cloudfront.net"),
                1 => format!("{host}.s3.eu-central-1.amazonaws.com"),
                2 => format!("{host}.blob.core.windows.net"),
                _ => format!("e{}.dscb.akamaiedge.net", dice.below(9_999)),
            };
            ask(name, A, address("9.9.1.1"))
        })
        .collect();
    innocent("clouds", 100, &asks);
}

#[test]
fn service_discovery_and_search_lists_ask_for_what_is_not_there() {
    let words = ["orders", "cart", "billing", "search", "login", "stock", "mail", "reports"];
    let asks: Vec<Ask> = (0..100)
        .flat_map(|number| {
            let (host, zone) = (words[number % 8], words[number / 8 % 8]);
            let bare = format!("{host}{number}.{zone}.example.com");
            let mut asks: Vec<Ask> =
                ["shop.svc.cluster.local", "svc.cluster.local", "corp.example.net"]
                    .iter()
                    .map(|search| missing(format!("{bare}.{search}")))
                    .collect();
            asks.push(ask(bare, A, address("10.4.4.4")));
            asks
        })
        .collect();
    innocent("search lists", 10, &asks);
}

#[test]
fn lists_of_bad_addresses_and_digests() {
    let mut dice = Dice(9);
    let asks: Vec<Ask> = (0..400)
        .flat_map(|number| {
            let [a, b, c, d] = [0; 4].map(|_| dice.below(256));
            let digest = dice.label(HEX, 64);
            let listed =
                if number % 9 == 0 { Ok(vec![address("127.0.0.2")]) } else { Err(NAME_ERROR) };
            let reply = |name: String| Ask { name, query_type: A, reply: listed.clone() };
            [
                reply(format!("{a}.{b}.{c}.{d}.zen.example.org")),
                reply(format!("{digest}.hash.example.net")),
                ask(format!("{a}.{b}.{c}.{d}.in-addr.arpa"), 12, DnsData::Name("h.example".into())),
            ]
        })
        .collect();
    innocent("lists", 200, &asks);
}

#[test]
fn a_mail_server_reads_policies() {
    let mut dice = Dice(10);
    let asks: Vec<Ask> = (0..300)
        .flat_map(|number| {
            let domain = format!("sender{}.com", number % 40);
            let text = |name: String, bytes| ask(name, TXT, DnsData::Other(TXT, bytes));
            [
                text(domain.clone(), 120),
                text(format!("_dmarc.{domain}"), 60),
                text(format!("s{}._domainkey.{domain}", dice.below(3)), 400),
            ]
        })
        .collect();
    innocent("mail", 700, &asks);
}

#[test]
fn a_certificate_is_proved_and_a_feed_has_versions() {
    let asks: Vec<Ask> = (0..60)
        .flat_map(|number| {
            [
                ask("_acme-challenge.www.example.org", TXT, DnsData::Other(TXT, 44)),
                ask("current.cvd.example.net", TXT, DnsData::Other(TXT, 60 + number / 50)),
            ]
        })
        .collect();
    innocent("certificates", 10_000, &asks);
}

#[test]
fn a_crawler_asks_for_everybody() {
    let mut dice = Dice(11);
    let asks: Vec<Ask> = (0..600)
        .map(|_| {
            let domain = dice.label("abcdefghijklmnoprstuvwz", 9);
            ask(format!("www.{domain}.com"), A, address("9.8.7.6"))
        })
        .collect();
    innocent("crawler", 50, &asks);
}

#[test]
fn names_of_words_carry_little() {
    let words = ["alpha", "bravo", "delta", "eagle", "front", "grape", "house", "india"];
    let mut dice = Dice(12);
    let asks: Vec<Ask> = (0..200)
        .map(|_| {
            let mut word = || words[dice.below(8) as usize];
            let name = format!("{}-{}.{}.example.org", word(), word(), word());
            ask(name, A, address("9.1.1.1"))
        })
        .collect();
    innocent("words", 1_000, &asks);
}

/// The same lookups with the separating fact taken out: names that are asked for again.
#[test]
fn the_same_few_digests_again_and_again_are_no_tunnel() {
    let mut dice = Dice(13);
    let names: Vec<String> =
        (0..4).map(|_| format!("{}.t.example.org", dice.label(HEX, 40))).collect();
    let asks: Vec<Ask> =
        (0..400).map(|number| ask(names[number % 4].clone(), A, address("9.1.1.1"))).collect();
    innocent("again", 1_000, &asks);
}

#[test]
fn a_link_checker_finds_many_domains_gone() {
    let words = ["garden", "travel", "music", "photo", "cloud", "market", "health", "little"];
    let mut dice = Dice(21);
    let asks: Vec<Ask> = (0..200)
        .map(|_| {
            let mut word = || words[dice.below(8) as usize];
            let name = format!("www.{}{}{}.com", word(), word(), word());
            missing(name)
        })
        .collect();
    innocent("link checker", 300, &asks);
}

/// A known gap: each of many domains is told too little to be told of.
#[test]
fn data_spread_over_many_domains_is_missed() {
    let mut dice = Dice(24);
    let asks: Vec<Ask> = (0..200)
        .map(|number| {
            let name = format!("{}.spread{}.com", dice.label(HEX, 32), number % 50);
            ask(name, A, address("9.1.1.1"))
        })
        .collect();
    innocent("spread", 1_000, &asks);
}

/// A known gap: a few hundred words carry a kilobyte, as they do in a large company's own domain.
#[test]
fn data_written_in_words_is_missed_for_long() {
    let mut dice = Dice(25);
    let consonants = "bdfgklmnprstvz";
    let asks: Vec<Ask> = (0..250)
        .map(|_| {
            let mut syllable =
                || format!("{}{}", dice.label(consonants, 1), dice.label("aeiou", 1));
            let name: String = (0..4).map(|_| syllable()).collect();
            ask(format!("{name}.example.org"), A, address("9.1.1.1"))
        })
        .collect();
    for who in [Who::Workload, Who::Unnamed] {
        assert!(accused(&asking(who, 1_000, &asks)).is_empty());
    }
}

/// Cobalt Strike's beacon waits: its name leads nowhere until there are orders.
#[test]
fn a_name_that_leads_nowhere_alone_is_low() {
    let asks: Vec<Ask> =
        (0..60).map(|_| ask("1a2b3c4d.ns1.example.org", A, address("0.0.0.0"))).collect();
    for who in [Who::Workload, Who::Unnamed] {
        let world = asking(who, 60_000, &asks);
        assert!(accused(&world).is_empty(), "a blocked name looks the same");
    }
    assert_eq!(asking(Who::Workload, 60_000, &asks).alert().level, Level::Low);
    assert_eq!(asking(Who::AdHoc, 60_000, &asks).alert().level, Level::Low);
}

#[test]
fn numbered_domains_that_are_gone_are_no_generators() {
    let mut dice = Dice(26);
    let asks: Vec<Ask> = (0..200)
        .map(|number| {
            let name = ["site", "cdn", "shop"][number % 3];
            missing(format!("www.{name}{}.com", dice.below(20_000)))
        })
        .collect();
    innocent("numbered", 300, &asks);
}
