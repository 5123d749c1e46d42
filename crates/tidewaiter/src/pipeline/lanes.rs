//! Lanes: the sensor on several threads. Each lane owns some of the fixed shards of all traffic;
//! the output is the same for any number of them.
//!
//! A thread of its own reads for them, so that whoever judges does nothing else; he has the most
//! to do, and everybody gives way to him. Blocks of packets cross threads, not packets. Every lane
//! is told the time that the packets of all lanes say it is, and what a lane tells carries its
//! turn, so that the merge is in the order in which one lane would have told it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

use anyhow::{Context, anyhow};
use observation::{Observation, PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor, Tally, Watermark};
use sys::thread::give_way;

use super::order::{Batch, Turn, in_turn};

/// A block is full at so many packets …
const BLOCK_PACKET_COUNT_MAX: usize = 1024;
/// … or so many bytes.
const BLOCK_BYTES_MAX: usize = 512 << 10;
/// Blocks that wait for a lane.
const BLOCK_COUNT_MAX: usize = 8;
/// Answers that wait for the judge: enough that he hardly ever waits for a lane.
const ANSWER_COUNT_MAX: usize = 32;

const STOPPED: &str = "a lane has stopped";

/// What a lane notes of an Observation for whoever merges; nothing where it does not matter there.
pub(crate) type Note = fn(&Observation<'_>, &mut Vec<u8>) -> anyhow::Result<()>;

/// A run of packets.
#[derive(Debug, Default)]
struct Block {
    heads: Vec<Head>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Head {
    at: Time,
    /// What time it is when the packet comes.
    now: Time,
    source: SourceId,
    link: LinkType,
    port: PortId,
    direction: Direction,
    wire_len: u32,
    start: usize,
    end: usize,
}

impl Block {
    fn is_full(&self) -> bool {
        self.heads.len() >= BLOCK_PACKET_COUNT_MAX || self.bytes.len() >= BLOCK_BYTES_MAX
    }

    /// Copies a packet in.
    fn put(&mut self, packet: &Packet<'_>, now: Time) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet.bytes);
        self.heads.push(Head {
            at: packet.at,
            now,
            source: packet.source,
            link: packet.link,
            port: packet.port,
            direction: packet.direction,
            wire_len: packet.wire_len,
            start,
            end: self.bytes.len(),
        });
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.bytes.clear();
    }

    fn packets(&self) -> impl Iterator<Item = (Time, Packet<'_>)> {
        self.heads.iter().map(|head| {
            let bytes = self.bytes.get(head.start..head.end).unwrap_or_default();
            let &Head { at, source, link, port, direction, wire_len, .. } = head;
            (head.now, Packet { at, source, link, port, direction, wire_len, bytes })
        })
    }
}

/// What a lane is asked to do.
#[derive(Clone, Debug)]
enum Work {
    /// Let time pass and take these packets.
    Block(Arc<Block>),
    /// The input has ended.
    Finish,
}

impl Work {
    const fn progress(&self) -> Progress {
        match self {
            Self::Block(_) => Progress::GoesOn,
            Self::Finish => Progress::Finished,
        }
    }
}

/// How far a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    GoesOn,
    Finished,
}

/// What a lane answers to one piece of work.
struct Told {
    progress: Progress,
    batch: Batch<Turn>,
    tally: Tally,
}

/// How many lanes there are, and what each is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) lane_count: u8,
    pub(super) limits: Limits,
    pub(super) seed: u64,
    pub(super) note: Note,
}

/// Reads with `read` on a thread of its own, takes the packets through all lanes, and hands on here
/// what they tell. Says what became of all packets.
pub(super) fn through_lanes<R: Send>(
    plan: Plan,
    read: impl FnOnce(&mut Feeder) -> anyhow::Result<R> + Send,
    out: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<(R, Tally)> {
    scope(|scope| {
        let (spare_blocks, spares) = channel();
        let mut feeder = Feeder::new(spares);
        let mut lanes = Vec::new();
        for index in 0..plan.lane_count.max(1) {
            let (lane, work) = Running::start(scope, plan, index, spare_blocks.clone())?;
            feeder.lanes.push(work);
            lanes.push(lane);
        }
        let reader = Builder::new().name(String::from("reader"));
        let reader = reader.spawn_scoped(scope, move || {
            drop(give_way());
            let reading = read(&mut feeder)?;
            feeder.finish()?;
            Ok::<R, anyhow::Error>(reading)
        });
        let told = hand_on(&lanes, out);
        // Whoever still works for a judge that has failed stops at the closed channels; a lane that
        // panicked has been noticed by its missing answer.
        let threads: Vec<_> = lanes.into_iter().map(|lane| lane.thread).collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
        let reading = reader.context("starting a thread that reads")?.join();
        let tally = told?;
        let reading = reading.map_err(|_| anyhow!("the thread that reads has stopped"))??;
        Ok((reading, tally.context(STOPPED)?))
    })
}

/// Hands on what the lanes tell, block by block. Nothing where they stop before the input's end.
fn hand_on(
    lanes: &[Running<'_>],
    mut out: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Tally>> {
    loop {
        let (mut batches, mut tally) = (Vec::new(), Tally::default());
        let mut progress = Progress::GoesOn;
        for lane in lanes {
            let Ok(told) = lane.answers.recv() else { return Ok(None) };
            let told = told?;
            batches.push(told.batch);
            tally = tally.plus(&told.tally);
            progress = told.progress;
        }
        in_turn(&batches, &mut out)?;
        for (lane, mut batch) in lanes.iter().zip(batches) {
            batch.clear();
            // Memory that nobody wants any longer is given back.
            let _ = lane.spares.send(batch);
        }
        if progress == Progress::Finished {
            return Ok(Some(tally));
        }
    }
}

/// Whoever reads gives the packets to this.
pub(super) struct Feeder {
    lanes: Vec<SyncSender<Work>>,
    watermark: Watermark,
    block: Block,
    /// Blocks that are filled again, so that memory is not asked for anew.
    spares: Receiver<Block>,
}

impl Feeder {
    fn new(spares: Receiver<Block>) -> Self {
        let (watermark, block) = (Watermark::default(), Block::default());
        Self { lanes: Vec::new(), watermark, block, spares }
    }

    /// Takes the next packet.
    pub(super) fn packet(&mut self, packet: &Packet<'_>) -> anyhow::Result<()> {
        let now = self.watermark.pass(packet.at);
        self.block.put(packet, now);
        if self.block.is_full() { self.next_block() } else { Ok(()) }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.next_block()?;
        self.send(&Work::Finish)
    }

    fn next_block(&mut self) -> anyhow::Result<()> {
        let mut empty = self.spares.try_recv().unwrap_or_default();
        empty.clear();
        let block = std::mem::replace(&mut self.block, empty);
        self.send(&Work::Block(Arc::new(block)))
    }

    /// Sends work on its way; every lane takes the packets of its own shards.
    fn send(&self, work: &Work) -> anyhow::Result<()> {
        self.lanes.iter().try_for_each(|lane| lane.send(work.clone()).map_err(|_| anyhow!(STOPPED)))
    }
}

/// One lane's thread and the ways to and from it.
struct Running<'scope> {
    answers: Receiver<anyhow::Result<Told>>,
    /// Batches that are filled again.
    spares: Sender<Batch<Turn>>,
    thread: ScopedJoinHandle<'scope, ()>,
}

impl<'scope> Running<'scope> {
    fn start(
        scope: &'scope Scope<'scope, '_>,
        plan: Plan,
        index: u8,
        spare_blocks: Sender<Block>,
    ) -> anyhow::Result<(Self, SyncSender<Work>)> {
        let (work, to_do) = sync_channel(BLOCK_COUNT_MAX);
        let (told, answers) = sync_channel(ANSWER_COUNT_MAX);
        let (spares, batches) = channel();
        let count = plan.lane_count.max(1);
        // Lanes share one budget; what one flow may hold does not depend on them.
        let limits = Limits {
            reorder_flow_bytes_max: plan.limits.reorder_flow_bytes_max,
            port_count_max: plan.limits.port_count_max,
            ..plan.limits.divided_by(u32::from(count))
        };
        let sensor = Sensor::new(limits, plan.seed, Lane { index, count });
        let lane = Working { sensor, note: plan.note, to_do, batches, told, spare_blocks };
        let thread = Builder::new()
            .name(format!("lane-{index}"))
            .spawn_scoped(scope, move || lane.run())
            .context("starting a thread for a lane")?;
        Ok((Self { answers, spares, thread }, work))
    }
}

/// One lane, on its own thread.
struct Working {
    sensor: Sensor,
    note: Note,
    to_do: Receiver<Work>,
    batches: Receiver<Batch<Turn>>,
    told: SyncSender<anyhow::Result<Told>>,
    spare_blocks: Sender<Block>,
}

impl Working {
    fn run(mut self) {
        drop(give_way());
        while let Ok(work) = self.to_do.recv() {
            let mut batch = self.batches.try_recv().unwrap_or_default();
            let answer = self.tell(&work, &mut batch).map(|()| Told {
                progress: work.progress(),
                batch,
                tally: *self.sensor.tally(),
            });
            if let Work::Block(block) = work {
                // Whoever is the last to be done with a block lets it be filled again.
                let block = Arc::into_inner(block);
                block.into_iter().for_each(|block| drop(self.spare_blocks.send(block)));
            }
            if self.told.send(answer).is_err() {
                return;
            }
        }
    }

    fn tell(&mut self, work: &Work, batch: &mut Batch<Turn>) -> anyhow::Result<()> {
        let (sensor, note) = (&mut self.sensor, self.note);
        let mut failure = None;
        let mut put = |turn, observation: &Observation<'_>| {
            if let Err(error) = batch.put(turn, |bytes| note(observation, bytes)) {
                failure.get_or_insert(error);
            }
        };
        match work {
            Work::Block(block) => {
                for (number, (now, packet)) in (0_u32..).zip(block.packets()) {
                    sensor.advance_ranked(now, &mut |rank, told| put((number, rank), told));
                    sensor.packet_ranked(packet, &mut |rank, told| put((number, rank), told));
                }
            }
            Work::Finish => sensor.finish_ranked(&mut |rank, told| put((0, rank), told)),
        }
        failure.map_or(Ok(()), Err)
    }
}
