//! Who is told inside TLS by how he uses it: by what his client asks for, and by the certificates
//! that are shown before TLS 1.3, which hides them.

use observation::{Certificate, Side};

use super::client_hello::ClientHello;
use super::follow::Context;

/// How one protocol uses TLS.
pub(super) struct Habit {
    pub(super) name: &'static str,
    /// What its ClientHello says.
    pub(super) asks: fn(&ClientHello<'_>) -> Asks,
    /// Whether a certificate is one of its own.
    pub(super) shows: fn(&Certificate<'_>) -> bool,
}

/// What a ClientHello says of a protocol inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It is another's.
    Otherwise,
    /// It could be, as many others could: only a certificate makes something of it.
    Alike,
    /// Nobody else is known to ask like this. One side's word, and anybody may write it.
    Alone,
}

static HABITS: [&Habit; 2] = [&super::tor::HABIT, &super::anydesk::HABIT];

/// What one connection has shown of them.
#[derive(Debug, Default)]
pub(super) struct Habits {
    asked_as: Option<&'static str>,
}

impl Habits {
    /// A ClientHello came.
    pub(super) fn asked(&mut self, hello: &ClientHello<'_>, context: &mut Context<'_>) {
        for habit in HABITS {
            match (habit.asks)(hello) {
                Asks::Otherwise => continue,
                Asks::Alike => {}
                Asks::Alone => context.carries(habit.name, Side::Originator),
            }
            self.asked_as = Some(habit.name);
        }
    }

    /// `side` has shown a certificate.
    pub(super) fn shown(
        &self,
        side: Side,
        certificate: &Certificate<'_>,
        context: &mut Context<'_>,
    ) {
        for habit in HABITS.iter().filter(|habit| (habit.shows)(certificate)) {
            if self.asked_as == Some(habit.name) {
                context.carries(habit.name, Side::Originator);
            }
            context.carries(habit.name, side);
        }
    }
}
