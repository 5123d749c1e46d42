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

    fn gap(&mut self, _: Side) {}
}

impl Initials {
    fn open(&mut self, packet: &Packet<'_>) {
        let id = self.id.get_or_insert_with(|| packet.id.to_vec());
        let Some(plain) = packet.decrypt(id) else { return };
        let mut frames = Fields(&plain);
        while let Some(kind) = frames.byte() {
            match kind {
                PADDING | PING => {}
                ACK | ACK_ECN => {
                    let Some(()) = skip_ack(&mut frames, kind) else { return };
                }
                CRYPTO => {
                    let (Some(offset), Some(length)) = (varint(&mut frames), varint(&mut frames))
                    else {
                        return;
                    };
                    let Some(data) = frames.take(length) else { return };
                    let fits = offset + length <= HELLO_BYTES_MAX;
                    if fits && self.pieces.len() < PIECE_COUNT_MAX {
                        self.pieces.push((offset, data.to_vec()));
                    }
                }
                _ => return,
            }
        }
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
/// A client sends its hello within a few datagrams, and repeats them a few times.
const DATAGRAM_COUNT_MAX: u32 = 16;
const PIECE_COUNT_MAX: usize = 64;
const ACK_RANGE_COUNT_MAX: usize = 64;
const HELLO_BYTES_MAX: usize = 1 << 14;
const NUMBER_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::Side;

    use super::{Packet, SUITES, expand, hmac};
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

    #[test]
    fn a_packet_cut_short_is_none() {
        assert!(Packet::split(&noise()[..1000]).is_none());
    }
}
