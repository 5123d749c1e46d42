//! Integers out of byte slices, in the byte order that a file chose; absent bytes are `None`.

/// The byte order of a capture, as its magic number shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(crate) fn u16(self, bytes: &[u8], offset: usize) -> Option<u16> {
        let field: [u8; 2] = bytes.get(offset..)?.get(..2)?.try_into().ok()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        })
    }

    #[inline]
    pub(crate) fn u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let field: [u8; 4] = bytes.get(offset..)?.get(..4)?.try_into().ok()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        })
    }

    pub(crate) fn i64(self, bytes: &[u8], offset: usize) -> Option<i64> {
        let field: [u8; 8] = bytes.get(offset..)?.get(..8)?.try_into().ok()?;
        Some(match self {
            Self::Little => i64::from_le_bytes(field),
            Self::Big => i64::from_be_bytes(field),
        })
    }
}
