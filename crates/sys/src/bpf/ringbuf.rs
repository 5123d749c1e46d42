//! The reading end of a `BPF_MAP_TYPE_RINGBUF`: kernel documentation, "BPF ring buffer".

use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// A mapped ring buffer.
#[derive(Debug)]
pub(super) struct RingBuffer {
    /// A page with our position; we write it.
    consumer: Region,
    /// A page with the kernel's position, then the data twice in a row, so that no record is split.
    producer: Region,
    page_bytes: usize,
    size: u64,
}

impl RingBuffer {
    /// Maps a ring buffer of `size` bytes, a power of two and a multiple of the page size.
    pub(super) fn map(map: &OwnedFd, size: u32) -> Result<Self> {
        // SAFETY: no pointer is passed.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page_bytes = usize::try_from(page).unwrap_or(4096);
        let consumer = Region::map(map, page_bytes, 0, libc::PROT_READ | libc::PROT_WRITE)?;
        let length = page_bytes + 2 * size as usize;
        let producer = Region::map(map, length, page_bytes, libc::PROT_READ)?;
        Ok(Self { consumer, producer, page_bytes, size: u64::from(size) })
    }

    /// Gives each record that is complete to `take`, `record_count_max` at most; returns how many.
    pub(super) fn drain(&mut self, record_count_max: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        let mut at = self.position(&self.consumer).load(Ordering::Relaxed);
        while count < record_count_max {
            let end = self.position(&self.producer).load(Ordering::Acquire);
            if at >= end {
                break;
            }
            let Some(header) = self.header(at) else { break };
            let header = header.load(Ordering::Acquire);
            if header & BUSY != 0 {
                break;
            }
            let length = header & LENGTH_MASK;
            if header & DISCARDED == 0 {
                if let Some(record) = self.record(at, length) {
                    take(record);
                }
                count += 1;
            }
            at = at.saturating_add((u64::from(length) + HEADER_BYTES).next_multiple_of(8));
            self.position(&self.consumer).store(at, Ordering::Release);
        }
        count
    }

    fn position(&self, region: &Region) -> &AtomicU64 {
        // SAFETY: both regions start with a page that holds an aligned position; kernel and program
        // access it atomically.
        unsafe { AtomicU64::from_ptr(region.base.as_ptr().cast()) }
    }

    fn offset(&self, at: u64) -> usize {
        // The remainder is below `size`, which was a `u32`.
        self.page_bytes + usize::try_from(at % self.size).unwrap_or(0)
    }

    fn header(&self, at: u64) -> Option<&AtomicU32> {
        let offset = self.offset(at);
        if !offset.is_multiple_of(8) {
            return None;
        }
        // SAFETY: the offset is aligned and lies within the data, whose first half it cannot leave.
        Some(unsafe { AtomicU32::from_ptr(self.producer.base.as_ptr().add(offset).cast()) })
    }

    fn record(&self, at: u64, length: u32) -> Option<&[u8]> {
        let start = self.offset(at) + 8;
        let length = length as usize;
        if start.checked_add(length)? > self.producer.length {
            return None;
        }
        // SAFETY: the range lies within the mapping. The record is complete, and the kernel does
        // not write there again before our position has passed it, which `drain` does after `take`.
        Some(unsafe { std::slice::from_raw_parts(self.producer.base.as_ptr().add(start), length) })
    }
}

/// A shared mapping.
#[derive(Debug)]
struct Region {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to whoever owns the region; `RingBuffer` reads records through `&mut`
// only, and positions are atomic.
unsafe impl Send for Region {}

impl Region {
    fn map(map: &OwnedFd, length: usize, offset: usize, protection: i32) -> Result<Self> {
        let offset = libc::off_t::try_from(offset).unwrap_or(0);
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                protection,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                offset,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(Error::last("mapping a bpf ring buffer"));
        }
        let base = NonNull::new(base.cast())
            .ok_or_else(|| Error::invalid("mapping a bpf ring buffer", "mapped at address 0"))?;
        Ok(Self { base, length })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: this range was mapped by `map`, and no reference to it outlives its owner.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const LENGTH_MASK: u32 = DISCARDED - 1;
const HEADER_BYTES: u64 = 8;
