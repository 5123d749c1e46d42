//! Classic pcap: draft-ietf-opsawg-pcap, with Kuznetzov's modified records as libpcap reads them.

use observation::{PortId, Time};
use sensor::{Direction, LinkType};

use crate::bytes::ByteOrder;
use crate::capture::{CaptureFault, Damage, Frame, Limits, link_type};
use crate::input::Input;

/// What the file header says of all records.
pub(crate) struct Header {
    variant: Variant,
    link: LinkType,
    lengths: Lengths,
    frame_bytes_max: u32,
}

/// How a record's two lengths are arranged.
#[derive(Clone, Copy)]
enum Lengths {
    CapturedFirst,
    /// Before version 2.4, one way or the other; the captured one is never the longer.
    Either,
}

/// What the magic number says.
#[derive(Clone, Copy)]
pub(crate) struct Variant {
    order: ByteOrder,
    /// Nanoseconds of one unit of a record's second field.
    tick_ns: u64,
    record_header_bytes: usize,
}

impl Variant {
    pub(crate) const fn of(magic: [u8; 4]) -> Option<Self> {
        let (order, number) = match magic {
            [0xa1, ..] => (ByteOrder::Big, u32::from_be_bytes(magic)),
            _ => (ByteOrder::Little, u32::from_le_bytes(magic)),
        };
        let (tick_ns, record_header_bytes) = match number {
            MAGIC_MICROSECONDS => (1000, RECORD_HEADER_BYTES),
            MAGIC_NANOSECONDS => (1, RECORD_HEADER_BYTES),
            MAGIC_MODIFIED => (1000, MODIFIED_RECORD_HEADER_BYTES),
            _ => return None,
        };
        Some(Self { order, tick_ns, record_header_bytes })
    }
}

impl Header {
    pub(crate) fn read(input: &mut Input, limits: Limits) -> Result<Self, CaptureFault> {
        input.fill(FILE_HEADER_BYTES);
        let bytes = input.bytes();
        let variant = bytes.first_chunk().and_then(|magic| Variant::of(*magic));
        let Some(variant) = variant else { return Err(CaptureFault::NotACapture) };
        let order = variant.order;
        let (Some(major), Some(minor), Some(link)) =
            (order.u16(bytes, 4), order.u16(bytes, 6), order.u32(bytes, 20))
        else {
            return Err(CaptureFault::Truncated);
        };
        if major != VERSION_MAJOR {
            return Err(CaptureFault::Version(major, minor));
        }
        let lengths = if minor < VERSION_MINOR { Lengths::Either } else { Lengths::CapturedFirst };
        input.consume(FILE_HEADER_BYTES);
        // The upper bits say how long the frame check sequence is, if one was captured.
        let link = link_type(link & LINK_TYPE_MASK);
        Ok(Self { variant, link, lengths, frame_bytes_max: limits.frame_bytes_max })
    }

    #[inline]
    pub(crate) fn next(
        &self,
        input: &mut Input,
        damage: &mut Damage,
    ) -> Result<Option<Frame>, CaptureFault> {
        let Variant { order, tick_ns, record_header_bytes } = self.variant;
        if input.fill(record_header_bytes) < record_header_bytes {
            return if input.bytes().is_empty() { Ok(None) } else { Err(CaptureFault::Truncated) };
        }
        let header = input.bytes();
        let (Some(seconds), Some(ticks), Some(captured_bytes), Some(wire_len)) = (
            order.u32(header, 0),
            order.u32(header, 4),
            order.u32(header, 8),
            order.u32(header, 12),
        ) else {
            return Err(CaptureFault::Truncated);
        };
        let (captured_bytes, wire_len) = match self.lengths {
            Lengths::CapturedFirst => (captured_bytes, wire_len),
            Lengths::Either => (captured_bytes.min(wire_len), captured_bytes.max(wire_len)),
        };
        if captured_bytes > self.frame_bytes_max {
            return Err(CaptureFault::FrameTooLong {
                claimed_bytes: captured_bytes,
                bytes_max: self.frame_bytes_max,
            });
        }
        let port = match record_header_bytes {
            MODIFIED_RECORD_HEADER_BYTES => PortId(order.u32(header, 16).unwrap_or_default()),
            _ => PortId::UNKNOWN,
        };
        let len = captured_bytes as usize;
        if input.fill(record_header_bytes + len) < record_header_bytes + len {
            return Err(CaptureFault::Truncated);
        }
        let fraction_ns = u64::from(ticks) * tick_ns;
        if fraction_ns >= SECOND_NS {
            damage.odd_time_count += 1;
        }
        let start = input.consume(record_header_bytes + len) + record_header_bytes;
        Ok(Some(Frame {
            at: Time(u64::from(seconds) * SECOND_NS + fraction_ns),
            link: self.link,
            port,
            direction: Direction::Unknown,
            wire_len: wire_len.max(captured_bytes),
            start,
            len,
        }))
    }
}

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Records also carry the interface's index, the protocol and the packet type.
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;
const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const MODIFIED_RECORD_HEADER_BYTES: usize = 24;
const VERSION_MAJOR: u16 = 2;
const VERSION_MINOR: u16 = 4;
const LINK_TYPE_MASK: u32 = 0x03ff_ffff;
const SECOND_NS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use observation::SourceId;

    use super::*;
    use crate::capture::{Capture, CaptureError};

    fn open(bytes: &[u8]) -> Result<Capture, CaptureError> {
        Capture::open(Cursor::new(bytes.to_vec()), SourceId(7), Limits::default())
    }

    fn file_header(magic: u32, link: u32) -> Vec<u8> {
        let fields = [magic, 0x0004_0002, 0, 0, 65_535, link];
        fields.iter().flat_map(|field| field.to_le_bytes()).collect()
    }

    fn record(fields: &[u32], frame: &[u8]) -> Vec<u8> {
        let header = fields.iter().flat_map(|field| field.to_le_bytes());
        header.chain(frame.iter().copied()).collect()
    }

    /// Time, length on the wire and bytes of each packet; the fault that ended it.
    type Read = (Vec<(u64, u32, Vec<u8>)>, Option<CaptureFault>);

    fn all(bytes: &[u8]) -> Read {
        let mut packets = Vec::new();
        let mut capture = match open(bytes) {
            Ok(capture) => capture,
            Err(error) => return (packets, Some(error.fault)),
        };
        let mut fault = None;
        while let Some(next) = capture.next() {
            match next {
                Ok(packet) => packets.push((packet.at.0, packet.wire_len, packet.bytes.to_vec())),
                Err(error) => fault = Some(error.fault),
            }
        }
        (packets, fault)
    }

    fn two_packets() -> Vec<u8> {
        let mut bytes = file_header(MAGIC_MICROSECONDS, 1);
        bytes.extend(record(&[10, 5, 4, 60], b"abcd"));
        bytes.extend(record(&[11, 6, 3, 3], b"efg"));
        bytes
    }

    #[test]
    fn microseconds_and_nanoseconds() {
        let expected =
            vec![(10_000_005_000, 60, b"abcd".to_vec()), (11_000_006_000, 3, b"efg".to_vec())];
        assert_eq!(all(&two_packets()).0, expected);
        let mut nanos = file_header(MAGIC_NANOSECONDS, 1);
        nanos.extend(record(&[10, 5, 2, 2], b"ab"));
        assert_eq!(all(&nanos).0, [(10_000_000_005, 2, b"ab".to_vec())]);
    }

    #[test]
    fn a_capture_of_a_machine_of_the_other_byte_order() {
        let bytes = [
            0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 113,
            0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9, b'x',
        ];
        let mut capture = open(&bytes).unwrap();
        let packet = capture.next().unwrap().unwrap();
        assert_eq!((packet.at, packet.link), (Time(1_000_002_000), LinkType::LinuxSll));
        assert_eq!((packet.bytes, packet.wire_len), (&b"x"[..], 9));
        assert_eq!((packet.source, packet.port), (SourceId(7), PortId::UNKNOWN));
    }

    #[test]
    fn a_modified_record_tells_its_interface() {
        let mut bytes = file_header(MAGIC_MODIFIED, 1);
        bytes.extend(record(&[1, 0, 1, 1, 42, 0], b"x"));
        let mut capture = open(&bytes).unwrap();
        let packet = capture.next().unwrap().unwrap();
        assert_eq!((packet.port, packet.bytes), (PortId(42), &b"x"[..]));
    }

    #[test]
    fn before_version_2_4_the_lengths_stand_either_way() {
        let mut bytes = file_header(MAGIC_MICROSECONDS, 1);
        bytes[6] = 1;
        bytes.extend(record(&[1, 0, 60, 1], b"x"));
        assert_eq!(all(&bytes).0, [(1_000_000_000, 60, b"x".to_vec())]);
    }

    #[test]
    fn a_capture_without_packets_is_whole() {
        assert!(
            matches!(all(&file_header(MAGIC_MICROSECONDS, 1)), (packets, None) if packets.is_empty())
        );
    }

    #[test]
    fn a_cut_at_any_byte_yields_the_whole_packets_before_it() {
        let whole = two_packets();
        for cut in 0..whole.len() {
            let (packets, fault) = all(&whole[..cut]);
            let packet_count = usize::from(cut >= 24 + 20);
            assert_eq!(packets.len(), packet_count, "cut at {cut}");
            match cut {
                0 => assert!(matches!(fault, Some(CaptureFault::Empty))),
                1..4 => assert!(matches!(fault, Some(CaptureFault::NotACapture))),
                24 | 44 => assert!(fault.is_none(), "cut at {cut}"),
                _ => assert!(matches!(fault, Some(CaptureFault::Truncated)), "cut at {cut}"),
            }
        }
    }

    #[test]
    fn a_record_longer_than_any_frame_ends_the_reading_where_it_stands() {
        let mut bytes = two_packets();
        bytes.extend(record(&[12, 0, 262_145, 262_145], b""));
        let mut capture = open(&bytes).unwrap();
        assert!(capture.next().unwrap().is_ok() && capture.next().unwrap().is_ok());
        let error = capture.next().unwrap().unwrap_err();
        assert_eq!((error.at_bytes, error.packet_count), (63, 2));
        assert!(error.to_string().contains("at byte 63"), "{error}");
        assert!(capture.next().is_none());
    }

    #[test]
    fn the_longest_frame_is_read_and_a_fraction_over_a_second_is_counted() {
        let mut bytes = file_header(MAGIC_MICROSECONDS, 1);
        bytes.extend(record(&[1, 1_000_000, 262_144, 262_144], &vec![7; 262_144]));
        let mut capture = open(&bytes).unwrap();
        assert_eq!(capture.next().unwrap().unwrap().bytes.len(), 262_144);
        assert_eq!(capture.damage().odd_time_count, 1);
    }
}
