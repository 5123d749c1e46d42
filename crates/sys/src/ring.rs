//! Every frame of the host's interfaces through one shared ring: packet(7), `TPACKET_V3`.
//!
//! The ring is bound to interface 0, which means all of them, also those that are made later:
//! a new container's first frame is in it.
//! On the host's end of a veth, [`PacketType::Outgoing`] is towards the container.

mod block;
mod filter;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

pub use block::{Block, Frame, Frames, PacketType, VlanTag};
pub use filter::InterfaceFilter;

use crate::error::{Error, Result};
pub use crate::syscall::Readiness;
use crate::syscall::{self, checked, socket_length};
use block::Mapping;

/// How large the ring is and how soon a block that is not full is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// The size of a block: a power of two from 1 MiB, since a frame of a large send is 64 KiB.
    pub block_bytes: u32,
    /// How many blocks.
    pub block_count: u32,
    /// After how long a block that is not full is handed over; 1 to 4 keeps packets fresh.
    pub block_timeout_ms: u32,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self { block_bytes: 1 << 20, block_count: 64, block_timeout_ms: 2 }
    }
}

impl RingConfig {
    /// The same with as many blocks of 1 MiB as fit into `bytes`, and two at least.
    #[must_use]
    pub fn with_size(mut self, bytes: u64) -> Self {
        self.block_count = u32::try_from(bytes / u64::from(self.block_bytes)).unwrap_or(u32::MAX);
        self.block_count = self.block_count.clamp(2, BLOCK_COUNT_MAX);
        self
    }
}

/// What the kernel counted since the ring was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingStatistics {
    /// Frames that passed the filter, whether they found room or not.
    pub packet_count: u64,
    /// Frames for which there was no room.
    pub drop_count: u64,
    /// How often the ring was full.
    pub freeze_count: u64,
}

/// An open ring.
#[derive(Debug)]
pub struct Ring {
    socket: OwnedFd,
    mapping: Arc<Mapping>,
    next: usize,
    statistics: RingStatistics,
}

impl Ring {
    /// Opens a ring over all interfaces that `filter` lets through.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, for a configuration out of bounds, or without memory for the ring.
    pub fn open(config: &RingConfig, filter: &InterfaceFilter) -> Result<Self> {
        check(config)?;
        // Protocol 0 receives nothing: the filter and the ring are in place before the first frame.
        let socket = syscall::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)
            .map_err(|error| Error::of("opening a packet socket", error).needs("CAP_NET_RAW"))?;
        filter.attach(&socket)?;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        syscall::set_option(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version)
            .map_err(|error| Error::of("choosing TPACKET_V3", error))?;
        let request = libc::tpacket_req3 {
            tp_block_size: config.block_bytes,
            tp_block_nr: config.block_count,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: config.block_bytes / FRAME_BYTES * config.block_count,
            tp_retire_blk_tov: config.block_timeout_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        syscall::set_option(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
            .map_err(|error| Error::of("allocating the packet ring", error))?;
        let mapping = Mapping::of(&socket, config.block_bytes, config.block_count)?;
        bind_to_all(&socket)?;
        let statistics = RingStatistics::default();
        Ok(Self { socket, mapping: Arc::new(mapping), next: 0, statistics })
    }

    /// Waits until a block can be taken.
    ///
    /// It returns at once when the caller still holds the block that is next.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn wait(&self, timeout: Duration) -> Result<Readiness> {
        if self.mapping.is_ready(self.next) {
            return Ok(Readiness::Ready);
        }
        syscall::wait_readable(self, timeout)
            .map_err(|error| Error::of("waiting for packets", error))
    }

    /// The next block, when the kernel has filled it; dropping it hands it back.
    ///
    /// Blocks may cross threads and be dropped in any order. A block that is kept is room that the
    /// kernel lacks.
    pub fn next_block(&mut self) -> Option<Block> {
        let block = Block::take(&self.mapping, self.next)?;
        self.next = (self.next + 1) % self.mapping.block_count();
        Some(block)
    }

    /// Replaces the filter; no frame passes between the old one and the new one.
    ///
    /// # Errors
    /// When the filter names more interfaces than fit into a program.
    pub fn set_filter(&self, filter: &InterfaceFilter) -> Result<()> {
        filter.attach(&self.socket)
    }

    /// What the kernel counted since the ring was opened.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn statistics(&mut self) -> Result<RingStatistics> {
        let mut raw = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let mut length = socket_length::<libc::tpacket_stats_v3>();
        // SAFETY: `raw` is valid for writing `length` bytes, which is its size.
        let returned = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut raw).cast(),
                &raw mut length,
            )
        };
        checked(i64::from(returned))
            .map_err(|error| Error::of("reading packet statistics", error))?;
        // Reading resets the kernel's counts, so they are summed here.
        self.statistics.packet_count += u64::from(raw.tp_packets);
        self.statistics.drop_count += u64::from(raw.tp_drops);
        self.statistics.freeze_count += u64::from(raw.tp_freeze_q_cnt);
        Ok(self.statistics)
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn check(config: &RingConfig) -> Result<()> {
    let sized = config.block_bytes.is_power_of_two()
        && (BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&config.block_bytes)
        && (2..=BLOCK_COUNT_MAX).contains(&config.block_count)
        && u64::from(config.block_bytes) * u64::from(config.block_count) <= RING_BYTES_MAX;
    if sized && (1..=TIMEOUT_MS_MAX).contains(&config.block_timeout_ms) {
        return Ok(());
    }
    Err(Error::invalid(
        "sizing the packet ring",
        "blocks are 1, 2, 4 … 64 MiB, two at least, 2 GiB in all, and wait 1 to 1000 ms",
    ))
}

fn bind_to_all(socket: &OwnedFd) -> Result<()> {
    // SAFETY: the structure consists of integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = FAMILY_PACKET;
    address.sll_protocol = PROTOCOL_ALL.to_be();
    // SAFETY: `address` is a whole `sockaddr_ll` and its length is announced.
    let returned = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            socket_length::<libc::sockaddr_ll>(),
        )
    };
    checked(i64::from(returned))
        .map(drop)
        .map_err(|error| Error::of("binding the packet socket to all interfaces", error))
}

const FAMILY_PACKET: u16 = 17;
const PROTOCOL_ALL: u16 = 0x0003;
const BLOCK_BYTES_MIN: u32 = 1 << 20;
const BLOCK_BYTES_MAX: u32 = 64 << 20;
const BLOCK_COUNT_MAX: u32 = 2048;
const RING_BYTES_MAX: u64 = 2 << 30;
const TIMEOUT_MS_MAX: u32 = 1000;
/// `TPACKET_V3` packs frames by their length; the kernel only wants to see a plausible size here.
const FRAME_BYTES: u32 = 1 << 11;
const _: () = assert!(FAMILY_PACKET as i32 == libc::AF_PACKET);
const _: () = assert!(PROTOCOL_ALL as i32 == libc::ETH_P_ALL);
const _: () = assert!(BLOCK_BYTES_MIN.is_multiple_of(FRAME_BYTES));
