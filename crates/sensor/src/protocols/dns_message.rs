//! A DNS message: RFC 1035, section 4. Names are bounded, and pointers only lead backwards.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::{Ipv4Addr, Ipv6Addr};

use observation::{DnsAnswer, DnsData};

/// A message's fixed part and first question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) id: u16,
    pub(super) kind: Kind,
    pub(super) response_code: u8,
    pub(super) query_type: u16,
    pub(super) query_class: u16,
    counts: Counts,
    /// The whole message, since names point back into it.
    bytes: &'a [u8],
    name_at: usize,
    records_at: usize,
}

/// Query or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub(super) enum Kind {
    Query,
    Response,
}

/// How many entries each section has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) questions: u16,
    pub(super) answers: u16,
    pub(super) authorities: u16,
    pub(super) additional: u16,
}

/// What became of reading a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read<'a> {
    Whole(Message<'a>),
    /// It could be one if more of it were there.
    Short,
    Not,
}

/// One resource record.
struct Record {
    kind: u16,
    class: u16,
    ttl_s: u32,
    data_at: usize,
    data_bytes: u16,
}

impl<'a> Message<'a> {
    /// Reads the fixed part and the question, and walks every record.
    pub(super) fn read(bytes: &'a [u8]) -> Read<'a> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return match bytes.get(2) {
                Some(flags) if !opcode_is_known(*flags) => Read::Not,
                _ => Read::Short,
            };
        };
        let [i, d, flags, code, q, q2, a, a2, n, n2, r, r2] = *header;
        let counts = Counts {
            questions: u16::from_be_bytes([q, q2]),
            answers: u16::from_be_bytes([a, a2]),
            authorities: u16::from_be_bytes([n, n2]),
            additional: u16::from_be_bytes([r, r2]),
        };
        let kind = if flags & 0x80 == 0 { Kind::Query } else { Kind::Response };
        // Bit 6 of the second flag byte is reserved and always zero.
        if !opcode_is_known(flags) || code & 0x40 != 0 || !counts.are_plausible(kind, flags) {
            return Read::Not;
        }
        let mut message = Message {
            id: u16::from_be_bytes([i, d]),
            kind,
            response_code: code & 15,
            query_type: 0,
            query_class: 0,
            counts,
            bytes,
            name_at: HEADER_BYTES,
            records_at: HEADER_BYTES,
        };
        message.questions().and_then(|()| message.walk()).map_or_else(
            |end| if end == End::Short { Read::Short } else { Read::Not },
            |()| Read::Whole(message.clone()),
        )
    }

    /// The name that is asked for.
    pub(super) fn name(&self) -> String {
        if self.counts.questions == 0 { String::new() } else { self.name_from(self.name_at) }
    }

    /// The labels of the first name in the message: of the question, or of the first record.
    pub(super) fn first_labels(&self) -> impl Iterator<Item = &'a [u8]> {
        self.labels(self.name_at)
    }

    /// At most `ANSWER_COUNT_MAX` answers.
    pub(super) fn answers(&self) -> Vec<DnsAnswer<'static>> {
        let mut at = self.records_at;
        let mut answers = Vec::new();
        for _ in 0..usize::from(self.counts.answers).min(ANSWER_COUNT_MAX) {
            let Ok((record, next)) = self.record(at) else { break };
            answers.push(DnsAnswer { ttl_s: record.ttl_s, data: self.data(&record) });
            at = next;
        }
        answers
    }

    /// Its length.
    pub(super) fn bytes_count(&self) -> u16 {
        u16::try_from(self.bytes.len()).unwrap_or(u16::MAX)
    }

    /// What its OPT record (RFC 6891) says that its sender can take; 0 without one.
    pub(super) fn edns_payload_bytes(&self) -> u16 {
        let Counts { answers, authorities, additional, .. } = self.counts;
        let mut at = self.records_at;
        for _ in 0..u32::from(answers) + u32::from(authorities) + u32::from(additional) {
            let Ok((record, next)) = self.record(at) else { break };
            if record.kind == OPT {
                return record.class;
            }
            at = next;
        }
        0
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    fn data(&self, record: &Record) -> DnsData<'static> {
        let data = self.bytes.get(record.data_at..).unwrap_or_default();
        let data = data.get(..record.data_bytes.into()).unwrap_or_default();
        let other = DnsData::Other(record.kind, record.data_bytes);
        match record.kind {
            A => data
                .first_chunk::<4>()
                .map_or(other, |octets| DnsData::Address(Ipv4Addr::from(*octets).into())),
            AAAA => data
                .first_chunk::<16>()
                .map_or(other, |octets| DnsData::Address(Ipv6Addr::from(*octets).into())),
            NS | CNAME | PTR => DnsData::Name(Cow::Owned(self.name_from(record.data_at))),
            MX => DnsData::Name(Cow::Owned(self.name_from(record.data_at + 2))),
            _ => other,
        }
    }

    fn questions(&mut self) -> Result<(), End> {
        for index in 0..self.counts.questions {
            let after = self.skip_name(self.records_at)?;
            let fixed = self.bytes.get(after..).ok_or(End::Short)?;
            let [kind, kind2, class, class2] = *fixed.first_chunk::<4>().ok_or(End::Short)?;
            let (kind, class) =
                (u16::from_be_bytes([kind, kind2]), u16::from_be_bytes([class, class2]));
            if !type_is_known(kind) || !matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) {
                return Err(End::Wrong);
            }
            if index == 0 {
                (self.query_type, self.query_class) = (kind, class);
            }
            self.records_at = after + 4;
        }
        Ok(())
    }

    /// Walks every record; what is left behind them is not DNS.
    fn walk(&self) -> Result<(), End> {
        let Counts { answers, authorities, additional, .. } = self.counts;
        let mut at = self.records_at;
        for _ in 0..u32::from(answers) + u32::from(authorities) + u32::from(additional) {
            (_, at) = self.record(at)?;
        }
        if self.bytes.len() - at.min(self.bytes.len()) > TRAILING_BYTES_MAX {
            return Err(End::Wrong);
        }
        Ok(())
    }

    fn record(&self, at: usize) -> Result<(Record, usize), End> {
        let after = self.skip_name(at)?;
        let fixed = self.bytes.get(after..).ok_or(End::Short)?;
        let [k, k2, c, c2, t, t2, t3, t4, l, l2] = *fixed.first_chunk::<10>().ok_or(End::Short)?;
        let data_bytes = u16::from_be_bytes([l, l2]);
        let data_at = after + 10;
        let next = data_at + usize::from(data_bytes);
        if next > self.bytes.len() {
            return Err(End::Short);
        }
        let (kind, class) = (u16::from_be_bytes([k, k2]), u16::from_be_bytes([c, c2]));
        Ok((
            Record { kind, class, ttl_s: u32::from_be_bytes([t, t2, t3, t4]), data_at, data_bytes },
            next,
        ))
    }

    /// Where the name at `at` ends in the message itself.
    fn skip_name(&self, mut at: usize) -> Result<usize, End> {
        let start = at;
        loop {
            let length = usize::from(*self.bytes.get(at).ok_or(End::Short)?);
            match length >> 6 {
                0 if length == 0 => return Ok(at + 1),
                0 => at += 1 + length,
                3 => {
                    let low = usize::from(*self.bytes.get(at + 1).ok_or(End::Short)?);
                    let target = (length & 63) << 8 | low;
                    // A pointer leads to a name that came before this one.
                    let backwards = (HEADER_BYTES..at).contains(&target);
                    return if backwards { Ok(at + 2) } else { Err(End::Wrong) };
                }
                _ => return Err(End::Wrong),
            }
            if at - start > NAME_BYTES_MAX {
                return Err(End::Wrong);
            }
        }
    }

    /// The name at `at`, lower case, without its last dot, what is no letter, digit, hyphen or
    /// underscore escaped.
    fn name_from(&self, at: usize) -> String {
        let mut name = String::new();
        for label in self.labels(at) {
            if !name.is_empty() {
                name.push('.');
            }
            push_label(&mut name, label);
        }
        name
    }

    /// The labels of the name at `at`, at most `NAME_BYTES_MAX` bytes of them.
    fn labels(&self, mut at: usize) -> impl Iterator<Item = &'a [u8]> {
        let bytes = self.bytes;
        let (mut wire_bytes, mut limit) = (0, bytes.len());
        core::iter::from_fn(move || {
            loop {
                let length = usize::from(*bytes.get(at)?);
                if length >> 6 == 3 {
                    let target = (length & 63) << 8 | usize::from(*bytes.get(at + 1)?);
                    // Each pointer leads further back than the one before: there is an end.
                    if target >= at.min(limit) {
                        return None;
                    }
                    (at, limit) = (target, target);
                    continue;
                }
                wire_bytes += 1 + length;
                if length == 0 || length > 63 || wire_bytes > NAME_BYTES_MAX {
                    return None;
                }
                let label = bytes.get(at + 1..at + 1 + length)?;
                at += 1 + length;
                return Some(label);
            }
        })
    }
}

fn push_label(name: &mut String, label: &[u8]) {
    for byte in label {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                name.push(char::from(byte.to_ascii_lowercase()));
            }
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(name, "\\{byte:03}");
            }
        }
    }
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Short,
    Wrong,
}

impl Counts {
    fn are_plausible(self, kind: Kind, flags: u8) -> bool {
        let records = [self.answers, self.authorities, self.additional];
        if records.iter().any(|count| *count > RECORD_COUNT_MAX) {
            return false;
        }
        let update_or_notify = flags >> 3 & 15 >= 4;
        match kind {
            Kind::Query if self.questions == 1 => {
                update_or_notify
                    || self.answers == 0 && self.authorities <= 1 && self.additional <= 2
            }
            // Multicast DNS asks several questions at once and says what it knows: RFC 6762.
            Kind::Query => (1..=QUESTION_COUNT_MAX).contains(&self.questions),
            Kind::Response => {
                self.questions == 1 || self.questions == 0 && records.iter().any(|count| *count > 0)
            }
        }
    }
}

/// QUERY, NOTIFY or UPDATE; the others are long gone.
const fn opcode_is_known(flags: u8) -> bool {
    matches!(flags >> 3 & 15, 0 | 4 | 5)
}

/// IANA's resource record types, without the obsolete gaps.
const fn type_is_known(kind: u16) -> bool {
    matches!(kind, 1..=65 | 99..=110 | 128 | 249..=262 | 32_768 | 32_769 | 65_280..=65_534)
}

const HEADER_BYTES: usize = 12;
const NAME_BYTES_MAX: usize = 255;
const RECORD_COUNT_MAX: u16 = 512;
const QUESTION_COUNT_MAX: u16 = 64;
const ANSWER_COUNT_MAX: usize = 32;
/// Some resolvers pad their datagrams by a few bytes.
const TRAILING_BYTES_MAX: usize = 8;
const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const PTR: u16 = 12;
const MX: u16 = 15;
const OPT: u16 = 41;
const AAAA: u16 = 28;
