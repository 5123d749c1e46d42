//! Small questions about text on the wire: its first word, its first line, what it could become.

use observation::Side;

use super::{Heads, Verdict};

/// Whether `head` starts with `literal`, is the beginning of it, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It does.
    Yes,
    /// It is too short to say.
    Could,
    /// It does not.
    No,
}

impl Fit {
    /// The better of the two: `Yes`, then `Could`.
    pub(super) const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Could, _) | (_, Self::Could) => Self::Could,
            (Self::No, Self::No) => Self::No,
        }
    }

    /// The worse of the two: `No`, then `Could`.
    pub(super) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Could, _) | (_, Self::Could) => Self::Could,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// Whether it is not `No`.
    pub(super) const fn possible(self) -> bool {
        !matches!(self, Self::No)
    }
}

/// Whether `head` starts with `literal`.
pub(super) fn literal(head: &[u8], literal: &[u8]) -> Fit {
    if head.starts_with(literal) {
        Fit::Yes
    } else if literal.starts_with(head) {
        Fit::Could
    } else {
        Fit::No
    }
}

/// Whether `head` starts with these bytes; `None` stands for any.
pub(super) fn pattern(head: &[u8], want: &[Option<u8>]) -> Fit {
    let fits = want.iter().zip(head).all(|(want, byte)| want.is_none_or(|want| want == *byte));
    match fits {
        false => Fit::No,
        true if head.len() < want.len() => Fit::Could,
        true => Fit::Yes,
    }
}

/// Whether `head` starts with one of `literals`.
pub(super) fn any_literal(head: &[u8], literals: &[&[u8]]) -> Fit {
    literals.iter().fold(Fit::No, |fit, each| fit.or(literal(head, each)))
}

/// Whether `head` starts with `literal`, whatever the case.
pub(super) fn literal_any_case(head: &[u8], literal: &[u8]) -> Fit {
    let length = head.len().min(literal.len());
    match (head.get(..length), literal.get(..length)) {
        (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {
            if length == literal.len() {
                Fit::Yes
            } else {
                Fit::Could
            }
        }
        _ => Fit::No,
    }
}

/// Whether the first word of `head` is one of `words`, whatever the case. A word ends at a blank or
/// a line end; `head` may end in the middle of it.
pub(super) fn first_word(head: &[u8], words: &[&[u8]]) -> Fit {
    match head.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
        Some(end) => {
            let word = head.get(..end).unwrap_or_default();
            if is_one_of(word, words) { Fit::Yes } else { Fit::No }
        }
        None if words.iter().any(|word| literal_any_case(word, head) == Fit::Yes) => Fit::Could,
        None => Fit::No,
    }
}

/// The same where words have one case only.
pub(super) fn exact_word(head: &[u8], words: &[&[u8]]) -> Fit {
    let end = head.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    let fits = match end {
        Some(end) => words.contains(&head.get(..end).unwrap_or_default()),
        None => words.iter().any(|word| word.starts_with(head)),
    };
    match (fits, end) {
        (false, _) => Fit::No,
        (true, None) => Fit::Could,
        (true, Some(_)) => Fit::Yes,
    }
}

/// The same for a whole line, whose end also ends the word.
pub(super) fn line_word(line: &[u8], words: &[&[u8]]) -> Fit {
    if is_one_of(word(line), words) { Fit::Yes } else { Fit::No }
}

/// Whether `word` is one of `words`, whatever the case.
pub(super) fn is_one_of(word: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// The first word of a line.
pub(super) fn word(line: &[u8]) -> &[u8] {
    split_word(line).0
}

/// The first word of a line, and what follows the blank after it.
pub(super) fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| matches!(byte, b' ' | b'\t')) {
        Some(end) => (line.get(..end).unwrap_or_default(), line.get(end + 1..).unwrap_or_default()),
        None => (line, &[]),
    }
}

/// The first line of `head` without its end; `None` while it is not complete.
pub(super) fn first_line(head: &[u8]) -> Option<&[u8]> {
    let end = head.iter().position(|byte| *byte == b'\n')?;
    let line = head.get(..end)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// What follows the first line.
pub(super) fn after_first_line(head: &[u8]) -> &[u8] {
    head.iter()
        .position(|byte| *byte == b'\n')
        .and_then(|end| head.get(end + 1..))
        .unwrap_or_default()
}

/// Whether `head` begins with a line `METHOD target VERSION…` of one of `methods`, or with one that
/// starts with `version` itself: HTTP's shape of requests and responses, as SIP and RTSP have it.
pub(super) fn start_line(head: &[u8], methods: &[&[u8]], version: &[u8]) -> Fit {
    let answer = literal(head, version);
    let request = match (exact_word(head, methods), first_line(head)) {
        (Fit::Yes, Some(line)) => {
            let ends = line.rsplit(|byte| *byte == b' ').next();
            let fits = is_text(line) && ends.is_some_and(|last| last.starts_with(version));
            if fits { Fit::Yes } else { Fit::No }
        }
        (Fit::Yes, None) if is_text(head.strip_suffix(b"\r").unwrap_or(head)) => Fit::Could,
        (Fit::Yes, None) => Fit::No,
        (fit, _) => fit,
    };
    answer.or(request)
}

/// The verdict of a protocol whose sides each show one thing, whoever speaks first.
pub(super) const fn two_sided(opener: Fit, answerer: Fit) -> Verdict {
    match (opener, answerer) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, Fit::Yes) => Verdict::Proposed(Side::Responder),
        (Fit::Could, Fit::Could) => Verdict::Unsure,
    }
}

/// A verdict where few bytes prove little: both sides must have spoken.
pub(super) const fn confirmed_only(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Proposed(_) => Verdict::Unsure,
        verdict => verdict,
    }
}

/// The same where the client speaks first.
pub(super) fn client_first(heads: &Heads<'_>, opener: Fit, answerer: Fit) -> Verdict {
    match heads.first {
        Some(Side::Responder) => Verdict::Never,
        _ => two_sided(opener, answerer),
    }
}

/// Whether `needle` is somewhere in `bytes`.
pub(super) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|part| part == needle)
}

/// Whether a datagram is what it must be; silence still could.
pub(super) fn datagram(bytes: &[u8], is: impl FnOnce(&[u8]) -> bool) -> Fit {
    match bytes {
        [] => Fit::Could,
        _ if is(bytes) => Fit::Yes,
        _ => Fit::No,
    }
}

/// Whether `head` starts with a three-digit reply code and a blank or hyphen: RFC 5321, RFC 959.
pub(super) fn reply_code(head: &[u8]) -> Fit {
    for (index, byte) in head.iter().take(4).enumerate() {
        let fits = match index {
            0 => (b'1'..=b'6').contains(byte),
            1 | 2 => byte.is_ascii_digit(),
            _ => matches!(byte, b' ' | b'-' | b'\r' | b'\n'),
        };
        if !fits {
            return Fit::No;
        }
    }
    if head.len() < 4 { Fit::Could } else { Fit::Yes }
}

/// Whether a whole line is a reply: three digits, then nothing or a blank or hyphen and text.
pub(super) fn is_reply_line(line: &[u8]) -> bool {
    line.len() >= 3 && reply_code(line).possible()
}

/// A decimal number that is all of `digits`.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// A hexadecimal number that is all of `digits`.
pub(super) fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        char::from(*digit).to_digit(16).map(|value| number * 16 + u64::from(value))
    })
}

/// Printable ASCII, a tab or a line's end.
pub(super) const fn is_readable(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')
}

/// Whether every byte is printable ASCII, a tab, or the beginning of UTF-8 beyond ASCII.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}
