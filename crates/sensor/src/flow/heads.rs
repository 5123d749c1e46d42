//! The first bytes of both directions of undecided flows, in a pool of equal chunks.

use alloc::boxed::Box;
use alloc::vec::Vec;

use observation::{PortId, Side};

use super::quota::Quota;
use crate::protocols::{DATAGRAM_COUNT_MAX, FIRST_BYTES_MAX, LATER_BYTES_MAX};

/// What is kept of each direction's beginning.
pub(crate) const HEAD_BYTES_MAX: usize = 2048;

const _: () = assert!(
    2 + FIRST_BYTES_MAX + (DATAGRAM_COUNT_MAX as usize - 1) * (2 + LATER_BYTES_MAX)
        <= HEAD_BYTES_MAX
);

/// All chunks, in use or free; they are made on demand and never given back.
#[derive(Debug)]
pub(crate) struct HeadPool {
    #[allow(clippy::vec_box, reason = "growing must not copy what is inside")]
    chunks: Vec<Box<[u8; HEAD_BYTES_MAX]>>,
    free: Vec<u32>,
    quota: Quota,
}

/// One flow's place in the pool.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FlowHeads {
    chunks: [Option<Chunk>; 2],
    lens: [u16; 2],
}

/// A chunk's number plus one, so that `Option` needs no room of its own.
#[derive(Clone, Copy, Debug)]
struct Chunk(core::num::NonZeroU32);

/// What became of bytes for a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They are in it, as far as they fit.
    Whole,
    /// There is no room for this head, from now on.
    Denied,
}

impl HeadPool {
    pub(crate) fn new(count_max: u32) -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), quota: Quota::new(count_max) }
    }

    fn take(&mut self, port: PortId) -> Option<Chunk> {
        if self.quota.room(port) == 0 {
            return None;
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.chunks.push(Box::new([0; HEAD_BYTES_MAX]));
                u32::try_from(self.chunks.len() - 1).ok()?
            }
        };
        self.quota.take(port, 1);
        core::num::NonZeroU32::new(number + 1).map(Chunk)
    }

    fn bytes(&self, chunk: Option<Chunk>, len: u16) -> &[u8] {
        chunk
            .and_then(|chunk| self.chunks.get(chunk.0.get() as usize - 1))
            .and_then(|bytes| bytes.get(..usize::from(len)))
            .unwrap_or_default()
    }

    fn room(&mut self, chunk: Chunk, len: u16) -> &mut [u8] {
        self.chunks
            .get_mut(chunk.0.get() as usize - 1)
            .and_then(|bytes| bytes.get_mut(usize::from(len)..))
            .unwrap_or_default()
    }
}

impl FlowHeads {
    /// Appends to one direction's head as far as it fits.
    pub(crate) fn append(
        &mut self,
        pool: &mut HeadPool,
        port: PortId,
        side: Side,
        bytes: &[u8],
    ) -> Kept {
        let at = side as usize;
        let (Some(chunk), Some(len)) = (self.chunks.get_mut(at), self.lens.get_mut(at)) else {
            return Kept::Whole;
        };
        if chunk.is_none() {
            // A head is whole from the first byte or not there at all.
            if *len != 0 {
                return Kept::Whole;
            }
            *chunk = pool.take(port);
        }
        let Some(chunk) = *chunk else {
            *len = 1;
            return Kept::Denied;
        };
        let room = pool.room(chunk, *len);
        let fits = bytes.len().min(room.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..fits), bytes.get(..fits)) {
            room.copy_from_slice(bytes);
            *len += u16::try_from(fits).unwrap_or(0);
        }
        Kept::Whole
    }

    /// Appends a datagram with its length before it, cut to what is kept of it.
    pub(crate) fn append_datagram(
        &mut self,
        pool: &mut HeadPool,
        port: PortId,
        side: Side,
        bytes: &[u8],
    ) -> Kept {
        let bytes_max = if self.is_begun(side) { LATER_BYTES_MAX } else { FIRST_BYTES_MAX };
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        if self.append(pool, port, side, &length.to_be_bytes()) == Kept::Denied {
            return Kept::Denied;
        }
        self.append(pool, port, side, bytes.get(..bytes_max).unwrap_or(bytes))
    }

    /// One direction's head; empty where it was never kept.
    pub(crate) fn of<'p>(&self, pool: &'p HeadPool, side: Side) -> &'p [u8] {
        let at = side as usize;
        let len = self.lens.get(at).copied().unwrap_or(0);
        pool.bytes(self.chunks.get(at).copied().flatten(), len)
    }

    /// Whether this direction has begun, kept or not.
    pub(crate) fn is_begun(&self, side: Side) -> bool {
        self.lens.get(side as usize).is_some_and(|&len| len > 0)
    }

    /// Gives the chunks back.
    pub(crate) fn free(&mut self, pool: &mut HeadPool, port: PortId) {
        for chunk in &mut self.chunks {
            if let Some(chunk) = chunk.take() {
                pool.quota.give_back(port, 1);
                pool.free.push(chunk.0.get() - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PortId = PortId::UNKNOWN;

    #[test]
    fn a_head_ends_where_its_chunk_does() {
        let mut pool = HeadPool::new(2);
        let mut heads = FlowHeads::default();
        heads.append(&mut pool, PORT, Side::Originator, &[b'a'; 2000]);
        heads.append(&mut pool, PORT, Side::Originator, &[b'b'; 2000]);
        let head = heads.of(&pool, Side::Originator);
        assert_eq!((head.len(), head.last()), (HEAD_BYTES_MAX, Some(&b'b')));
        assert!(heads.of(&pool, Side::Responder).is_empty());
    }

    #[test]
    fn a_full_pool_denies_once_and_has_room_again() {
        let mut pool = HeadPool::new(1);
        let (mut one, mut two) = (FlowHeads::default(), FlowHeads::default());
        assert_eq!(one.append(&mut pool, PORT, Side::Originator, b"id"), Kept::Whole);
        assert_eq!(two.append(&mut pool, PORT, Side::Originator, b"id"), Kept::Denied);
        assert_eq!(two.append(&mut pool, PORT, Side::Originator, b"id"), Kept::Whole);
        assert_eq!(two.of(&pool, Side::Originator), b"");
        one.free(&mut pool, PORT);
        let mut three = FlowHeads::default();
        three.append(&mut pool, PORT, Side::Responder, b"ls");
        assert_eq!(three.of(&pool, Side::Responder), b"ls");
    }
}
