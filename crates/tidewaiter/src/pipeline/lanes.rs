//! Lanes: the sensor on several threads. Each lane owns some of the fixed shards of all traffic;
//! the output is the same for any number of them.
//!
//! Blocks of packets cross threads, not packets. A block's timers fire at a time that follows from
//! the blocks before it alone, so that neither the number of lanes nor their speed matters.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, anyhow};
use observation::{PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor, Tally};

use super::order::Batch;

/// A block is full at so many packets …
const BLOCK_PACKET_COUNT_MAX: usize = 2048;
/// … or so many bytes.
const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Blocks on their way to a lane.
const BLOCKS_UNDER_WAY_MAX: usize = 2;

/// A run of packets.
#[derive(Debug, Default)]
pub(super) struct Block {
    heads: Vec<Head>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Head {
    at: Time,
    source: SourceId,
    link: LinkType,
    port: PortId,
    direction: Direction,
    wire_len: u32,
    start: usize,
    end: usize,
}

impl Block {
    /// Whether it should go on its way.
    pub(super) fn is_full(&self) -> bool {
        self.heads.len() >= BLOCK_PACKET_COUNT_MAX || self.bytes.len() >= BLOCK_BYTES_MAX
    }

    /// Copies a packet in.
    pub(super) fn put(&mut self, packet: &Packet<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet.bytes);
        self.heads.push(Head {
            at: packet.at,
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

    fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        self.heads.iter().map(|head| Packet {
            at: head.at,
            source: head.source,
            link: head.link,
            port: head.port,
            direction: head.direction,
            wire_len: head.wire_len,
            bytes: self.bytes.get(head.start..head.end).unwrap_or_default(),
        })
    }
}

/// What a lane is asked to do.
enum Work {
    /// Let timers fire up to `until`, then take these packets.
    Block { block: Arc<Block>, until: Time },
    /// The input has ended.
    Finish,
}

/// What a lane answers to one piece of work.
struct Told {
    batch: Batch,
    now: Time,
    tally: Tally,
}

/// One lane's thread and the two ways to it.
struct Running {
    work: SyncSender<Work>,
    answers: Receiver<anyhow::Result<Told>>,
    thread: JoinHandle<()>,
}

/// All lanes.
pub(super) struct Lanes {
    lanes: Vec<Running>,
    /// Blocks to be filled again, so that memory is not asked for anew.
    spare: Vec<Arc<Block>>,
}

/// What all lanes told about one block.
pub(super) struct Answer {
    pub(super) batches: Vec<Batch>,
    /// The latest packet time that they believe.
    pub(super) now: Time,
    /// What became of all packets so far.
    pub(super) tally: Tally,
}

impl Lanes {
    /// Starts `count` lanes.
    pub(super) fn start(count: u8, limits: Limits, seed: u64) -> anyhow::Result<Self> {
        let count = count.max(1);
        let mut lanes = Vec::new();
        for index in 0..count {
            let (work, to_do) = sync_channel(BLOCKS_UNDER_WAY_MAX);
            let (told, answers) = sync_channel(BLOCKS_UNDER_WAY_MAX);
            // Lanes share one budget; what one flow may hold does not depend on them.
            let limits = Limits {
                reorder_flow_bytes_max: limits.reorder_flow_bytes_max,
                port_count_max: limits.port_count_max,
                ..limits.divided_by(u32::from(count))
            };
            let sensor = Sensor::new(limits, seed, Lane { index, count });
            let thread = Builder::new()
                .name(format!("lane-{index}"))
                .spawn(move || run_lane(sensor, &to_do, &told))
                .context("starting a thread for a lane")?;
            lanes.push(Running { work, answers, thread });
        }
        Ok(Self { lanes, spare: Vec::new() })
    }

    /// An empty block.
    pub(super) fn block(&mut self) -> Block {
        while let Some(spare) = self.spare.pop() {
            if let Some(mut block) = Arc::into_inner(spare) {
                block.clear();
                return block;
            }
        }
        Block::default()
    }

    /// Sends a block on its way; every lane takes the packets of its own shards.
    pub(super) fn send(&mut self, block: Block, until: Time) -> anyhow::Result<Arc<Block>> {
        let block = Arc::new(block);
        for lane in &self.lanes {
            let work = Work::Block { block: Arc::clone(&block), until };
            lane.work.send(work).map_err(|_| anyhow!("a lane has stopped"))?;
        }
        Ok(block)
    }

    /// Says that the input has ended.
    pub(super) fn send_end(&mut self) -> anyhow::Result<()> {
        for lane in &self.lanes {
            lane.work.send(Work::Finish).map_err(|_| anyhow!("a lane has stopped"))?;
        }
        Ok(())
    }

    /// What the lanes told about the oldest piece of work without an answer.
    pub(super) fn answer(&mut self, spare: Option<Arc<Block>>) -> anyhow::Result<Answer> {
        let mut answer = Answer { batches: Vec::new(), now: Time(0), tally: Tally::default() };
        for lane in &self.lanes {
            let told = lane.answers.recv().context("a lane has stopped")??;
            answer.batches.push(told.batch);
            answer.now = answer.now.max(told.now);
            answer.tally = answer.tally.plus(&told.tally);
        }
        // Every lane has let go of its block before it answered.
        self.spare.extend(spare);
        Ok(answer)
    }

    /// Waits until every thread has ended.
    pub(super) fn join(self) {
        for Running { work, answers, thread } in self.lanes {
            drop((work, answers));
            // A lane that panicked has been noticed by its missing answer.
            let _ = thread.join();
        }
    }
}

fn run_lane(mut sensor: Sensor, work: &Receiver<Work>, answers: &SyncSender<anyhow::Result<Told>>) {
    while let Ok(work) = work.recv() {
        let told = tell(&mut sensor, &work);
        drop(work);
        if answers.send(told).is_err() {
            return;
        }
    }
}

fn tell(sensor: &mut Sensor, work: &Work) -> anyhow::Result<Told> {
    let mut batch = Batch::default();
    let mut failure = None;
    let mut put = |observation: &observation::Observation<'_>| {
        if let Err(error) = batch.put(observation) {
            failure.get_or_insert(error);
        }
    };
    match work {
        Work::Block { block, until } => {
            sensor.advance(*until, &mut put);
            for packet in block.packets() {
                sensor.packet(packet, &mut put);
            }
        }
        Work::Finish => sensor.finish(&mut put),
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(Told { batch, now: sensor.now(), tally: *sensor.tally() }),
    }
}
