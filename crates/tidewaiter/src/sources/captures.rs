//! Several captures as one stream of packets, merged by time.
//!
//! A capture is opened when its first packet is due, so that a thousand rotated files cost one
//! window at a time and not a thousand.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use formats::{Capture, CaptureError, Limits};
use observation::{SourceId, Time};
use sensor::{Direction, LinkType, Packet};

use super::files::Counted;

/// A capture that is to be read.
#[derive(Clone, Debug)]
pub(crate) struct CaptureFile {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// The witness of its packets.
    pub(crate) source: SourceId,
}

/// A capture that could not be read to its end.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// The witness that it was to be.
    pub(crate) source: SourceId,
    /// The time of its last good packet.
    pub(crate) last: Time,
    /// What is wrong, and what to do.
    pub(crate) why: String,
}

/// What came of reading.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Packets handed on.
    pub(crate) packet_count: u64,
    /// Blocks or packets that were passed over inside sound captures.
    pub(crate) passed_over_count: u64,
    /// Captures that broke off.
    pub(crate) broken: Vec<Broken>,
}

/// Reads all captures and hands their packets on, by time, those of one file in the file's order.
pub(crate) fn each_packet(
    files: &[CaptureFile],
    read_bytes: &Arc<AtomicU64>,
    out: &mut impl FnMut(Packet<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Reading> {
    let mut reading = Reading::default();
    match files {
        [file] => {
            let Some(capture) = open(file, read_bytes, &mut reading) else { return Ok(reading) };
            read_alone(capture, file, &mut reading, out)?;
        }
        files => read_merged(files, read_bytes, &mut reading, out)?,
    }
    Ok(reading)
}

fn open(file: &CaptureFile, read_bytes: &Arc<AtomicU64>, reading: &mut Reading) -> Option<Capture> {
    let opened = Counted::open(&file.path, read_bytes)
        .map_err(|error| format!("{error:#}"))
        .and_then(|reader| {
            Capture::open(reader, file.source, Limits::default()).map_err(|error| error.to_string())
        });
    match opened {
        Ok(capture) => Some(capture),
        Err(why) => {
            let (path, source, last) = (file.path.clone(), file.source, Time(0));
            reading.broken.push(Broken { path, source, last, why });
            None
        }
    }
}

fn read_alone(
    mut capture: Capture,
    file: &CaptureFile,
    reading: &mut Reading,
    out: &mut impl FnMut(Packet<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut last = Time(0);
    loop {
        match capture.next() {
            Some(Ok(packet)) => {
                last = packet.at;
                out(packet)?;
            }
            Some(Err(error)) => reading.broke_off(file, last, &error),
            None => break,
        }
    }
    reading.close(&capture);
    Ok(())
}

/// A capture in the merge, with a copy of the packet that comes next.
struct Lined {
    capture: Capture,
    next: Copied,
}

struct Copied {
    at: Time,
    link: LinkType,
    packet: (observation::PortId, Direction, u32),
    bytes: Vec<u8>,
}

fn read_merged(
    files: &[CaptureFile],
    read_bytes: &Arc<AtomicU64>,
    reading: &mut Reading,
    out: &mut impl FnMut(Packet<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut lined: Vec<Option<Lined>> = Vec::new();
    let mut due = BinaryHeap::new();
    for (index, file) in files.iter().enumerate() {
        // Opened to see its first time, and again when that has come; only reading twice what
        // fits the first window keeps the number of open files small.
        let uncounted = Arc::new(AtomicU64::new(0));
        let first =
            open(file, &uncounted, reading).and_then(|mut capture| match capture.next()? {
                Ok(packet) => Some(packet.at),
                // Broken at its first packet: it is opened again and says so then.
                Err(_) => Some(Time(0)),
            });
        if let Some(first) = first {
            due.push(Reverse((first, index)));
        }
        lined.push(None);
    }
    while let Some(Reverse((_, index))) = due.pop() {
        let (Some(file), Some(place)) = (files.get(index), lined.get_mut(index)) else { continue };
        let next = match place.as_mut() {
            Some(lined) => {
                out(lined.next.packet(file.source))?;
                reading.follow(file, lined)
            }
            None => reading.line_up(file, read_bytes, place, out)?,
        };
        match next {
            Some(at) => due.push(Reverse((at, index))),
            None => *place = None,
        }
    }
    Ok(())
}

impl Reading {
    /// Opens a capture whose first packet is due, hands that on, and says when the next is due.
    fn line_up(
        &mut self,
        file: &CaptureFile,
        read_bytes: &Arc<AtomicU64>,
        place: &mut Option<Lined>,
        out: &mut impl FnMut(Packet<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Time>> {
        let Some(mut capture) = open(file, read_bytes, self) else { return Ok(None) };
        let next = match capture.next() {
            Some(Ok(packet)) => Copied::of(packet),
            Some(Err(error)) => {
                self.broke_off(file, Time(0), &error);
                return Ok(None);
            }
            None => return Ok(None),
        };
        out(next.packet(file.source))?;
        let lined = place.insert(Lined { capture, next });
        Ok(self.follow(file, lined))
    }

    /// Copies the capture's next packet and says when it is due.
    fn follow(&mut self, file: &CaptureFile, lined: &mut Lined) -> Option<Time> {
        let last = lined.next.at;
        match lined.capture.next() {
            Some(Ok(packet)) => {
                lined.next.replace(packet);
                return Some(lined.next.at);
            }
            Some(Err(error)) => self.broke_off(file, last, &error),
            None => {}
        }
        self.close(&lined.capture);
        None
    }

    fn broke_off(&mut self, file: &CaptureFile, last: Time, error: &CaptureError) {
        let (path, source, why) = (file.path.clone(), file.source, error.to_string());
        self.broken.push(Broken { path, source, last, why });
    }

    fn close(&mut self, capture: &Capture) {
        self.packet_count += capture.packet_count();
        let damage = capture.damage();
        self.passed_over_count +=
            damage.bad_block_count + damage.long_block_count + damage.interface_unknown_count;
    }
}

impl Copied {
    fn of(packet: Packet<'_>) -> Self {
        let rest = (packet.port, packet.direction, packet.wire_len);
        Self { at: packet.at, link: packet.link, packet: rest, bytes: packet.bytes.to_vec() }
    }

    fn replace(&mut self, packet: Packet<'_>) {
        self.at = packet.at;
        self.link = packet.link;
        self.packet = (packet.port, packet.direction, packet.wire_len);
        self.bytes.clear();
        self.bytes.extend_from_slice(packet.bytes);
    }

    fn packet(&self, source: SourceId) -> Packet<'_> {
        let (port, direction, wire_len) = self.packet;
        let (at, link, bytes) = (self.at, self.link, self.bytes.as_slice());
        Packet { at, source, link, port, direction, wire_len, bytes }
    }
}
