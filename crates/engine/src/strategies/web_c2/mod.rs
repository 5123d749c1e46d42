//! A client of the web that is nobody's: T1071.001 by what its requests look like and what is said
//! in them. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::FactKind;

use super::terms::{self, Identity, LedDestination, NETWORK, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::{ChannelKey, Far};
use crate::context::{Context, Declared, Led};
use crate::evidence::{Finding, Term};
use crate::flows::Flow;
use crate::session::{Session, WebSessions};
use crate::web::Marks;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "web_c2",
    techniques: &["T1071.001"],
    maturity: Maturity::Stable,
    listens: &[FactKind::Http, FactKind::TlsSession, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: what goes by. These are one fact each, and only the strongest counts of them.

/// Orders came, and what a shell printed went back.
const ORDERED_DB: i16 = 20;
/// An answer is a command line and nothing else.
const ORDER_DB: i16 = 14;
/// A request carries what a shell prints, and not as part of a record.
const OUTPUT_DB: i16 = 14;
/// A comment in an answer is a command line: some documentation has examples in its comments.
const HIDDEN_ORDER_DB: i16 = 13;
/// Questions and answers are base64 and nothing else: some partners' interfaces are so, too.
const ENCODED_BOTH_DB: i16 = 12;
/// Answers are, and no two are alike.
const ENCODED_DB: i16 = 10;
const ENCODED_COUNT_MIN: u32 = 2;
/// One answer is: keys and tokens are.
const ENCODED_ONCE_DB: i16 = 5;
/// Questions are, and no two are alike: some collectors are fed so.
const CODED_DB: i16 = 8;
/// One question is.
const CODED_ONCE_DB: i16 = 4;
/// The same, and what comes back are pages for people: nobody reads them there.
const PAGES_DB: i16 = 15;
/// A WebSocket in the clear: chats and exchanges have them, mostly encrypted.
const SOCKET_DB: i16 = 7;
/// The server's certificate is its own: so is that of many an appliance.
const SELF_SIGNED_DB: i16 = 8;

// Session, added to it: what the client looks like.

/// HTTP/1.1 without a Host, which no server has to answer.
const NO_HOST_DB: i16 = 10;
/// It calls itself what it is not: scrapers do that, too.
const FORGED_DB: i16 = 5;
/// It names a host that it has never looked up.
const ANOTHER_NAME_DB: i16 = 6;
/// The place has called itself otherwise for long: something was added, or somebody looks around.
const FOREIGN_DB: i16 = 5;
/// It says nothing of itself: some libraries do so, and most of those for WebSockets.
const NO_AGENT_DB: i16 = 3;

// Session, added where something else is odd: innocent clients do this all day.

/// It brings something to the same path again and again, and gets little for it.
const POSTS_DB: i16 = 4;
const POST_COUNT_MIN: u32 = 3;
/// It brings so many times what it gets.
const UPLOADS_DB: i16 = 3;
const UPLOAD_TIMES_MIN: u64 = 4;
const UPLOAD_BYTES_MIN: u64 = 4096;

/// Together they are at most this.
const SESSION_DB_MAX: i16 = 26;

/// Destination: nobody has written the address down, and no name led there.
const UNDECLARED_ADDRESS_DB: i16 = 9;
/// Nobody has written the name down: most names are written nowhere.
const UNDECLARED_NAME_DB: i16 = 4;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: what runs beside it. Capped, since it may be a relay.
const NEIGHBOUR_DB: i16 = -14;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);

const _: () = assert!(ENCODED_ONCE_DB < ENCODED_DB && ENCODED_DB < ENCODED_BOTH_DB);
const _: () = assert!(CODED_ONCE_DB < CODED_DB && CODED_DB < ENCODED_DB);
// What is written down never outweighs what is said.
const _: () = assert!(-DECLARED_DB < HIDDEN_ORDER_DB && HIDDEN_ORDER_DB < ORDER_DB);
const _: () = assert!(ORDER_DB < ORDERED_DB && ORDERED_DB < SESSION_DB_MAX);

const DESTINATION: LedDestination = LedDestination {
    by_number_db: UNDECLARED_ADDRESS_DB,
    by_name_db: UNDECLARED_NAME_DB,
    declared_db: DECLARED_DB,
    neighbour_db: NEIGHBOUR_DB,
};

fn concerns(flow: &Flow) -> bool {
    !flow.oddity.web.is_empty()
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let web = &session.web;
    // What a link-local address is asked for is another strategy's.
    if web.marks.is_empty() || is_link_local(&key.far) {
        return None;
    }
    let mut terms = alloc::vec![session_term(web, context)];
    terms::led_destination(context, DESTINATION, &mut terms);
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    STRATEGY.finding(summary(web.marks), terms, low_if(context))
}

const fn is_link_local(far: &Far) -> bool {
    match far {
        Far::Endpoint(_, end) => match end.address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        },
        _ => false,
    }
}

/// What goes by, what the client looks like, and what it does all the time, in one term: they are
/// sides of one thing.
fn session_term(web: &WebSessions, context: &Context<'_>) -> Term {
    let (said, said_db) = what_goes_by(web).unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    words.extend((said_db > 0).then_some(said));
    let mut sum_db = said_db;
    let another_name = context.led == Led::ByAnotherName;
    let says_nothing = web.marks.has(Marks::NO_AGENT) && !web.marks.has(Marks::SOCKET);
    let seen = [
        (web.marks.has(Marks::NO_HOST), "no Host in HTTP/1.1", NO_HOST_DB),
        (web.marks.has(Marks::FORGED), "a name that its header fields contradict", FORGED_DB),
        (another_name, "a Host that it never looked up", ANOTHER_NAME_DB),
        (web.marks.has(Marks::FOREIGN), "a User-Agent that it never had before", FOREIGN_DB),
        (says_nothing, "no User-Agent", NO_AGENT_DB),
        (uploads(web), "more out than in", UPLOADS_DB),
    ];
    for (_, observed, points_db) in seen.into_iter().filter(|(holds, ..)| *holds) {
        words.push(observed.to_owned());
        sum_db += points_db;
    }
    if web.post_count >= POST_COUNT_MIN {
        words.push(format!("{} small exchanges with one path", web.post_count));
        sum_db += POSTS_DB;
    }
    let observed = words.join(", ");
    let expected = "a client that says what it is";
    term(Family::Session, NETWORK, observed, expected, sum_db.min(SESSION_DB_MAX))
}

fn what_goes_by(web: &WebSessions) -> Option<(String, i16)> {
    let has = |mark: Marks| web.marks.has(mark);
    let (encoded, coded) = (web.encoded_count, web.coded_count);
    let gets_pages = coded >= ENCODED_COUNT_MIN && web.page_count >= ENCODED_COUNT_MIN;
    let all = [
        (has(Marks::ORDER) && has(Marks::OUTPUT), "commands in, a shell's output out", ORDERED_DB),
        (has(Marks::ORDER), "an answer that is a command line", ORDER_DB),
        (has(Marks::OUTPUT), "a shell's output sent", OUTPUT_DB),
        (gets_pages, "encoded questions, each another, and pages for people as answers", PAGES_DB),
        (has(Marks::HIDDEN_ORDER), "a command line in a comment of an answer", HIDDEN_ORDER_DB),
        (has(Marks::ENCODED_BOTH), "encoded questions and encoded answers", ENCODED_BOTH_DB),
        (encoded >= ENCODED_COUNT_MIN, "encoded answers, each another", ENCODED_DB),
        (has(Marks::SELF_SIGNED), "a certificate that the server signed itself", SELF_SIGNED_DB),
        (coded >= ENCODED_COUNT_MIN, "encoded questions, each another", CODED_DB),
        (has(Marks::SOCKET), "a WebSocket in the clear", SOCKET_DB),
        (has(Marks::ENCODED), "an encoded answer", ENCODED_ONCE_DB),
        (has(Marks::CODED), "an encoded question", CODED_ONCE_DB),
    ];
    let found = all.into_iter().find(|(holds, ..)| *holds);
    found.map(|(_, observed, points_db)| (observed.to_owned(), points_db))
}

const fn uploads(web: &WebSessions) -> bool {
    web.sent_bytes >= UPLOAD_BYTES_MIN
        && web.sent_bytes >= web.received_bytes.saturating_mul(UPLOAD_TIMES_MIN)
}

fn summary(marks: Marks) -> &'static str {
    if marks.has(Marks::ORDER) || marks.has(Marks::HIDDEN_ORDER) {
        "A container is given commands in the answers to its web requests."
    } else if marks.has(Marks::OUTPUT) {
        "A container sends what a shell prints in web requests."
    } else if marks.has(Marks::ENCODED) {
        "A container is answered in code by a web server that nobody has declared."
    } else if marks.has(Marks::CODED) {
        "A container asks in code a web server that nobody has declared."
    } else if marks.has(Marks::SOCKET) {
        "A container holds a WebSocket in the clear with a far end that nobody has declared."
    } else {
        "A container asks a web server in a way in which no known program does."
    }
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("the destination were declared in the container's configuration"));
    }
    all.push(Cow::Borrowed("the client named itself and its host, and were answered in clear"));
    all
}
