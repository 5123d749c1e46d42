//! Services for everybody in which somebody may leave a word for somebody else: dead drops.
//!
//! A small table of those that malware was seen to use (MITRE ATT&CK T1102 and its procedures); it
//! is no list of what is bad.

use serde::{Deserialize, Serialize};

/// A service by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Service(u8);

/// What a service is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Text that anybody may leave and anybody may read.
    Paste,
    /// Files, the same.
    Drop,
    /// Messages between people, with an interface for programs.
    Chat,
    /// What stands in a blockchain, which nobody can take down.
    Ledger,
}

struct Known {
    domain: &'static str,
    purpose: Purpose,
    /// A word that whoever means to use it writes into a configuration.
    word: &'static str,
}

const fn known(domain: &'static str, purpose: Purpose, word: &'static str) -> Known {
    Known { domain, purpose, word }
}

static TABLE: &[Known] = &[
    known("pastebin.com", Purpose::Paste, "pastebin"),
    known("paste.ee", Purpose::Paste, "paste.ee"),
    known("rentry.co", Purpose::Paste, "rentry"),
    known("rentry.org", Purpose::Paste, "rentry"),
    known("hastebin.com", Purpose::Paste, "hastebin"),
    known("controlc.com", Purpose::Paste, "controlc"),
    known("dpaste.com", Purpose::Paste, "dpaste"),
    known("ghostbin.com", Purpose::Paste, "ghostbin"),
    known("termbin.com", Purpose::Paste, "termbin"),
    known("textbin.net", Purpose::Paste, "textbin"),
    known("transfer.sh", Purpose::Drop, "transfer.sh"),
    known("file.io", Purpose::Drop, "file.io"),
    known("0x0.st", Purpose::Drop, "0x0"),
    known("catbox.moe", Purpose::Drop, "catbox"),
    known("gofile.io", Purpose::Drop, "gofile"),
    known("temp.sh", Purpose::Drop, "temp.sh"),
    known("api.telegram.org", Purpose::Chat, "telegram"),
    known("t.me", Purpose::Chat, "telegram"),
    known("discord.com", Purpose::Chat, "discord"),
    known("discordapp.com", Purpose::Chat, "discord"),
    known("discord.gg", Purpose::Chat, "discord"),
    known("slack.com", Purpose::Chat, "slack"),
    known("steamcommunity.com", Purpose::Chat, "steam"),
    known("etherscan.io", Purpose::Ledger, "etherscan"),
    known("bscscan.com", Purpose::Ledger, "bscscan"),
    known("blockchain.info", Purpose::Ledger, "blockchain"),
    known("blockcypher.com", Purpose::Ledger, "blockcypher"),
    known("blockchair.com", Purpose::Ledger, "blockchair"),
    known("infura.io", Purpose::Ledger, "infura"),
];

const _: () = assert!(TABLE.len() < u8::MAX as usize);

impl Service {
    /// The service of this host.
    pub(crate) fn named(host: &str) -> Option<Self> {
        let is_below = |known: &Known| {
            let (length, own) = (host.len(), known.domain.len());
            let Some(start) = length.checked_sub(own) else { return false };
            let ends = host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(known.domain));
            let begins = start == 0 || host.get(..start).is_some_and(|rest| rest.ends_with('.'));
            ends && begins
        };
        let place = TABLE.iter().position(is_below)?;
        u8::try_from(place).ok().map(Self)
    }

    fn row(self) -> Option<&'static Known> {
        TABLE.get(usize::from(self.0))
    }

    pub(crate) fn domain(self) -> &'static str {
        self.row().map_or("", |known| known.domain)
    }

    pub(crate) fn purpose(self) -> Purpose {
        self.row().map_or(Purpose::Chat, |known| known.purpose)
    }

    /// Whether a text shows that somebody means to use it.
    pub(crate) fn is_meant_by(self, text: &str) -> bool {
        let word = self.row().map_or("", |known| known.word);
        !word.is_empty() && text.to_ascii_lowercase().contains(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_by_their_hosts() {
        let domain = |host: &str| Service::named(host).map(Service::domain);
        assert_eq!(domain("pastebin.com"), Some("pastebin.com"));
        assert_eq!(domain("Hooks.Slack.com"), Some("slack.com"));
        assert_eq!(domain("notpastebin.com"), None);
        assert_eq!(domain("pastebin.com.example"), None);
        assert_eq!(domain(""), None);
    }

    #[test]
    fn whoever_means_to_use_one_writes_it_down() {
        let telegram = Service::named("api.telegram.org").unwrap();
        assert!(telegram.is_meant_by("TELEGRAM_BOT_TOKEN=1:a"));
        assert!(!telegram.is_meant_by("API_TOKEN=1:a"));
    }
}
