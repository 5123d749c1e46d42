//! What a burst's words are: text or not, framed or not, a farewell, the same again.

use observation::Burst;

/// From this share of printable bytes on, in percent, a burst is text.
const TEXT_PERCENT_MIN: u8 = 85;
/// Home-made protocols put a length or a type before their text: so many bytes at most.
const FRAME_BYTES_MAX: usize = 8;
/// Fewer letters behind a frame may be chance.
const FRAMED_BYTES_MIN: usize = 3;

/// First words with which one takes leave of a server.
const GOODBYES: &[&str] = &["quit", "bye", "logout", "logoff", "goodbye", "close", "disconnect"];

/// A reply code and the rest of its line, and nothing else: RFC 5321, section 4.2.
pub(crate) fn greet(bytes: &[u8]) -> bool {
    let [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', line @ ..] = bytes else {
        return false;
    };
    let end = line.iter().position(|byte| *byte == b'\n');
    end.is_some_and(|end| end + 1 == line.len())
}

/// Whether a burst is text, also behind a short binary frame.
pub(crate) fn are_text(burst: &Burst<'_>) -> bool {
    burst.shape.printable_percent >= TEXT_PERCENT_MIN || is_framed_text(&burst.excerpt)
}

fn is_framed_text(bytes: &[u8]) -> bool {
    let frame = bytes.iter().position(|byte| is_letter(*byte)).unwrap_or(bytes.len());
    let text = bytes.get(frame..).unwrap_or_default();
    let is_whole = text.iter().all(|byte| is_letter(*byte) || *byte == 0);
    frame <= FRAME_BYTES_MAX && text.len() >= FRAMED_BYTES_MIN && is_whole
}

const fn is_letter(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n' | 0x1b)
}

/// Whether the first line takes leave.
pub(crate) fn take_leave(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(bytes.len());
    let word = bytes.get(..end).unwrap_or_default();
    GOODBYES.iter().any(|goodbye| goodbye.as_bytes().eq_ignore_ascii_case(word))
}

/// Whether one of these words stands in it, in capitals or not.
pub(crate) fn have(bytes: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| {
        let is_it = |part: &[u8]| part.eq_ignore_ascii_case(word.as_bytes());
        bytes.windows(word.len()).any(is_it)
    })
}

/// FNV-1a, to know the same words again. Whoever makes two look the same says the same thing over
/// and over as far as we can tell, and we look at what comes back, too.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_behind_a_length_is_text() {
        assert!(is_framed_text(b"\0\0\0\x03id\n"));
        assert!(is_framed_text(b"\x01\x05hello"));
        assert!(!is_framed_text(b"\0\0\0\x07\0\0\0\x02\0\0\0"));
        assert!(!is_framed_text(b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0\x12"));
        assert!(!is_framed_text(b""));
    }

    #[test]
    fn a_word_is_found_wherever_it_stands() {
        assert!(have(b"*2\r\n$9\r\nsubscribe\r\n$1\r\na\r\n", &["SUBSCRIBE"]));
        assert!(!have(b"*2\r\n$3\r\nGET\r\n", &["SUBSCRIBE"]) && !have(b"", &["SUBSCRIBE"]));
    }

    #[test]
    fn who_takes_leave() {
        assert!(take_leave(b"QUIT\r\n") && take_leave(b"bye") && take_leave(b"Logoff\r\n"));
        assert!(!take_leave(b"quite so\n") && !take_leave(b"") && !take_leave(b"id\n"));
    }
}
