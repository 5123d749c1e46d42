//! HPACK, the compression of HTTP/2's header blocks: RFC 7541. What a decoder remembers is bounded
//! by the size that a table has when nobody asks for more.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::huffman;

/// One direction's table.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The latest entry first.
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry {
    name: Box<[u8]>,
    value: Box<[u8]>,
}

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Read,
    /// It asks for more than is kept; what follows cannot be read either.
    Beyond,
    /// No encoder writes such a block.
    Wrong,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max: TABLE_BYTES_MAX }
    }
}

impl Decoder {
    /// How much memory the table holds, by the specification's own account.
    pub(super) const fn held(&self) -> usize {
        self.bytes
    }

    /// Reads a whole block, field by field.
    pub(super) fn read(&mut self, block: &[u8], field: &mut dyn FnMut(&[u8], &[u8])) -> Block {
        let mut rest = block;
        let mut field_count = 0;
        while !rest.is_empty() {
            let mut tell = |name: &[u8], value: &[u8]| {
                field_count += 1;
                if field_count <= FIELD_COUNT_MAX {
                    field(name, value);
                }
            };
            match self.step(rest, &mut tell) {
                Ok(after) => rest = after,
                Err(block) => return block,
            }
        }
        Block::Read
    }

    /// Reads one representation: section 6.
    fn step<'a>(
        &mut self,
        bytes: &'a [u8],
        field: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<&'a [u8], Block> {
        let first = bytes.first().copied().unwrap_or_default();
        match first {
            0x80.. => {
                let (index, rest) = integer(bytes, 7).ok_or(Block::Wrong)?;
                let (name, value) = self.entry(index).ok_or(Block::Wrong)?;
                field(name, value);
                Ok(rest)
            }
            0x20..0x40 => {
                let (size, rest) = integer(bytes, 5).ok_or(Block::Wrong)?;
                if size > TABLE_BYTES_MAX {
                    return Err(Block::Beyond);
                }
                self.bytes_max = size;
                self.evict(0);
                Ok(rest)
            }
            _ => self.literal(first, bytes, field),
        }
    }

    fn literal<'a>(
        &mut self,
        first: u8,
        bytes: &'a [u8],
        field: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<&'a [u8], Block> {
        const INDEXED: u8 = 0x40;
        let prefix = if first & INDEXED == 0 { 4 } else { 6 };
        let (index, rest) = integer(bytes, prefix).ok_or(Block::Wrong)?;
        let (name, rest) = if index == 0 {
            text(rest)?
        } else {
            (Box::from(self.entry(index).ok_or(Block::Wrong)?.0), rest)
        };
        let (value, rest) = text(rest)?;
        field(&name, &value);
        if first & INDEXED != 0 {
            self.add(Entry { name, value });
        }
        Ok(rest)
    }

    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let place = index.checked_sub(1)?;
        if let Some((name, value)) = FIXED.get(place) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        self.entries.get(place - FIXED.len()).map(|entry| (&*entry.name, &*entry.value))
    }

    fn add(&mut self, entry: Entry) {
        let size = entry.size();
        self.evict(size);
        if size <= self.bytes_max {
            self.bytes += size;
            self.entries.push_front(entry);
        }
    }

    /// Makes room for so many bytes: section 4.4.
    fn evict(&mut self, bytes: usize) {
        while self.bytes + bytes > self.bytes_max {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.bytes -= oldest.size();
        }
    }
}

impl Entry {
    /// Section 4.1.
    const fn size(&self) -> usize {
        self.name.len() + self.value.len() + 32
    }
}

/// A number in what is left of its first byte, and in more bytes where it has no room: section 5.1.
fn integer(bytes: &[u8], prefix: u32) -> Option<(usize, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let full = (1_usize << prefix) - 1;
    let mut number = usize::from(*first) & full;
    if number < full {
        return Some((number, rest));
    }
    for shift in [0, 7, 14] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        number += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number, rest));
        }
    }
    None
}

/// A string, perhaps in Huffman's code: section 5.2.
fn text(bytes: &[u8]) -> Result<(Box<[u8]>, &[u8]), Block> {
    const HUFFMAN: u8 = 0x80;
    let first = bytes.first().copied().ok_or(Block::Wrong)?;
    let (length, rest) = integer(bytes, 7).ok_or(Block::Wrong)?;
    let (text, rest) = rest.split_at_checked(length).ok_or(Block::Wrong)?;
    if first & HUFFMAN == 0 {
        return Ok((Box::from(text), rest));
    }
    // The shortest word has five bits.
    let text = huffman::decode(text, length * 8 / 5).ok_or(Block::Wrong)?;
    Ok((text.into_boxed_slice(), rest))
}

/// SETTINGS_HEADER_TABLE_SIZE where nobody sets it: RFC 9113, section 6.5.2.
const TABLE_BYTES_MAX: usize = 4096;
/// Fields of one block that are told.
const FIELD_COUNT_MAX: usize = 128;

/// Appendix A.
static FIXED: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    fn fields(decoder: &mut Decoder, block: &[u8]) -> (Block, String) {
        let mut told = Vec::new();
        let became = decoder.read(block, &mut |name, value| {
            let [name, value] = [name, value].map(String::from_utf8_lossy);
            told.push(format!("{name}={value}"));
        });
        (became, told.join(" "))
    }

    /// Appendix C.4: three requests on one connection.
    #[test]
    fn a_table_is_built_up_request_by_request() {
        let mut decoder = Decoder::default();
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let told = ":method=GET :scheme=http :path=/ :authority=www.example.com";
        assert_eq!(fields(&mut decoder, first), (Block::Read, told.into()));
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        let told = format!("{told} cache-control=no-cache");
        assert_eq!(fields(&mut decoder, second), (Block::Read, told));
        let third =
            b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\
            \xb8\xe8\xb4\xbf";
        let told = ":method=GET :scheme=https :path=/index.html :authority=www.example.com \
            custom-key=custom-value";
        assert_eq!(fields(&mut decoder, third), (Block::Read, told.into()));
        assert_eq!(decoder.bytes, 164);
    }

    /// Appendix C.5: responses, in a table of 256 bytes.
    #[test]
    fn the_oldest_entries_make_room() {
        let mut decoder = Decoder::default();
        assert_eq!(fields(&mut decoder, b"\x3f\xe1\x01").0, Block::Read);
        let first = b"\x48\x03302\x58\x07private\x61\x1dMon, 21 Oct 2013 20:13:21 GMT\
            \x6e\x17https://www.example.com";
        assert_eq!(fields(&mut decoder, first).0, Block::Read);
        assert_eq!(decoder.bytes, 222);
        let (became, told) = fields(&mut decoder, b"\x48\x03307\xc1\xc0\xbf");
        assert_eq!(became, Block::Read);
        assert!(told.starts_with(":status=307 cache-control=private date=Mon, 21 Oct"));
        assert_eq!(decoder.bytes, 222);
    }

    #[test]
    fn what_no_encoder_writes_is_wrong() {
        let wrong: [&[u8]; 7] = [
            b"\x80",
            b"\xbe",
            b"\x40",
            b"\x40\x05ab",
            b"\xff\xff\xff\xff\xff",
            b"\x7f",
            b"\x00\x81\x00",
        ];
        for block in wrong {
            assert_eq!(fields(&mut Decoder::default(), block).0, Block::Wrong, "{block:?}");
        }
        // A table that is larger than the one that is kept.
        assert_eq!(fields(&mut Decoder::default(), b"\x3f\xe2\x1f").0, Block::Beyond);
    }

    #[test]
    fn a_bomb_of_references_is_told_in_part_and_grows_nothing() {
        let mut decoder = Decoder::default();
        let value = [b'x'; 4000];
        let block = [b"\x40\x01a\x7f\xa1\x1e".as_slice(), &value, &[0xbe; 16_000]].concat();
        let mut count = 0;
        assert_eq!(decoder.read(&block, &mut |_, _| count += 1), Block::Read);
        assert_eq!((count, decoder.entries.len()), (FIELD_COUNT_MAX, 1));
        // An entry that is larger than the table empties it.
        let large = [b"\x40\x01a\x7f\x81\x1f".as_slice(), &[b'y'; 4096]].concat();
        assert_eq!(decoder.read(&large, &mut |_, _| {}), Block::Read);
        assert_eq!((decoder.bytes, decoder.entries.len()), (0, 0));
    }
}
