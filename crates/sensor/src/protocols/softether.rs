//! SoftEther's datagrams, as its source has them: NAT traversal (`RUDPDo_NatT_Interrupt`,
//! `RUDPProcess_NatT_Recv`, `RUDPParseIPAndPortStr`, and `Pack.c` for the messages) and UDP
//! acceleration in clear (`UdpAccelSend`). Encrypted, acceleration looks like random bytes.
//!
//! Over TCP it is TLS, and inside an interface over HTTP: see `services`.

use observation::Side;

use super::datagrams::Datagram;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, confirmed_only, datagram, decimal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "softether",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    match traversal(&heads) {
        Verdict::Never => {
            let [near, far] = [Side::Originator, Side::Responder].map(|side| ticks(&heads, side));
            confirmed_only(two_sided(near, far))
        }
        verdict => verdict,
    }
}

fn traversal(heads: &Heads<'_>) -> Verdict {
    let answer = datagram(heads.answerer, |bytes| is_pack(bytes) || is_address(bytes));
    match heads.opener {
        // Asks for its own address with a single letter, which only the answer makes something of.
        [b'A' | b'B'] => match answer {
            Fit::Yes => Verdict::Confirmed,
            Fit::Could => Verdict::Unsure,
            Fit::No => Verdict::Never,
        },
        opener => two_sided(datagram(opener, is_pack), answer),
    }
}

/// `IP=192.0.2.7,PORT=40000`, and perhaps more behind a `#`.
fn is_address(bytes: &[u8]) -> bool {
    let text = bytes.split(|byte| *byte == b'#').next().unwrap_or(bytes);
    let Some(text) = text.strip_prefix(b"IP=") else { return false };
    let mut fields = text.splitn(2, |byte| *byte == b',');
    let ip = fields.next().unwrap_or_default();
    let port = fields.next().and_then(|field| field.strip_prefix(b"PORT=")).and_then(decimal);
    let is_ip = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    (2..=ADDRESS_BYTES_MAX).contains(&ip.len())
        && ip.iter().all(is_ip)
        && port.is_some_and(|port| (1..=65_535).contains(&port))
}

/// A message that fills the datagram, and whose operation is one of NAT traversal.
fn is_pack(bytes: &[u8]) -> bool {
    let mut pack = Pack(bytes);
    let Some(count) = pack.number().filter(|count| (1..=ELEMENT_COUNT_MAX).contains(count)) else {
        return false;
    };
    let mut is_traversal = false;
    for _ in 0..count {
        match pack.element() {
            Some((b"opcode", value)) => is_traversal |= OPERATIONS.contains(&value),
            Some(_) => {}
            None => return false,
        }
    }
    is_traversal && pack.0.is_empty()
}

/// What is left of a message.
struct Pack<'a>(&'a [u8]);

impl<'a> Pack<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn take(&mut self, count: u32) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(count)
    }

    /// A name, whose length counts the zero that is not sent, a type, and values: the last of them.
    fn element(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let count = self.number()?;
        let name = self.take(count.checked_sub(1)?)?;
        let kind = self.number()?;
        let mut value = &[][..];
        for _ in 0..self.number().filter(|count| *count <= ELEMENT_COUNT_MAX)? {
            value = match kind {
                INT => self.take(4)?,
                DATA | STR | UNISTR => self.sized()?,
                INT64 => self.take(8)?,
                _ => return None,
            };
        }
        Some((name, value))
    }
}

/// Acceleration in clear: a side names the same cookie in every packet, and its clock goes on.
fn ticks(heads: &Heads<'_>, side: Side) -> Fit {
    let mut packets = heads.datagrams(side).map(|datagram| Packet::of(&datagram));
    let first = match packets.next() {
        None => return Fit::Could,
        Some(None) => return Fit::No,
        Some(Some(first)) => first,
    };
    let mut tick = first.tick;
    for packet in packets {
        match packet {
            Some(Packet { cookie, tick: next }) if cookie == first.cookie => tick = tick.max(next),
            _ => return Fit::No,
        }
    }
    if tick > first.tick { Fit::Yes } else { Fit::Could }
}

#[derive(Clone, Copy)]
struct Packet {
    cookie: u32,
    /// The sender's milliseconds.
    tick: u64,
}

impl Packet {
    /// Cookie, the own and the other's clock, how much follows, whether it is compressed.
    fn of(datagram: &Datagram<'_>) -> Option<Self> {
        let (cookie, rest) = datagram.bytes.split_first_chunk::<4>()?;
        let (tick, rest) = rest.split_first_chunk::<8>()?;
        let (echo, rest) = rest.split_first_chunk::<8>()?;
        let ([high, low, compressed], _) = rest.split_first_chunk::<3>()?;
        let cookie = u32::from_be_bytes(*cookie);
        let [tick, echo] = [tick, echo].map(|clock| u64::from_be_bytes(*clock));
        let follows = usize::from(u16::from_be_bytes([*high, *low]));
        let fits = cookie != 0
            && (1..TICK_MAX).contains(&tick)
            && echo < TICK_MAX
            && *compressed <= 1
            && datagram.length == PACKET_HEADER_BYTES + follows;
        fits.then_some(Self { cookie, tick })
    }
}

/// The types of a message's values.
const INT: u32 = 0;
const DATA: u32 = 1;
const STR: u32 = 2;
const UNISTR: u32 = 3;
const INT64: u32 = 4;
const OPERATIONS: [&[u8]; 5] = [
    b"get_token",
    b"nat_t_register",
    b"nat_t_connect_request",
    b"nat_t_connect_relay",
    b"query_for_nat_traversal",
];
const ELEMENT_COUNT_MAX: u32 = 64;
const ADDRESS_BYTES_MAX: usize = 45;
const PACKET_HEADER_BYTES: usize = 4 + 8 + 8 + 2 + 1;
/// No machine has been up for longer.
const TICK_MAX: u64 = 1 << 44;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::Side;

    use crate::protocols::story::{Story, client, server};

    const GET_TOKEN: &[u8; 99] = b"\0\0\0\x03\
        \0\0\0\x16nat_traversal_version\0\0\0\0\0\0\0\x01\0\0\0\x01\
        \0\0\0\x07opcode\0\0\0\x02\0\0\0\x01\0\0\0\x09get_token\
        \0\0\0\x08tran_id\0\0\0\x04\0\0\0\x01abcdefgh";

    #[test]
    fn a_letter_that_is_answered_with_an_address_is_softether() {
        Story::of_datagrams(&[client(b"A")]).is_nothing();
        for answer in [&b"IP=192.0.2.7,PORT=40000"[..], b"IP=2001:db8::7,PORT=1#x"] {
            let turns = [client(b"B"), (Side::Responder, answer)];
            Story::of_datagrams(&turns).is_confirmed("softether");
        }
    }

    #[test]
    fn another_answer_to_a_letter_is_not_softether() {
        for answer in
            [&b"IP=192.0.2.7"[..], b"IP=,PORT=40000", b"IP=192.0.2.7,PORT=0", b"B", b"IP=id,PORT=1"]
        {
            Story::of_datagrams(&[client(b"A"), (Side::Responder, answer)]).is_nothing();
        }
        Story::of_datagrams(&[client(b"C"), server(b"IP=192.0.2.7,PORT=40000")]).is_nothing();
    }

    #[test]
    fn a_message_of_traversal_is_softether() {
        let asks = client(GET_TOKEN);
        Story::of_datagrams(&[asks]).is_only_proposed("softether");
        Story::of_datagrams(&[asks, server(GET_TOKEN)]).is_confirmed("softether");
        Story::of_datagrams(&[asks, server(b"uid=0(root)\n")]).is_left_by_server();
    }

    #[test]
    fn a_message_cut_short_or_of_another_operation_is_not_softether() {
        Story::of_datagrams(&[(Side::Originator, &GET_TOKEN[..98])]).is_nothing();
        Story::of_datagrams(&[(Side::Originator, &[&GET_TOKEN[..], b"\0"].concat())]).is_nothing();
        let other = GET_TOKEN.map(|byte| if byte == b'k' { b'x' } else { byte });
        Story::of_datagrams(&[client(&other)]).is_nothing();
    }

    fn accelerated(cookie: u32, ticks: [u64; 2], data: &[u8]) -> Vec<u8> {
        let mut packet = Vec::from(cookie.to_be_bytes());
        packet.extend(ticks.iter().flat_map(|tick| tick.to_be_bytes()));
        packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        packet.push(0);
        packet.extend(data);
        packet
    }

    /// Two packets of each side.
    fn exchange(cookies: [u32; 2], ticks: [u64; 2]) -> Story {
        let asks = accelerated(cookies[0], [ticks[0], 0], b"");
        let answers = accelerated(0x7788_99aa, [90_000, ticks[0]], b"frame");
        let goes_on = accelerated(cookies[1], [ticks[1], 90_000], b"another frame");
        let ends = accelerated(0x7788_99aa, [91_000, ticks[1]], b"");
        Story::of_datagrams(&[
            (Side::Originator, &asks),
            (Side::Responder, &answers),
            (Side::Originator, &goes_on),
            (Side::Responder, &ends),
        ])
    }

    #[test]
    fn cookies_that_stay_and_clocks_that_go_on_are_acceleration() {
        exchange([0x1122_3344; 2], [5000, 6000]).is_confirmed("softether");
    }

    #[test]
    fn another_cookie_or_a_clock_that_stands_is_not_acceleration() {
        exchange([0x1122_3344, 0x1122_3345], [5000, 6000]).is_nothing();
        exchange([0x1122_3344; 2], [5000, 5000]).is_nothing();
        exchange([0x1122_3344; 2], [5000, 1 << 60]).is_nothing();
    }
}
