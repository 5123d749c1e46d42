//! Names of protocols, kept once: a flow carries numbers.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Names that all flows together may carry. The sensor knows some dozens.
const NAME_COUNT_MAX: usize = 255;
const NAME_BYTES_MAX: usize = 32;
/// Protocols that one flow carries, outermost first.
const PER_FLOW_COUNT_MAX: usize = 4;

/// The protocols of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Protocols {
    numbers: [u8; PER_FLOW_COUNT_MAX],
    count: u8,
}

/// All names that were ever told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ProtocolNames {
    names: Vec<String>,
    refused_count: u64,
}

impl Protocols {
    fn numbers(self) -> impl Iterator<Item = u8> {
        self.numbers.into_iter().take(usize::from(self.count))
    }

    pub(super) fn add_all(&mut self, others: Self) {
        others.numbers().for_each(|number| self.add(number));
    }

    pub(super) fn add(&mut self, number: u8) {
        if self.numbers().any(|known| known == number) {
            return;
        }
        if let Some(place) = self.numbers.get_mut(usize::from(self.count)) {
            *place = number;
            self.count += 1;
        }
    }
}

impl ProtocolNames {
    /// The number of a name. A name too many, or too long to be one, is counted and has none.
    pub(super) fn number(&mut self, name: &str) -> Option<u8> {
        if let Some(known) = self.find(name) {
            return Some(known);
        }
        if self.names.len() >= NAME_COUNT_MAX || name.len() > NAME_BYTES_MAX {
            self.refused_count += 1;
            return None;
        }
        self.names.push(String::from(name));
        u8::try_from(self.names.len() - 1).ok()
    }

    pub(crate) fn of(&self, protocols: Protocols) -> impl Iterator<Item = &str> {
        let names = |number| self.names.get(usize::from(number)).map(String::as_str);
        protocols.numbers().filter_map(names)
    }

    /// The number of a name, if it was ever told.
    fn find(&self, name: &str) -> Option<u8> {
        let number = self.names.iter().position(|known| known == name)?;
        u8::try_from(number).ok()
    }

    pub(super) const fn refused_count(&self) -> u64 {
        self.refused_count
    }
}
