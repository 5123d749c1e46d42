//! What a burst looks like, measured while it passes, so that its cutting into segments never
//! shows: printable and NUL share, lines, entropy, and how it ends.

use observation::{Echo, Shape, Tail};

use super::entropy;

/// What is measured of a burst.
const SAMPLE_BYTES_MAX: usize = 4096;
/// What is shown of it.
pub(crate) const EXCERPT_BYTES_MAX: usize = 256;
/// The longest unfinished line that can be a prompt, with its escape sequences.
const TAIL_BYTES_MAX: usize = 96;
/// The longest prompt without them.
const PROMPT_BYTES_MAX: usize = 64;
/// Bytes that are no UTF-8, after which a burst is not text and no more sequences are looked for.
const BAD_UTF8_MAX: u16 = 16;
/// What of a burst has to come back to be an echo.
const ECHO_BYTES_MAX: usize = 96;

/// One open burst's measurements. What fits into the excerpt, as most does, is measured only once
/// the burst is over.
#[derive(Debug)]
pub(crate) struct Sample {
    excerpt: [u8; EXCERPT_BYTES_MAX],
    excerpt_len: u16,
    sampled: u16,
    /// Of a burst that is longer than the excerpt.
    long: Long,
}

/// What cannot be told from the excerpt.
#[derive(Debug)]
struct Long {
    histogram: [u16; 256],
    tail: [u8; TAIL_BYTES_MAX],
    tail_len: u8,
    text: Text,
}

/// Whether bytes are text, and its lines.
#[derive(Clone, Copy, Debug)]
struct Text {
    escapes: u16,
    utf8_good: u16,
    utf8_bad: u16,
    utf8: Utf8,
    line_count: u16,
    line_bytes: u16,
    line_bytes_max: u16,
    last: Last,
}

/// Where a UTF-8 sequence stands.
#[derive(Clone, Copy, Debug, Default)]
struct Utf8 {
    have: u8,
    need: u8,
}

/// What the byte before was, as far as it matters to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Return,
    Escape,
    Other,
}

/// What a burst said, for comparison with what comes back: its length and hash with every line end
/// taken for one and NULs left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    hash: u32,
    len: u16,
}

impl Said {
    /// Nothing, which nobody can repeat.
    pub(crate) const NOTHING: Self = Self { hash: 0, len: 0 };
}

impl Sample {
    pub(crate) const fn new() -> Self {
        Self { excerpt: [0; EXCERPT_BYTES_MAX], excerpt_len: 0, sampled: 0, long: Long::NEW }
    }

    /// Makes it ready for the next burst.
    pub(crate) fn clear(&mut self) {
        if self.is_long() {
            self.long = Long::NEW;
        }
        (self.excerpt_len, self.sampled) = (0, 0);
    }

    fn is_long(&self) -> bool {
        self.sampled > self.excerpt_len
    }

    /// The burst goes on with these bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let was_long = self.is_long();
        let known = usize::from(self.excerpt_len);
        let left = SAMPLE_BYTES_MAX - usize::from(self.sampled);
        let measured = bytes.get(..left).unwrap_or(bytes);
        self.sampled += measured.len() as u16;
        if !was_long {
            let room = self.excerpt.get_mut(known..).unwrap_or_default();
            let fits = room.len().min(measured.len());
            if let (Some(room), Some(bytes)) = (room.get_mut(..fits), measured.get(..fits)) {
                room.copy_from_slice(bytes);
                self.excerpt_len += fits as u16;
            }
            if !self.is_long() {
                return;
            }
            self.long.add(self.excerpt.get(..known).unwrap_or_default());
            self.long.extend_tail(self.excerpt.get(..known).unwrap_or_default());
        }
        self.long.add(measured);
        self.long.extend_tail(bytes);
    }

    pub(crate) fn excerpt(&self) -> &[u8] {
        self.excerpt.get(..usize::from(self.excerpt_len)).unwrap_or_default()
    }

    /// The burst is over: what it looked like, beside what the other side had `said` before.
    pub(crate) fn shape(&self, said: Said) -> Shape {
        let excerpt = self.excerpt();
        let (text, graphic, nuls, entropy, end) = if self.is_long() {
            let long = &self.long;
            let entropy = entropy::of_many(&long.histogram, self.sampled);
            (long.text, long.graphic(), long.nuls(), entropy, long.tail())
        } else {
            let (graphic, nuls) = (count(excerpt, is_graphic), count(excerpt, |byte| byte == 0));
            let end = excerpt.get(excerpt.len().saturating_sub(TAIL_BYTES_MAX)..);
            let entropy = entropy::of_few(excerpt);
            (Text::of(excerpt), graphic, nuls, entropy, end.unwrap_or_default())
        };
        let printable = graphic + u32::from(text.escapes) + u32::from(text.utf8_good);
        let sampled = u32::from(self.sampled);
        Shape {
            printable_percent: percent(printable, sampled - nuls),
            nul_percent: percent(nuls, sampled),
            line_count: text.line_count,
            line_bytes_max: text.line_bytes_max.max(text.line_bytes),
            entropy_centibits: entropy,
            tail: tail(end),
            echo: if self.repeats(said) { Echo::Repeats } else { Echo::None },
        }
    }

    /// What the other side may echo.
    pub(crate) fn said(&self) -> Said {
        said(self.excerpt(), ECHO_BYTES_MAX).unwrap_or_default()
    }

    fn repeats(&self, before: Said) -> bool {
        before.len > 0 && exactly(self.excerpt(), usize::from(before.len)) == Some(before)
    }
}

impl Long {
    const NEW: Self =
        Self { histogram: [0; 256], tail: [0; TAIL_BYTES_MAX], tail_len: 0, text: Text::NEW };

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(count) = self.histogram.get_mut(usize::from(byte)) {
                *count += 1;
            }
        }
        self.text.add(bytes);
    }

    fn of(&self, byte: u8) -> u32 {
        self.histogram.get(usize::from(byte)).copied().map_or(0, u32::from)
    }

    fn nuls(&self) -> u32 {
        self.of(0)
    }

    fn graphic(&self) -> u32 {
        let ascii = self.histogram.get(usize::from(b' ')..=usize::from(b'~')).unwrap_or_default();
        let ascii: u32 = ascii.iter().map(|&count| u32::from(count)).sum();
        ascii + self.of(b'\t') + self.of(b'\r') + self.of(b'\n')
    }

    fn tail(&self) -> &[u8] {
        self.tail.get(..usize::from(self.tail_len)).unwrap_or_default()
    }

    fn extend_tail(&mut self, bytes: &[u8]) {
        let (len, added) = (usize::from(self.tail_len), bytes.len().min(TAIL_BYTES_MAX));
        let kept = len.min(TAIL_BYTES_MAX - added);
        self.tail.copy_within(len - kept..len, 0);
        let fresh = bytes.get(bytes.len() - added..).unwrap_or_default();
        if let Some(room) = self.tail.get_mut(kept..kept + added) {
            room.copy_from_slice(fresh);
        }
        self.tail_len = (kept + added) as u8;
    }
}

impl Text {
    const NEW: Self = Self {
        escapes: 0,
        utf8_good: 0,
        utf8_bad: 0,
        utf8: Utf8 { have: 0, need: 0 },
        line_count: 0,
        line_bytes: 0,
        line_bytes_max: 0,
        last: Last::Other,
    };

    fn of(bytes: &[u8]) -> Self {
        let mut text = Self::NEW;
        text.add(bytes);
        text
    }

    /// Lines are counted as long as it may be text.
    fn add(&mut self, bytes: &[u8]) {
        let text_len = self.measure_utf8(bytes);
        self.measure_lines(bytes.get(..text_len).unwrap_or(bytes));
    }

    /// Line ends and escape sequences are rare, so the bytes up to the next one are passed at once.
    fn measure_lines(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            let plain = if self.last == Last::Other { before(rest, is_special) } else { 0 };
            if plain > 0 {
                self.line_bytes += plain as u16;
                rest = rest.get(plain..).unwrap_or_default();
                continue;
            }
            self.measure_byte(byte);
            rest = after;
        }
    }

    fn measure_byte(&mut self, byte: u8) {
        let before = self.last;
        self.last = Last::Other;
        match byte {
            b'\n' if before == Last::Return => {}
            b'\n' | b'\r' => {
                self.line_count += 1;
                self.line_bytes_max = self.line_bytes_max.max(self.line_bytes);
                self.line_bytes = 0;
                if byte == b'\r' {
                    self.last = Last::Return;
                }
            }
            ESCAPE => {
                self.last = Last::Escape;
                self.line_bytes += 1;
            }
            b'[' | b']' | b'(' | b')' | b'=' | b'>' | b'7' | b'8' if before == Last::Escape => {
                self.escapes += 1;
                self.line_bytes += 1;
            }
            _ => self.line_bytes += 1,
        }
    }

    /// How many bytes there are until it cannot be text any more.
    fn measure_utf8(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.utf8_bad >= BAD_UTF8_MAX {
                break;
            }
            let ascii = if self.utf8.need == 0 { before(rest, is_high) } else { 0 };
            if ascii > 0 {
                rest = rest.get(ascii..).unwrap_or_default();
                continue;
            }
            self.measure_utf8_byte(byte);
            rest = after;
        }
        bytes.len() - rest.len()
    }

    fn measure_utf8_byte(&mut self, byte: u8) {
        let Utf8 { have, need } = self.utf8;
        if need > 0 {
            if byte & 0xc0 == 0x80 {
                self.utf8.have = have + 1;
                if self.utf8.have == need {
                    self.utf8_good += u16::from(need);
                    self.utf8 = Utf8::default();
                }
                return;
            }
            self.utf8_bad += u16::from(have);
            self.utf8 = Utf8::default();
        }
        match byte {
            0..=0x7f => {}
            0xc2..=0xdf => self.utf8 = Utf8 { have: 1, need: 2 },
            0xe0..=0xef => self.utf8 = Utf8 { have: 1, need: 3 },
            0xf0..=0xf4 => self.utf8 = Utf8 { have: 1, need: 4 },
            _ => self.utf8_bad += 1,
        }
    }
}

const ESCAPE: u8 = 0x1b;

const fn is_graphic(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')
}

fn count(bytes: &[u8], is_meant: impl Fn(u8) -> bool) -> u32 {
    bytes.iter().map(|&byte| u32::from(is_meant(byte))).sum()
}

const fn is_special(byte: u8) -> bool {
    (byte == b'\n') | (byte == b'\r') | (byte == ESCAPE)
}

const fn is_high(byte: u8) -> bool {
    byte >= 0x80
}

/// How many bytes come before the first one that is marked. Sixteen are looked at at once, in a
/// form that compilers turn into vector instructions.
fn before(bytes: &[u8], is_marked: impl Fn(u8) -> bool) -> usize {
    const BLOCK: usize = 16;
    let mut count = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block.iter().fold(false, |any, &byte| any | is_marked(byte)) {
            break;
        }
        count += BLOCK;
    }
    let rest = bytes.get(count..).unwrap_or_default();
    count + rest.iter().position(|&byte| is_marked(byte)).unwrap_or(rest.len())
}

fn percent(part: u32, whole: u32) -> u8 {
    (part * 100).checked_div(whole).map_or(0, |percent| percent.min(100) as u8)
}

/// The bytes with every line end taken for one LF and NULs left out.
fn plain(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let mut after_return = false;
    bytes.iter().filter(|&&byte| byte != 0).filter_map(move |&byte| {
        let second_half = after_return && byte == b'\n';
        after_return = byte == b'\r';
        if second_half { None } else { Some(if byte == b'\r' { b'\n' } else { byte }) }
    })
}

fn said(bytes: &[u8], len_max: usize) -> Option<Said> {
    let mut said = Said { hash: 0x811c_9dc5, len: 0 };
    for byte in plain(bytes).take(len_max) {
        // FNV-1a.
        said.hash = (said.hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        said.len += 1;
    }
    (said.len > 0).then_some(said)
}

fn exactly(bytes: &[u8], len: usize) -> Option<Said> {
    said(bytes, len).filter(|said| usize::from(said.len) == len)
}

/// How text ends, escape sequences and NUL padding aside.
fn tail(end: &[u8]) -> Tail {
    let mut line = [0u8; TAIL_BYTES_MAX];
    let mut len = 0;
    let mut rest = end.iter().copied().filter(|&byte| byte != 0);
    while let Some(byte) = rest.next() {
        if byte == ESCAPE {
            // A control sequence ends with a letter; others are one more byte.
            if rest.next() == Some(b'[') {
                rest.by_ref().find(u8::is_ascii_alphabetic);
            }
            continue;
        }
        if let Some(place) = line.get_mut(len) {
            *place = byte;
            len += 1;
        }
    }
    let line = line.get(..len).unwrap_or_default();
    let unfinished = match line.iter().rposition(|&byte| byte == b'\n' || byte == b'\r') {
        Some(place) if place + 1 == line.len() => return Tail::LineEnd,
        Some(place) => line.get(place + 1..).unwrap_or_default(),
        // Its beginning is out of sight: too long.
        None if end.len() == TAIL_BYTES_MAX => return Tail::Open,
        None => line,
    };
    if is_prompt(unfinished) { Tail::Prompt } else { Tail::Open }
}

/// `# `, `$ `, `> `, `% `, `: `, `? `, `) `, `] ` after a short printable line, or a bare `>`, `#`
/// or `$`, which some programs leave without a space.
fn is_prompt(line: &[u8]) -> bool {
    if line.len() > PROMPT_BYTES_MAX || line.iter().any(|byte| byte.is_ascii_control()) {
        return false;
    }
    match *line {
        [.., mark, b' '] => b"#$>%:?)]".contains(&mark),
        [.., mark] => b">#$".contains(&mark),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn shape_of(bytes: &[u8]) -> Shape {
        let mut sample = Sample::new();
        sample.add(bytes);
        sample.shape(Said::default())
    }

    #[test]
    fn one_byte_segments_have_the_shape_of_one_segment() {
        let binary: Vec<u8> =
            (0..9000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let text = "uid=0(root)\r\n\x1b[1mpäth\x1b[0m\0\0\n/ # ".repeat(70);
        for whole in [&b"id\n"[..], text.as_bytes(), &binary, b"\xc3", b"\r", b"\r\n\r\n"] {
            for step in [1, 3, 7, 100] {
                let mut sample = Sample::new();
                whole.chunks(step).for_each(|part| sample.add(part));
                assert_eq!(sample.shape(Said::default()), shape_of(whole));
                assert_eq!(sample.excerpt(), &whole[..whole.len().min(EXCERPT_BYTES_MAX)]);
            }
        }
    }

    #[test]
    fn text_is_printable_also_with_umlauts_colours_and_padding() {
        let shape = shape_of("\x1b[1mgr\u{fc}\u{df}e\x1b[0m\r\n\0\0\0".as_bytes());
        assert_eq!((shape.printable_percent, shape.line_count), (100, 1));
        assert!(shape.nul_percent > 0);
        let shape = shape_of(b"\xff\xfd\x18\xff\xfd\x20");
        assert_eq!((shape.printable_percent, shape.line_count), (16, 0));
    }

    #[test]
    fn lines_are_counted_once_whatever_ends_them() {
        let shape = shape_of(b"one\r\ntwo\nthree\rfour");
        assert_eq!((shape.line_count, shape.line_bytes_max), (3, 5));
    }

    #[test]
    fn prompts_invite_to_type() {
        let prompts: [&[u8]; 8] = [
            b"uid=0(root)\n/ # ",
            b"$ ",
            b"login: ",
            b"\r\nroot@5455d941:/# \x1b[6n",
            b"C:\\>",
            b"(Pdb) ",
            b"\x1b[32muser@host\x1b[0m:~$ \0\0",
            b"Password: ",
        ];
        for text in prompts {
            assert_eq!(shape_of(text).tail, Tail::Prompt, "{text:?}");
        }
        assert_eq!(shape_of(b"id; uname -a\n").tail, Tail::LineEnd);
        assert_eq!(shape_of(b"id\r\0").tail, Tail::LineEnd);
        let open: [&[u8]; 3] = [b"no newline", b"\x17\x03\x03\x00 ", &[b'x'; 300]];
        for text in open {
            assert_eq!(shape_of(text).tail, Tail::Open, "{text:?}");
        }
    }

    #[test]
    fn a_terminal_repeats_what_was_typed() {
        let mut typed = Sample::new();
        typed.add(b"ls\n");
        for echoed in [&b"ls\r\nbin\r\n"[..], b"ls\n", b"ls\r\0\0"] {
            let mut sample = Sample::new();
            sample.add(echoed);
            assert_eq!(sample.shape(typed.said()).echo, Echo::Repeats, "{echoed:?}");
        }
        for other in [&b"l"[..], b"bin\r\nls\n", b""] {
            let mut sample = Sample::new();
            sample.add(other);
            assert_eq!(sample.shape(typed.said()).echo, Echo::None, "{other:?}");
        }
    }
}
