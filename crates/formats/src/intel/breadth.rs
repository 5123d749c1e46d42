//! What is too broad to accuse anybody, and what innocent traffic shares with attackers.

use std::fmt;
use std::net::IpAddr;

use psl::{List, Psl as _};

use super::{Shared, Value};

/// Networks that are wider are nobody's.
const NETWORK_V4_BITS_MIN: u8 = 12;
const NETWORK_V6_BITS_MIN: u8 = 28;
/// Networks that are wider hold others too.
const OWN_V4_BITS_MIN: u8 = 24;
const OWN_V6_BITS_MIN: u8 = 48;

/// Resolvers that everybody may use: containers ask them all day.
const PUBLIC_RESOLVERS: [&str; 22] = [
    "1.0.0.1",
    "1.1.1.1",
    "1.1.1.2",
    "4.2.2.1",
    "4.2.2.2",
    "8.8.4.4",
    "8.8.8.8",
    "9.9.9.9",
    "9.9.9.10",
    "64.6.64.6",
    "77.88.8.8",
    "94.140.14.14",
    "114.114.114.114",
    "149.112.112.112",
    "185.228.168.9",
    "208.67.220.220",
    "208.67.222.222",
    "223.5.5.5",
    "2001:4860:4860::8844",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2620:fe::fe",
];

/// Names that are asked for by almost everybody; an entry for one of them is a feed's mistake.
const EVERYBODYS: [&str; 16] = [
    "amazonaws.com",
    "apple.com",
    "azure.com",
    "cloudflare.com",
    "debian.org",
    "docker.com",
    "docker.io",
    "github.com",
    "google.com",
    "googleapis.com",
    "kubernetes.io",
    "microsoft.com",
    "npmjs.org",
    "pypi.org",
    "ubuntu.com",
    "windowsupdate.com",
];

/// Services on which anybody may leave something: a whole host says little.
const SHARED_HOSTS: [&str; 20] = [
    "bitbucket.org",
    "cdn.discordapp.com",
    "discord.com",
    "discordapp.com",
    "drive.google.com",
    "dropbox.com",
    "gist.github.com",
    "gitlab.com",
    "ipfs.io",
    "mediafire.com",
    "onedrive.live.com",
    "paste.ee",
    "pastebin.com",
    "raw.githubusercontent.com",
    "rentry.co",
    "slack.com",
    "t.me",
    "telegram.org",
    "api.telegram.org",
    "transfer.sh",
];

/// SHA-256 of nothing.
const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Why an indicator is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A network wider than any attacker's.
    WideNetwork,
    /// Private, local, or no one's address.
    Private,
    /// A top-level domain or a public suffix: everybody may have a name below it.
    PublicSuffix,
    /// A name or a resolver that almost everybody uses, or the empty file.
    Everybodys,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::WideNetwork, Self::Private, Self::PublicSuffix, Self::Everybodys];
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::WideNetwork => "too wide networks",
            Self::Private => "private addresses",
            Self::PublicSuffix => "public suffixes",
            Self::Everybodys => "used by everybody",
        })
    }
}

/// Whether it may be listed, and whether others share it.
pub(super) fn judge(value: &Value<'_>) -> Result<Shared, Refusal> {
    match value {
        Value::Address(address, _) => judge_address(*address),
        Value::Network(address, bits) => {
            let (bits_min, own_min) = match address {
                IpAddr::V4(_) => (NETWORK_V4_BITS_MIN, OWN_V4_BITS_MIN),
                IpAddr::V6(_) => (NETWORK_V6_BITS_MIN, OWN_V6_BITS_MIN),
            };
            if *bits < bits_min {
                return Err(Refusal::WideNetwork);
            }
            if is_private(*address) {
                return Err(Refusal::Private);
            }
            Ok(if *bits < own_min { Shared::Yes } else { Shared::No })
        }
        Value::Domain(name) => judge_name(name),
        Value::Url(url) => {
            let host = url.split("://").nth(1).unwrap_or_default();
            let host = host.split(['/', '?', '#']).next().unwrap_or_default();
            if host.is_empty() { Err(Refusal::PublicSuffix) } else { Ok(Shared::No) }
        }
        // A fingerprint is that of a library, which innocent programs use too.
        Value::Ja4(_) => Ok(Shared::Yes),
        Value::Sha256(EMPTY) => Err(Refusal::Everybodys),
        Value::Sha256(_) => Ok(Shared::No),
    }
}

fn judge_address(address: IpAddr) -> Result<Shared, Refusal> {
    if is_private(address) {
        return Err(Refusal::Private);
    }
    let is_it = |resolver: &str| resolver.parse() == Ok(address);
    if PUBLIC_RESOLVERS.iter().any(|resolver| is_it(resolver)) {
        return Err(Refusal::Everybodys);
    }
    Ok(Shared::No)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || first == 0
                || first >= 240
                // RFC 6598: shared by a carrier's customers.
                || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || address.is_unique_local()
        }
    }
}

fn judge_name(name: &str) -> Result<Shared, Refusal> {
    let name = name.to_ascii_lowercase();
    if List.domain(name.as_bytes()).is_none() {
        return Err(Refusal::PublicSuffix);
    }
    if EVERYBODYS.contains(&name.as_str()) {
        return Err(Refusal::Everybodys);
    }
    let is_shared = SHARED_HOSTS.contains(&name.as_str());
    Ok(if is_shared { Shared::Yes } else { Shared::No })
}

#[cfg(test)]
mod tests {
    use super::super::read_value;
    use super::*;

    #[test]
    fn what_is_too_broad_is_refused_with_its_reason() {
        for (text, why) in [
            ("0.0.0.0/0", Refusal::WideNetwork),
            ("::/0", Refusal::WideNetwork),
            ("8.0.0.0/8", Refusal::WideNetwork),
            ("192.168.0.0/16", Refusal::Private),
            ("10.1.2.3", Refusal::Private),
            ("127.0.0.1:80", Refusal::Private),
            ("fe80::1", Refusal::Private),
            ("com", Refusal::PublicSuffix),
            ("co.uk", Refusal::PublicSuffix),
            ("localhost", Refusal::PublicSuffix),
            ("github.io", Refusal::PublicSuffix),
            ("8.8.8.8", Refusal::Everybodys),
            ("2620:fe::fe", Refusal::Everybodys),
            ("GitHub.com", Refusal::Everybodys),
            (
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                Refusal::Everybodys,
            ),
        ] {
            assert_eq!(judge(&read_value(text).unwrap()), Err(why), "{text}");
        }
    }

    #[test]
    fn what_others_share_is_kept_and_said() {
        for (text, shared) in [
            ("203.0.113.0/24", Shared::No),
            ("203.0.112.0/20", Shared::Yes),
            ("pastebin.com", Shared::Yes),
            ("evil.github.io", Shared::No),
            ("c2.example.com", Shared::No),
            ("https://pastebin.com/raw/x", Shared::No),
        ] {
            assert_eq!(judge(&read_value(text).unwrap()), Ok(shared), "{text}");
        }
    }
}
