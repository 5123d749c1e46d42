//! Whether ICMP echo replies repeat their requests (RFC 792): a ping's do, a tunnel's do not.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use observation::{EchoSymmetry, Fact, Time};

use super::{Flow, Out, entropy};
use crate::decode::{Kind, Segment};

/// Requests that wait for their replies: a flood ping has some dozens under way.
const REQUEST_COUNT_MAX: usize = 32;
/// Different lengths that are told apart.
const LENGTH_COUNT_MAX: usize = 16;
/// What of a payload is compared and measured.
const LOOK_BYTES_MAX: usize = 1024;

/// How the echoes of one flow compare so far.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    requests: VecDeque<Request>,
    lengths: [u32; LENGTH_COUNT_MAX],
    so_far: EchoSymmetry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    number: u32,
    payload: Payload,
}

/// A payload, for comparison with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Payload {
    len: u32,
    hash: u64,
}

impl Flow {
    /// An echo request or its reply.
    pub(super) fn echo(&mut self, number: u32, segment: &Segment<'_>, at: Time, out: &mut Out<'_>) {
        let echoes = self.echoes.get_or_insert_with(Box::default);
        let before = echoes.so_far.different_count;
        echoes.take(number, segment);
        let after = echoes.so_far.different_count;
        if before != after && is_power_of_four(after) {
            self.tell_echoes(at, out);
        }
    }

    pub(super) fn tell_echoes(&mut self, at: Time, out: &mut Out<'_>) {
        if let Some(echoes) = &self.echoes {
            let told = EchoSymmetry { flow: self.id, ..echoes.so_far };
            self.tell(at, Fact::EchoSymmetry(told), out);
        }
    }
}

impl Echoes {
    fn take(&mut self, number: u32, segment: &Segment<'_>) {
        self.measure(segment);
        let looked = segment.payload.get(..LOOK_BYTES_MAX).unwrap_or(segment.payload);
        let payload = Payload { len: segment.payload_len, hash: hash(looked) };
        if matches!(segment.kind, Kind::Echo(_)) {
            self.so_far.request_count += 1;
            if self.requests.len() >= REQUEST_COUNT_MAX {
                self.requests.pop_front();
            }
            self.requests.push_back(Request { number, payload });
            return;
        }
        // A number may be used again, so the latest request counts.
        match self.requests.iter().rev().find(|request| request.number == number) {
            Some(request) if request.payload == payload => self.so_far.same_count += 1,
            Some(_) => self.so_far.different_count += 1,
            None => self.so_far.unasked_count += 1,
        }
    }

    fn measure(&mut self, segment: &Segment<'_>) {
        let len = segment.payload_len;
        let is_first = self.so_far.length_count == 0;
        let so_far = &mut self.so_far;
        so_far.payload_bytes_min = if is_first { len } else { so_far.payload_bytes_min.min(len) };
        so_far.payload_bytes_max = so_far.payload_bytes_max.max(len);
        so_far.entropy_centibits_max =
            so_far.entropy_centibits_max.max(entropy_centibits(segment.payload));
        let known = usize::from(so_far.length_count);
        if self.lengths.iter().take(known).all(|&length| length != len)
            && let Some(place) = self.lengths.get_mut(known)
        {
            *place = len;
            so_far.length_count += 1;
        }
    }
}

fn entropy_centibits(payload: &[u8]) -> u16 {
    entropy::of_few(payload.get(..LOOK_BYTES_MAX).unwrap_or(payload))
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

const fn is_power_of_four(count: u64) -> bool {
    count.is_power_of_two() && count.trailing_zeros() & 1 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use observation::{Endpoint, Flaws, IpAddress, Transport};

    fn echo(kind: Kind, payload: &[u8]) -> Segment<'_> {
        let end = Endpoint { address: IpAddress::from([10, 0, 0, 1]), port: 8 };
        let payload_len = u32::try_from(payload.len()).unwrap();
        Segment {
            from: end,
            to: end,
            transport: Transport::Icmp,
            kind,
            payload,
            payload_len,
            ip_bytes: 28 + payload_len,
            flaws: Flaws::NONE,
        }
    }

    fn after(turns: &[(Kind, &[u8])]) -> EchoSymmetry {
        let mut echoes = Echoes::default();
        for &(kind, payload) in turns {
            let (Kind::Echo(number) | Kind::EchoReply(number)) = kind else { panic!("no echo") };
            echoes.take(number, &echo(kind, payload));
        }
        echoes.so_far
    }

    use Kind::{Echo as Ask, EchoReply as Reply};

    #[test]
    fn a_ping_is_repeated() {
        let told = after(&[
            (Ask(1), b"abcd"),
            (Ask(2), b"abce"),
            (Reply(2), b"abce"),
            (Reply(1), b"abcd"),
        ]);
        assert_eq!((told.request_count, told.same_count, told.different_count), (2, 2, 0));
        assert_eq!((told.payload_bytes_min, told.payload_bytes_max, told.length_count), (4, 4, 1));
        assert_eq!(told.entropy_centibits_max, 200);
    }

    #[test]
    fn a_tunnel_answers_something_else() {
        let told =
            after(&[(Ask(1), b""), (Reply(1), b"id\n"), (Ask(1), b"uid=0"), (Reply(9), b"x")]);
        assert_eq!((told.same_count, told.different_count, told.unasked_count), (0, 1, 1));
        assert_eq!((told.payload_bytes_min, told.payload_bytes_max, told.length_count), (0, 5, 4));
    }

    #[test]
    fn a_flood_is_bounded() {
        let payloads: alloc::vec::Vec<_> =
            (0..100_u8).map(|size| alloc::vec![size; size.into()]).collect();
        let turns: alloc::vec::Vec<_> =
            payloads.iter().map(|payload| (Ask(payload.len() as u32), &**payload)).collect();
        let told = after(&turns);
        assert_eq!((told.request_count, told.length_count), (100, 16));
    }
}
