//! QUIC's first packets, whose keys everybody can derive: RFC 9001, section 5; RFC 9369.
//!
//! Only the client's are opened, for its ClientHello, which may lie in several datagrams.

use alloc::vec::Vec;

use observation::Side;
use sha2::{Digest, Sha256};

use super::Heard;
use super::aes::{Aes128, BLOCK_BYTES};
use super::client_hello::{Carrier, ClientHello, Fields};
use super::follow::{Context, Follow, Step};

/// The pieces of a ClientHello so far.
#[derive(Debug, Default)]
pub(super) struct Initials {
    /// The connection id that the client chose for the server; the keys come from it.
    id: Option<Vec<u8>>,
    pieces: Vec<(usize, Vec<u8>)>,
    datagram_count: u32,
}

impl Follow for Initials {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let wanted = side == Side::Originator && context.ja4.is_none();
        if wanted && self.datagram_count < DATAGRAM_COUNT_MAX {
            self.datagram_count += 1;
            let mut rest = bytes;
            while let Some((packet, after)) = Packet::split(rest) {
                self.open(&packet);
                rest = after;
            }
            self.understand(context);
        }
        // What is encrypted with keys that we do not have obeys nothing that we could check.
        Step::Unchecked
    }

    fn held(&self) -> usize {
        let pieces = self.pieces.iter().map(|(_, piece)| PIECE_OVERHEAD + piece.capacity());
        pieces.sum::<usize>() + self.id.as_ref().map_or(0, Vec::capacity)
    }

    fn gap(&mut self, _: Side) {}
}

impl Initials {
    /// The keys come from the id of the client's first packet, or of the first one behind a Retry:
    /// RFC 9001, section 5.2.
    fn open(&mut self, packet: &Packet<'_>) {
        let first = self.id.get_or_insert_with(|| packet.id.to_vec());
        let opened = packet.decrypt(first).and_then(|plain| pieces(&plain));
        let pieces = match opened {
            None if *first != packet.id => {
                let retried = packet.decrypt(packet.id).and_then(|plain| pieces(&plain));
                if retried.is_some() {
                    self.id = Some(packet.id.to_vec());
                }
                retried
            }
            opened => opened,
        };
        let room = PIECE_COUNT_MAX.saturating_sub(self.pieces.len());
        self.pieces.extend(pieces.unwrap_or_default().into_iter().take(room));
    }

    fn understand(&mut self, context: &mut Context<'_>) {
        self.pieces.sort_by_key(|(offset, _)| *offset);
        let mut whole = Vec::new();
        for (offset, data) in &self.pieces {
            let Some(fresh) = whole.len().checked_sub(*offset).map(|known| data.get(known..))
            else {
                return;
            };
            whole.extend_from_slice(fresh.unwrap_or_default());
        }
        let Some(([1, a, b, c], body)) = whole.split_first_chunk::<4>() else { return };
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some(hello) = body.get(..length).and_then(ClientHello::parse) else { return };
        let ja4 = hello.ja4(Carrier::Quic);
        (context.heard)(Heard::Tls(hello.fact(&ja4)));
        *context.ja4 = Some(ja4.into_boxed_str());
        self.pieces = Vec::new();
    }
}

/// What the CRYPTO frames of a packet carry, and where; `None` where the key was wrong, which gives
/// bytes that are no frames.
fn pieces(plain: &[u8]) -> Option<Vec<(usize, Vec<u8>)>> {
    let (mut frames, mut pieces) = (Fields(plain), Vec::new());
    while let Some(kind) = frames.byte() {
        match kind {
            PADDING | PING => {}
            ACK | ACK_ECN => skip_ack(&mut frames, kind)?,
            CRYPTO => {
                let (offset, length) = (varint(&mut frames)?, varint(&mut frames)?);
                let data = frames.take(length)?;
                if offset + length <= HELLO_BYTES_MAX && pieces.len() < PIECE_COUNT_MAX {
                    pieces.push((offset, data.to_vec()));
                }
            }
            // A client closes a connection that it has just opened.
            CLOSE => return Some(pieces),
            _ => return None,
        }
    }
    Some(pieces)
}

/// An Initial packet of a client.
struct Packet<'a> {
    suite: &'static Suite,
    id: &'a [u8],
    /// Everything before the packet number.
    first: u8,
    /// The packet number and what follows it.
    protected: &'a [u8],
}

/// What a version derives its keys with.
struct Suite {
    versions: [u32; 2],
    initial_type: u8,
    salt: [u8; 20],
    labels: [&'static [u8]; 3],
}

impl<'a> Packet<'a> {
    /// The first packet of a datagram and what is coalesced behind it.
    fn split(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut fields = Fields(datagram);
        let first = fields.byte()?;
        let version = u32::from_be_bytes(*fields.take(4)?.first_chunk()?);
        let suite = SUITES.iter().find(|suite| suite.versions.contains(&version))?;
        let id = fields.sized_by_byte()?;
        fields.sized_by_byte()?;
        if first & 0xf0 != 0xc0 | suite.initial_type << 4 {
            return None;
        }
        let token_bytes = varint(&mut fields)?;
        fields.take(token_bytes)?;
        let length = varint(&mut fields)?;
        let protected = fields.take(length)?;
        Some((Self { suite, id, first, protected }, fields.0))
    }

    /// Undoes header protection and encryption. Authenticity is not checked: a wrong key gives
    /// bytes that hold no ClientHello.
    fn decrypt(&self, id: &[u8]) -> Option<Vec<u8>> {
        let initial = hmac(&self.suite.salt, &[id]);
        let secret = expand(&initial, b"client in", 32);
        let [key, iv, hp] = self.suite.labels;
        let key = *expand(&secret, key, 16).first_chunk()?;
        let hp = *expand(&secret, hp, 16).first_chunk()?;
        let iv = *expand(&secret, iv, 12).first_chunk::<12>()?;

        let sample = *self.protected.get(4..)?.first_chunk::<BLOCK_BYTES>()?;
        let [mask, number_mask @ ..] = Aes128::new(hp).encrypt(sample);
        let number_bytes = usize::from((self.first ^ mask) & 3) + 1;
        let (number, sealed) = self.protected.split_at_checked(number_bytes)?;
        let number = number
            .iter()
            .zip(number_mask)
            .fold(0, |number, (byte, mask)| number << 8 | u128::from(byte ^ mask));
        let sealed = sealed.get(..sealed.len().checked_sub(TAG_BYTES)?)?;

        let [a, b, c, d, e, f, g, h, i, j, k, l] = iv;
        let nonce = u128::from_be_bytes([a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 0]);
        // In GCM the first counter is the tag's; data begins with the second.
        let counter = (nonce ^ number << 32) + 2;
        let cipher = Aes128::new(key);
        let mut plain = Vec::with_capacity(sealed.len());
        for (index, block) in (0_u128..).zip(sealed.chunks(BLOCK_BYTES)) {
            let stream = cipher.encrypt((counter + index).to_be_bytes());
            plain.extend(block.iter().zip(stream).map(|(byte, key)| byte ^ key));
        }
        Some(plain)
    }
}

/// Passes over an acknowledgement: RFC 9000, section 19.3.
fn skip_ack(frames: &mut Fields<'_>, kind: u8) -> Option<()> {
    varint(frames)?;
    varint(frames)?;
    let range_count = varint(frames)?.min(ACK_RANGE_COUNT_MAX);
    varint(frames)?;
    for _ in 0..range_count * 2 {
        varint(frames)?;
    }
    for _ in 0..if kind == ACK_ECN { 3 } else { 0 } {
        varint(frames)?;
    }
    Some(())
}

/// RFC 9000, section 16. No length here is larger than a datagram.
fn varint(fields: &mut Fields<'_>) -> Option<usize> {
    let first = fields.byte()?;
    let more = (1_usize << (first >> 6)) - 1;
    let value = fields
        .take(more)?
        .iter()
        .fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    usize::try_from(value).ok().filter(|value| *value <= NUMBER_MAX)
}

/// HKDF-Expand-Label of TLS 1.3, for at most one block of output.
fn expand(secret: &[u8], label: &[u8], bytes: u8) -> [u8; 32] {
    let label_bytes = u8::try_from(label.len() + 6).unwrap_or(u8::MAX);
    hmac(secret, &[&[0, bytes, label_bytes], b"tls13 ", label, &[0, 1]])
}

/// RFC 2104, for keys of at most a block.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut pad = [with; 64];
        for (byte, key) in pad.iter_mut().zip(key) {
            *byte ^= key;
        }
        Sha256::new().chain_update(pad)
    };
    let inner = parts.iter().fold(pad(0x36), |hash, part| hash.chain_update(part)).finalize();
    pad(0x5c).chain_update(inner).finalize().into()
}

const LABELS: [&[u8]; 3] = [b"quic key", b"quic iv", b"quic hp"];
static SUITES: [Suite; 3] = [
    Suite {
        versions: [1, 0xff00_0022],
        initial_type: 0,
        salt: [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
            0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
        ],
        labels: LABELS,
    },
    Suite {
        versions: [0x6b33_43cf, 0x6b33_43cf],
        initial_type: 1,
        salt: [
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
            0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
        ],
        labels: [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
    },
    Suite {
        versions: [0xff00_001d, 0xff00_001e],
        initial_type: 0,
        salt: [
            0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61,
            0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99,
        ],
        labels: LABELS,
    },
];
const TAG_BYTES: usize = 16;
const PADDING: u8 = 0;
const PING: u8 = 1;
const ACK: u8 = 2;
const ACK_ECN: u8 = 3;
const CRYPTO: u8 = 6;
const CLOSE: u8 = 0x1c;
/// A client sends its hello within a few datagrams, and repeats them a few times.
const DATAGRAM_COUNT_MAX: u32 = 16;
const PIECE_COUNT_MAX: usize = 64;
const ACK_RANGE_COUNT_MAX: usize = 64;
/// What a piece costs beside its bytes.
const PIECE_OVERHEAD: usize = size_of::<(usize, Vec<u8>)>();
const HELLO_BYTES_MAX: usize = 1 << 14;
const NUMBER_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use observation::Side;

    use super::{Aes128, CRYPTO, PADDING, PING, Packet, SUITES, Suite, TAG_BYTES, expand, hmac};
    use crate::protocols::story::Story;

    const ID: &[u8] = &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

    /// RFC 9001, appendix A.1.
    #[test]
    fn keys_are_those_of_the_standard() {
        let secret = expand(&hmac(&SUITES[0].salt, &[ID]), b"client in", 32);
        let key = 0x1f36_9613_dd76_d546_7730_efcb_e3b1_a22d_u128.to_be_bytes();
        let hp = 0x9f50_449e_04a0_e810_283a_1e99_33ad_edd2_u128.to_be_bytes();
        assert_eq!(expand(&secret, b"quic key", 16)[..16], key);
        assert_eq!(expand(&secret, b"quic hp", 16)[..16], hp);
    }

    /// Random bytes behind a valid header.
    fn noise() -> Vec<u8> {
        let mut datagram = [0xc3, 0, 0, 0, 1, 8].to_vec();
        datagram.extend_from_slice(ID);
        datagram.extend_from_slice(&[0, 0, 0x44, 0x9e]);
        datagram.resize(18 + 0x49e, 0x5a);
        datagram
    }

    #[test]
    fn what_cannot_be_opened_is_quic_without_a_fingerprint() {
        assert!(Packet::split(&noise()).is_some());
        let story = Story::of_datagrams(&[(Side::Originator, &noise())]);
        story.is_only_proposed("quic");
        assert_eq!(story.ja4, None);
    }

    /// A datagram of a client with these frames, as it seals them; the tag, which nobody looks at,
    /// is zeros.
    fn sealed(suite: &Suite, key_id: &[u8], id: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
        const NUMBER_BYTES: usize = 4;
        let mut frames = frames.to_vec();
        frames.resize(frames.len().max(1100), PADDING);
        let length = NUMBER_BYTES + frames.len() + TAG_BYTES;
        let first = 0xc0 | suite.initial_type << 4 | (NUMBER_BYTES as u8 - 1);
        let mut datagram = [first].to_vec();
        datagram.extend(suite.versions[0].to_be_bytes());
        datagram.push(id.len() as u8);
        datagram.extend(id);
        datagram.extend([0, 0]);
        datagram.extend((0x4000 | length as u16).to_be_bytes());

        let secret = expand(&hmac(&suite.salt, &[key_id]), b"client in", 32);
        let [key, iv, hp] = [(0, 16), (1, 12), (2, 16)].map(|(label, bytes)| {
            *expand(&secret, suite.labels[label], bytes).first_chunk::<16>().unwrap()
        });
        let nonce = u128::from_be_bytes(iv) & !0xffff_ffff;
        let counter = (nonce ^ u128::from(number) << 32) + 2;
        let mut protected = [0, 0, 0, number].to_vec();
        for (index, block) in (0_u128..).zip(frames.chunks(16)) {
            let stream = Aes128::new(key).encrypt((counter + index).to_be_bytes());
            protected.extend(block.iter().zip(stream).map(|(byte, key)| byte ^ key));
        }
        let mask = Aes128::new(hp).encrypt(*protected[4..].first_chunk().unwrap());
        datagram[0] ^= mask[0] & 15;
        for (byte, mask) in protected.iter_mut().zip(&mask[1..5]) {
            *byte ^= mask;
        }
        datagram.extend(protected);
        datagram.extend([0; TAG_BYTES]);
        datagram
    }

    /// A `ClientHello` of 300 bytes for `a.local`.
    fn hello() -> Vec<u8> {
        let name = b"\0\0\0\x0c\0\x0a\0\0\x07a.local";
        let mut extensions = name.to_vec();
        extensions.extend(b"\0\x10\0\x05\0\x03\x02h3\0\x2b\0\x03\x02\x03\x04\0\x15\0\xc8");
        extensions.extend([0; 200]);
        let mut body = [3, 3].to_vec();
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut hello = [1, 0].to_vec();
        hello.extend((body.len() as u16).to_be_bytes());
        hello.extend(body);
        hello
    }

    fn crypto(offset: usize, hello: &[u8]) -> Vec<u8> {
        let mut frame = [CRYPTO].to_vec();
        frame.extend((0x4000 | offset as u16).to_be_bytes());
        frame.extend((0x4000 | hello.len() as u16).to_be_bytes());
        frame.extend(hello);
        frame
    }

    fn fingerprint(datagrams: &[Vec<u8>]) -> Option<Box<str>> {
        let turns: Vec<_> = datagrams.iter().map(|bytes| (Side::Originator, &**bytes)).collect();
        Story::of_datagrams(&turns).ja4
    }

    #[test]
    fn a_hello_is_read_in_every_version() {
        for suite in &SUITES {
            let told = fingerprint(&[sealed(suite, ID, ID, 0, &crypto(0, &hello()))]);
            assert!(told.as_deref().is_some_and(|ja4| ja4.starts_with("q13d01")), "{told:?}");
        }
    }

    #[test]
    fn a_hello_over_datagrams_in_any_order_is_the_same() {
        let (hello, suite) = (hello(), &SUITES[1]);
        let whole = fingerprint(&[sealed(suite, ID, ID, 0, &crypto(0, &hello))]);
        // Chrome cuts a hello into pieces and shuffles them; these overlap, too.
        let parts = [
            sealed(suite, ID, ID, 2, &crypto(180, &hello[180..])),
            sealed(
                suite,
                ID,
                ID,
                0,
                &[crypto(40, &hello[40..100]), crypto(0, &hello[..50])].concat(),
            ),
            sealed(suite, ID, ID, 1, &[&[PING], &*crypto(90, &hello[90..190])].concat()),
        ];
        assert_eq!(fingerprint(&parts[..2]), None);
        assert_eq!(fingerprint(&parts), whole);
        assert!(whole.is_some());
    }

    #[test]
    fn a_hello_behind_a_retry_has_keys_of_its_own() {
        let (suite, other) = (&SUITES[0], b"retried!".as_slice());
        let again = sealed(suite, other, other, 1, &crypto(0, &hello()));
        assert!(fingerprint(&[noise(), again]).is_some());
        // The server's choice of an id changes no keys.
        let (first, second) = (crypto(0, &hello()[..100]), crypto(100, &hello()[100..]));
        let kept = sealed(suite, ID, other, 1, &second);
        assert!(fingerprint(&[sealed(suite, ID, ID, 0, &first), kept]).is_some());
    }

    #[test]
    fn a_flood_of_pieces_is_bounded() {
        let pieces: Vec<u8> = (0..200).flat_map(|at| crypto(2 * at, b"x")).collect();
        let suite = &SUITES[0];
        let flood: Vec<_> = (0..40).map(|number| sealed(suite, ID, ID, number, &pieces)).collect();
        assert_eq!(fingerprint(&flood), None);
    }

    #[test]
    fn a_packet_cut_short_is_none() {
        assert!(Packet::split(&noise()[..1000]).is_none());
    }
}
