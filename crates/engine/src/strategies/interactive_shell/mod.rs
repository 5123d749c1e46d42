//! A container in whose conversation the far end has the keyboard, though nothing can be read:
//! inside TLS, SSH, a WebSocket, or whatever somebody has made up. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, Where, term};
use super::{Detect, Strategy};
use crate::alert::{Family, MEDIUM_DB_MIN, Maturity};
use crate::channel::ChannelKey;
use crate::context::{Context, Declared, Whose};
use crate::evidence::{Finding, PRIOR_DB, Term};
use crate::flows::{Flow, Seat};
use crate::session::{Addressed, Seats, Session};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "interactive_shell",
    techniques: &["T1071", "T1573"],
    maturity: Maturity::Stable,
    listens: &[FactKind::Burst, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: sizes and pauses alone. Only the strongest counts.

/// The far end types and the near side echoes: remote support does that, too.
const TYPES_DB: i16 = 16;
/// It breaks silences of all lengths with short messages, and gets answers of all sizes at once, so
/// often that hardly anything that is called back does.
const LEADS_LONG_DB: i16 = 15;
/// It had the first word inside TLS, when it had thought, and went on to lead: whoever opens TLS
/// asks for something, and servers that greet do not think. What makes a server of mail look so
/// (one that lets each reply wait) is rare.
const LEADS_FIRST_DB: i16 = 14;
/// The same so often that it is no chance.
const LEADS_FIRST_ON_DB: i16 = 16;
/// A few times less.
const LEADS_ON_DB: i16 = 12;
/// Sometimes: a server that is polled looks so, too.
const LEADS_DB: i16 = 6;
/// In a protocol that nobody knows, it speaks after each silence and is answered: servers that push
/// do so.
const SPEAKS_DB: i16 = 5;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 6;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: somewhere on the Internet, and nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// The same at a private address.
const UNDECLARED_INSIDE_DB: i16 = 7;
/// Nobody knows what is declared, and the near end opens TLS to nobody whom it names, for nothing
/// it names: whoever asks a service says its name, or its protocol's.
const NAMELESS_DB: i16 = 9;
/// The same inside a network, where numbers are anybody's choice.
const NAMELESS_INSIDE_DB: i16 = 6;
/// Declared nowhere or nobody knows, and no public authority has signed what it shows besides.
const PRIVATE_DB: i16 = 11;
const PRIVATE_INSIDE_DB: i16 = 7;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: what neighbours say to each other is seldom typed, and seldom known.
const NEIGHBOUR_DB: i16 = -10;

const _: () = assert!(LEADS_DB < LEADS_ON_DB && LEADS_ON_DB < LEADS_FIRST_DB);
const _: () = assert!(LEADS_FIRST_DB < LEADS_LONG_DB && LEADS_LONG_DB < LEADS_FIRST_ON_DB);
const _: () = assert!(LEADS_FIRST_ON_DB <= TYPES_DB);
// Where nothing is known but the packets, a shell that somebody is led to by no name is Medium.
const _: () = assert!(PRIOR_DB + LEADS_FIRST_DB + NAMELESS_DB >= MEDIUM_DB_MIN);
const _: () = assert!(NAMELESS_DB <= UNDECLARED_DB && UNDECLARED_DB < PRIVATE_DB);

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);

fn concerns(flow: &Flow) -> bool {
    flow.oddity.seat.is_some()
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let seats = &session.seats;
    let worst = seats.worst?;
    let mut terms = alloc::vec![session_term(worst, seats)];
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    let undeclared_db = Where::of(&key.far).worth(UNDECLARED_DB, UNDECLARED_INSIDE_DB);
    let destination =
        Destination { undeclared_db, declared_db: DECLARED_DB, neighbour_db: NEIGHBOUR_DB };
    terms::destination(context, destination, &mut terms);
    terms.extend(address_term(seats, Where::of(&key.far), context.declared));
    STRATEGY.finding(summary(worst), terms, low_if(context))
}

fn session_term(worst: Seat, seats: &Seats) -> Term {
    let Seats { keys, commands, .. } = *seats;
    let inside = seats.protocol.map_or("no known protocol", |protocol| protocol.name());
    let (observed, points_db) = match worst {
        Seat::Types => (format!("{keys} keys typed at the far end, in {inside}"), TYPES_DB),
        Seat::LeadsLong => (led(commands, inside), LEADS_LONG_DB),
        Seat::LeadsFirst => (led_first(commands, inside), LEADS_FIRST_DB),
        Seat::LeadsFirstOn => (led_first(commands, inside), LEADS_FIRST_ON_DB),
        Seat::LeadsOn => (led(commands, inside), LEADS_ON_DB),
        Seat::Leads => (led(commands, inside), LEADS_DB),
        Seat::Speaks => {
            ("the far end speaks after each silence, in no known protocol".to_owned(), SPEAKS_DB)
        }
    };
    term(Family::Session, NETWORK, observed, "requests of the near end", points_db)
}

fn led(commands: u32, inside: &str) -> String {
    format!("{commands} short messages that broke a silence and were answered at once, in {inside}")
}

fn led_first(commands: u32, inside: &str) -> String {
    format!("the far end had the first word after a silence, and {}", led(commands, inside))
}

/// Whom the near end goes to, where nobody has written it down.
fn address_term(seats: &Seats, at: Where, declared: Declared) -> Option<Term> {
    let (observed, points_db) = match (seats.address?, declared) {
        (_, Declared::Yes | Declared::Mentioned)
        | (Addressed::Nameless, Declared::No | Declared::ByItself) => {
            return None;
        }
        (Addressed::Nameless, Declared::Unknown) => {
            ("TLS to nobody whom it names", at.worth(NAMELESS_DB, NAMELESS_INSIDE_DB))
        }
        (Addressed::NamelessAndPrivate, _) => (
            "TLS to nobody whom it names, with a certificate of no public authority",
            at.worth(PRIVATE_DB, PRIVATE_INSIDE_DB),
        ),
    };
    let expected = "a server that is named";
    Some(term(Family::Destination, NETWORK, observed.to_owned(), expected, points_db))
}

const fn summary(worst: Seat) -> &'static str {
    match worst {
        Seat::Types => "The far end has the keyboard in a conversation that a container opened.",
        Seat::LeadsFirst | Seat::LeadsFirstOn => {
            "The far end had the first word, and leads, in TLS that a container opened."
        }
        Seat::LeadsLong | Seat::LeadsOn | Seat::Leads | Seat::Speaks => {
            "The far end leads in a conversation that a container opened."
        }
    }
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("the destination were declared in the container's configuration"));
    }
    if context.whose == Whose::Strangers {
        all.push(Cow::Borrowed("the far end were a neighbour"));
    }
    all.push(Cow::Borrowed("the near end had the initiative, as a client has"));
    all
}
