//! Indicators: what somebody else has seen attackers use. Plain sorted data, looked up by binary
//! search; a feed that is read anew replaces its own earlier word whole.
//!
//! Texts and hashes are kept as the first half of a SHA-256: nobody can find another text that is
//! taken for a listed one, and a million of them fit into memory.

mod listed;
mod matching;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::Time;
use sha2::{Digest as _, Sha256};

pub(crate) use listed::{Kind, Listed, Standing};

/// Feeds that one engine looks into: each lookup asks all of them.
const FEED_COUNT_MAX: usize = 64;
/// Parents of a name that are looked up, beside the name itself.
const PARENT_COUNT_MAX: usize = 8;
/// A name or a URL is looked up as far as this.
const TEXT_BYTES_MAX: usize = 2048;
const NANOS_PER_DAY: u64 = 86_400_000_000_000;

/// Something that a feed lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indicator<'a> {
    /// An address, and a port where only that one is meant.
    Address(IpAddr, Option<u16>),
    /// All addresses that begin with so many bits.
    Network(IpAddr, u8),
    /// A name, and all below it.
    Domain(&'a str),
    /// A URL; its scheme does not count.
    Url(&'a str),
    /// A TLS client's fingerprint.
    Ja4(&'a str),
    /// An executable.
    Sha256([u8; 32]),
}

/// What a feed says about an indicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// In percent, where it says so.
    pub confidence: Option<u8>,
    /// When it was seen last, where it says so.
    pub seen: Option<Time>,
    /// When it is no longer to be believed.
    pub expires: Option<Time>,
    /// Whether innocent traffic goes there too.
    pub reach: Reach,
}

/// Whether an attacker has something to himself.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Reach {
    /// Many use it, and mostly for other things.
    Shared,
    /// It is his.
    Own,
}

/// The same in six bytes: days instead of instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packed {
    reach: Reach,
    expires_days: u16,
    confidence: u8,
    seen_days: u16,
}

const UNSAID: u8 = u8::MAX;

impl Packed {
    fn of(about: &About) -> Self {
        let days = |time: Time| u16::try_from(time.0 / NANOS_PER_DAY).unwrap_or(u16::MAX);
        Self {
            reach: about.reach,
            // It is believed until the end of its last day.
            expires_days: about.expires.map_or(u16::MAX, |at| days(at).saturating_add(1)),
            confidence: about.confidence.map_or(UNSAID, |percent| percent.min(100)),
            seen_days: about.seen.map_or(0, days),
        }
    }

    fn about(self) -> About {
        let time = |days: u16| Time(u64::from(days) * NANOS_PER_DAY);
        About {
            confidence: (self.confidence != UNSAID).then_some(self.confidence),
            seen: (self.seen_days > 0).then(|| time(self.seen_days)),
            expires: (self.expires_days < u16::MAX).then(|| time(self.expires_days)),
            reach: self.reach,
        }
    }
}

/// One feed's indicators.
#[derive(Clone, Debug, Default)]
pub struct Indicators {
    name: String,
    v4: Vec<(u32, u16, Packed)>,
    v6: Vec<([u8; 16], u16, Packed)>,
    /// By length of the prefix, then by address.
    networks: Vec<(u8, [u8; 16], Packed)>,
    digests: Vec<([u8; 16], Packed)>,
}

impl Indicators {
    /// A feed of this name, which stands in alerts, that lists nothing yet.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: String::from(name), ..Self::default() }
    }

    /// Adds one. Nothing is found before [`Self::sorted`].
    pub fn add(&mut self, indicator: Indicator<'_>, about: &About) {
        let packed = Packed::of(about);
        match indicator {
            Indicator::Address(IpAddr::V4(address), port) => {
                self.v4.push((address.to_bits(), port.unwrap_or(0), packed));
            }
            Indicator::Address(IpAddr::V6(address), port) => {
                self.v6.push((address.octets(), port.unwrap_or(0), packed));
            }
            Indicator::Network(address, bits) => {
                let bits = if address.is_ipv4() { bits.min(32) + 96 } else { bits.min(128) };
                self.networks.push((bits, masked(address, bits), packed));
            }
            Indicator::Domain(name) => self.digests.push((digest(Kind::Domain, name), packed)),
            Indicator::Url(url) => self.digests.push((digest(Kind::Url, &bare(url)), packed)),
            Indicator::Ja4(ja4) => self.digests.push((digest(Kind::Ja4, ja4), packed)),
            Indicator::Sha256(hash) => self.digests.push((half(hash), packed)),
        }
    }

    /// All of them, ready to be looked up; of what is listed twice the stronger word stays.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        // The stronger word sorts last: it is put first, where deduplication keeps it.
        self.v4.sort_unstable_by(|l, r| (l.0, l.1).cmp(&(r.0, r.1)).then(r.2.cmp(&l.2)));
        self.v4.dedup_by_key(|entry| (entry.0, entry.1));
        self.v6.sort_unstable_by(|l, r| (l.0, l.1).cmp(&(r.0, r.1)).then(r.2.cmp(&l.2)));
        self.v6.dedup_by_key(|entry| (entry.0, entry.1));
        self.networks.sort_unstable_by(|l, r| (l.0, l.1).cmp(&(r.0, r.1)).then(r.2.cmp(&l.2)));
        self.networks.dedup_by_key(|entry| (entry.0, entry.1));
        self.digests.sort_unstable_by(|l, r| l.0.cmp(&r.0).then(r.1.cmp(&l.1)));
        self.digests.dedup_by_key(|entry| entry.0);
        self.v4.shrink_to_fit();
        self.v6.shrink_to_fit();
        self.networks.shrink_to_fit();
        self.digests.shrink_to_fit();
        self
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.v4.len() + self.v6.len() + self.networks.len() + self.digests.len()
    }

    /// Bytes that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.v4.capacity() * size_of::<(u32, u16, Packed)>()
            + self.v6.capacity() * size_of::<([u8; 16], u16, Packed)>()
            + self.networks.capacity() * size_of::<(u8, [u8; 16], Packed)>()
            + self.digests.capacity() * size_of::<([u8; 16], Packed)>()
    }

    fn address(&self, address: IpAddr, port: u16) -> Option<Packed> {
        let exact = match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                let find = |port| at(&self.v4, |entry| (entry.0, entry.1).cmp(&(bits, port)));
                find(port).or_else(|| find(0)).map(|entry| entry.2)
            }
            IpAddr::V6(address) => {
                let octets = address.octets();
                let find = |port| at(&self.v6, |entry| (entry.0, entry.1).cmp(&(octets, port)));
                find(port).or_else(|| find(0)).map(|entry| entry.2)
            }
        };
        exact.or_else(|| self.network(address))
    }

    /// The narrowest network that the address is in: a search for each length that is listed.
    fn network(&self, address: IpAddr) -> Option<Packed> {
        let mut end = self.networks.len();
        while let Some((bits, ..)) = end.checked_sub(1).and_then(|last| self.networks.get(last)) {
            let bits = *bits;
            let is_of_family = !address.is_ipv4() || bits >= 96;
            let wanted = (bits, masked(address, bits));
            if is_of_family
                && let Some(found) = at(&self.networks, |entry| (entry.0, entry.1).cmp(&wanted))
            {
                return Some(found.2);
            }
            end = self.networks.partition_point(|entry| entry.0 < bits);
        }
        None
    }

    fn digest(&self, digest: [u8; 16]) -> Option<Packed> {
        at(&self.digests, |entry| entry.0.cmp(&digest)).map(|entry| entry.1)
    }
}

/// All feeds of an engine, in the order in which they were named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Feeds(Vec<Indicators>);

impl Feeds {
    /// Replaces what the feed in this place said before.
    pub(crate) fn learn(&mut self, place: usize, indicators: Indicators) {
        if place >= FEED_COUNT_MAX {
            return;
        }
        if self.0.len() <= place {
            self.0.resize_with(place + 1, Indicators::default);
        }
        if let Some(feed) = self.0.get_mut(place) {
            *feed = indicators;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a far end is listed by its address.
    pub(crate) fn address(&self, address: IpAddr, port: u16, at: Time) -> Option<Listed> {
        let value = || alloc::format!("{address}");
        self.best(Kind::Address, at, value, |feed| feed.address(address, port))
    }

    /// Whether a name, or one above it, is listed.
    pub(crate) fn name(&self, name: &str, at: Time) -> Option<Listed> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if self.is_empty() || name.len() > TEXT_BYTES_MAX || name.is_empty() {
            return None;
        }
        let mut dots: Vec<usize> = name.match_indices('.').map(|(place, _)| place + 1).collect();
        // The last part alone is a top-level domain.
        dots.pop();
        let above = dots.len().saturating_sub(PARENT_COUNT_MAX);
        let parents = dots.get(above..).unwrap_or_default().iter().copied();
        let mut starts = core::iter::once(0).chain(parents);
        starts.find_map(|start| {
            let part = name.get(start..)?;
            let digest = digest(Kind::Domain, part);
            self.best(Kind::Domain, at, || lower(part), |feed| feed.digest(digest))
        })
    }

    /// Whether what was asked of a web server is listed, by its URL or by its host's name.
    pub(crate) fn request(&self, host: &str, target: &str, at: Time) -> Option<Listed> {
        if self.is_empty() || host.len() + target.len() > TEXT_BYTES_MAX {
            return None;
        }
        let url = if target.starts_with('/') {
            alloc::format!("{host}{target}")
        } else {
            String::from(target)
        };
        let digest = digest(Kind::Url, &bare(&url));
        let by_url = self.best(Kind::Url, at, || bare(&url), |feed| feed.digest(digest));
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let name = match host.rsplit_once(':') {
            Some((name, port)) if is_port(port) => name,
            _ => host,
        };
        by_url.or_else(|| self.name(name, at))
    }

    /// Whether a TLS client's fingerprint is listed.
    pub(crate) fn ja4(&self, ja4: &str, at: Time) -> Option<Listed> {
        if self.is_empty() || ja4.is_empty() || ja4.len() > TEXT_BYTES_MAX {
            return None;
        }
        let digest = digest(Kind::Ja4, ja4);
        self.best(Kind::Ja4, at, || lower(ja4), |feed| feed.digest(digest))
    }

    /// Whether an executable is listed.
    pub(crate) fn program(&self, hash: &[u8; 32], at: Time) -> Option<Listed> {
        let value = || hash.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
        self.best(Kind::Sha256, at, value, |feed| feed.digest(half(*hash)))
    }

    fn best(
        &self,
        kind: Kind,
        at: Time,
        value: impl Fn() -> String,
        find: impl Fn(&Indicators) -> Option<Packed>,
    ) -> Option<Listed> {
        let found = self.0.iter().filter_map(|feed| {
            let about = find(feed)?.about();
            Some(Listed { kind, value: value(), feed: feed.name.clone(), about: about.into(), at })
        });
        found.reduce(Listed::stronger)
    }
}

/// The entry that compares equal.
fn at<T>(sorted: &[T], compare: impl Fn(&T) -> core::cmp::Ordering) -> Option<&T> {
    let place = sorted.binary_search_by(compare).ok()?;
    sorted.get(place)
}

/// The beginning of an address; IPv4 stands where IPv6 maps it.
fn masked(address: IpAddr, bits: u8) -> [u8; 16] {
    let whole = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) | 0xffff << 32,
        IpAddr::V6(address) => address.to_bits(),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    (whole & mask).to_be_bytes()
}

fn digest(kind: Kind, text: &str) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update([kind as u8]);
    match kind {
        // A path tells letters apart; what stands before it was lowered already.
        Kind::Url => hasher.update(text.as_bytes()),
        _ => {
            let mut lowered = [0_u8; 64];
            for part in text.as_bytes().chunks(lowered.len()) {
                let Some(lowered) = lowered.get_mut(..part.len()) else { continue };
                lowered.copy_from_slice(part);
                lowered.make_ascii_lowercase();
                hasher.update(&*lowered);
            }
        }
    }
    half(hasher.finalize().into())
}

fn half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(hash.get(..16).unwrap_or(&[0; 16]));
    half
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// A URL without scheme, user, fragment and the ports that go without saying; its host in small
/// letters.
fn bare(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = [":80", ":443"].into_iter().find_map(|port| host.strip_suffix(port)).unwrap_or(host);
    let slash = if path.starts_with('/') { "" } else { "/" };
    alloc::format!("{}{slash}{path}", lower(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About =
        About { confidence: Some(90), seen: None, expires: None, reach: Reach::Own };

    fn feeds(all: &[Indicator<'_>]) -> Feeds {
        let mut indicators = Indicators::named("list");
        all.iter().for_each(|indicator| indicators.add(*indicator, &ABOUT));
        let mut feeds = Feeds::default();
        feeds.learn(0, indicators.sorted());
        feeds
    }

    #[test]
    fn an_address_is_found_by_itself_by_its_port_and_by_its_network() {
        let feeds = feeds(&[
            Indicator::Address("198.51.100.10".parse().unwrap(), None),
            Indicator::Address("198.51.100.11".parse().unwrap(), Some(443)),
            Indicator::Network("203.0.113.0".parse().unwrap(), 25),
            Indicator::Network("2001:db8::".parse().unwrap(), 32),
            Indicator::Address("2001:db9::1".parse().unwrap(), None),
        ]);
        let is_listed =
            |address: &str, port| feeds.address(address.parse().unwrap(), port, Time(0)).is_some();
        assert!(is_listed("198.51.100.10", 1) && !is_listed("198.51.100.12", 1));
        assert!(is_listed("198.51.100.11", 443) && !is_listed("198.51.100.11", 80));
        assert!(is_listed("203.0.113.127", 1) && !is_listed("203.0.113.128", 1));
        assert!(is_listed("2001:db8:1::1", 1) && is_listed("2001:db9::1", 1));
        assert!(!is_listed("2001:db9::2", 1) && !is_listed("::cb00:7101", 1));
    }

    #[test]
    fn a_name_is_found_below_a_listed_one_and_not_beside_it() {
        let feeds = feeds(&[Indicator::Domain("evil.example.com")]);
        let is_listed = |name: &str| feeds.name(name, Time(0)).is_some();
        assert!(is_listed("evil.example.com") && is_listed("A.b.Evil.Example.com."));
        assert!(!is_listed("notevil.example.com") && !is_listed("example.com"));
        assert!(!is_listed("evil.example.com.example.net") && !is_listed("") && !is_listed("."));
        let deep = "a.".repeat(120) + "evil.example.com";
        assert_eq!(feeds.name(&deep, Time(0)).unwrap().value, "evil.example.com");
    }

    #[test]
    fn a_url_is_found_whatever_its_scheme_and_a_host_alone_is_none() {
        let feeds = feeds(&[Indicator::Url("HTTPS://user@Host.example:443/A/b?q=1#top")]);
        assert!(feeds.request("host.example", "/A/b?q=1", Time(0)).is_some());
        assert!(feeds.request("x", "http://host.example/A/b?q=1", Time(0)).is_some());
        assert!(feeds.request("host.example", "/a/b?q=1", Time(0)).is_none());
        assert!(feeds.request("host.example", "/", Time(0)).is_none());
    }

    #[test]
    fn kinds_are_told_apart_and_the_stronger_word_stays() {
        let mut indicators = Indicators::named("list");
        let weak = About { confidence: Some(10), reach: Reach::Shared, ..ABOUT };
        indicators.add(Indicator::Ja4("evil.example.com"), &weak);
        indicators.add(Indicator::Sha256([7; 32]), &weak);
        indicators.add(Indicator::Sha256([7; 32]), &ABOUT);
        let mut feeds = Feeds::default();
        feeds.learn(0, indicators.sorted());
        assert!(feeds.name("evil.example.com", Time(0)).is_none());
        assert!(feeds.ja4("EVIL.example.com", Time(0)).is_some());
        let listed = feeds.program(&[7; 32], Time(0)).unwrap();
        assert_eq!((listed.about.confidence, listed.about.reach), (Some(90), Reach::Own));
    }

    #[test]
    fn a_feed_that_is_read_anew_replaces_its_own_word_alone() {
        let mut both = feeds(&[Indicator::Domain("a.example")]);
        let mut other = Indicators::named("other");
        other.add(Indicator::Domain("b.example"), &ABOUT);
        both.learn(1, other.sorted());
        both.learn(0, Indicators::named("list"));
        assert!(both.name("a.example", Time(0)).is_none());
        assert_eq!(both.name("b.example", Time(0)).unwrap().feed, "other");
    }

    #[test]
    fn a_million_indicators_stay_small_and_are_found_at_once() {
        extern crate std;
        const COUNT: u32 = 500_000;
        let mut feed = Indicators::named("list");
        for number in 0..COUNT {
            let address = core::net::Ipv4Addr::from_bits(number.wrapping_mul(2_654_435_761));
            feed.add(Indicator::Address(IpAddr::V4(address), None), &ABOUT);
            feed.add(Indicator::Domain(&alloc::format!("n{number}.example.com")), &ABOUT);
        }
        let mut feeds = Feeds::default();
        feeds.learn(0, feed.sorted());
        let feed = &feeds.0[0];
        let (count, bytes) = (feed.count(), feed.bytes() / feed.count());
        assert!(count > 999_000 && bytes <= 24, "{count} in {bytes} bytes each");
        let started = std::time::Instant::now();
        let looked = 200_000;
        let found = (0..looked).filter(|number| {
            let address = core::net::Ipv4Addr::from_bits(number * 19);
            feeds.address(IpAddr::V4(address), 443, Time(0)).is_some()
        });
        let found = found.count();
        let address_ns = started.elapsed().as_nanos() / u128::from(looked);
        let started = std::time::Instant::now();
        let missed = (0..looked).filter(|number| {
            feeds.name(&alloc::format!("a.b.n{number}.example.org"), Time(0)).is_none()
        });
        assert_eq!(missed.count(), looked as usize);
        let name_ns = started.elapsed().as_nanos() / u128::from(looked);
        std::println!("{count} indicators, {bytes} bytes each; {found} of {looked} found");
        std::println!("an address takes {address_ns} ns, a name of five parts {name_ns} ns");
        // A hundred times what it takes: a busy machine may be slow, a linear search is slower.
        assert!(address_ns < 100_000 && name_ns < 200_000, "{address_ns} {name_ns}");
    }
}
