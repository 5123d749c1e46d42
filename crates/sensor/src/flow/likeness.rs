//! What the first bytes of a side look like that no protocol claims.
//!
//! Streams that are encrypted from the first byte on (shadowsocks, obfs4, a C2's own cipher) are
//! known by what they lack. The rules are those by which the Great Firewall finds them: Wu et al.,
//! How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic, section 4 (USENIX
//! Security 2023).

use observation::Likeness;

use super::sample::TEXT_PERCENT_MIN;

/// Of fewer bytes, other binary ones have as many bits by chance.
const RANDOM_BYTES_MIN: usize = 32;
/// Bits that are set, in tenths a byte: random bytes have four a byte.
const SET_TENTHS_MIN: usize = 34;
const SET_TENTHS_MAX: usize = 46;
/// So many printable bytes begin no ciphertext.
const PRINTABLE_FIRST: usize = 6;
/// Nor do so many stand in it in a row.
const PRINTABLE_RUN_MAX: usize = 20;

/// Of a burst that begins with these bytes, and is printable by so much.
pub(super) fn likeness(first: &[u8], printable_percent: u8) -> Likeness {
    if printable_percent >= TEXT_PERCENT_MIN {
        Likeness::Text
    } else if is_random(first) {
        Likeness::Random
    } else {
        Likeness::Binary
    }
}

fn is_random(bytes: &[u8]) -> bool {
    let set: usize = bytes.iter().map(|byte| byte.count_ones() as usize).sum();
    let tenths = (set * 10).checked_div(bytes.len()).unwrap_or(0);
    let runs = || bytes.split(|byte| !is_printable(byte)).map(<[u8]>::len);
    let begins_printable = runs().next().is_some_and(|run| run >= PRINTABLE_FIRST);
    let is_half_printable = runs().sum::<usize>() * 2 > bytes.len();
    bytes.len() >= RANDOM_BYTES_MIN
        && tenths > SET_TENTHS_MIN
        && tenths < SET_TENTHS_MAX
        && !begins_printable
        && !is_half_printable
        && runs().all(|run| run <= PRINTABLE_RUN_MAX)
}

const fn is_printable(byte: &u8) -> bool {
    matches!(*byte, b' '..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn random(count: u32) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn ciphertext_from_the_first_byte_on() {
        for count in [64, 200, 256] {
            assert_eq!(likeness(&random(count), 38), Likeness::Random, "{count} bytes");
        }
        assert_eq!(likeness(&random(16), 38), Likeness::Binary, "too few to tell");
    }

    #[test]
    fn what_has_a_beginning_a_name_or_too_many_zeros_is_not_random() {
        let framed = [&b"MAGIC1"[..], &random(100)].concat();
        let named = [&random(50)[..], b"/usr/share/zoneinfo/Europe", &random(50)].concat();
        let sparse: Vec<u8> = random(120).iter().map(|byte| byte & 0x17).collect();
        for bytes in [framed, named, sparse] {
            assert_eq!(likeness(&bytes, 50), Likeness::Binary);
        }
        assert_eq!(likeness(b"id; uname -a\n", 100), Likeness::Text);
    }
}
