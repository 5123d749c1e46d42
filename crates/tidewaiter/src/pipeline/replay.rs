//! Replay: captures through the sensor to whoever listens, in one order that depends on the input
//! alone: the engine, or the lines of `flows`.

use observation::Observation;
use sensor::{Lane, Limits, Sensor, Tally, Watermark};

use super::lanes::{Feeder, Note, Plan, through_lanes};
use crate::progress::Progress;
use crate::sources::captures::{CaptureFile, Reading, each_packet};

/// Replayed runs are the same every time, hash tables included.
pub(crate) const REPLAY_SEED: u64 = 0;

/// The progress bar is looked after once in so many packets, or so many things that they tell.
const COUNT_PER_SHOW: u64 = 1 << 12;

/// Whoever listens to what the sensor tells.
pub(crate) trait Listener {
    /// Hears it where it is told: one lane on the same thread, with nothing copied.
    fn hear(&mut self, observation: &Observation<'_>) -> anyhow::Result<()>;
    /// What a lane on another thread writes down of it for [`Self::read`].
    fn note(&self) -> Note;
    /// Reads what a lane wrote down.
    fn read(&mut self, noted: &[u8]) -> anyhow::Result<()>;
}

/// Reads the captures through `lane_count` lanes. One lane is this thread; of more,
/// each is a thread, and another one reads.
pub(crate) fn replay(
    captures: &[CaptureFile],
    lane_count: u8,
    progress: &Progress,
    listener: &mut impl Listener,
) -> anyhow::Result<(Reading, Tally)> {
    if lane_count <= 1 {
        return alone(captures, progress, listener);
    }
    let plan =
        Plan { lane_count, limits: Limits::default(), seed: REPLAY_SEED, note: listener.note() };
    let read = |feeder: &mut Feeder| {
        each_packet(captures, progress.read_bytes(), &mut |packet| feeder.packet(&packet))
    };
    let mut noted_count = 0;
    through_lanes(plan, read, |noted| {
        show(progress, &mut noted_count);
        listener.read(noted)
    })
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

fn show(progress: &Progress, count: &mut u64) {
    *count += 1;
    if count.is_multiple_of(COUNT_PER_SHOW) {
        progress.show();
    }
}
