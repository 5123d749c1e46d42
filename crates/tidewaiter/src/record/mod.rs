//! Recordings: what a live run saw, in files that `scan` replays to the same alerts; and the spool,
//! which keeps what belongs to one alert.

pub(crate) mod spool;
mod tail;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use formats::PcapngWriter;
use formats::recording::{self, EVENTS_FILE, INSPECT_FILE, PACKETS_FILE, SYSTEM_FILE};
use observation::{Fact, FlowId, Observation, PortId, Time};
use sensor::Packet;

use tail::{Tail, TailWriter};

/// The captured packets of the host's own interfaces, while a container used them.
const HOST_PACKETS_FILE: &str = "packets-host.pcapng";
/// Who writes captures.
pub(crate) const APPLICATION: &str = concat!("tidewaiter ", env!("CARGO_PKG_VERSION"));

/// A recording in progress, shared by the sources. A write that fails is counted and not fatal:
/// the watch goes on without it.
pub(crate) struct Recorder {
    packets: Mutex<Capture>,
    /// Packets of the host's own interfaces come from a ring of their own, and files are merged by
    /// time where one file is not. Made with its first packet.
    host_packets: Mutex<Option<Capture>>,
    folder: PathBuf,
    events: Mutex<Tail>,
    inspect: Mutex<Tail>,
    system: Mutex<Tail>,
    writer: TailWriter,
    failed_count: AtomicU64,
}

/// A capture, and what of it waits to be written.
struct Capture {
    tail: Tail,
    writer: PcapngWriter<Tail>,
}

impl Capture {
    fn new(tail: Tail) -> io::Result<Self> {
        Ok(Self { writer: PcapngWriter::new(tail.clone(), APPLICATION)?, tail })
    }
}

impl Recorder {
    /// Starts a recording in `folder`, which is made if it is missing and must hold none yet.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("making the recording's folder {}", folder.display()))?;
        let writer = TailWriter::start().context("starting the thread that writes recordings")?;
        let file = |name: &str| new_file(folder, name).map(|file| writer.take(file));
        Ok(Self {
            packets: Mutex::new(Capture::new(file(PACKETS_FILE)?)?),
            host_packets: Mutex::new(None),
            folder: folder.to_path_buf(),
            events: Mutex::new(file(EVENTS_FILE)?),
            inspect: Mutex::new(file(INSPECT_FILE)?),
            system: Mutex::new(file(SYSTEM_FILE)?),
            writer,
            failed_count: AtomicU64::new(0),
        })
    }

    /// Records packets of container ports; `names` names their interfaces.
    pub(crate) fn packets(&self, names: &[(PortId, String)], packets: Packets<'_>) {
        self.capture(&mut lock(&self.packets), names, packets);
    }

    /// Records packets of the host's own interfaces.
    pub(crate) fn host_packets(&self, names: &[(PortId, String)], packets: Packets<'_>) {
        let mut host_packets = lock(&self.host_packets);
        if host_packets.is_none() {
            let file = new_file(&self.folder, HOST_PACKETS_FILE).map_err(io::Error::other);
            match file.and_then(|file| Capture::new(self.writer.take(file))) {
                Ok(capture) => *host_packets = Some(capture),
                Err(error) => self.note(Err(error)),
            }
        }
        if let Some(capture) = host_packets.as_mut() {
            self.capture(capture, names, packets);
        }
    }

    fn capture(&self, capture: &mut Capture, names: &[(PortId, String)], packets: Packets<'_>) {
        if capture.tail.has_room() {
            self.note(write_packets(&mut capture.writer, names, packets));
            return;
        }
        let mut count = 0;
        packets(&mut |_| count += 1);
        self.failed_count.fetch_add(count, Ordering::Relaxed);
    }

    /// Records a line of the runtime's.
    pub(crate) fn event(&self, line: &[u8]) {
        self.line(&self.events, |out| {
            out.extend_from_slice(line);
            out.push(b'\n');
            Ok(())
        });
    }

    /// Records what the runtime answered when it was asked about a container.
    pub(crate) fn inspect(&self, at: Time, answer: &[u8]) {
        self.line(&self.inspect, |out| recording::write_inspect(out, at, answer));
    }

    /// Records an Observation, unless the sensor or a format makes it again from the other files.
    pub(crate) fn observation(&self, observation: &Observation<'_>, origin: Origin) {
        let from_event = origin == Origin::RuntimeEvents
            && matches!(
                observation.fact,
                Fact::Container(_) | Fact::NetworkAttached(_) | Fact::ExecStarted(_)
            );
        if observation.flow() == FlowId(0) && !from_event {
            self.line(&self.system, |out| recording::write_observation(out, observation));
        }
    }

    /// Hands over one line, whole.
    fn line(&self, file: &Mutex<Tail>, make: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) {
        let mut line = Vec::new();
        let made = make(&mut line).and_then(|()| {
            let mut tail = lock(file);
            if tail.has_room() {
                return tail.write_all(&line);
            }
            Err(io::ErrorKind::WriteZero.into())
        });
        self.note(made);
    }

    /// Ends the recording; how many records could not be written.
    pub(crate) fn finish(&self) -> u64 {
        let failed_count = self.writer.finish();
        self.failed_count.fetch_add(failed_count, Ordering::Relaxed) + failed_count
    }

    fn note(&self, result: io::Result<()>) {
        if result.is_err() {
            self.failed_count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Hands out packets.
type Packets<'a> = &'a dyn Fn(&mut dyn FnMut(Packet<'_>));

fn write_packets(
    writer: &mut PcapngWriter<Tail>,
    names: &[(PortId, String)],
    packets: Packets<'_>,
) -> io::Result<()> {
    let mut written = Ok(());
    packets(&mut |packet| {
        if written.is_err() {
            return;
        }
        let named = names.iter().find(|(port, _)| *port == packet.port);
        // Declaring an interface twice does nothing.
        let declared =
            named.map_or(Ok(()), |(port, name)| writer.interface(*port, packet.link, name));
        written = declared.and_then(|()| writer.packet(&packet));
    });
    written
}

/// Where an Observation came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A runtime's event stream.
    RuntimeEvents,
    /// Anything else.
    Elsewhere,
}

fn new_file(folder: &Path, name: &str) -> anyhow::Result<File> {
    let path = folder.join(name);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.with_context(|| {
        format!("starting {}; a recording is made in a folder without one", path.display())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
