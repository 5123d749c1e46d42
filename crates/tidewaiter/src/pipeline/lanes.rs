//! Lanes: the sensor on several threads. Each lane owns some of the fixed shards of all traffic;
//! the output is the same for any number of them.
//!
//! Blocks of packets cross threads, not packets. Every lane is told the time that the packets of
//! all lanes say it is, and what a lane tells carries its turn, so that the merge is in the order
//! in which one lane would have told it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, anyhow};
use observation::{Observation, PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor, Tally, Watermark};

use super::order::{Batch, Turn, in_turn};

/// A block is full at so many packets …
const BLOCK_PACKET_COUNT_MAX: usize = 1024;
/// … or so many bytes.
const BLOCK_BYTES_MAX: usize = 512 << 10;
/// Blocks without an answer: enough that no lane waits while the judge is busy.
const BLOCKS_UNDER_WAY_MAX: usize = 8;

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

/// What a lane is asked to do, and the memory for its answer.
struct Work {
    what: What,
    batch: Batch<Turn>,
}

enum What {
    /// Let time pass and take these packets.
    Block(Arc<Block>),
    /// The input has ended.
    Finish,
}

/// What a lane answers to one piece of work.
struct Told {
    batch: Batch<Turn>,
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
    watermark: Watermark,
    block: Block,
    /// Work without an answer; the blocks are filled again afterwards, so that memory is not asked
    /// for anew.
    under_way: VecDeque<Option<Arc<Block>>>,
    spare_blocks: Vec<Block>,
    spare_batches: Vec<Batch<Turn>>,
    tally: Tally,
}

impl Lanes {
    /// Starts `count` lanes.
    pub(super) fn start(count: u8, limits: Limits, seed: u64, note: Note) -> anyhow::Result<Self> {
        let count = count.max(1);
        let mut lanes = Vec::new();
        for index in 0..count {
            let (work, to_do) = sync_channel(BLOCKS_UNDER_WAY_MAX + 1);
            let (told, answers) = sync_channel(BLOCKS_UNDER_WAY_MAX + 1);
            // Lanes share one budget; what one flow may hold does not depend on them.
            let limits = Limits {
                reorder_flow_bytes_max: limits.reorder_flow_bytes_max,
                port_count_max: limits.port_count_max,
                ..limits.divided_by(u32::from(count))
            };
            let sensor = Sensor::new(limits, seed, Lane { index, count });
            let thread = Builder::new()
                .name(format!("lane-{index}"))
                .spawn(move || run_lane(sensor, note, &to_do, &told))
                .context("starting a thread for a lane")?;
            lanes.push(Running { work, answers, thread });
        }
        Ok(Self {
            lanes,
            watermark: Watermark::default(),
            block: Block::default(),
            under_way: VecDeque::new(),
            spare_blocks: Vec::new(),
            spare_batches: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Takes the next packet, and hands on what the lanes have told meanwhile.
    pub(super) fn packet(
        &mut self,
        packet: &Packet<'_>,
        out: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let now = self.watermark.pass(packet.at);
        self.block.put(packet, now);
        if self.block.is_full() { self.next_block(out) } else { Ok(()) }
    }

    /// The input has ended: hands on the rest, and says what became of all packets.
    pub(super) fn finish(
        mut self,
        mut out: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Tally> {
        self.next_block(&mut out)?;
        self.send(None)?;
        while !self.under_way.is_empty() {
            self.answer(&mut out)?;
        }
        for Running { work, answers, thread } in self.lanes {
            drop((work, answers));
            // A lane that panicked has been noticed by its missing answer.
            let _ = thread.join();
        }
        Ok(self.tally)
    }

    fn next_block(&mut self, out: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let empty = self.spare_blocks.pop().unwrap_or_default();
        let block = std::mem::replace(&mut self.block, empty);
        self.send(Some(Arc::new(block)))?;
        if self.under_way.len() > BLOCKS_UNDER_WAY_MAX { self.answer(out) } else { Ok(()) }
    }

    /// Sends work on its way; every lane takes the packets of its own shards.
    fn send(&mut self, block: Option<Arc<Block>>) -> anyhow::Result<()> {
        for lane in &self.lanes {
            let what = block.as_ref().map_or(What::Finish, |block| What::Block(Arc::clone(block)));
            let batch = self.spare_batches.pop().unwrap_or_default();
            lane.work.send(Work { what, batch }).map_err(|_| anyhow!("a lane has stopped"))?;
        }
        self.under_way.push_back(block);
        Ok(())
    }

    /// Hands on what the lanes told about the oldest piece of work without an answer.
    fn answer(&mut self, out: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut batches = Vec::new();
        self.tally = Tally::default();
        for lane in &self.lanes {
            let told = lane.answers.recv().context("a lane has stopped")??;
            batches.push(told.batch);
            self.tally = self.tally.plus(&told.tally);
        }
        // Every lane has let go of its block before it answered.
        if let Some(mut block) = self.under_way.pop_front().flatten().and_then(Arc::into_inner) {
            block.clear();
            self.spare_blocks.push(block);
        }
        in_turn(&batches, out)?;
        batches.iter_mut().for_each(Batch::clear);
        self.spare_batches.append(&mut batches);
        Ok(())
    }
}

fn run_lane(
    mut sensor: Sensor,
    note: Note,
    work: &Receiver<Work>,
    answers: &SyncSender<anyhow::Result<Told>>,
) {
    while let Ok(Work { what, mut batch }) = work.recv() {
        let done = tell(&mut sensor, note, &what, &mut batch);
        drop(what);
        let told = done.map(|()| Told { batch, tally: *sensor.tally() });
        if answers.send(told).is_err() {
            return;
        }
    }
}

fn tell(
    sensor: &mut Sensor,
    note: Note,
    what: &What,
    batch: &mut Batch<Turn>,
) -> anyhow::Result<()> {
    let mut failure = None;
    let mut put = |turn, observation: &Observation<'_>| {
        if let Err(error) = batch.put(turn, |bytes| note(observation, bytes)) {
            failure.get_or_insert(error);
        }
    };
    match what {
        What::Block(block) => {
            for (number, (now, packet)) in (0_u32..).zip(block.packets()) {
                sensor.advance_ranked(now, &mut |rank, told| put((number, rank), told));
                sensor.packet_ranked(packet, &mut |rank, told| put((number, rank), told));
            }
        }
        What::Finish => sensor.finish_ranked(&mut |rank, told| put((0, rank), told)),
    }
    failure.map_or(Ok(()), Err)
}
