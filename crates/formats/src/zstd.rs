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
    /// The frame is cut or damaged; what was decoded before is being handed out.
    Damaged(io::Error),
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

    /// The decoder keeps back a window of decoded bytes until it has seen the frame's last block;
    /// in a frame that is cut it never will, so it is shown an empty one.
    fn release(&mut self) {
        // Should it refuse even this, what it keeps back is lost with the rest of the frame.
        let _ =
            self.decoder.decode_blocks(LAST_BLOCK.as_slice(), BlockDecodingStrategy::UptoBlocks(1));
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
                let decoded =
                    self.decoder.decode_blocks(&mut self.raw, BlockDecodingStrategy::UptoBlocks(1));
                if let Err(error) = decoded {
                    self.within = Within::Damaged(io::Error::other(error));
                    self.release();
                    break;
                }
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if let Within::Damaged(error) = std::mem::replace(&mut self.within, Within::Between) {
                return Err(error);
            }
            self.close_frame()?;
        }
    }
}

/// The header of an empty raw block that is the last one (RFC 8878, 3.1.1.2), and a checksum.
const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
/// RFC 8878 asks decoders for 8 MiB; `zstd --ultra -22` and `--long` need this much. A frame that
/// wants more is refused.
const WINDOW_BYTES_MAX: u64 = 128 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn expand(bytes: &[u8]) -> (Vec<u8>, Option<io::Error>) {
        let raw: Box<dyn Read + Send> = Box::new(Cursor::new(bytes.to_vec()));
        let mut expanded = Vec::new();
        let error = ZstdFrames::new(BufReader::new(raw)).read_to_end(&mut expanded).err();
        (expanded, error)
    }

    /// Compressible, and longer than a block.
    fn text() -> Vec<u8> {
        (0..40_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect()
    }

    #[test]
    fn frames_one_after_the_other_and_one_to_skip() {
        let one = compress_to_vec(&b"one "[..], CompressionLevel::Fastest);
        let skip = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        let two = compress_to_vec(&text()[..], CompressionLevel::Fastest);
        let (expanded, error) = expand(&[&one[..], &skip, &two, &one].concat());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(expanded, [b"one ", &text()[..], b"one "].concat());
    }

    #[test]
    fn a_cut_frame_gives_all_its_whole_blocks() {
        let whole = compress_to_vec(&text()[..], CompressionLevel::Fastest);
        let (expanded, error) = expand(&whole[..whole.len() - 8]);
        assert!(error.is_some());
        assert_eq!(expanded, text()[..128 * 1024], "the first of two blocks");
    }

    #[test]
    fn a_wrong_checksum_and_trailing_bytes_are_errors_after_the_data() {
        let mut wrong = compress_to_vec(&b"one"[..], CompressionLevel::Fastest);
        let trailing = [&wrong[..], b"trailing"].concat();
        *wrong.last_mut().unwrap() ^= 1;
        for bytes in [wrong, trailing] {
            let (expanded, error) = expand(&bytes);
            assert_eq!((expanded, error.is_some()), (b"one".to_vec(), true));
        }
    }

    #[test]
    fn a_frame_that_wants_too_large_a_window_is_refused() {
        // Window descriptor: exponent 20, that is 1 GiB.
        let (expanded, error) = expand(&[0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3, 1, 0, 0]);
        assert_eq!((expanded, error.is_some()), (vec![], true));
    }
}
