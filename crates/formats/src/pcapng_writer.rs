//! Writes pcapng (draft-ietf-opsawg-pcapng): recordings and evidence, one interface a capture
//! port, times in nanoseconds. [`crate::Capture`] gives back exactly what was written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Write};

use observation::{PortId, Time};
use sensor::{Direction, LinkType, Packet};

use crate::capture::link_number;
use crate::pcapng::{
    BYTE_ORDER_MAGIC, ENHANCED_PACKET, EPB_FLAGS, FLAGS_INBOUND, FLAGS_OUTBOUND, IF_DESCRIPTION,
    IF_NAME, IF_TSRESOL, INTERFACE, ISB_IFDROP, ISB_IFRECV, OPTION_COMMENT, OPTION_END, PORT_MARK,
    SECTION_HEADER, STATISTICS,
};

/// Writes one section. Hand it a buffered writer: it writes each packet in three pieces.
/// After an error the last block may be cut; what was written before stays readable.
pub struct PcapngWriter<W: Write> {
    out: W,
    interfaces: Interfaces,
    /// What follows a packet's bytes; kept for its memory.
    tail: Vec<u8>,
}

/// By port and number of the link type.
type Interfaces = BTreeMap<(PortId, u32), Interface>;

struct Interface {
    index: u32,
    packet_count: u64,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins the section; `application` is who writes it (`tidewaiter 0.1.0`).
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(mut out: W, application: &str) -> io::Result<Self> {
        let mut body = Vec::new();
        body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        // The section's length is not known in advance.
        body.extend([0xff; 8]);
        option(&mut body, SHB_USERAPPL, application.as_bytes());
        option(&mut body, OPTION_END, &[]);
        out.write_all(&block(SECTION_HEADER, &body))?;
        Ok(Self { out, interfaces: BTreeMap::new(), tail: Vec::new() })
    }

    /// Declares a capture port under the name that people know it by (`veth12ab34c`). A port that
    /// sends a packet first is declared without a name; declaring one twice does nothing.
    ///
    /// # Errors
    /// When `out` cannot be written, the link type has no number in pcapng, or there are
    /// [`INTERFACE_COUNT_MAX`] ports already: then begin a new file.
    pub fn interface(&mut self, port: PortId, link: LinkType, name: &str) -> io::Result<()> {
        declared(&mut self.out, &mut self.interfaces, port, link, name)?;
        Ok(())
    }

    /// Writes a packet.
    ///
    /// # Errors
    /// As [`PcapngWriter::interface`], and when the packet is too long for the format.
    pub fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let interface =
            declared(&mut self.out, &mut self.interfaces, packet.port, packet.link, "")?;
        let tail = &mut self.tail;
        tail.clear();
        tail.resize(packet.bytes.len().next_multiple_of(4) - packet.bytes.len(), 0);
        let flags = match packet.direction {
            Direction::Unknown => None,
            Direction::Inward => Some(FLAGS_OUTBOUND),
            Direction::Outward => Some(FLAGS_INBOUND),
        };
        if let Some(flags) = flags {
            option(tail, EPB_FLAGS, &flags.to_le_bytes());
            option(tail, OPTION_END, &[]);
        }
        let length = PACKET_HEAD_BYTES + packet.bytes.len() + tail.len() + 4;
        let (Ok(length), Ok(captured_bytes)) =
            (u32::try_from(length), u32::try_from(packet.bytes.len()))
        else {
            return Err(io::Error::other("a packet is too long for pcapng"));
        };
        tail.extend(length.to_le_bytes());
        let [high, low] = ticks(packet.at);
        let mut head = [0; PACKET_HEAD_BYTES];
        let fields =
            [ENHANCED_PACKET, length, interface.index, high, low, captured_bytes, packet.wire_len];
        for (slot, field) in head.chunks_exact_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        self.out.write_all(&head)?;
        self.out.write_all(packet.bytes)?;
        self.out.write_all(tail)?;
        interface.packet_count += 1;
        Ok(())
    }

    /// Hands everything on to where it is kept.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the section with what was received at each interface and what was lost. All ports of a
    /// ring lose together, so the loss is told once, at the first interface, with a comment.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn finish(mut self, at: Time, dropped_count: u64) -> io::Result<W> {
        let [high, low] = ticks(at);
        for interface in self.interfaces.values() {
            let mut body = Vec::new();
            for field in [interface.index, high, low] {
                body.extend(field.to_le_bytes());
            }
            let dropped_count = if interface.index == 0 { dropped_count } else { 0 };
            if dropped_count > 0 {
                option(&mut body, OPTION_COMMENT, b"lost by the ring that all interfaces share");
            }
            let received_count = interface.packet_count + dropped_count;
            option(&mut body, ISB_IFRECV, &received_count.to_le_bytes());
            option(&mut body, ISB_IFDROP, &dropped_count.to_le_bytes());
            option(&mut body, OPTION_END, &[]);
            self.out.write_all(&block(STATISTICS, &body))?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The most interfaces of one file, and what [`crate::Limits`] reads by default.
pub const INTERFACE_COUNT_MAX: usize = 65_536;

/// The interface of this port and link type, written first where it is new.
fn declared<'a>(
    out: &mut impl Write,
    interfaces: &'a mut Interfaces,
    port: PortId,
    link: LinkType,
    name: &str,
) -> io::Result<&'a mut Interface> {
    let interface_count = interfaces.len();
    let slot = match interfaces.entry((port, link_number(link))) {
        Entry::Occupied(slot) => return Ok(slot.into_mut()),
        Entry::Vacant(slot) => slot,
    };
    let number = link_number(link);
    let Ok(number16) = u16::try_from(number) else {
        return Err(io::Error::other(format!("pcapng has no link type {number}")));
    };
    let index = match u32::try_from(interface_count) {
        Ok(index) if interface_count < INTERFACE_COUNT_MAX => index,
        _ => {
            return Err(io::Error::other(format!(
                "the capture has {INTERFACE_COUNT_MAX} interfaces already: begin a new one"
            )));
        }
    };
    let mut body = Vec::new();
    body.extend(number16.to_le_bytes());
    body.extend([0, 0]);
    body.extend(SNAP_BYTES.to_le_bytes());
    if !name.is_empty() {
        option(&mut body, IF_NAME, name.as_bytes());
    }
    option(&mut body, IF_DESCRIPTION, format!("{PORT_MARK}{}", port.0).as_bytes());
    option(&mut body, IF_TSRESOL, &[NANO_POWER]);
    option(&mut body, OPTION_END, &[]);
    out.write_all(&block(INTERFACE, &body))?;
    Ok(slot.insert(Interface { index, packet_count: 0 }))
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    debug_assert!(body.len().is_multiple_of(4), "options are padded");
    let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX);
    let mut block = Vec::with_capacity(body.len() + 12);
    block.extend(kind.to_le_bytes());
    block.extend(length.to_le_bytes());
    block.extend(body);
    block.extend(length.to_le_bytes());
    block
}

/// Appends an option; a value of more than 64 KiB is cut.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(code.to_le_bytes());
    body.extend(len.to_le_bytes());
    body.extend(value.iter().take(usize::from(len)));
    let padding_bytes = usize::from(len).next_multiple_of(4) - usize::from(len);
    body.extend(std::iter::repeat_n(0, padding_bytes));
}

/// Time in the format's two halves.
fn ticks(at: Time) -> [u32; 2] {
    let low = u32::try_from(at.0 & u64::from(u32::MAX)).unwrap_or_default();
    [u32::try_from(at.0 >> 32).unwrap_or_default(), low]
}

const SHB_USERAPPL: u16 = 4;
const NANO_POWER: u8 = 9;
const SNAP_BYTES: u32 = 262_144;
const PACKET_HEAD_BYTES: usize = 28;

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::process::Command;

    use observation::SourceId;

    use super::*;
    use crate::capture::{Capture, Limits};

    fn packet(port: u32, direction: Direction, at: u64, bytes: &[u8]) -> Packet<'_> {
        Packet {
            at: Time(at),
            source: SourceId(4),
            link: LinkType::Ethernet,
            port: PortId(port),
            direction,
            wire_len: 1500,
            bytes,
        }
    }

    fn packets() -> [Packet<'static>; 5] {
        [
            packet(42, Direction::Inward, 1_795_491_948_882_639_917, b"abcde"),
            packet(0, Direction::Unknown, 2, b""),
            packet(42, Direction::Outward, u64::MAX - 1, b"abcd"),
            Packet { link: LinkType::Other(147), ..packet(42, Direction::Unknown, 3, b"x") },
            packet(u32::MAX, Direction::Inward, 4, b"xyz"),
        ]
    }

    fn written(dropped_count: u64) -> Vec<u8> {
        let mut writer = PcapngWriter::new(Vec::new(), "tidewaiter test").unwrap();
        writer.interface(PortId(42), LinkType::Ethernet, "veth0123456").unwrap();
        writer.interface(PortId(42), LinkType::Ethernet, "again").unwrap();
        for packet in packets() {
            writer.packet(&packet).unwrap();
        }
        writer.flush().unwrap();
        writer.finish(Time(5), dropped_count).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back_exactly() {
        let file = Cursor::new(written(0));
        let mut capture = Capture::open(file, SourceId(4), Limits::default()).unwrap();
        for expected in packets() {
            let seen = capture.next().unwrap().unwrap();
            assert_eq!(format!("{seen:?}"), format!("{expected:?}"));
        }
        assert!(capture.next().is_none());
        assert_eq!(capture.damage().other_block_count, 0);
        assert_eq!(capture.dropped_count(), 0);
    }

    #[test]
    fn losses_are_told_once() {
        let file = Cursor::new(written(17));
        let mut capture = Capture::open(file, SourceId(4), Limits::default()).unwrap();
        while capture.next().is_some() {}
        assert_eq!(capture.dropped_count(), 17);
    }

    #[test]
    fn a_link_type_beyond_the_format_is_refused() {
        let mut writer = PcapngWriter::new(Vec::new(), "").unwrap();
        let refused = writer.interface(PortId(1), LinkType::Other(65_536), "x").unwrap_err();
        assert!(refused.to_string().contains("65536"));
        assert!(writer.finish(Time(0), 0).unwrap().len() > 28);
    }

    #[test]
    fn tcpdump_reads_it_where_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packets.pcapng");
        // Only one link type: tcpdump reads no more in one file.
        let mut writer = PcapngWriter::new(Vec::new(), "tidewaiter test").unwrap();
        for packet in packets().iter().filter(|packet| packet.link == LinkType::Ethernet) {
            writer.packet(packet).unwrap();
        }
        std::fs::write(&path, writer.finish(Time(5), 1).unwrap()).unwrap();
        let Ok(output) = Command::new("tcpdump").arg("-nnttr").arg(&path).output() else {
            println!("SKIPPED: tcpdump is not installed here");
            return;
        };
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(lines.lines().count(), 4, "{lines}");
        assert!(lines.starts_with("1795491948.882639"), "{lines}");
    }
}
