//! Replay: captures through the sensor to whoever listens, in one order that depends on the input
//! alone: the engine, or the lines of `flows`.

use observation::Observation;
use sensor::{Lane, Limits, Sensor, Tally, Watermark};

use super::lanes::{Lanes, Note};
use crate::progress::Progress;
use crate::sources::captures::{CaptureFile, Reading, each_packet};

/// Replayed runs are the same every time, hash tables included.
pub(crate) const REPLAY_SEED: u64 = 0;

/// The progress bar is looked after so often.
const PACKETS_PER_SHOW: u64 = 1 << 12;

/// Whoever listens to what the sensor tells.
pub(crate) trait Listener {
    /// Hears it where it is told: one lane on the same thread, with nothing copied.
    fn hear(&mut self, observation: &Observation<'_>) -> anyhow::Result<()>;
    /// What a lane on another thread writes down of it for [`Self::read`].
    fn note(&self) -> Note;
    /// Reads what a lane wrote down.
    fn read(&mut self, noted: &[u8]) -> anyhow::Result<()>;
}

/// Reads the captures through `lane_count` lanes. One lane is this thread.
pub(crate) fn replay(
    captures: &[CaptureFile],
    lane_count: u8,
    progress: &Progress,
    listener: &mut impl Listener,
) -> anyhow::Result<(Reading, Tally)> {
    if lane_count <= 1 {
        return alone(captures, progress, listener);
    }
    let mut lanes = Lanes::start(lane_count, Limits::default(), REPLAY_SEED, listener.note())?;
    let mut packet_count = 0_u64;
    let reading = each_packet(captures, progress.read_bytes(), &mut |packet| {
        show(progress, &mut packet_count);
        lanes.packet(&packet, |noted| listener.read(noted))
    })?;
    let tally = lanes.finish(|noted| listener.read(noted))?;
    Ok((reading, tally))
}

fn alone(
    captures: &[CaptureFile],
    progress: &Progress,
    listener: &mut impl Listener,
) -> anyhow::Result<(Reading, Tally)> {
    let mut sensor = Sensor::new(Limits::default(), REPLAY_SEED, Lane::ONLY);
    let mut watermark = Watermark::default();
    let mut packet_count = 0_u64;
    let reading = each_packet(captures, progress.read_bytes(), &mut |packet| {
        show(progress, &mut packet_count);
        hearing(listener, |hear| {
            sensor.advance(watermark.pass(packet.at), &mut |told| hear(told));
            sensor.packet(packet, &mut |told| hear(told));
        })
    })?;
    hearing(listener, |hear| sensor.finish(&mut |told| hear(told)))?;
    Ok((reading, *sensor.tally()))
}

/// Lets the listener hear what `tell` tells; gives its first failure.
fn hearing<L: Listener>(
    listener: &mut L,
    tell: impl FnOnce(&mut dyn FnMut(&Observation<'_>)),
) -> anyhow::Result<()> {
    let mut failure = None;
    tell(&mut |observation| {
        if let Err(error) = listener.hear(observation) {
            failure.get_or_insert(error);
        }
    });
    failure.map_or(Ok(()), Err)
}

fn show(progress: &Progress, packet_count: &mut u64) {
    *packet_count += 1;
    if packet_count.is_multiple_of(PACKETS_PER_SHOW) {
        progress.show();
    }
}
