//! HPACK's Huffman code: RFC 7541, appendix B. The code is canonical, so that the lengths of its
//! words are all there is to know.

use alloc::vec::Vec;

/// The text that `coded` stands for; `None` where it is no text or longer than `bytes_max`.
pub(super) fn decode(coded: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let (mut word, mut length) = (0_u32, 0_usize);
    for byte in coded {
        for bit in (0..8).rev() {
            word = word << 1 | u32::from(byte >> bit & 1);
            length += 1;
            let Some(symbol) = symbol(word, length)? else { continue };
            if text.len() == bytes_max {
                return None;
            }
            text.push(symbol);
            (word, length) = (0, 0);
        }
    }
    // What is left over fills the last byte with the beginning of the end's word: ones.
    (length < 8 && word.count_ones() as usize == length).then_some(text)
}

/// The symbol of a word; `None` for the end's, which nobody may send.
fn symbol(word: u32, length: usize) -> Option<Option<u8>> {
    let row = CODE.rows.get(length)?;
    let Some(place) = word.checked_sub(row.first).filter(|place| *place < row.count) else {
        return Some(None);
    };
    let symbol = CODE.symbols.get((row.start + place) as usize)?;
    Some(Some(*symbol))
}

/// The words of one length: consecutive numbers, in the order of their symbols.
#[derive(Clone, Copy)]
struct Row {
    first: u32,
    count: u32,
    /// Where their symbols begin.
    start: u32,
}

struct Code {
    rows: [Row; WORD_BITS_MAX + 1],
    symbols: [u8; 256],
}

static CODE: Code = {
    let mut rows = [Row { first: 0, count: 0, start: 0 }; WORD_BITS_MAX + 1];
    let mut symbols = [0; 256];
    let mut places: &mut [u8] = &mut symbols;
    let (mut word, mut start, mut length) = (0, 0, 0_u8);
    let mut rest: &mut [Row] = &mut rows;
    while let [row, after @ ..] = rest {
        let (mut count, mut symbol, mut lengths) = (0, 0_u8, WORD_BITS.as_slice());
        while let [bits, others @ ..] = lengths {
            if *bits == length && length > 0 {
                if let [place, more @ ..] = places {
                    *place = symbol;
                    places = more;
                }
                count += 1;
            }
            symbol = symbol.wrapping_add(1);
            lengths = others;
        }
        *row = Row { first: word, count, start };
        word = (word + count) << 1;
        start += count;
        length += 1;
        rest = after;
    }
    Code { rows, symbols }
};

const WORD_BITS_MAX: usize = 30;
/// The length of each byte's word.
const WORD_BITS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_examples_of_the_specification_are_read() {
        let coded = b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(decode(coded, 64).unwrap(), b"www.example.com");
        assert_eq!(decode(b"\x64\x02", 64).unwrap(), b"302");
        let coded = b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3";
        assert_eq!(decode(coded, 64).unwrap(), b"https://www.example.com");
        assert_eq!(decode(b"\xff\xc7", 64).unwrap(), b"\0");
    }

    #[test]
    fn what_cannot_be_or_is_too_long_is_no_text() {
        // Padding of zeros, padding of a whole byte, the end's word.
        assert_eq!(decode(b"\x64", 64), None);
        assert_eq!(decode(b"\x64\x02\xff", 64), None);
        assert_eq!(decode(b"\xff\xff\xff\xff", 64), None);
        assert_eq!(decode(b"\x64\x02", 2), None);
    }
}
