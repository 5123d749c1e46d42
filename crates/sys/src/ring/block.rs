//! The shared memory of a ring: who owns a block, and what a block holds.

use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::error::{Error, Result};
use crate::native::{i32_at, u16_at, u32_at};

/// A block of frames that the kernel has filled; dropping it hands it back.
#[derive(Debug)]
pub struct Block {
    mapping: Arc<Mapping>,
    index: usize,
}

/// One captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When, in nanoseconds since the epoch.
    pub at_ns: u64,
    /// On which interface.
    pub ifindex: u32,
    /// Which way it went, as the interface's host sees it.
    pub pkttype: PacketType,
    /// The interface's hardware type (`ARPHRD_…`): 1 Ethernet, 772 loopback, 65534 no link header.
    pub hardware_type: u16,
    /// Its length on the wire, without a stripped VLAN tag.
    pub wire_len: u32,
    /// What was captured of it, from its link header on.
    pub bytes: &'a [u8],
    /// The VLAN tag that the kernel stripped off.
    pub vlan: Option<VlanTag>,
}

/// Which way a frame went, as the host at the interface sees it (`sll_pkttype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// To this host.
    Host,
    /// To everybody.
    Broadcast,
    /// To a group.
    Multicast,
    /// To somebody else: what a container sends mostly looks like this on a veth.
    OtherHost,
    /// Out of the interface: on a host's veth, towards the container.
    Outgoing,
    /// Any other kind.
    Other(u8),
}

/// A stripped VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// Priority and VLAN id.
    pub tci: u16,
    /// The tag's protocol, 0x8100 or 0x88a8.
    pub tpid: u16,
}

impl Block {
    /// Takes the block at `index`, when the kernel has handed it over and nobody holds it.
    pub(super) fn take(mapping: &Arc<Mapping>, index: usize) -> Option<Self> {
        let lent = mapping.lent.get(index)?;
        if lent.swap(true, Ordering::Acquire) {
            return None;
        }
        // Looked at after the note, so that a status from before the last `drop` cannot be seen.
        if !mapping.is_ready(index) {
            lent.store(false, Ordering::Release);
            return None;
        }
        Some(Self { mapping: Arc::clone(mapping), index })
    }

    /// The frames, oldest first.
    #[must_use]
    pub fn frames(&self) -> Frames<'_> {
        let bytes = self.mapping.block(self);
        let left = u32_at(bytes, BLOCK_FRAME_COUNT).unwrap_or(0);
        let offset = u32_at(bytes, BLOCK_FIRST_FRAME).unwrap_or(0) as usize;
        Frames { bytes, left, offset }
    }

    /// How many frames it holds.
    #[must_use]
    pub fn frame_count(&self) -> u32 {
        u32_at(self.mapping.block(self), BLOCK_FRAME_COUNT).unwrap_or(0)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // The note comes last: whoever sees it cleared also sees that the kernel owns the block,
        // or that the kernel has filled it anew.
        self.mapping.status(self.index).store(STATUS_KERNEL, Ordering::Release);
        if let Some(lent) = self.mapping.lent.get(self.index) {
            lent.store(false, Ordering::Release);
        }
    }
}

/// The frames of a block.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    left: u32,
    offset: usize,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        self.left = self.left.checked_sub(1)?;
        let header = self.bytes.get(self.offset..)?;
        let frame = parse_frame(header);
        // The offset only grows, so that even a damaged chain ends.
        match u32_at(header, 0) {
            Some(step) if step > 0 => self.offset = self.offset.checked_add(step as usize)?,
            _ => self.left = 0,
        }
        frame
    }
}

/// `struct tpacket3_hdr`, and the `sockaddr_ll` behind it.
fn parse_frame(header: &[u8]) -> Option<Frame<'_>> {
    let seconds = u64::from(u32_at(header, 4)?);
    let captured_len = u32_at(header, 12)? as usize;
    let status = u32_at(header, 20)?;
    let start = usize::from(u16_at(header, 24)?);
    let address = header.get(HEADER_BYTES..)?;
    Some(Frame {
        at_ns: seconds * 1_000_000_000 + u64::from(u32_at(header, 8)?),
        ifindex: u32::try_from(i32_at(address, 4)?).ok()?,
        pkttype: PacketType::from(*address.get(10)?),
        hardware_type: u16_at(address, 8)?,
        wire_len: u32_at(header, 16)?,
        bytes: header.get(start..start.checked_add(captured_len)?)?,
        vlan: (status & libc::TP_STATUS_VLAN_VALID != 0).then(|| VlanTag {
            tci: u16_at(header, 32).unwrap_or(0),
            tpid: match u16_at(header, 36) {
                Some(tpid) if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 => tpid,
                _ => 0x8100,
            },
        }),
    })
}

impl From<u8> for PacketType {
    fn from(raw: u8) -> Self {
        match raw {
            0 => Self::Host,
            1 => Self::Broadcast,
            2 => Self::Multicast,
            3 => Self::OtherHost,
            4 => Self::Outgoing,
            other => Self::Other(other),
        }
    }
}

/// The ring's memory.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    block_bytes: usize,
    /// Which blocks are in the hands of a `Block`: the kernel's status alone would let a full ring
    /// lend the same block twice.
    lent: Box<[AtomicBool]>,
}

// SAFETY: the memory is only reached through `status`, which is atomic, and through `block`, which
// takes the one `Block` that owns the part it returns.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(super) fn of(socket: &OwnedFd, block_bytes: u32, block_count: u32) -> Result<Self> {
        let block_bytes = block_bytes as usize;
        let length = block_bytes * block_count as usize;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(Error::last("mapping the packet ring"));
        }
        let base = NonNull::new(base.cast())
            .ok_or_else(|| Error::invalid("mapping the packet ring", "mapped at address 0"))?;
        let lent = (0..block_count).map(|_| AtomicBool::new(false)).collect();
        Ok(Self { base, block_bytes, lent })
    }

    pub(super) fn block_count(&self) -> usize {
        self.lent.len()
    }

    /// Whether the kernel has handed over the block at `index`.
    pub(super) fn is_ready(&self, index: usize) -> bool {
        self.status(index).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    fn status(&self, index: usize) -> &AtomicU32 {
        let offset = index % self.lent.len() * self.block_bytes + BLOCK_STATUS;
        // SAFETY: the offset lies within the mapping and is aligned, because blocks start at
        // multiples of the page size; kernel and program both access the word atomically.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }

    fn block(&self, owner: &Block) -> &[u8] {
        let offset = owner.index % self.lent.len() * self.block_bytes;
        // SAFETY: the range lies within the mapping. `owner` proves that the kernel has handed the
        // block over and writes nothing into it until `owner` is dropped, which outlives the slice
        // only by way of the borrow in `frames` and `frame_count`. The status word inside is only
        // stored to in `drop`.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(offset), self.block_bytes) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let length = self.block_bytes * self.lent.len();
        // SAFETY: this range was mapped by `of`, and no `Block` is left, since each holds the
        // `Arc`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), length) };
    }
}

const STATUS_KERNEL: u32 = 0;
/// Offsets in `struct tpacket_block_desc`.
const BLOCK_STATUS: usize = 8;
const BLOCK_FRAME_COUNT: usize = 12;
const BLOCK_FIRST_FRAME: usize = 16;
/// `TPACKET_ALIGN(sizeof(struct tpacket3_hdr))`.
const HEADER_BYTES: usize = 48;
const _: () = assert!(HEADER_BYTES == size_of::<libc::tpacket3_hdr>());

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(next: u32, captured_len: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 82];
        bytes[0..4].copy_from_slice(&next.to_ne_bytes());
        bytes[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        bytes[12..16].copy_from_slice(&captured_len.to_ne_bytes());
        bytes[16..20].copy_from_slice(&60_u32.to_ne_bytes());
        bytes[24..26].copy_from_slice(&82_u16.to_ne_bytes());
        bytes[52..56].copy_from_slice(&5_i32.to_ne_bytes());
        bytes[58] = 4;
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_frame_has_its_interface_direction_and_time() {
        let bytes = frame(0, 3, b"abc");
        let frame = parse_frame(&bytes).unwrap();
        assert_eq!((frame.ifindex, frame.at_ns), (5, 7_000_000_000));
        assert_eq!((frame.pkttype, frame.wire_len), (PacketType::Outgoing, 60));
        assert_eq!(frame.bytes, b"abc");
        assert_eq!(frame.vlan, None);
    }

    #[test]
    fn a_frame_that_claims_more_than_the_block_holds_is_no_frame() {
        assert!(parse_frame(&frame(0, 4, b"abc")).is_none());
        assert!(parse_frame(&frame(0, u32::MAX, b"abc")).is_none());
        assert!(parse_frame(&[0; 40]).is_none());
    }

    #[test]
    fn a_damaged_chain_of_frames_ends() {
        let bytes = frame(0, 3, b"abc");
        assert_eq!(Frames { bytes: &bytes, left: u32::MAX, offset: 0 }.count(), 1);
        let bytes = frame(u32::MAX, 3, b"abc");
        assert_eq!(Frames { bytes: &bytes, left: u32::MAX, offset: 0 }.count(), 1);
    }
}
