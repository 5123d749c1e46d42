//! The little HTTP/1.1 (RFC 9112) that a container runtime's socket needs: one GET a connection,
//! bounded head, and a body by length, in chunks or until close.

use std::io::{self, Read};

use super::ApiError;

/// Status line and header lines together. Docker sends about 300 bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A chunk-size line with its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 256;
const READ_BYTES: usize = 16 * 1024;

/// How the end of the body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// This many bytes are left.
    Length(u64),
    /// This many bytes are left of the current chunk; at 0 a size line follows.
    Chunked(u64),
    /// The last chunk was read.
    Ended,
    /// Everything until the other side closes.
    UntilClose,
}

/// A response whose head has been read and whose body is being read.
///
/// An error of kind `WouldBlock` or `TimedOut` from the stream loses nothing: the next call goes
/// on.
#[derive(Debug)]
pub(super) struct Response<S> {
    /// The status code.
    pub(super) status: u16,
    framing: Framing,
    stream: S,
    /// Read from the stream and not yet handed out.
    pending: Vec<u8>,
    /// Where the unread part of `pending` begins.
    start: usize,
}

impl<S: Read> Response<S> {
    /// Reads status line and headers.
    pub(super) fn read_head(stream: S) -> Result<Self, ApiError> {
        let mut response =
            Self { status: 0, framing: Framing::UntilClose, stream, pending: Vec::new(), start: 0 };
        let status_line = response.head_line(HEAD_BYTES_MAX)?;
        response.status = parse_status(&status_line)?;
        let mut left = HEAD_BYTES_MAX.saturating_sub(status_line.len());
        loop {
            let line = response.head_line(left)?;
            if line.is_empty() {
                return Ok(response);
            }
            left = left.saturating_sub(line.len() + 2);
            if let Some(framing) = parse_framing(&line)? {
                // RFC 9112, section 6.3: chunked wins over a length.
                if !matches!(response.framing, Framing::Chunked(_)) {
                    response.framing = framing;
                }
            }
        }
    }

    /// Appends at least one byte of the body to `body`; 0 at its end.
    pub(super) fn read_some(&mut self, body: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            let left = match self.framing {
                Framing::Ended | Framing::Length(0) => return Ok(0),
                Framing::Chunked(0) => {
                    self.read_chunk_size()?;
                    continue;
                }
                Framing::Length(left) | Framing::Chunked(left) => left,
                Framing::UntilClose => u64::MAX,
            };
            if self.unread().is_empty() && self.fill()? == 0 {
                return match self.framing {
                    Framing::UntilClose => Ok(0),
                    _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is cut short")),
                };
            }
            let count = self.unread().len().min(usize::try_from(left).unwrap_or(usize::MAX));
            body.extend_from_slice(self.unread().get(..count).unwrap_or_default());
            self.start += count;
            if let Framing::Length(left) | Framing::Chunked(left) = &mut self.framing {
                *left -= count as u64;
            }
            return Ok(count);
        }
    }

    /// The connection below.
    pub(super) const fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads `SIZE[;extension]CRLF`, with the CRLF that ends the chunk before.
    fn read_chunk_size(&mut self) -> io::Result<()> {
        let line = self.line(CHUNK_LINE_BYTES_MAX)?;
        if line.is_empty() {
            // The line end of the chunk before; the size follows.
            return Ok(());
        }
        let text = std::str::from_utf8(&line).unwrap_or_default();
        let digits = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no chunk size"))?;
        self.framing = if size == 0 { Framing::Ended } else { Framing::Chunked(size) };
        Ok(())
    }

    fn head_line(&mut self, bytes_max: usize) -> Result<Vec<u8>, ApiError> {
        self.line(bytes_max).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => ApiError::Garbage("its head has no end".into()),
            io::ErrorKind::UnexpectedEof => {
                ApiError::Garbage("it closed the connection in the middle of the head".into())
            }
            _ => ApiError::from(error),
        })
    }

    /// The next line without its end.
    fn line(&mut self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            let fresh = self.unread().get(searched..).unwrap_or_default();
            if let Some(found) = fresh.iter().position(|&byte| byte == b'\n') {
                let end = searched + found;
                let line = self.unread().get(..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.start += end + 1;
                return Ok(line);
            }
            searched = self.unread().len();
            if searched > bytes_max {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "line without end"));
            }
            if self.fill()? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a line"));
            }
        }
    }

    fn unread(&self) -> &[u8] {
        self.pending.get(self.start..).unwrap_or_default()
    }

    /// Reads once from the stream; what has been handed out makes room.
    fn fill(&mut self) -> io::Result<usize> {
        self.pending.drain(..self.start);
        self.start = 0;
        let mut fresh = [0; READ_BYTES];
        let count = self.stream.read(&mut fresh)?;
        self.pending.extend_from_slice(fresh.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn parse_status(line: &[u8]) -> Result<u16, ApiError> {
    let garbage = || ApiError::Garbage("it does not speak HTTP".into());
    let text = std::str::from_utf8(line).map_err(|_| garbage())?;
    let mut words = text.split(' ');
    let version = words.next().unwrap_or_default();
    if !version.starts_with("HTTP/1.") {
        return Err(garbage());
    }
    let status = words.next().and_then(|word| word.parse().ok()).ok_or_else(garbage)?;
    if (100..600).contains(&status) { Ok(status) } else { Err(garbage()) }
}

fn parse_framing(line: &[u8]) -> Result<Option<Framing>, ApiError> {
    let text = String::from_utf8_lossy(line);
    let Some((name, value)) = text.split_once(':') else {
        return Err(ApiError::Garbage("a header line without a colon".into()));
    };
    let value = value.trim();
    if name.eq_ignore_ascii_case("content-length") {
        let length = value.parse().map_err(|_| ApiError::Garbage("no length".into()))?;
        return Ok(Some(Framing::Length(length)));
    }
    if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
        return Ok(Some(Framing::Chunked(0)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut response = Response::read_head(OneByte(bytes)).map_err(io::Error::other)?;
        let mut body = Vec::new();
        while response.read_some(&mut body)? > 0 {}
        Ok(body)
    }

    /// A stream that hands out one byte a read, so that every boundary is crossed.
    #[derive(Debug)]
    struct OneByte<'a>(&'a [u8]);

    impl Read for OneByte<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match (self.0.split_first(), out.first_mut()) {
                (Some((byte, rest)), Some(slot)) => {
                    *slot = *byte;
                    self.0 = rest;
                    Ok(1)
                }
                _ => Ok(0),
            }
        }
    }

    #[test]
    fn a_body_by_length_ends_there() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef";
        assert_eq!(body_of(bytes).unwrap(), b"abc");
    }

    #[test]
    fn chunks_are_joined_and_extensions_ignored() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n";
        assert_eq!(body_of(bytes).unwrap(), b"abcde");
    }

    #[test]
    fn without_length_the_body_ends_with_the_connection() {
        assert_eq!(body_of(b"HTTP/1.0 200 OK\r\n\r\nabc").unwrap(), b"abc");
    }

    #[test]
    fn a_body_cut_short_is_an_error_not_a_shorter_body() {
        let error = body_of(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(body_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").is_err());
    }

    #[test]
    fn what_does_not_speak_http_is_named() {
        for bytes in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"HTTP/1.1 9999 No\r\n\r\n", b"\0\0\n", b""]
        {
            let error = Response::read_head(OneByte(bytes)).unwrap_err();
            assert!(matches!(error, ApiError::Garbage(_)), "{error}");
        }
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'a', HEAD_BYTES_MAX * 2));
        let error = Response::read_head(&bytes[..]).unwrap_err();
        assert!(matches!(error, ApiError::Garbage(_)), "{error}");
    }
}
