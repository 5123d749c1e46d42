//! Concatenated and skippable zstd frames (RFC 8878) as one stream.
//!
//! `ruzstd` decodes one frame and knows no second one, so the frames are told apart here.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::input::Raw;

/// Reads all frames of a file, one after the other.
pub(crate) struct ZstdFrames {
    raw: Raw,
    decoder: FrameDecoder,
    within: Within,
}

enum Within {
    /// The next bytes start a frame, or there are none.
    Between,
    Frame,
}

impl ZstdFrames {
    pub(crate) fn new(raw: Raw) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        Self { raw, decoder, within: Within::Between }
    }

    /// Opens the next frame; `false` at the end of the file.
    fn open_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.raw.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.raw) {
                Ok(()) => {
                    self.within = Within::Frame;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let wanted = u64::from(length);
                    let skipped = io::copy(&mut (&mut self.raw).take(wanted), &mut io::sink())?;
                    if skipped < wanted {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    fn close_frame(&mut self) -> io::Result<()> {
        self.within = Within::Between;
        let stored = self.decoder.get_checksum_from_data();
        if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the checksum of a zstd frame is wrong",
            ));
        }
        Ok(())
    }
}

impl Read for ZstdFrames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if matches!(self.within, Within::Between) && !self.open_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.raw, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            self.close_frame()?;
        }
    }
}

/// RFC 8878 asks decoders for 8 MiB; `zstd --ultra -22` and `--long` need this much. A frame that
/// wants more is refused.
const WINDOW_BYTES_MAX: u64 = 128 * 1024 * 1024;
