//! How much a name can carry: the information in its labels.
//!
//! Words carry little (about a bit and a half a letter), numbers a little more; what looks like no
//! word of any language is taken at the entropy of its letters. After Paxson et al., Practical
//! Comprehensive Bounds on Surreptitious Communication over DNS (2013).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Half bits that a letter of a word carries.
const WORD_HALF_BITS: u32 = 3;
/// Half bits that a digit carries.
const DIGIT_HALF_BITS: u32 = 7;
/// Half bits that an escaped byte carries: iodine's base 128 and raw labels.
const RAW_HALF_BITS: u32 = 14;
/// Shorter pieces may look like anything.
const OPAQUE_BYTES_MIN: u32 = 8;
/// No word has so many consonants in a row.
const CONSONANT_COUNT_MAX: u32 = 5;
/// Words change between letters and digits at most this often.
const SWITCH_COUNT_MAX: u32 = 1;
/// A vowel in so many letters is the least that words have.
const LETTERS_PER_VOWEL_MAX: u32 = 6;

const KINDS: usize = 38;

/// What the labels of one name carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Load {
    /// Half bits in words, numbers and raw bytes.
    pub half_bits: u32,
    /// Letters that belong to no word.
    pub opaque_bytes: u32,
    /// Letters in all, an escaped byte counting as one.
    pub bytes: u32,
    pub vowels: u32,
    pub digits: u32,
}

/// How often each letter was used where there are no words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Letters {
    /// Empty as long as there are only words, as below most domains.
    counts: Vec<u32>,
}

impl Letters {
    /// Adds the labels of a name that was not asked for before.
    pub(super) fn add(&mut self, labels: &str) -> Load {
        let mut load = Load::default();
        let labels = without_address(labels);
        let is_end = |byte: char| matches!(byte, '.' | '-' | '_');
        for piece in labels.split(is_end) {
            let piece = Piece::of(piece);
            load.bytes += piece.letters + piece.digits + piece.raw;
            load.vowels += piece.vowels;
            load.digits += piece.digits;
            load.half_bits += piece.raw * RAW_HALF_BITS;
            if piece.is_opaque() {
                load.opaque_bytes += piece.letters + piece.digits;
                self.count(piece.text);
            } else {
                load.half_bits += piece.letters * WORD_HALF_BITS + piece.digits * DIGIT_HALF_BITS;
            }
        }
        load
    }

    fn count(&mut self, piece: &str) {
        self.counts.resize(KINDS, 0);
        for byte in Plain(piece.bytes()) {
            let kind = match byte {
                b'a'..=b'z' => byte - b'a',
                b'0'..=b'9' => 26 + (byte - b'0'),
                _ => 36,
            };
            if let Some(count) = self.counts.get_mut(usize::from(kind)) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Bits that one of these letters carries, going by how often each was used.
    pub(super) fn entropy(&self) -> f64 {
        let total: f64 = self.counts.iter().map(|count| f64::from(*count)).sum();
        if total < 1.0 {
            return 0.0;
        }
        let used = self.counts.iter().filter(|count| **count > 0);
        used.map(|count| {
            let share = f64::from(*count) / total;
            -share * libm::log2(share)
        })
        .sum()
    }

    /// Whether they are all hexadecimal digits.
    pub(super) fn are_hex(&self) -> bool {
        let others =
            self.counts.iter().enumerate().filter(|(kind, _)| !matches!(kind, 0..6 | 26..36));
        !self.counts.is_empty() && others.map(|(_, count)| *count).sum::<u32>() == 0
    }
}

/// The bytes of a name that were not escaped.
struct Plain<I>(I);

impl<I: Iterator<Item = u8>> Iterator for Plain<I> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            match self.0.next()? {
                b'\\' => {
                    self.0.nth(2)?;
                }
                byte => return Some(byte),
            }
        }
    }
}

/// What is left where the name begins with an address backwards, as lists of addresses and those
/// who say whose an address is are asked.
fn without_address(labels: &str) -> &str {
    let is_octet = |label: &&str| label.parse::<u8>().is_ok();
    let is_nibble =
        |label: &&str| label.len() == 1 && label.bytes().all(|byte| byte.is_ascii_hexdigit());
    let octets = labels.split('.').take_while(is_octet).count();
    let nibbles = labels.split('.').take_while(is_nibble).count();
    let count = match (octets, nibbles) {
        (_, 32) => 32,
        (4, _) => 4,
        _ => return labels,
    };
    labels.splitn(count + 1, '.').nth(count).unwrap_or_default()
}

/// What lies between two dots or hyphens.
pub(super) struct Piece<'a> {
    text: &'a str,
    letters: u32,
    digits: u32,
    raw: u32,
    vowels: u32,
    switches: u32,
    consonants_in_a_row: u32,
}

impl<'a> Piece<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let escapes = text.bytes().filter(|byte| *byte == b'\\').count();
        let mut piece = Self {
            text,
            letters: 0,
            digits: 0,
            raw: u32::try_from(escapes).unwrap_or(u32::MAX),
            vowels: 0,
            switches: 0,
            consonants_in_a_row: 0,
        };
        let (mut row, mut before) = (0_u32, None);
        for byte in Plain(text.bytes()) {
            let is_digit = byte.is_ascii_digit();
            let is_vowel = matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
            piece.digits += u32::from(is_digit);
            piece.letters += u32::from(!is_digit);
            piece.vowels += u32::from(is_vowel);
            piece.switches += u32::from(before.is_some_and(|before| before != is_digit));
            row = if is_digit || is_vowel { 0 } else { row + 1 };
            piece.consonants_in_a_row = piece.consonants_in_a_row.max(row);
            before = Some(is_digit);
        }
        piece
    }

    pub(super) const fn has_digits(&self) -> bool {
        self.digits > 0
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.letters + self.digits >= OPAQUE_BYTES_MIN
            && (self.switches > SWITCH_COUNT_MAX
                || self.consonants_in_a_row > CONSONANT_COUNT_MAX
                || self.letters > self.vowels.saturating_add(1) * LETTERS_PER_VOWEL_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(labels: &str) -> Load {
        Letters::default().add(labels)
    }

    #[test]
    fn words_are_no_cipher() {
        for words in ["production-database", "www", "internationalization", "node12.rack3.fra1"] {
            assert_eq!(load(words).opaque_bytes, 0, "{words}");
        }
        for opaque in
            ["2697012e68f5cce152787c0dc6c2fc13b1", "mzxw6ytboi2gk3tu", "jbswy3dpeb3w64tmmq"]
        {
            assert!(load(opaque).opaque_bytes > 10, "{opaque}");
        }
    }

    #[test]
    fn an_address_backwards_carries_nothing() {
        assert_eq!(load("4.3.2.1").bytes, 0);
        assert_eq!(load("4.3.2.1.origin").bytes, 6);
        assert_eq!(load(&"a.".repeat(32)).bytes, 0);
        assert!(load("4.3.2.1.5").bytes > 0);
    }

    #[test]
    fn an_escaped_byte_is_one_byte() {
        assert_eq!(load("\\200\\201a").bytes, 3);
        assert_eq!(load("\\200\\201").half_bits, 2 * RAW_HALF_BITS);
    }

    #[test]
    fn hexadecimal_carries_four_bits() {
        let mut letters = Letters::default();
        letters.add("0123456789abcdef0f1e2d3c4b5a6978");
        assert!((letters.entropy() - 4.0).abs() < 0.01);
        assert!(letters.are_hex());
        letters.add("mzxw6ytboi2gk3tu");
        assert!(!letters.are_hex());
    }
}
