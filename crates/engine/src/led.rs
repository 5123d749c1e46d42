//! How a container came to know where to go: by a name that it asked for, or by an address alone.

use crate::flows::Flow;
use crate::ledger::{Asked, HasAsked, Ledger};
use crate::web::name_hash;

/// How a container came to know where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Led {
    /// Nobody has seen whether it asked.
    Unknown,
    /// A name led there.
    ByName,
    /// By the address alone.
    ByNumber,
    /// By the address alone, and it says a name that it has never asked for.
    ByAnotherName,
}

/// How a flow's subject came to know where to go.
pub(crate) fn led(ledger: &Ledger, flow: &Flow, name: Option<&Asked>) -> Led {
    let host = flow.web.as_ref().map_or(0, |web| web.host);
    let is_it = |name: &str| host != 0 && name_hash(name) == host;
    match (name, ledger.has_asked(flow.place(), is_it)) {
        (_, HasAsked::No) if host != 0 => Led::ByAnotherName,
        (Some(_), _) => Led::ByName,
        (None, HasAsked::Yes) => Led::ByName,
        (None, HasAsked::No) => Led::ByNumber,
        // A request that names an address needed no lookup.
        (None, HasAsked::Unknown) if host == 0 && flow.web.is_some() => Led::ByNumber,
        (None, HasAsked::Unknown) => Led::Unknown,
    }
}
