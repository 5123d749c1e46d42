//! What an engine knows, as bytes: a restart goes on where it stopped.

use alloc::vec::Vec;
use core::fmt;

use crate::engine::Engine;

/// The version of what [`Engine::save`] writes.
const STATE_VERSION: u32 = 17;

/// Why a saved state could not be taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// It was written by a version of the program that saved other things.
    Version(u32),
    /// It is damaged.
    Damaged,
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(
                    out,
                    "the saved state has version {version}, this program reads {STATE_VERSION}"
                )
            }
            Self::Damaged => write!(out, "the saved state is damaged"),
        }
    }
}

impl core::error::Error for LoadError {}

impl Engine {
    /// Everything that [`Engine::load`] needs to go on from here.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        postcard::to_allocvec(&(STATE_VERSION, self)).unwrap_or_default()
    }

    /// Goes on where [`Engine::save`] stopped.
    ///
    /// # Errors
    /// When the bytes are of another version, or damaged.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let (version, rest) =
            postcard::take_from_bytes::<u32>(bytes).map_err(|_| LoadError::Damaged)?;
        if version != STATE_VERSION {
            return Err(LoadError::Version(version));
        }
        postcard::from_bytes(rest).map_err(|_| LoadError::Damaged)
    }
}
