//! What a burst looks like, measured while it passes, so that its cutting into segments never
//! shows.

use observation::{Echo, Shape, Texture};

use super::ending::{PROMPT_END_BYTES_MAX, Said, tail};
use super::entropy;
use super::likeness::likeness;
use super::lines::Lines;

/// What is measured of a burst.
const SAMPLE_BYTES_MAX: usize = 4096;
/// What is shown of it.
pub(crate) const EXCERPT_BYTES_MAX: usize = 256;
/// Random bytes are printable by 38 %.
pub(super) const TEXT_PERCENT_MIN: u8 = 70;

/// How closely a burst is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A protocol explains it: whether it is text, and how it ends.
    Glance,
    /// Nothing explains it: its texture too.
    Texture,
}

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
    kinds: Kinds,
    end: [u8; PROMPT_END_BYTES_MAX],
    end_len: u8,
    /// How many bytes have been looked at for their texture.
    textured: u16,
    lines: Lines,
    histogram: [u16; 256],
}

/// What kinds of bytes there are.
#[derive(Clone, Copy, Debug)]
struct Kinds {
    graphic: u16,
    nuls: u16,
    /// Those of UTF-8's sequences, of which no more is known.
    high: u16,
}

impl Sample {
    pub(crate) const fn new() -> Self {
        Self { excerpt: [0; EXCERPT_BYTES_MAX], excerpt_len: 0, sampled: 0, long: Long::NEW }
    }

    /// Makes it ready for the next burst.
    pub(crate) fn clear(&mut self) {
        if self.is_long() {
            self.long.clear();
        }
        (self.excerpt_len, self.sampled) = (0, 0);
    }

    fn is_long(&self) -> bool {
        self.sampled > self.excerpt_len
    }

    /// The burst goes on with these bytes.
    pub(super) fn add(&mut self, bytes: &[u8], look: Look) {
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
            let before = self.excerpt.get(..known).unwrap_or_default();
            self.long.add(before, look);
            self.long.extend_end(before);
        }
        self.long.add(measured, look);
        self.long.extend_end(bytes);
    }

    pub(crate) fn excerpt(&self) -> &[u8] {
        self.excerpt.get(..usize::from(self.excerpt_len)).unwrap_or_default()
    }

    /// The burst is over: what it looked like, beside what the other side had `said` before.
    pub(super) fn shape(&self, said: Said, look: Look) -> Shape {
        let excerpt = self.excerpt();
        let (kinds, end) = if self.is_long() {
            (self.long.kinds, self.long.end())
        } else {
            let end = excerpt.get(excerpt.len().saturating_sub(PROMPT_END_BYTES_MAX)..);
            (Kinds::of(excerpt), end.unwrap_or_default())
        };
        let printable_percent = kinds.printable_percent(self.sampled, excerpt);
        let texture = match look {
            Look::Glance => None,
            Look::Texture => self.texture(kinds, printable_percent),
        };
        let echo = if said.is_repeated_by(excerpt) { Echo::Repeats } else { Echo::None };
        Shape { printable_percent, tail: tail(end), echo, texture }
    }

    /// Where all of it has been looked at: what a protocol explained in part has none.
    fn texture(&self, kinds: Kinds, printable_percent: u8) -> Option<Texture> {
        let (excerpt, long) = (self.excerpt(), &self.long);
        let (lines, entropy_centibits) = if !self.is_long() {
            (Lines::of(excerpt), entropy::of_few(excerpt))
        } else if long.textured == self.sampled {
            (long.lines, entropy::of_many(&long.histogram, self.sampled))
        } else {
            return None;
        };
        Some(Texture {
            nul_percent: kinds.nul_percent(self.sampled),
            line_count: lines.count(),
            line_bytes_max: lines.bytes_max(),
            entropy_centibits,
            likeness: likeness(excerpt, printable_percent),
        })
    }
}

impl Long {
    const NEW: Self = Self {
        kinds: Kinds::NONE,
        end: [0; PROMPT_END_BYTES_MAX],
        end_len: 0,
        textured: 0,
        lines: Lines::NEW,
        histogram: [0; 256],
    };

    fn clear(&mut self) {
        if self.textured > 0 {
            (self.textured, self.lines, self.histogram) = (0, Lines::NEW, [0; 256]);
        }
        (self.kinds, self.end_len) = (Kinds::NONE, 0);
    }

    fn add(&mut self, bytes: &[u8], look: Look) {
        self.kinds.add(bytes);
        if look == Look::Texture {
            self.textured += bytes.len() as u16;
            self.lines.add(bytes);
            for &byte in bytes {
                if let Some(count) = self.histogram.get_mut(usize::from(byte)) {
                    *count += 1;
                }
            }
        }
    }

    fn end(&self) -> &[u8] {
        self.end.get(..usize::from(self.end_len)).unwrap_or_default()
    }

    fn extend_end(&mut self, bytes: &[u8]) {
        let (len, added) = (usize::from(self.end_len), bytes.len().min(PROMPT_END_BYTES_MAX));
        let kept = len.min(PROMPT_END_BYTES_MAX - added);
        self.end.copy_within(len - kept..len, 0);
        let fresh = bytes.get(bytes.len() - added..).unwrap_or_default();
        if let Some(room) = self.end.get_mut(kept..kept + added) {
            room.copy_from_slice(fresh);
        }
        self.end_len = (kept + added) as u8;
    }
}

impl Kinds {
    const NONE: Self = Self { graphic: 0, nuls: 0, high: 0 };

    fn of(bytes: &[u8]) -> Self {
        let mut kinds = Self::NONE;
        kinds.add(bytes);
        kinds
    }

    /// Counted in bytes, of which vector registers hold many.
    fn add(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(128) {
            let (mut graphic, mut nuls, mut high) = (0_u8, 0_u8, 0_u8);
            for &byte in block {
                graphic += u8::from(is_graphic(byte));
                nuls += u8::from(byte == 0);
                high += u8::from(byte >= 0x80);
            }
            self.graphic += u16::from(graphic);
            self.nuls += u16::from(nuls);
            self.high += u16::from(high);
        }
    }

    /// Of `count` bytes that begin with `excerpt`, whose sequences stand for all.
    fn printable_percent(self, count: u16, excerpt: &[u8]) -> u8 {
        let spoken = u32::from(count).saturating_sub(self.nuls.into());
        let (graphic, high) = (u32::from(self.graphic), u32::from(self.high));
        // Text has no control bytes to speak of, and then nobody asks for its sequences.
        let controls = spoken.saturating_sub(graphic + high);
        let is_binary = controls * 16 > spoken;
        let good = if high == 0 || is_binary { 0 } else { high * utf8_percent(excerpt) / 100 };
        percent(graphic + good, spoken)
    }

    fn nul_percent(self, count: u16) -> u8 {
        percent(self.nuls.into(), count.into())
    }
}

/// How many of the bytes above ASCII stand in a whole sequence of UTF-8; what is cut off at the end
/// is not asked for.
fn utf8_percent(bytes: &[u8]) -> u32 {
    let (mut good, mut bad) = (0, 0);
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        good += chunk.valid().bytes().filter(|byte| *byte >= 0x80).count();
        let is_last = chunks.peek().is_none();
        let is_cut = |invalid| str::from_utf8(invalid).is_err_and(|why| why.error_len().is_none());
        if !(is_last && is_cut(chunk.invalid())) {
            bad += chunk.invalid().len();
        }
    }
    (good * 100).checked_div(good + bad).unwrap_or(0) as u32
}

/// ESC too: what a terminal is told is for eyes.
const fn is_graphic(byte: u8) -> bool {
    (byte >= b' ' && byte <= b'~')
        | (byte == b'\t')
        | (byte == b'\r')
        | (byte == b'\n')
        | (byte == 0x1b)
}

/// How many bytes come before the first one that is marked. Sixteen are looked at at once, in a
/// form that compilers turn into vector instructions.
pub(super) fn before(bytes: &[u8], is_marked: impl Fn(u8) -> bool) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn shape_of(bytes: &[u8]) -> Shape {
        let mut sample = Sample::new();
        sample.add(bytes, Look::Texture);
        sample.shape(Said::NOTHING, Look::Texture)
    }

    #[test]
    fn one_byte_segments_have_the_shape_of_one_segment() {
        let binary: Vec<u8> =
            (0..9000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let text = "uid=0(root)\r\n\x1b[1mpäth\x1b[0m\0\0\n/ # ".repeat(70);
        for whole in [&b"id\n"[..], text.as_bytes(), &binary, b"\xc3", b"\r", b"\r\n\r\n"] {
            for step in [1, 3, 7, 100] {
                let mut sample = Sample::new();
                whole.chunks(step).for_each(|part| sample.add(part, Look::Texture));
                assert_eq!(sample.shape(Said::NOTHING, Look::Texture), shape_of(whole));
                assert_eq!(sample.excerpt(), &whole[..whole.len().min(EXCERPT_BYTES_MAX)]);
            }
        }
    }

    #[test]
    fn text_is_printable_also_with_umlauts_colours_and_padding() {
        let shape = shape_of("\x1b[1mgr\u{fc}\u{df}e\x1b[0m\r\n\0\0\0".as_bytes());
        let texture = shape.texture.unwrap();
        assert_eq!((shape.printable_percent, texture.line_count), (100, 1));
        assert!(texture.nul_percent > 0);
        let shape = shape_of(b"\xff\xfd\x18\xff\xfd\x20");
        assert_eq!((shape.printable_percent, shape.texture.unwrap().line_count), (16, 0));
    }

    #[test]
    fn what_a_protocol_explains_has_no_texture() {
        let long = [b'x'; 400];
        for looks in
            [[Look::Glance; 2], [Look::Texture, Look::Glance], [Look::Glance, Look::Texture]]
        {
            let mut sample = Sample::new();
            looks.iter().for_each(|&look| sample.add(&long, look));
            assert_eq!(sample.shape(Said::NOTHING, looks[1]).texture, None, "{looks:?}");
        }
        assert!(shape_of(&long).texture.is_some());
    }

    #[test]
    fn a_cleared_sample_remembers_nothing() {
        let mut sample = Sample::new();
        sample.add(&[b'\n'; 3000], Look::Texture);
        sample.clear();
        let text = [b'y'; 3000];
        sample.add(&text, Look::Texture);
        assert_eq!(sample.shape(Said::NOTHING, Look::Texture), shape_of(&text));
    }
}
