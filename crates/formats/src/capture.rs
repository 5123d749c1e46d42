//! Captures, classic pcap or pcapng, plain, gzip or zstd, all told by their content.
//!
//! Reading is streaming and bounded: one window, no copy a packet.
//! A capture that ends in the middle or is damaged yields every packet before that place, then one
//! error that says where.

use std::fmt;
use std::io::{self, Read};

use observation::{PortId, SourceId, Time};
use sensor::{Direction, LinkType, Packet};

use crate::input::{Input, InputFault};
use crate::{pcap, pcapng};

/// What a capture may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most that a compressed capture may expand to.
    pub expanded_bytes_max: u64,
    /// The longest frame. The kernel hands out frames of 65 549 bytes with segmentation offload.
    pub frame_bytes_max: u32,
    /// The most interfaces of one pcapng section.
    pub interface_count_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            expanded_bytes_max: 64 * 1024 * 1024 * 1024,
            frame_bytes_max: FRAME_BYTES_MAX,
            interface_count_max: 65_536,
        }
    }
}

/// What was passed over in a capture. Apart from `other_block_count`, all zero for a sound one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// pcapng blocks of other types (names, secrets, unknown ones), skipped as the format asks.
    pub other_block_count: u64,
    /// pcapng blocks whose length is right and whose content is not.
    pub bad_block_count: u64,
    /// pcapng blocks, with their packet where they had one, that are longer than the limit.
    pub long_block_count: u64,
    /// Packets of an interface that the file never described, or that exceeded the limit.
    pub interface_unknown_count: u64,
    /// Packets without a time of their own; they got that of the packet before.
    pub untimed_count: u64,
    /// Times that no clock can have shown, clamped.
    pub odd_time_count: u64,
}

/// An open capture.
pub struct Capture {
    input: Input,
    kind: Kind,
    source: SourceId,
    damage: Damage,
    packet_count: u64,
    state: State,
}

enum Kind {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

#[derive(PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

impl Capture {
    /// Reads the file's header; `source` is the witness of all its packets.
    ///
    /// # Errors
    /// When it is empty, unreadable, or no capture at all.
    pub fn open(
        reader: impl Read + Send + 'static,
        source: SourceId,
        limits: Limits,
    ) -> Result<Self, CaptureError> {
        let block_bytes_max = limits.frame_bytes_max.saturating_add(pcapng::BLOCK_EXTRA_BYTES_MAX);
        let lend_bytes_max = usize::try_from(block_bytes_max).unwrap_or(usize::MAX);
        let mut input = Input::open(reader, lend_bytes_max, limits.expanded_bytes_max);
        let held = input.fill(4);
        let kind = match magic(input.bytes()) {
            Magic::Pcap => pcap::Header::read(&mut input, limits).map(Kind::Pcap),
            Magic::Pcapng => Ok(Kind::Pcapng(pcapng::Section::new(limits, block_bytes_max))),
            Magic::None if held == 0 => Err(CaptureFault::Empty),
            Magic::None => Err(CaptureFault::NotACapture),
        };
        let mut capture = match kind {
            Ok(kind) => Self {
                input,
                kind,
                source,
                damage: Damage::default(),
                packet_count: 0,
                state: State::Reading,
            },
            Err(fault) => return Err(error_at(&mut input, 0, fault)),
        };
        capture.open_section()?;
        Ok(capture)
    }

    /// The next packet; `None` at the end. After an error, which comes once, there is only `None`.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend its own buffer")]
    #[inline]
    pub fn next(&mut self) -> Option<Result<Packet<'_>, CaptureError>> {
        if self.state == State::Ended {
            return None;
        }
        let read = match &mut self.kind {
            Kind::Pcap(header) => header.next(&mut self.input, &mut self.damage),
            Kind::Pcapng(section) => section.next(&mut self.input, &mut self.damage),
        };
        match read {
            Ok(Some(frame)) => {
                self.packet_count += 1;
                Some(Ok(Packet {
                    at: frame.at,
                    source: self.source,
                    link: frame.link,
                    port: frame.port,
                    direction: frame.direction,
                    wire_len: frame.wire_len,
                    bytes: self.input.lent(frame.start, frame.len),
                }))
            }
            Ok(None) => self.end(),
            Err(fault) => Some(Err(self.fail(fault))),
        }
    }

    /// What was passed over so far.
    #[must_use]
    pub const fn damage(&self) -> Damage {
        self.damage
    }

    /// Packets delivered so far.
    #[must_use]
    pub const fn packet_count(&self) -> u64 {
        self.packet_count
    }

    /// Packets that the capturing tool says it lost itself, as far as the file was read.
    #[must_use]
    pub fn dropped_count(&self) -> u64 {
        match &self.kind {
            Kind::Pcap(_) => 0,
            Kind::Pcapng(section) => section.dropped_count(),
        }
    }

    /// Expanded bytes read so far, for a progress bar over a plain file.
    #[must_use]
    pub const fn position_bytes(&self) -> u64 {
        self.input.position_bytes()
    }

    /// A pcapng file whose first block is damaged is refused at once, not at its first packet.
    fn open_section(&mut self) -> Result<(), CaptureError> {
        let Kind::Pcapng(section) = &mut self.kind else { return Ok(()) };
        match section.open(&mut self.input) {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.fail(fault)),
        }
    }

    /// An end without a fault is the end; one with a fault was forced.
    fn end(&mut self) -> Option<Result<Packet<'_>, CaptureError>> {
        self.state = State::Ended;
        let fault = self.input.fault()?;
        Some(Err(self.fail(fault.into())))
    }

    fn fail(&mut self, fault: CaptureFault) -> CaptureError {
        self.state = State::Ended;
        error_at(&mut self.input, self.packet_count, fault)
    }
}

/// Where a frame lies in the window, and all that is known of it.
pub(crate) struct Frame {
    pub at: Time,
    pub link: LinkType,
    pub port: PortId,
    pub direction: Direction,
    pub wire_len: u32,
    pub start: usize,
    pub len: usize,
}

/// Why a capture could not be opened or read on.
#[derive(Debug)]
pub struct CaptureError {
    /// Where, in bytes from the start of the file, or of what it expands to.
    pub at_bytes: u64,
    /// Whether the position is in the expanded bytes of a compressed file.
    pub is_compressed: bool,
    /// Packets that were delivered before.
    pub packet_count: u64,
    /// What is wrong there.
    pub fault: CaptureFault,
}

/// What is wrong with a capture.
#[derive(Debug)]
pub enum CaptureFault {
    /// It has no bytes.
    Empty,
    /// It is neither pcap nor pcapng.
    NotACapture,
    /// It is a pcap or pcapng of another major version.
    Version(u16, u16),
    /// It ends within a record.
    Truncated,
    /// A record claims more bytes than the limit.
    FrameTooLong {
        /// What it claims.
        claimed_bytes: u32,
        /// The limit.
        bytes_max: u32,
    },
    /// A pcapng block's length cannot be.
    BlockLength(u32),
    /// A pcapng section does not begin as one.
    BadSection,
    /// A compressed capture expanded to more than this.
    Expanded(u64),
    /// The file could not be read, or its compression is damaged.
    Unreadable(io::Error),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expanded = if self.is_compressed { " of the expanded capture" } else { "" };
        let at = format_args!("at byte {}{expanded}", self.at_bytes);
        let read = match self.packet_count {
            0 => "no packet before it was read",
            1 => "the 1 packet before it was read",
            _ => "all packets before it were read",
        };
        match &self.fault {
            CaptureFault::Empty => write!(out, "the capture is empty: record it again"),
            CaptureFault::NotACapture => write!(
                out,
                "this is no pcap or pcapng capture (plain, gzip or zstd): give one, or convert \
                 it with `editcap`"
            ),
            CaptureFault::Version(major, minor) => write!(
                out,
                "capture format version {major}.{minor} is not known: convert it with `editcap`"
            ),
            CaptureFault::Truncated => write!(
                out,
                "the capture ends within a record {at}; {read}: nothing to do if the recording \
                 was cut off, else copy the file again"
            ),
            CaptureFault::FrameTooLong { claimed_bytes, bytes_max } => write!(
                out,
                "the capture is damaged {at}: a record claims {claimed_bytes} bytes, the limit is \
                 {bytes_max}; {read}: copy or record it again to see the rest"
            ),
            CaptureFault::BlockLength(bytes) => write!(
                out,
                "the capture is damaged {at}: a pcapng block of {bytes} bytes cannot be; {read}: \
                 copy or record it again to see the rest"
            ),
            CaptureFault::BadSection => write!(
                out,
                "the capture is damaged {at}: no pcapng section starts there; {read}: copy or \
                 record it again to see the rest"
            ),
            CaptureFault::Expanded(bytes_max) => write!(
                out,
                "the capture expands to more than {bytes_max} bytes, stopped {at}; {read}: \
                 decompress it first if you trust it"
            ),
            CaptureFault::Unreadable(error) => {
                write!(out, "the capture cannot be read {at} ({error}); {read}: copy it again")
            }
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            CaptureFault::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<InputFault> for CaptureFault {
    fn from(fault: InputFault) -> Self {
        match fault {
            InputFault::Unreadable(error) => Self::Unreadable(error),
            InputFault::Expanded(bytes_max) => Self::Expanded(bytes_max),
        }
    }
}

/// A fault of the input explains an early end better than the record that it cut.
fn error_at(input: &mut Input, packet_count: u64, fault: CaptureFault) -> CaptureError {
    let fault = match fault {
        CaptureFault::Truncated | CaptureFault::Empty | CaptureFault::NotACapture => {
            input.fault().map_or(fault, CaptureFault::from)
        }
        other => other,
    };
    CaptureError {
        at_bytes: input.position_bytes(),
        is_compressed: input.is_compressed(),
        packet_count,
        fault,
    }
}

/// What the first four bytes say.
pub(crate) enum Magic {
    Pcap,
    Pcapng,
    None,
}

pub(crate) fn magic(bytes: &[u8]) -> Magic {
    match bytes.first_chunk::<4>() {
        Some(first) if pcap::Variant::of(*first).is_some() => Magic::Pcap,
        Some(first) if *first == pcapng::SECTION_HEADER.to_be_bytes() => Magic::Pcapng,
        _ => Magic::None,
    }
}

/// A frame's first byte, by the number of the tcpdump link-layer registry.
pub(crate) const fn link_type(number: u32) -> LinkType {
    match number {
        0 => LinkType::Null,
        1 => LinkType::Ethernet,
        12 | 14 | 101 => LinkType::RawIp,
        108 => LinkType::Loop,
        113 => LinkType::LinuxSll,
        228 => LinkType::Ipv4,
        229 => LinkType::Ipv6,
        276 => LinkType::LinuxSll2,
        other => LinkType::Other(other),
    }
}

/// The number of what a frame starts with; the inverse of [`link_type`].
pub(crate) const fn link_number(link: LinkType) -> u32 {
    match link {
        LinkType::Null => 0,
        LinkType::Ethernet => 1,
        LinkType::RawIp => 101,
        LinkType::Loop => 108,
        LinkType::LinuxSll => 113,
        LinkType::Ipv4 => 228,
        LinkType::Ipv6 => 229,
        LinkType::LinuxSll2 => 276,
        LinkType::Other(number) => number,
    }
}

/// As libpcap's own limit.
const FRAME_BYTES_MAX: u32 = 262_144;

const _: () = assert!(FRAME_BYTES_MAX as usize > u16::MAX as usize);
