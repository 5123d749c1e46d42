//! Lookups that carry more than names: tunnels, exfiltration and commands over DNS: T1071.004 and
//! T1572. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::context::{Context, Declared};
use crate::evidence::{Finding, Term, Worth};
use crate::flows::Flow;
use crate::lookups::{Asked, Carried, Custom, Lengths, MISSING};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "dns_c2",
    techniques: &["T1071.004", "T1572", "T1568.002"],
    maturity: Maturity::Stable,
    listens: &[FactKind::Dns],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Lookups(judge),
};

// Session: what the names can have carried, each counted once. Only the strongest counts.

/// So much below one domain is what Paxson et al. leave to an analyst a day, after the known lists.
const CARRIES_MUCH_DB: i16 = 26;
const CARRIES_MUCH_BYTES_MIN: u64 = 4096;
/// A key, a small file, a shell's output.
const CARRIES_SOME_DB: i16 = 24;
const CARRIES_SOME_BYTES_MIN: u64 = 1024;
/// A page of text; the hosts of a large domain carry as much.
const CARRIES_LITTLE_DB: i16 = 17;
const CARRIES_LITTLE_BYTES_MIN: u64 = 384;
/// Some passwords; a few names of a cloud carry as much.
const CARRIES_HARDLY_DB: i16 = 11;
const CARRIES_HARDLY_BYTES_MIN: u64 = 128;

/// Added where it is asked for records whose answers are free in what they say.
const SPEAKING_DB: i16 = 5;
/// Added where it is asked for records of no meaning: NULL and private types.
const RAW_DB: i16 = 7;
/// Added where the answers carry something too.
const ANSWERED_DB: i16 = 3;
const ANSWERED_BYTES_MIN: u64 = 256;

/// Records of no meaning, asked for again and again: hardly anything innocent does.
const RAW_POLLED_DB: i16 = 24;
const RAW_POLLED_COUNT_MIN: u32 = 8;
/// Free text, asked for again and again, that changes: a feed's version does, too.
const TEXT_CHANGES_DB: i16 = 20;
/// Free text, asked for again and again.
const TEXT_POLLED_DB: i16 = 12;
const TEXT_POLLED_COUNT_MIN: u32 = 24;
const TEXT_CHANGE_COUNT_MIN: u32 = 6;

/// A name that leads nowhere (0.0.0.0 or class E), asked for again and again: a beacon that waits
/// for orders, or a name that a resolver blocks.
const NOWHERE_DB: i16 = 12;
const NOWHERE_COUNT_MIN: u32 = 30;
const NOWHERE_PERCENT_MIN: u64 = 80;

/// Many registered domains that do not exist and whose names nobody can pronounce.
const GENERATED_DB: i16 = 24;
const GENERATED_NAME_COUNT_MIN: u32 = 30;
/// Words of any language have more vowels in a hundred letters; random letters have 23 with `y`.
const VOWEL_PERCENT_MAX: u32 = 29;
/// With more digits in a hundred letters they are numbered, and there is little to pronounce.
const DIGIT_PERCENT_MAX: u32 = 20;
/// So many of a hundred letters that belong to no word are a generator's.
const OPAQUE_PERCENT_MIN: u32 = 50;

/// Against: words, and no ciphers.
const WORDS_DB: i16 = -6;
const WORDS_PERCENT_MAX: u32 = 20;
/// Against: digests are looked up in a list, which answers 127.0.0.x or that there is none. Capped,
/// since whoever steals can write that, too.
const LIST_DB: i16 = -13;
/// In so many of a hundred lookups a list answers as lists do.
const LIST_PERCENT_MIN: u64 = 90;

/// Against: others ask for it through this one.
const FOR_OTHERS_DB: i16 = -30;

/// Against: somebody goes where the names lead.
const VISITED_DB: i16 = -8;
/// So many names for each visit are still the names of a cloud.
const NAMES_PER_VISIT_MAX: u32 = 8;

/// The domain's server is asked for nothing else, and is not the one that is asked for the rest.
const OWN_SERVER_DB: i16 = 7;
/// Lookups on a port that is not theirs.
const ODD_PORT_DB: i16 = 7;
const DNS_PORTS: [u16; 2] = [53, 853];

/// Destination: nobody has written the domain down. Most domains are written nowhere.
const UNDECLARED_DB: i16 = 3;
const DECLARED_DB: i16 = -8;

/// Identity: weaker than where a raw client speaks, since everything looks names up.
const AD_HOC_DB: i16 = 6;
const EXEC_DB: i16 = 6;
const CLIENT_DB: i16 = 6;
const PROBE_DB: i16 = 0;
const NOT_IN_IMAGE_DB: i16 = 8;

const IDENTITY: Identity =
    Identity { client_db: CLIENT_DB, probe_db: PROBE_DB, ad_hoc_db: AD_HOC_DB, exec_db: EXEC_DB };
const DESTINATION: Destination =
    Destination { undeclared_db: UNDECLARED_DB, declared_db: DECLARED_DB, neighbour_db: 0 };

const _: () = assert!(CARRIES_HARDLY_DB < CARRIES_LITTLE_DB && CARRIES_LITTLE_DB < CARRIES_SOME_DB);
const _: () = assert!(CARRIES_HARDLY_BYTES_MIN < CARRIES_LITTLE_BYTES_MIN);
const _: () = assert!(CARRIES_LITTLE_BYTES_MIN < CARRIES_SOME_BYTES_MIN);
const _: () = assert!(CARRIES_SOME_BYTES_MIN < CARRIES_MUCH_BYTES_MIN);
const _: () = assert!(TEXT_POLLED_DB < TEXT_CHANGES_DB && TEXT_CHANGES_DB < RAW_POLLED_DB);

/// Lookups are counted by domain, whichever flow carries them.
const fn concerns(_: &Flow) -> bool {
    false
}

fn judge(asked: &Asked<'_>, context: &Context<'_>) -> Option<Finding> {
    let carried = asked.domain.carried();
    let mut terms = Vec::new();
    let story = if asked.domain.name == MISSING {
        generated(carried, &mut terms)?
    } else {
        session(asked, carried, &mut terms)?
    };
    server(asked, &mut terms);
    against(asked, carried, story, &mut terms);
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    terms::destination(context, DESTINATION, &mut terms);
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: story.techniques(),
        summary: Cow::Borrowed(story.summary()),
        terms,
        low_if: low_if(context),
        worth: Worth::Telling,
    };
    finding.worth_telling()
}

/// What the lookups are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// Both ways.
    Tunnel,
    /// Out only.
    Exfiltration,
    /// In only.
    Commands,
    /// Names are tried one after the other.
    Search,
}

impl Story {
    fn techniques(self) -> Vec<Cow<'static, str>> {
        let ids: &[&str] = match self {
            Self::Tunnel => &["T1071.004", "T1572"],
            Self::Exfiltration | Self::Commands => &["T1071.004"],
            Self::Search => &["T1071.004", "T1568.002"],
        };
        ids.iter().copied().map(Cow::Borrowed).collect()
    }

    const fn summary(self) -> &'static str {
        match self {
            Self::Tunnel => "Lookups below one domain and their answers carry data both ways.",
            Self::Exfiltration => "Lookups below one domain carry data out.",
            Self::Search => {
                "Many domains that do not exist are asked for, by names that nobody would choose."
            }
            Self::Commands => "Records that can say anything are asked for again and again.",
        }
    }
}

/// Names out of a generator, most of which nobody has registered.
fn generated(carried: Carried, terms: &mut Vec<Term>) -> Option<Story> {
    let Carried { names, vowel_percent, digit_percent, opaque_percent, .. } = carried;
    let are_letters = digit_percent <= DIGIT_PERCENT_MAX;
    let is_random =
        opaque_percent >= OPAQUE_PERCENT_MIN || vowel_percent <= VOWEL_PERCENT_MAX && are_letters;
    if names < GENERATED_NAME_COUNT_MIN || !is_random {
        return None;
    }
    let observed = format!(
        "{names} domains that do not exist, {opaque_percent} % of their letters in no word, \
         {vowel_percent} % vowels"
    );
    let expected = "names that somebody has chosen";
    terms.push(term(Family::Session, NETWORK, observed, expected, GENERATED_DB));
    Some(Story::Search)
}

/// Who is asked.
fn server(asked: &Asked<'_>, terms: &mut Vec<Term>) {
    let mut push = |observed: String, points_db| {
        let expected = "the resolver that it was given";
        terms.push(term(Family::Destination, NETWORK, observed, expected, points_db));
    };
    let port = asked.domain.server.port;
    if asked.custom == Custom::OneDomain {
        push("asked of a server that is asked for nothing else".to_owned(), OWN_SERVER_DB);
    } else if !DNS_PORTS.contains(&port) {
        push(format!("asked on port {port}"), ODD_PORT_DB);
    }
}

fn session(asked: &Asked<'_>, carried: Carried, terms: &mut Vec<Term>) -> Option<Story> {
    let mut push = |observed: String, points_db| {
        let expected = "names that are asked for again";
        terms.push(term(Family::Session, NETWORK, observed, expected, points_db));
    };
    let domain = asked.domain;
    let (kinds, count) = (domain.kinds, domain.count);
    let Carried { names, bytes, .. } = carried;
    let answer_bytes = domain.replies.bytes;
    let base_db = match bytes {
        CARRIES_MUCH_BYTES_MIN.. => CARRIES_MUCH_DB,
        CARRIES_SOME_BYTES_MIN.. => CARRIES_SOME_DB,
        CARRIES_LITTLE_BYTES_MIN.. => CARRIES_LITTLE_DB,
        CARRIES_HARDLY_BYTES_MIN.. => CARRIES_HARDLY_DB,
        _ => 0,
    };
    let mut story = None;
    if base_db > 0 {
        let speaks = kinds.speaking() >= count / 2;
        let how_db = match () {
            () if kinds.raw >= count / 2 => RAW_DB,
            () if speaks => SPEAKING_DB,
            () => 0,
        };
        let answers = speaks && answer_bytes >= ANSWERED_BYTES_MIN;
        let answered_db = if answers { ANSWERED_DB } else { 0 };
        let way =
            if answers { format!(", {answer_bytes} bytes in answers") } else { String::new() };
        push(
            format!("{bytes} bytes of information in {names} names{way}"),
            base_db + how_db + answered_db,
        );
        story = Some(if answers { Story::Tunnel } else { Story::Exfiltration });
    }
    let changes = carried.answers.saturating_sub(names);
    if kinds.raw >= RAW_POLLED_COUNT_MIN {
        push(format!("{} records of no meaning asked for", kinds.raw), RAW_POLLED_DB);
        story = story.or(Some(Story::Commands));
    } else if kinds.text >= TEXT_POLLED_COUNT_MIN && changes >= TEXT_CHANGE_COUNT_MIN {
        let observed = format!("free text asked for {} times, changed {changes} times", kinds.text);
        push(observed, TEXT_CHANGES_DB);
        story = story.or(Some(Story::Commands));
    } else if kinds.text >= TEXT_POLLED_COUNT_MIN {
        push(format!("free text asked for {} times", kinds.text), TEXT_POLLED_DB);
        story = story.or(Some(Story::Commands));
    }
    let nowhere = u64::from(domain.replies.nowhere);
    if domain.replies.nowhere >= NOWHERE_COUNT_MIN
        && nowhere * 100 >= u64::from(count) * NOWHERE_PERCENT_MIN
    {
        push(format!("asked for {count} times, leads nowhere"), NOWHERE_DB);
        story = story.or(Some(Story::Commands));
    }
    story
}

fn against(asked: &Asked<'_>, carried: Carried, story: Story, terms: &mut Vec<Term>) {
    let mut push = |family, observed: String, points_db| {
        terms.push(term(family, NETWORK, observed, "-", points_db));
    };
    let replies = asked.domain.replies;
    let as_lists = u64::from(replies.missing) + u64::from(replies.listed);
    let mostly = as_lists * 100 >= u64::from(asked.domain.count) * LIST_PERCENT_MIN;
    if mostly && carried.lengths == Lengths::OfDigests {
        push(Family::Session, "digests, answered as lists do".to_owned(), LIST_DB);
    } else if matches!(story, Story::Exfiltration | Story::Tunnel)
        && carried.opaque_percent <= WORDS_PERCENT_MAX
    {
        push(Family::Session, "names made of words".to_owned(), WORDS_DB);
    }
    if asked.for_others_bytes > carried.bytes / 2 {
        push(Family::Session, "others ask for it through this one".to_owned(), FOR_OTHERS_DB);
    }
    let visits = asked.visit_count;
    if visits > 0 && carried.names <= visits.saturating_mul(NAMES_PER_VISIT_MAX) {
        let observed = format!("{visits} connections to where the names lead");
        push(Family::Destination, observed, VISITED_DB);
    }
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all =
        alloc::vec![Cow::Borrowed("the names were asked for again, or led to connections")];
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("a workload's configuration declared the domain"));
    }
    all
}
