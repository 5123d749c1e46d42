//! pcapng: draft-ietf-opsawg-pcapng. Sections, interfaces, and the three kinds of packet blocks.
//!
//! A block whose length holds together is passed over and counted when its content does not; a
//! length that cannot be ends the reading, since nothing after it can be found again.

use observation::{PortId, Time};
use sensor::{Direction, LinkType};

use crate::bytes::ByteOrder;
use crate::capture::{CaptureFault, Damage, Frame, Limits, link_type};
use crate::input::Input;
use crate::pcapng_time::Clock;

/// The current section: its byte order and interfaces.
pub(crate) struct Section {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    interface_count_max: usize,
    block_bytes_max: u32,
    /// The last packet's time, for packets that have none.
    last: Time,
    /// What the interfaces of earlier sections lost.
    earlier_dropped_count: u64,
}

struct Interface {
    link: LinkType,
    snap_bytes: u32,
    clock: Clock,
    label: Label,
    /// Decided at its first packet, so that a later interface does not move it.
    port: Option<PortId>,
    /// By its latest statistics.
    dropped_count: u64,
}

/// What names the interface.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    None,
    /// It has an `if_name`.
    Named,
    /// We wrote it, for this port.
    Ours(PortId),
}

impl Section {
    pub(crate) fn new(limits: Limits, block_bytes_max: u32) -> Self {
        Self {
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            interface_count_max: limits.interface_count_max as usize,
            block_bytes_max,
            last: Time(0),
            earlier_dropped_count: 0,
        }
    }

    /// Checks that a section starts here.
    pub(crate) fn open(&mut self, input: &mut Input) -> Result<(), CaptureFault> {
        if input.fill(SECTION_MIN_BYTES) < SECTION_MIN_BYTES {
            return Err(CaptureFault::Truncated);
        }
        self.order = section_order(input.bytes())?;
        Ok(())
    }

    #[inline]
    pub(crate) fn next(
        &mut self,
        input: &mut Input,
        damage: &mut Damage,
    ) -> Result<Option<Frame>, CaptureFault> {
        loop {
            let held = input.fill(BLOCK_HEADER_BYTES);
            if held < BLOCK_HEADER_BYTES {
                return if held == 0 { Ok(None) } else { Err(CaptureFault::Truncated) };
            }
            let Some(block) = self.block(input, damage)? else { continue };
            let frame = match block.kind {
                SECTION_HEADER => None,
                INTERFACE => {
                    self.add_interface(block.body(input), damage);
                    None
                }
                STATISTICS => {
                    self.statistics(block.body(input), damage);
                    None
                }
                ENHANCED_PACKET => self.enhanced_packet(input, &block, damage),
                SIMPLE_PACKET => self.simple_packet(input, &block, damage),
                OLD_PACKET => self.old_packet(input, &block, damage),
                _ => {
                    damage.other_block_count += 1;
                    None
                }
            };
            if let Some(frame) = frame {
                self.last = frame.at;
                return Ok(Some(frame));
            }
        }
    }

    /// What the capturing tool says it lost.
    pub(crate) fn dropped_count(&self) -> u64 {
        let counts = self.interfaces.iter().map(|interface| interface.dropped_count);
        counts.fold(self.earlier_dropped_count, u64::saturating_add)
    }

    /// Takes the next block off the input; `None` when it was too long to look at.
    #[inline]
    fn block(
        &mut self,
        input: &mut Input,
        damage: &mut Damage,
    ) -> Result<Option<Block>, CaptureFault> {
        let is_section = input.bytes().starts_with(&SECTION_HEADER.to_be_bytes());
        if is_section {
            self.open(input)?;
            // Interfaces are numbered from 0 again in each section.
            self.earlier_dropped_count = self.dropped_count();
            self.interfaces.clear();
        }
        let order = self.order;
        let header = input.bytes();
        let (Some(kind), Some(length)) = (order.u32(header, 0), order.u32(header, 4)) else {
            return Err(CaptureFault::Truncated);
        };
        if length < BLOCK_MIN_BYTES || !length.is_multiple_of(4) {
            return Err(CaptureFault::BlockLength(length));
        }
        if length > self.block_bytes_max {
            damage.long_block_count += 1;
            self.skip_long(input, length)?;
            return Ok(None);
        }
        let length_bytes = length as usize;
        if input.fill(length_bytes) < length_bytes {
            return Err(CaptureFault::Truncated);
        }
        if order.u32(input.bytes(), length_bytes - 4) != Some(length) {
            return Err(CaptureFault::BlockLength(length));
        }
        let start = input.consume(length_bytes) + BLOCK_HEADER_BYTES;
        Ok(Some(Block { kind, start, len: length_bytes - BLOCK_MIN_BYTES as usize }))
    }

    fn skip_long(&self, input: &mut Input, length: u32) -> Result<(), CaptureFault> {
        let body_bytes = u64::from(length - 4);
        if input.skip(body_bytes) < body_bytes || input.fill(4) < 4 {
            return Err(CaptureFault::Truncated);
        }
        if self.order.u32(input.bytes(), 0) != Some(length) {
            return Err(CaptureFault::BlockLength(length));
        }
        input.consume(4);
        Ok(())
    }

    fn add_interface(&mut self, body: &[u8], damage: &mut Damage) {
        let order = self.order;
        let (link, snap_bytes) = (order.u16(body, 0), order.u32(body, 4));
        if snap_bytes.is_none() {
            // It keeps its number all the same, or its successors would change theirs.
            damage.bad_block_count += 1;
        }
        if self.interfaces.len() >= self.interface_count_max {
            // Its packets are counted when they come.
            return;
        }
        let mut interface = Interface {
            link: link_type(u32::from(link.unwrap_or(u16::MAX))),
            snap_bytes: snap_bytes.unwrap_or_default(),
            clock: Clock::MICROSECONDS,
            label: Label::None,
            port: None,
            dropped_count: 0,
        };
        let mut offset_s = 0;
        for (code, value) in options(order, body.get(8..).unwrap_or_default()) {
            match code {
                IF_NAME if interface.label == Label::None => interface.label = Label::Named,
                IF_DESCRIPTION => {
                    if let Some(port) = port_mark(value) {
                        interface.label = Label::Ours(port);
                    }
                }
                IF_TSRESOL => {
                    if let Some(resolution) = value.first() {
                        interface.clock = Clock::of(*resolution);
                    }
                }
                IF_TSOFFSET => offset_s = order.i64(value, 0).unwrap_or_default(),
                _ => {}
            }
        }
        interface.clock.offset_s = offset_s;
        self.interfaces.push(interface);
    }

    /// Counts since the capture's start, told once or now and then. What the interface and what the
    /// operating system dropped may be the same packets.
    fn statistics(&mut self, body: &[u8], damage: &mut Damage) {
        let order = self.order;
        let index = order.u32(body, 0).and_then(|index| usize::try_from(index).ok());
        let Some(interface) = index.and_then(|index| self.interfaces.get_mut(index)) else {
            damage.bad_block_count += 1;
            return;
        };
        let counts = options(order, body.get(12..).unwrap_or_default())
            .filter(|(code, _)| matches!(*code, ISB_IFDROP | ISB_OSDROP))
            .filter_map(|(_, value)| order.i64(value, 0));
        interface.dropped_count = counts.map(i64::cast_unsigned).max().unwrap_or_default();
    }

    #[inline]
    fn enhanced_packet(
        &mut self,
        input: &Input,
        block: &Block,
        damage: &mut Damage,
    ) -> Option<Frame> {
        let body = block.body(input);
        let order = self.order;
        let head = PacketHead {
            interface: order.u32(body, 0),
            ticks: ticks(order.u32(body, 4), order.u32(body, 8)),
            captured_bytes: order.u32(body, 12),
            wire_len: order.u32(body, 16),
            data_offset: 20,
        };
        self.packet(block, body, &head, damage)
    }

    fn old_packet(&mut self, input: &Input, block: &Block, damage: &mut Damage) -> Option<Frame> {
        let body = block.body(input);
        let order = self.order;
        let head = PacketHead {
            interface: order.u16(body, 0).map(u32::from),
            ticks: ticks(order.u32(body, 4), order.u32(body, 8)),
            captured_bytes: order.u32(body, 12),
            wire_len: order.u32(body, 16),
            data_offset: 20,
        };
        self.packet(block, body, &head, damage)
    }

    /// It has neither time nor captured length: the rest of the block, as far as the snap length.
    fn simple_packet(
        &mut self,
        input: &Input,
        block: &Block,
        damage: &mut Damage,
    ) -> Option<Frame> {
        let body = block.body(input);
        let wire_len = self.order.u32(body, 0);
        let snap_bytes = match self.interfaces.first().map(|interface| interface.snap_bytes) {
            None | Some(0) => u32::MAX,
            Some(snap_bytes) => snap_bytes,
        };
        let room_bytes = u32::try_from(body.len().saturating_sub(4)).unwrap_or(u32::MAX);
        let head = PacketHead {
            interface: Some(0),
            ticks: None,
            captured_bytes: wire_len.map(|bytes| bytes.min(snap_bytes).min(room_bytes)),
            wire_len,
            data_offset: 4,
        };
        self.packet(block, body, &head, damage)
    }

    #[inline]
    fn packet(
        &mut self,
        block: &Block,
        body: &[u8],
        head: &PacketHead,
        damage: &mut Damage,
    ) -> Option<Frame> {
        let PacketHead { interface: Some(index), data_offset, .. } = *head else {
            damage.bad_block_count += 1;
            return None;
        };
        let (Some(captured_bytes), Some(wire_len)) = (head.captured_bytes, head.wire_len) else {
            damage.bad_block_count += 1;
            return None;
        };
        let len = captured_bytes as usize;
        let data_end = data_offset.saturating_add(len);
        if data_end > body.len() {
            damage.bad_block_count += 1;
            return None;
        }
        let interface_count = self.interfaces.len();
        let Some(interface) = self.interfaces.get_mut(index as usize) else {
            damage.interface_unknown_count += 1;
            return None;
        };
        let port = interface.port(index, interface_count);
        let at = match head.ticks {
            None => {
                damage.untimed_count += 1;
                self.last
            }
            Some(ticks) => match interface.clock.time(ticks) {
                Ok(at) => at,
                Err(clamped) => {
                    damage.odd_time_count += 1;
                    clamped
                }
            },
        };
        let direction = match interface.label {
            Label::Ours(_) => flags_direction(self.order, body, data_end),
            _ => Direction::Unknown,
        };
        Some(Frame {
            at,
            link: interface.link,
            port,
            direction,
            wire_len: wire_len.max(captured_bytes),
            start: block.start + data_offset,
            len,
        })
    }
}

impl Interface {
    fn port(&mut self, index: u32, interface_count: usize) -> PortId {
        let label = self.label;
        *self.port.get_or_insert_with(|| match label {
            Label::Ours(port) => port,
            Label::None if interface_count < 2 => PortId::UNKNOWN,
            Label::None | Label::Named => PortId(index.saturating_add(1)),
        })
    }
}

/// Where a block's body lies in the window.
struct Block {
    kind: u32,
    start: usize,
    len: usize,
}

impl Block {
    #[inline]
    fn body<'a>(&self, input: &'a Input) -> &'a [u8] {
        input.lent(self.start, self.len)
    }
}

/// What the three kinds of packet blocks have in common; `None` where the block was too short.
struct PacketHead {
    interface: Option<u32>,
    ticks: Option<u64>,
    captured_bytes: Option<u32>,
    wire_len: Option<u32>,
    data_offset: usize,
}

fn ticks(high: Option<u32>, low: Option<u32>) -> Option<u64> {
    Some(u64::from(high?) << 32 | u64::from(low?))
}

/// The byte order of the section whose header these bytes are.
fn section_order(bytes: &[u8]) -> Result<ByteOrder, CaptureFault> {
    let magic = bytes.get(8..12).ok_or(CaptureFault::Truncated)?;
    let order = if magic == BYTE_ORDER_MAGIC.to_le_bytes() {
        ByteOrder::Little
    } else if magic == BYTE_ORDER_MAGIC.to_be_bytes() {
        ByteOrder::Big
    } else {
        return Err(CaptureFault::BadSection);
    };
    match (order.u16(bytes, 12), order.u16(bytes, 14)) {
        // Minor version 2 was written by a few tools and reads the same.
        (Some(1), Some(_)) => Ok(order),
        (Some(major), Some(minor)) => Err(CaptureFault::Version(major, minor)),
        _ => Err(CaptureFault::Truncated),
    }
}

/// The options of a block, as far as they hold together.
fn options(order: ByteOrder, mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let code = order.u16(bytes, 0)?;
        let len = usize::from(order.u16(bytes, 2)?);
        let value = bytes.get(4..)?.get(..len)?;
        bytes = bytes.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        (code != OPTION_END).then_some((code, value))
    })
}

/// The port in the description of an interface that we wrote.
fn port_mark(description: &[u8]) -> Option<PortId> {
    let text = std::str::from_utf8(description).ok()?;
    let (_, after) = text.split_once(PORT_MARK)?;
    let digits = after.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().map(PortId)
}

/// What we write for a direction, read back. On a host-side veth the kernel calls a frame
/// *outbound* that goes out of the host, which is into the container. In other people's captures
/// nobody knows on which side of the interface they stood, so they are not asked.
fn flags_direction(order: ByteOrder, body: &[u8], data_end: usize) -> Direction {
    let options_bytes = body.get(data_end.next_multiple_of(4)..).unwrap_or_default();
    let flags = options(order, options_bytes)
        .find(|(code, _)| *code == EPB_FLAGS)
        .and_then(|(_, value)| order.u32(value, 0));
    match flags.map(|flags| flags & FLAGS_DIRECTION_MASK) {
        Some(FLAGS_INBOUND) => Direction::Outward,
        Some(FLAGS_OUTBOUND) => Direction::Inward,
        _ => Direction::Unknown,
    }
}

pub(crate) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(crate) const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
pub(crate) const STATISTICS: u32 = 5;
pub(crate) const ENHANCED_PACKET: u32 = 6;
pub(crate) const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const BLOCK_HEADER_BYTES: usize = 8;
const BLOCK_MIN_BYTES: u32 = 12;
const SECTION_MIN_BYTES: usize = 28;
/// What a packet block may carry beside its frame: comments, hashes, verdicts.
pub(crate) const BLOCK_EXTRA_BYTES_MAX: u32 = 65_536;
pub(crate) const OPTION_END: u16 = 0;
pub(crate) const OPTION_COMMENT: u16 = 1;
pub(crate) const IF_NAME: u16 = 2;
pub(crate) const IF_DESCRIPTION: u16 = 3;
pub(crate) const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
pub(crate) const ISB_IFRECV: u16 = 4;
pub(crate) const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;
pub(crate) const EPB_FLAGS: u16 = 2;
const FLAGS_DIRECTION_MASK: u32 = 3;
pub(crate) const FLAGS_INBOUND: u32 = 1;
pub(crate) const FLAGS_OUTBOUND: u32 = 2;
/// Stands in the description of an interface that we wrote, before the port's number.
pub(crate) const PORT_MARK: &str = "tidewaiter port=";

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use observation::SourceId;

    use super::*;
    use crate::capture::{Capture, CaptureError};

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(12 + body.len().next_multiple_of(4)).unwrap();
        let mut block = [kind.to_le_bytes(), length.to_le_bytes()].concat();
        block.extend(body);
        block.resize(length as usize - 4, 0);
        block.extend(length.to_le_bytes());
        block
    }

    fn section() -> Vec<u8> {
        let body = [&BYTE_ORDER_MAGIC.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
        block(SECTION_HEADER, &body)
    }

    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap();
        let mut option = [code.to_le_bytes(), len.to_le_bytes()].concat();
        option.extend(value);
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    fn interface(link: u8, options: &[u8]) -> Vec<u8> {
        block(INTERFACE, &[&[link, 0, 0, 0, 0, 0, 4, 0][..], options].concat())
    }

    fn enhanced(interface: u8, ticks: u32, frame: &[u8], options: &[u8]) -> Vec<u8> {
        let len = u32::try_from(frame.len()).unwrap().to_le_bytes();
        let mut body = vec![interface, 0, 0, 0, 0, 0, 0, 0];
        body.extend([ticks.to_le_bytes(), len, 99_u32.to_le_bytes()].concat());
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(options);
        block(ENHANCED_PACKET, &body)
    }

    /// Time, port, direction and bytes of each packet; the error; what was passed over.
    type Read = (Vec<(u64, u32, Direction, Vec<u8>)>, Option<CaptureError>, Damage);

    fn all(bytes: &[u8]) -> Read {
        let opened = Capture::open(Cursor::new(bytes.to_vec()), SourceId(1), Limits::default());
        let mut capture = match opened {
            Ok(capture) => capture,
            Err(error) => return (Vec::new(), Some(error), Damage::default()),
        };
        let (mut packets, mut fault) = (Vec::new(), None);
        while let Some(next) = capture.next() {
            match next {
                Ok(packet) => {
                    let bytes = packet.bytes.to_vec();
                    packets.push((packet.at.0, packet.port.0, packet.direction, bytes));
                }
                Err(error) => fault = Some(error),
            }
        }
        (packets, fault, capture.damage())
    }

    fn small() -> Vec<u8> {
        [
            section(),
            interface(1, &option(IF_NAME, b"eth0")),
            enhanced(0, 5, b"abcde", &[]),
            block(77, b"unknown"),
            enhanced(0, 6, b"f", &[]),
        ]
        .concat()
    }

    #[test]
    fn packets_of_a_named_interface_and_an_unknown_block() {
        let (packets, fault, damage) = all(&small());
        let expected = [(5000, 1, b"abcde".to_vec()), (6000, 1, b"f".to_vec())]
            .map(|(at, port, bytes)| (at, port, Direction::Unknown, bytes));
        assert_eq!(packets, expected);
        assert!(fault.is_none());
        assert_eq!(damage, Damage { other_block_count: 1, ..Damage::default() });
    }

    #[test]
    fn one_nameless_interface_is_no_port_and_two_are() {
        let one = [section(), interface(1, &[]), enhanced(0, 1, b"a", &[])].concat();
        assert_eq!(all(&one).0[0].1, 0);
        let late = [one, interface(1, &[]), enhanced(1, 1, b"b", &[]), enhanced(0, 1, b"c", &[])];
        let ports: Vec<_> = all(&late.concat()).0.iter().map(|packet| packet.1).collect();
        assert_eq!(ports, [0, 2, 0], "a later interface does not move an earlier one's port");
        let two = [section(), interface(1, &[]), interface(1, &[]), enhanced(0, 1, b"a", &[])];
        assert_eq!(all(&two.concat()).0[0].1, 1);
    }

    #[test]
    fn direction_and_port_are_believed_of_our_own_interfaces_only() {
        let outbound = option(EPB_FLAGS, &FLAGS_OUTBOUND.to_le_bytes());
        let inbound = option(EPB_FLAGS, &FLAGS_INBOUND.to_le_bytes());
        let file = [
            section(),
            interface(1, &option(IF_DESCRIPTION, b"tidewaiter port=4211")),
            interface(1, &option(IF_DESCRIPTION, b"uplink")),
            enhanced(0, 1, b"abc", &outbound),
            enhanced(0, 1, b"abc", &[option(1, b"a comment"), inbound.clone()].concat()),
            enhanced(1, 1, b"abc", &inbound),
        ];
        let seen: Vec<_> =
            all(&file.concat()).0.iter().map(|packet| (packet.1, packet.2)).collect();
        let expected =
            [(4211, Direction::Inward), (4211, Direction::Outward), (2, Direction::Unknown)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn simple_and_old_packets() {
        let old =
            [&[0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0][..], b"xy"].concat();
        let file = [
            section(),
            interface(1, &[]),
            block(OLD_PACKET, &old),
            block(SIMPLE_PACKET, &[&3_u32.to_le_bytes()[..], b"abc"].concat()),
        ];
        let (packets, fault, damage) = all(&file.concat());
        assert_eq!(packets[0], (9000, 0, Direction::Unknown, b"xy".to_vec()));
        assert_eq!(packets[1], (9000, 0, Direction::Unknown, b"abc".to_vec()));
        assert!(fault.is_none());
        assert_eq!(damage.untimed_count, 1);
    }

    #[test]
    fn resolution_and_offset_and_a_second_section() {
        let options = [option(IF_TSRESOL, &[9]), option(IF_TSOFFSET, &1_i64.to_le_bytes())];
        let file = [
            section(),
            interface(1, &options.concat()),
            enhanced(0, 5, b"a", &[]),
            section(),
            enhanced(0, 5, b"no interface yet", &[]),
            interface(1, &[]),
            enhanced(0, 5, b"b", &[]),
        ];
        let (packets, _, damage) = all(&file.concat());
        let times: Vec<_> = packets.iter().map(|packet| packet.0).collect();
        assert_eq!(times, [1_000_000_005, 5000]);
        assert_eq!(damage.interface_unknown_count, 1);
    }

    #[test]
    fn a_section_of_the_other_byte_order() {
        let file = [
            0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 28, // section
            0, 0, 0, 1, 0, 0, 0, 20, 0, 101, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, // interface
            0, 0, 0, 6, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1,
            b'E', 0, 0, 0, 0, 0, 0, 36, // packet
        ];
        let (packets, fault, _) = all(&file);
        assert_eq!(packets, [(7000, 0, Direction::Unknown, b"E".to_vec())]);
        assert!(fault.is_none());
    }

    #[test]
    fn a_packet_longer_than_its_block_is_passed_over_and_an_impossible_length_ends_it() {
        let mut lying = enhanced(0, 5, b"abcd", &[]);
        lying[20] = 200;
        let good = enhanced(0, 6, b"good", &[]);
        let file = [section(), interface(1, &[]), lying, good.clone()].concat();
        let (packets, fault, damage) = all(&file);
        assert_eq!((packets.len(), damage.bad_block_count), (1, 1));
        assert!(fault.is_none());
        for length in [0_u8, 8, 13, 200] {
            let mut bad = good.clone();
            bad[4] = length;
            let file = [section(), interface(1, &[]), good.clone(), bad, good.clone()].concat();
            let (packets, fault, _) = all(&file);
            assert_eq!(packets.len(), 1, "length {length}");
            assert_eq!(fault.unwrap().at_bytes, 28 + 20 + 36, "length {length}");
        }
    }

    #[test]
    fn a_block_beyond_the_limit_is_passed_over() {
        let long = block(78, &vec![1; 400_000]);
        let file = [section(), interface(1, &[]), long, enhanced(0, 6, b"good", &[])].concat();
        let (packets, fault, damage) = all(&file);
        assert_eq!((packets.len(), damage.long_block_count), (1, 1));
        assert!(fault.is_none());
    }

    #[test]
    fn a_cut_at_any_byte_yields_the_whole_packets_before_it() {
        let whole = small();
        let ends = [28, 28 + 28, 56 + 40, 96 + 20];
        for cut in 0..whole.len() {
            let (packets, fault, _) = all(&whole[..cut]);
            assert_eq!(packets.len(), usize::from(cut >= 96), "cut at {cut}");
            assert_eq!(fault.is_none(), ends.contains(&cut), "cut at {cut}: {fault:?}");
        }
    }
}
