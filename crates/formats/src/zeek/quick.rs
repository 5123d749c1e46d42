//! A row of `conn.log` as Zeek's own writer makes it, read in one pass: a flat object of plain
//! numbers and of text without escapes.
//!
//! *Architecture invariant:* this is a shortcut and no second grammar. Whatever is not as expected
//! is left to the whole parser, which decides what the row is; both give the same for every row
//! that this one takes.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use observation::{Span, Time};

use super::conn::Conn;
use super::values::{Address, Count, Flag, Lasted, List, Text, When};

/// Numbers of so many digits never overflow 64 bits.
const DIGIT_COUNT_MAX: usize = 19;
/// More seconds are milliseconds, or so many that a double does not tell microseconds apart.
const SECONDS_MAX: u64 = u32::MAX as u64;
/// Zeek's times are whole microseconds.
const DECIMAL_COUNT: u32 = 6;

/// The members of use, in the order in which Zeek writes them.
const MEMBERS: [&[u8]; 30] = [
    b"\"ts\":",
    b"\"uid\":",
    b"\"id.orig_h\":",
    b"\"id.orig_p\":",
    b"\"id.resp_h\":",
    b"\"id.resp_p\":",
    b"\"proto\":",
    b"\"service\":",
    b"\"duration\":",
    b"\"orig_bytes\":",
    b"\"resp_bytes\":",
    b"\"conn_state\":",
    b"\"local_orig\":",
    b"\"local_resp\":",
    b"\"missed_bytes\":",
    b"\"history\":",
    b"\"orig_pkts\":",
    b"\"orig_ip_bytes\":",
    b"\"resp_pkts\":",
    b"\"resp_ip_bytes\":",
    b"\"tunnel_parents\":",
    b"\"ip_proto\":",
    b"\"community_id\":",
    b"\"ja4\":",
    b"\"port\":",
    b"\"bursts\":",
    b"\"resp_bytes_after_close\":",
    b"\"flaws\":",
    b"\"orig_likeness\":",
    b"\"resp_likeness\":",
];

/// The row; `None` where the whole parser has to look.
pub(super) fn conn(line: &[u8]) -> Option<Conn<'_>> {
    let text = std::str::from_utf8(line).ok()?;
    let mut reader = Reader { text, bytes: line, at: 0 };
    let (mut row, mut seen, mut next) = (Conn::default(), 0_u32, 0);
    reader.take(b'{')?;
    loop {
        let number = reader.key(next)?;
        if let Some(number) = number {
            // A member that comes twice makes no row.
            if seen & (1 << number) != 0 {
                return None;
            }
            seen |= 1 << number;
            next = number + 1;
            reader.member(number, &mut row)?;
        } else {
            reader.skip()?;
        }
        match reader.byte()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let rest = line.get(reader.at..)?;
    rest.iter().all(|byte| is_blank(*byte)).then_some(row)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads a key and what follows it; gives the number of its member, `None` for one of no use.
    /// Mostly it is the `next` one.
    fn key(&mut self, next: usize) -> Option<Option<usize>> {
        let rest = self.bytes.get(self.at..)?;
        if let Some(member) = MEMBERS.get(next).filter(|member| rest.starts_with(member)) {
            self.at += member.len();
            return Some(Some(next));
        }
        let key = self.string()?.as_bytes();
        self.take(b':')?;
        let is_it = |member: &&[u8]| match member {
            [b'"', member @ .., b'"', b':'] => {
                // Some write `id_orig_h`.
                let same =
                    |(own, known): (&u8, &u8)| own == known || *own == b'_' && *known == b'.';
                member.len() == key.len() && key.iter().zip(member).all(same)
            }
            _ => false,
        };
        Some(MEMBERS.iter().position(is_it))
    }

    /// Reads the value of a member.
    fn member(&mut self, number: usize, row: &mut Conn<'a>) -> Option<()> {
        match number {
            0 => row.ts = self.when()?,
            1 => row.uid = self.words()?,
            2 => row.orig_h = self.address()?,
            3 => row.orig_p = self.count()?,
            4 => row.resp_h = self.address()?,
            5 => row.resp_p = self.count()?,
            6 => row.proto = self.words()?,
            7 => row.service = self.words()?,
            8 => row.duration = self.lasted()?,
            9 => row.orig_bytes = self.count()?,
            10 => row.resp_bytes = self.count()?,
            11 => row.conn_state = self.words()?,
            12 => row.local_orig = self.flag()?,
            13 => row.local_resp = self.flag()?,
            14 => row.missed_bytes = self.count()?,
            15 => row.history = self.words()?,
            16 => row.orig_pkts = self.count()?,
            17 => row.orig_ip_bytes = self.count()?,
            18 => row.resp_pkts = self.count()?,
            19 => row.resp_ip_bytes = self.count()?,
            20 => row.tunnel_parents = self.nothing()?,
            21 => row.ip_proto = self.count()?,
            22 => row.community_id = self.words()?,
            23 => row.ja4 = self.words()?,
            24 => row.port = self.count()?,
            25 => row.bursts = self.count()?,
            26 => row.resp_bytes_after_close = self.count()?,
            27 => row.flaws = self.nothing()?,
            28 => row.orig_likeness = self.words()?,
            29 => row.resp_likeness = self.words()?,
            _ => return None,
        }
        Some(())
    }

    /// The next byte that is no blank.
    fn byte(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !is_blank(byte) {
                return Some(byte);
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.byte()? == wanted).then_some(())
    }

    /// A value's first byte, which stays.
    fn peek(&mut self) -> Option<u8> {
        let byte = self.byte()?;
        self.at -= 1;
        Some(byte)
    }

    /// Text between quotes, with nothing in it that is written otherwise than it is meant.
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        let end = start + plain_len(self.bytes.get(start..)?);
        if *self.bytes.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    fn words(&mut self) -> Option<Text<'a>> {
        self.string().map(|text| Text(Cow::Borrowed(text)))
    }

    fn address(&mut self) -> Option<Address> {
        let text = self.string()?;
        let address = four_numbers(text.as_bytes()).map(IpAddr::V4);
        address.or_else(|| text.parse().ok()).map(|address| Address(Some(address)))
    }

    /// A whole number, without a zero before other digits.
    fn digits(&mut self) -> Option<u64> {
        self.peek()?;
        let start = self.at;
        let mut number = 0_u64;
        while let Some(digit) = self.digit() {
            if self.at - start > DIGIT_COUNT_MAX {
                return None;
            }
            number = number * 10 + u64::from(digit);
        }
        let count = self.at - start;
        let is_padded = count > 1 && self.bytes.get(start) == Some(&b'0');
        (count > 0 && !is_padded).then_some(number)
    }

    fn digit(&mut self) -> Option<u8> {
        let digit = self.bytes.get(self.at)?.wrapping_sub(b'0');
        (digit < 10).then(|| {
            self.at += 1;
            digit
        })
    }

    fn count(&mut self) -> Option<Count> {
        let number = self.digits()?;
        self.ends().then_some(Count(Some(number)))
    }

    /// Nanoseconds of a number of seconds, to the microsecond.
    fn nanos(&mut self) -> Option<u64> {
        let seconds = self.digits().filter(|seconds| *seconds <= SECONDS_MAX)?;
        let (mut micros, mut decimal_count) = (0, 0);
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            while let Some(digit) = self.digit() {
                match decimal_count {
                    0..DECIMAL_COUNT => micros = micros * 10 + u64::from(digit),
                    DECIMAL_COUNT => micros += u64::from(digit >= 5),
                    _ => {}
                }
                decimal_count += 1;
            }
            if decimal_count == 0 {
                return None;
            }
        }
        micros *= 10_u64.pow(DECIMAL_COUNT.saturating_sub(decimal_count));
        self.ends().then_some((seconds * 1_000_000 + micros) * 1000)
    }

    fn when(&mut self) -> Option<When> {
        self.nanos().map(|nanos| When(Some(Time(nanos))))
    }

    fn lasted(&mut self) -> Option<Lasted> {
        self.nanos().map(|nanos| Lasted(Some(Span(nanos))))
    }

    fn flag(&mut self) -> Option<Flag> {
        self.peek()?;
        let rest = self.bytes.get(self.at..)?;
        let (yes, len) = match rest {
            [b't', b'r', b'u', b'e', ..] => (true, 4),
            [b'f', b'a', b'l', b's', b'e', ..] => (false, 5),
            _ => return None,
        };
        self.at += len;
        Some(Flag(Some(yes)))
    }

    /// A list without elements.
    fn nothing<T>(&mut self) -> Option<List<T>> {
        self.take(b'[')?;
        self.take(b']')?;
        Some(List::default())
    }

    /// A value of no use.
    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b't' | b'f' => self.flag().map(drop),
            b'[' => self.nothing::<()>().map(drop),
            _ => self.nanos().map(drop),
        }
    }

    /// Whether a number is over: there are other ways to go on.
    fn ends(&self) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| matches!(byte, b',' | b'}') || is_blank(*byte))
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// How many bytes come before a quote, a backslash or a control character; eight at a time.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The lowest mark is right; those above it may be a borrow's.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let quotes = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        let marks = controls | quotes;
        if marks != 0 {
            return place * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

/// Four decimal numbers without zeros before them; anything else is the library's to judge.
fn four_numbers(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut bits, mut number, mut digit_count, mut dot_count) = (0_u32, 0_u32, 0, 0);
    for byte in text {
        match byte {
            b'0'..=b'9' if digit_count < 3 && (digit_count == 0 || number > 0) => {
                number = number * 10 + u32::from(byte - b'0');
                digit_count += 1;
            }
            b'.' if digit_count > 0 && number < 256 && dot_count < 3 => {
                bits = bits << 8 | number;
                (number, digit_count, dot_count) = (0, 0, dot_count + 1);
            }
            _ => return None,
        }
    }
    let is_whole = dot_count == 3 && digit_count > 0 && number < 256;
    is_whole.then_some(Ipv4Addr::from_bits(bits << 8 | number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"ts":1780000000.25,"uid":"C0","id.orig_h":"172.18.1.10","id.orig_p":41648,
        "id.resp_h":"2001:db8::1","id.resp_p":443,"proto":"tcp","service":"ssl",
        "duration":0.09628199999999865,"orig_bytes":0,"resp_bytes":18446744073709,
        "conn_state":"SF","local_orig":true,"local_resp": false,"missed_bytes":0,
        "history":"ShADadFf","orig_pkts":4,"orig_ip_bytes":200,"resp_pkts":5,"resp_ip_bytes":260,
        "tunnel_parents":[],"vlan":7,"comment":"plain ünicode","odd":1.5}"#;

    /// What the whole parser makes of it.
    fn whole(line: &str) -> Option<Conn<'_>> {
        sonic_rs::from_slice(line.as_bytes()).ok()
    }

    fn shown(row: Option<Conn<'_>>) -> Option<String> {
        row.map(|row| format!("{row:?}"))
    }

    #[test]
    fn a_row_of_zeeks_is_taken_and_is_what_the_whole_parser_makes_of_it() {
        let line = ROW.replace('\n', "");
        assert!(conn(line.as_bytes()).is_some());
        assert_eq!(shown(conn(line.as_bytes())), shown(whole(&line)));
    }

    /// Every byte replaced by others, and every cut: what is taken at all is the same.
    #[test]
    fn what_it_takes_is_the_same_whatever_was_changed() {
        let line = ROW.replace('\n', "");
        let (mut taken_count, mut left_count) = (0, 0);
        for at in 0..line.len() {
            for with in ["", "\"", "\\", "0", "9", ".", "-", "e", ",", "}", "{", " ", "\u{1}", "é"]
            {
                let mut changed = line.clone().into_bytes();
                changed.splice(at..=at, with.bytes());
                let Ok(changed) = String::from_utf8(changed) else { continue };
                match conn(changed.as_bytes()) {
                    Some(row) => {
                        assert_eq!(shown(Some(row)), shown(whole(&changed)), "{changed}");
                        taken_count += 1;
                    }
                    None => left_count += 1,
                }
            }
            assert!(line.get(..at).is_none_or(|cut| conn(cut.as_bytes()).is_none()));
        }
        assert!(taken_count > 1000 && left_count > 1000, "{taken_count} {left_count}");
    }

    #[test]
    fn what_is_unusual_is_left() {
        for line in [
            r#"{"ts":1,"ts":2}"#,
            r#"{"ts":1e9}"#,
            r#"{"ts":-1}"#,
            r#"{"ts":01}"#,
            r#"{"ts":1780000000000}"#,
            r#"{"ts":null}"#,
            r#"{"uid":"\u0041"}"#,
            r#"{"uid":"C1"} x"#,
            r#"{"orig_bytes":1.5}"#,
            r#"{"orig_bytes":99999999999999999999}"#,
            r#"{"id.orig_h":"10.0.0.256"}"#,
            r#"{"id.orig_h":"10.0.0.01"}"#,
            r#"{"tunnel_parents":["C2"]}"#,
            r#"{"extra":{"a":1}}"#,
            r#"["ts"]"#,
            "{}",
            "",
        ] {
            assert!(conn(line.as_bytes()).is_none(), "{line}");
        }
    }
}
