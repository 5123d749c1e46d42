//! Bounded reassembly of IP fragments (RFC 791, RFC 8200 section 4.5).
//!
//! Overlapping fragments discard their datagram, as RFC 5722 demands and Linux does: what the
//! receiver throws away is no conversation.

use alloc::vec::Vec;

use observation::{Flaws, IpAddress, PortId, Span, Time};

use super::ip::{Fragment, Ip, Last};
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
            Added::Overlaps => {
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

enum Added {
    Kept,
    Complete,
    Overlaps,
}

impl Datagram {
    fn add(&mut self, ip: &Ip<'_>, fragment: Fragment, end: u32) -> Added {
        self.fragment_count += 1;
        self.flaws = self.flaws.with(ip.flaws);
        let start = fragment.offset;
        let place = self.parts.partition_point(|part| part.0 < start);
        if self.parts.get(place) == Some(&(start, end)) {
            // A repeated fragment.
            return Added::Kept;
        }
        let before = place.checked_sub(1).and_then(|before| self.parts.get(before));
        let overlaps = before.is_some_and(|part| part.1 > start)
            || self.parts.get(place).is_some_and(|part| part.0 < end)
            || self.len.is_some_and(|len| end > len)
            || (fragment.last == Last::Yes && self.parts.last().is_some_and(|part| part.1 > end));
        if overlaps || self.parts.len() >= PART_COUNT_MAX {
            return Added::Overlaps;
        }
        self.parts.insert(place, (start, end));
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        if let Some(room) = self.bytes.get_mut(start as usize..end as usize) {
            room.copy_from_slice(ip.payload.get(..room.len()).unwrap_or_default());
        }
        // Every fragment's own headers were on the wire.
        self.headers = self.headers.saturating_add(ip.bytes.saturating_sub(ip.payload_len));
        if fragment.last == Last::Yes {
            self.len = Some(end);
        }
        let seen: u32 = self.parts.iter().map(|part| part.1 - part.0).sum();
        if self.len == Some(seen) { Added::Complete } else { Added::Kept }
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

    #[test]
    fn overlapping_fragments_are_no_datagram() {
        let (mut fragments, mut tally) = (Fragments::default(), Tally::default());
        add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 0, &mut tally);
        assert_eq!(add(&mut fragments, part(b"bb", 0, Last::Yes), 0, &mut tally), None);
        assert_eq!(tally.fragments_dropped, 2);
        assert_eq!(add(&mut fragments, part(b"bb", 8, Last::Yes), 0, &mut tally), None);
    }

    #[test]
    fn a_repeated_fragment_changes_nothing() {
        let (mut fragments, mut tally) = (Fragments::default(), Tally::default());
        add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 0, &mut tally);
        add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 0, &mut tally);
        assert!(add(&mut fragments, part(b"b", 8, Last::Yes), 0, &mut tally).is_some());
    }

    #[test]
    fn fragments_that_come_too_late_are_dropped_and_counted() {
        let (mut fragments, mut tally) = (Fragments::default(), Tally::default());
        add(&mut fragments, part(b"aaaaaaaa", 0, Last::No), 0, &mut tally);
        assert_eq!(add(&mut fragments, part(b"b", 8, Last::Yes), 31, &mut tally), None);
        assert_eq!(tally.fragments_dropped, 1);
    }
}
