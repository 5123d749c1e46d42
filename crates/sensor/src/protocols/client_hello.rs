//! A TLS ClientHello and its fingerprint: RFC 8446, section 4.1.2, and JA4 as FoxIO defines it.
//!
//! Where JA4's text and FoxIO's reference code differ (an ALPN that is no ASCII), this follows the
//! reference code.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use observation::{Ech, Resumption, TlsHello};
use sha2::{Digest, Sha256};

/// What carried the ClientHello: JA4's first letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
}

/// What was understood of it.
#[derive(Debug, Default)]
pub(super) struct ClientHello<'a> {
    /// The server name, where there is one.
    pub(super) server_name: Option<&'a [u8]>,
    /// The first application protocol offered.
    pub(super) alpn: Option<&'a [u8]>,
    /// Its session id.
    pub(super) session_id: &'a [u8],
    /// All application protocols offered, each behind its length.
    alpn_list: &'a [u8],
    ech: Ech,
    tickets: Tickets,
    /// Whether data may follow before the server answers.
    pub(super) early_data: EarlyData,
    version: u16,
    version_supported_max: u16,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    signature_algorithms: Vec<u16>,
}

/// Whether the client offered early data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum EarlyData {
    #[default]
    No,
    Offered,
}

/// Whether the client brings what resumes an earlier session: RFC 5077, RFC 8446 section 4.2.11.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tickets {
    #[default]
    None,
    Some,
}

/// Takes big-endian fields off the front of bytes.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(field)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        let (pair, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*pair))
    }

    /// A field with its length before it in one byte.
    pub(super) fn sized_by_byte(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    /// A field with its length before it in two bytes.
    pub(super) fn sized_by_short(&mut self) -> Option<&'a [u8]> {
        let length = self.short()?;
        self.take(length.into())
    }
}

impl<'a> ClientHello<'a> {
    /// Reads the body of the handshake message. `None` where its fixed part does not hold together.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let mut hello = Self { version: fields.short()?, ..Self::default() };
        fields.take(RANDOM_BYTES)?;
        hello.session_id = fields.sized_by_byte().filter(|id| id.len() <= SESSION_ID_BYTES_MAX)?;
        hello.ciphers = without_grease(fields.sized_by_short()?);
        fields.sized_by_byte()?;
        let mut extensions = Fields(fields.sized_by_short().unwrap_or_default());
        while let (Some(kind), Some(data)) = (extensions.short(), extensions.sized_by_short()) {
            if !is_grease(kind) {
                hello.extensions.push(kind);
            }
            hello.extension(kind, data);
        }
        Some(hello)
    }

    fn extension(&mut self, kind: u16, data: &'a [u8]) {
        let mut data = Fields(data);
        match kind {
            SERVER_NAME => {
                let mut names = Fields(data.sized_by_short().unwrap_or_default());
                // Name type 0 is the only one that was ever defined.
                if names.byte() == Some(0) {
                    self.server_name = names.sized_by_short();
                }
            }
            ALPN => {
                self.alpn_list = data.sized_by_short().unwrap_or_default();
                self.alpn = Fields(self.alpn_list).sized_by_byte();
            }
            SIGNATURE_ALGORITHMS => {
                self.signature_algorithms =
                    without_grease(data.sized_by_short().unwrap_or_default());
            }
            SUPPORTED_VERSIONS => {
                let versions = without_grease(data.sized_by_byte().unwrap_or_default());
                self.version_supported_max = versions.into_iter().max().unwrap_or_default();
            }
            EARLY_DATA => self.early_data = EarlyData::Offered,
            SESSION_TICKET if data.0.is_empty() => {}
            SESSION_TICKET | PRE_SHARED_KEY => self.tickets = Tickets::Some,
            ENCRYPTED_HELLO => self.ech = Ech::Present,
            _ => {}
        }
    }

    /// What is told of it.
    pub(super) fn fact<'f>(&'f self, ja4: &'f str) -> TlsHello<'f> {
        TlsHello {
            server_name: self.server_name_text(),
            alpn: self.alpn_text(),
            ja4: Cow::Borrowed(ja4),
            alpn_offered: Cow::Owned(self.alpn_offered()),
            version: self.highest_version(),
            encrypted_hello: self.ech,
            resumption: if self.asks_to_resume() { Resumption::Asked } else { Resumption::None },
            ..TlsHello::default()
        }
    }

    /// A client of TLS 1.3 sends a session id only for the looks of it.
    fn asks_to_resume(&self) -> bool {
        let by_id = !self.session_id.is_empty() && self.highest_version() < TLS13;
        self.tickets == Tickets::Some || by_id
    }

    const fn highest_version(&self) -> u16 {
        match self.version_supported_max {
            0 => self.version,
            supported => supported,
        }
    }

    fn alpn_offered(&self) -> String {
        let mut names = Fields(self.alpn_list);
        let mut offered = String::new();
        while let Some(name) = names.sized_by_byte() {
            if offered.len() + name.len() >= ALPN_BYTES_MAX {
                break;
            }
            if !offered.is_empty() {
                offered.push(',');
            }
            offered.push_str(&String::from_utf8_lossy(name));
        }
        offered
    }

    /// The cipher suites offered, in order, without those that mean nothing.
    pub(super) fn ciphers(&self) -> &[u16] {
        &self.ciphers
    }

    /// The server name as text.
    pub(super) fn server_name_text(&self) -> Cow<'a, str> {
        self.server_name.map_or(Cow::Borrowed(""), String::from_utf8_lossy)
    }

    /// The first application protocol as text.
    pub(super) fn alpn_text(&self) -> Cow<'a, str> {
        self.alpn.map_or(Cow::Borrowed(""), String::from_utf8_lossy)
    }

    /// The client's fingerprint.
    pub(super) fn ja4(&self, carrier: Carrier) -> String {
        let transport = match carrier {
            Carrier::Tcp => 't',
            Carrier::Quic => 'q',
        };
        let named = if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
        let version = version_name(self.highest_version());
        let (first, last) = self.alpn_ends();
        let mut ciphers = self.ciphers.clone();
        ciphers.sort_unstable();
        let mut extensions = self.extensions.clone();
        extensions.retain(|kind| !matches!(*kind, SERVER_NAME | ALPN));
        extensions.sort_unstable();
        let (cipher_count, extension_count) =
            (self.ciphers.len().min(COUNT_MAX), self.extensions.len().min(COUNT_MAX));
        let mut ja4 = String::with_capacity(JA4_BYTES);
        // Writing to a String cannot fail.
        let _ = write!(
            ja4,
            "{transport}{version}{named}{cipher_count:02}{extension_count:02}{first}{last}"
        );
        push_hash(&mut ja4, &ciphers, &[]);
        push_hash(&mut ja4, &extensions, &self.signature_algorithms);
        ja4
    }

    fn alpn_ends(&self) -> (char, char) {
        // The reference code goes by characters, and what is no ASCII becomes a 9.
        let text = self.alpn_text();
        let mut ends = text.chars().map(|each| if each.is_ascii() { each } else { '9' });
        (ends.next().unwrap_or('0'), ends.next_back().unwrap_or('0'))
    }
}

/// `_` and the first twelve digits of SHA-256 over the comma-separated numbers.
fn push_hash(ja4: &mut String, sorted: &[u16], in_order: &[u16]) {
    if sorted.is_empty() {
        ja4.push_str("_000000000000");
        return;
    }
    let mut listed = String::with_capacity(5 * (sorted.len() + in_order.len()));
    for (list, separator) in [(sorted, ""), (in_order, "_")] {
        let mut separator = separator;
        for number in list {
            let _ = write!(listed, "{separator}{number:04x}");
            separator = ",";
        }
    }
    ja4.push('_');
    for byte in Sha256::digest(listed.as_bytes()).iter().take(6) {
        let _ = write!(ja4, "{byte:02x}");
    }
}

fn version_name(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

fn without_grease(list: &[u8]) -> Vec<u16> {
    let (pairs, _) = list.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_be_bytes(*pair)).filter(|each| !is_grease(*each)).collect()
}

/// RFC 8701: both bytes equal, each ending in `a`.
const fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

const RANDOM_BYTES: usize = 32;
const SESSION_ID_BYTES_MAX: usize = 32;
const COUNT_MAX: usize = 99;
const JA4_BYTES: usize = 36;
const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const ALPN: u16 = 16;
const EARLY_DATA: u16 = 42;
const SESSION_TICKET: u16 = 35;
pub(super) const PRE_SHARED_KEY: u16 = 41;
/// RFC 9849.
const ENCRYPTED_HELLO: u16 = 0xfe0d;
const TLS13: u16 = 0x0304;
const ALPN_BYTES_MAX: usize = 256;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;

#[cfg(test)]
mod tests {
    use super::{Carrier, ClientHello};

    const BEFORE: &[u8] = &[
        3, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 0,
    ];

    #[test]
    fn without_ciphers_and_extensions_both_hashes_are_zeros() {
        let body = [BEFORE, &[0, 0, 1, 0]].concat();
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!(hello.ja4(Carrier::Tcp), "t12i000000_000000000000_000000000000");
    }

    #[test]
    fn cut_short_it_is_none() {
        assert!(ClientHello::parse(BEFORE).is_none());
    }

    #[test]
    fn what_is_no_ascii_in_an_alpn_becomes_a_nine() {
        let alpn = [0, 16, 0, 5, 0, 3, 2, 0xff, 0xfe];
        let body = [BEFORE, &[0, 2, 0x13, 1, 1, 0, 0, 9], &alpn].concat();
        let hello = ClientHello::parse(&body).unwrap();
        assert!(hello.ja4(Carrier::Tcp).starts_with("t12i010199_"));
    }
}
