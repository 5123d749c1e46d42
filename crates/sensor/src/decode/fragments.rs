//! Bounded reassembly of IP fragments (RFC 791, RFC 8200 section 4.5).
//!
//! Receivers differ in what they make of overlapping fragments: RFC 5722 and Linux discard the
//! datagram, others take the first bytes or the last. Here the first ones count, and the flow has
//! `Flaws::FRAGMENT_OVERLAP`: what nobody sends by accident is better shown than lost.

use alloc::vec::Vec;

use observation::{Flaws, IpAddress, PortId, Span, Time};

use super::ip::{Fragment, Ip, Last, Outer};
use crate::{Limits, Tally};

/// A datagram that is not complete by then never will be (Linux: 30 s).
const WAIT: Span = Span::from_secs(30);
/// Parts of one datagram: 65,535 bytes over the smallest usual MTU need 45.
const PART_COUNT_MAX: usize = 128;
const DATAGRAM_BYTES_MAX: u32 = 65_535;

/// The datagrams of one shard that wait for their missing fragments, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    waiting: Vec<Datagram>,
    bytes: usize,
}

#[derive(Debug)]
struct Datagram {
    key: Key,
    since: Time,
    /// The parts' places, ascending and apart.
    parts: Vec<(u32, u32)>,
    bytes: Vec<u8>,
    /// Known once the last fragment was seen.
    len: Option<u32>,
    headers: u32,
    fragment_count: u64,
    outer: Option<Outer>,
    flaws: Flaws,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    port: PortId,
    from: IpAddress,
    to: IpAddress,
    protocol: u8,
    id: u32,
}

/// A datagram whose fragments have all arrived.
#[derive(Debug)]
pub(crate) struct Assembled {
    from: IpAddress,
    to: IpAddress,
    protocol: u8,
    bytes: Vec<u8>,
    headers: u32,
    outer: Option<Outer>,
    flaws: Flaws,
}

impl Assembled {
    /// The datagram as if it had come in one packet.
    pub(crate) fn ip(&self) -> Ip<'_> {
        let payload_len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        Ip {
            from: self.from,
            to: self.to,
            protocol: self.protocol,
            bytes: payload_len.saturating_add(self.headers),
            payload: &self.bytes,
            payload_len,
            fragment: None,
            outer: self.outer,
            flaws: self.flaws,
        }
    }
}

impl Fragments {
    /// Takes a fragment; gives the datagram that it completes.
    pub(crate) fn add(
        &mut self,
        ip: &Ip<'_>,
        fragment: Fragment,
        port: PortId,
        at: Time,
        limits: &Limits,
        tally: &mut Tally,
    ) -> Option<Assembled> {
        self.expire(at, tally);
        let end = fragment.offset.saturating_add(ip.payload_len);
        // A part that the capture cut can never be completed; the first one need not have a
        // length of a multiple of eight only if it is the last.
        let is_cut = (ip.payload.len() as u64) < u64::from(ip.payload_len);
        if is_cut || end > DATAGRAM_BYTES_MAX || ip.payload_len == 0 {
            tally.fragments_dropped += 1;
            return None;
        }
        let key = Key { port, from: ip.from, to: ip.to, protocol: ip.protocol, id: fragment.id };
        let place = match self.waiting.iter().position(|datagram| datagram.key == key) {
            Some(place) => place,
            None => self.open(key, at, limits, tally),
        };
        let datagram = self.waiting.get_mut(place)?;
        let grown = datagram.bytes.len();
        let added = datagram.add(ip, fragment, end);
        self.bytes += datagram.bytes.len() - grown;
        match added {
            Added::Kept => {
                while self.bytes > limits.fragment_bytes_max as usize {
                    self.drop_at(0, tally);
                }
                None
            }
            Added::Full => {
                self.drop_at(place, tally);
                None
            }
            Added::Complete => {
                let whole = self.waiting.remove(place);
                self.bytes -= whole.bytes.len();
                Some(Assembled {
                    from: key.from,
                    to: key.to,
                    protocol: key.protocol,
                    bytes: whole.bytes,
                    headers: whole.headers,
                    outer: whole.outer,
                    flaws: whole.flaws,
                })
            }
        }
    }

    fn open(&mut self, key: Key, at: Time, limits: &Limits, tally: &mut Tally) -> usize {
        while self.waiting.len() >= limits.fragment_count_max.max(1) as usize {
            self.drop_at(0, tally);
        }
        self.waiting.push(Datagram {
            key,
            since: at,
            parts: Vec::new(),
            bytes: Vec::new(),
            len: None,
            headers: 0,
            fragment_count: 0,
            outer: None,
            flaws: Flaws::FRAGMENTED,
        });
        self.waiting.len() - 1
    }

    fn expire(&mut self, at: Time, tally: &mut Tally) {
        while self.waiting.first().is_some_and(|oldest| at.since(oldest.since) > WAIT) {
            self.drop_at(0, tally);
        }
    }

    fn drop_at(&mut self, place: usize, tally: &mut Tally) {
        if place < self.waiting.len() {
            let datagram = self.waiting.remove(place);
            self.bytes -= datagram.bytes.len();
            tally.fragments_dropped += datagram.fragment_count;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    Kept,
    Complete,
    /// More parts than any honest sender makes.
    Full,
}

impl Datagram {
    fn add(&mut self, ip: &Ip<'_>, fragment: Fragment, end: u32) -> Added {
        self.fragment_count += 1;
        self.flaws = self.flaws.with(ip.flaws);
        self.outer = self.outer.or(ip.outer);
        // Every fragment's own headers were on the wire.
        self.headers = self.headers.saturating_add(ip.bytes.saturating_sub(ip.payload_len));
        let mut end = end;
        if let Some(len) = self.len.filter(|&len| end > len) {
            self.flaws = self.flaws.with(Flaws::FRAGMENT_OVERLAP);
            end = len;
        }
        if fragment.last == Last::Yes && self.len.is_none() {
            if self.parts.last().is_some_and(|part| part.1 > end) {
                // Something lies behind the end already, so this is none.
                self.flaws = self.flaws.with(Flaws::FRAGMENT_OVERLAP);
            } else {
                self.len = Some(end);
            }
        }
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        if self.fill(fragment.offset, end, ip.payload) == Added::Full {
            return Added::Full;
        }
        let seen: u32 = self.parts.iter().map(|part| part.1 - part.0).sum();
        if self.len == Some(seen) { Added::Complete } else { Added::Kept }
    }

    /// Puts the bytes where none are yet.
    fn fill(&mut self, offset: u32, end: u32, payload: &[u8]) -> Added {
        let mut start = offset;
        let mut place = self.parts.partition_point(|part| part.1 <= start);
        while start < end {
            let next = self.parts.get(place).copied().unwrap_or((end, end));
            if next.0 > start {
                if self.parts.len() >= PART_COUNT_MAX {
                    return Added::Full;
                }
                let until = next.0.min(end);
                self.copy(start, until, offset, payload);
                self.parts.insert(place, (start, until));
                start = until;
            } else {
                self.compare((offset, payload), (start, next.1.min(end)), next);
                start = next.1;
            }
            place += 1;
        }
        Added::Kept
    }

    fn copy(&mut self, start: u32, end: u32, offset: u32, payload: &[u8]) {
        let (from, to) = ((start - offset) as usize, (end - offset) as usize);
        let fresh = payload.get(from..to).unwrap_or_default();
        if let Some(room) = self.bytes.get_mut(start as usize..end as usize)
            && room.len() == fresh.len()
        {
            room.copy_from_slice(fresh);
        }
    }

    /// A fragment that comes twice is the network's doing; anything else that overlaps is not.
    fn compare(&mut self, fragment: (u32, &[u8]), range: (u32, u32), part: (u32, u32)) {
        let (offset, payload) = fragment;
        let (from, to) = ((range.0 - offset) as usize, (range.1 - offset) as usize);
        let again = payload.get(from..to);
        let is_same = again == self.bytes.get(range.0 as usize..range.1 as usize);
        let is_repeated = part.0 == offset && (part.1 - part.0) as usize == payload.len();
        if !is_same || !is_repeated {
            self.flaws = self.flaws.with(Flaws::FRAGMENT_OVERLAP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(payload: &[u8], offset: u32, last: Last) -> (Ip<'_>, Fragment) {
        let len = u32::try_from(payload.len()).unwrap();
        let ip = Ip {
            from: IpAddress::from([10, 0, 0, 1]),
            to: IpAddress::from([10, 0, 0, 2]),
            protocol: 17,
            bytes: 20 + len,
            payload,
            payload_len: len,
            fragment: None,
            outer: None,
            flaws: Flaws::NONE,
        };
        (ip, Fragment { id: 7, offset, last })
    }

    fn add(
        fragments: &mut Fragments,
        (ip, fragment): (Ip<'_>, Fragment),
        at_s: u64,
        tally: &mut Tally,
    ) -> Option<Vec<u8>> {
        let at = Time(at_s * 1_000_000_000);
        let limits = Limits::default();
        fragments.add(&ip, fragment, PortId(1), at, &limits, tally).map(|whole| whole.bytes)
    }

    #[test]
    fn fragments_in_any_order_make_the_datagram() {
        let (mut fragments, mut tally) = (Fragments::default(), Tally::default());
        assert_eq!(add(&mut fragments, part(b"cc", 16, Last::Yes), 0, &mut tally), None);
        assert_eq!(add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 1, &mut tally), None);
        let whole = add(&mut fragments, part(b"bbbbbbbb", 8, Last::No), 2, &mut tally);
        assert_eq!(whole.unwrap(), b"aaaaaaaabbbbbbbbcc");
        assert_eq!((fragments.bytes, fragments.waiting.len(), tally.fragments_dropped), (0, 0, 0));
    }

    fn whole(fragments: &mut Fragments, parts: &[(&[u8], u32, Last)]) -> (Vec<u8>, Flaws) {
        let (mut tally, limits) = (Tally::default(), Limits::default());
        let mut last = None;
        for &(payload, offset, end) in parts {
            let (ip, fragment) = part(payload, offset, end);
            last = fragments.add(&ip, fragment, PortId(1), Time(0), &limits, &mut tally);
        }
        let whole = last.unwrap();
        (whole.bytes, whole.flaws)
    }

    #[test]
    fn of_overlapping_fragments_the_first_bytes_count_and_the_flaw_is_seen() {
        use Last::{No, Yes};
        let marked = Flaws::FRAGMENTED.with(Flaws::FRAGMENT_OVERLAP);
        let mut fragments = Fragments::default();
        let parts: &[(&[u8], u32, Last)] =
            &[(b"aaaaaaaabbbbbbbb", 0, No), (b"XXXXXXXXcccccccc", 8, No), (b"d", 24, Yes)];
        let expected = (b"aaaaaaaabbbbbbbbccccccccd".to_vec(), marked);
        assert_eq!(whole(&mut fragments, parts), expected);
        // One that covers a hole and what is around it.
        let parts: &[(&[u8], u32, Last)] =
            &[(b"aaaaaaaa", 0, No), (b"c", 16, Yes), (b"XXXXXXXXbbbbbbbbY", 0, No)];
        assert_eq!(whole(&mut fragments, parts), (b"aaaaaaaabbbbbbbbc".to_vec(), marked));
        // One that reaches beyond the end.
        let parts: &[(&[u8], u32, Last)] = &[(b"b", 8, Yes), (b"aaaaaaaaXXXXXXXX", 0, No)];
        assert_eq!(whole(&mut fragments, parts), (b"aaaaaaaab".to_vec(), marked));
        // The same bytes cut another way.
        let parts: &[(&[u8], u32, Last)] =
            &[(b"aaaaaaaa", 0, No), (b"aaaaaaaabbbbbbbb", 0, No), (b"c", 16, Yes)];
        assert_eq!(whole(&mut fragments, parts), (b"aaaaaaaabbbbbbbbc".to_vec(), marked));
        assert_eq!((fragments.bytes, fragments.waiting.len()), (0, 0));
    }

    #[test]
    fn a_train_of_fragments_is_bounded_and_counted() {
        let (mut fragments, mut tally) = (Fragments::default(), Tally::default());
        let limits = Limits::default();
        let mut fed = 0;
        for number in 0..100_000_u32 {
            // Thousands of datagrams, none of which is ever complete.
            let (ip, mut fragment) = part(b"aaaaaaaa", number % 8000 * 8, Last::No);
            fragment.id = number / 50;
            fed += 1;
            let added =
                fragments.add(&ip, fragment, PortId(1), Time(0), &limits, &mut tally).is_some();
            assert!(!added);
        }
        let waiting: u64 = fragments.waiting.iter().map(|each| each.fragment_count).sum();
        assert_eq!(tally.fragments_dropped + waiting, fed);
        assert!(fragments.waiting.len() <= limits.fragment_count_max as usize);
        assert!(fragments.bytes <= limits.fragment_bytes_max as usize);
        // A neighbour's datagram is put together all the same.
        assert!(add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 0, &mut tally).is_none());
        assert!(add(&mut fragments, part(b"b", 8, Last::Yes), 0, &mut tally).is_some());
    }

    #[test]
    fn a_repeated_fragment_changes_nothing() {
        let (mut fragments, mut tally) = (Fragments::default(), Tally::default());
        add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 0, &mut tally);
        add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 0, &mut tally);
        let (ip, last) = part(b"b", 8, Last::Yes);
        let limits = Limits::default();
        let whole = fragments.add(&ip, last, PortId(1), Time(0), &limits, &mut tally).unwrap();
        assert_eq!(whole.flaws, Flaws::FRAGMENTED);
    }

    #[test]
    fn fragments_that_come_too_late_are_dropped_and_counted() {
        let (mut fragments, mut tally) = (Fragments::default(), Tally::default());
        add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 0, &mut tally);
        assert_eq!(add(&mut fragments, part(b"b", 8, Last::Yes), 31, &mut tally), None);
        assert_eq!(tally.fragments_dropped, 1);
    }
}
