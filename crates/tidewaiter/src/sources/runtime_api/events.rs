//! The runtime's event stream, one JSON object a line, for as long as the connection lives.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::http::Response;
use super::{ApiError, Deadline};

/// One event; those with many labels are some kilobytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// How long one call waits: the caller looks at its stop flag in between.
const QUIET: Duration = Duration::from_millis(250);

/// An open event stream.
#[derive(Debug)]
pub(crate) struct EventStream {
    response: Response<Deadline>,
    /// Body bytes; the lines before `start` have been handed out.
    bytes: Vec<u8>,
    start: usize,
    overlong: Overlong,
}

/// What the stream has to say.
#[derive(Debug)]
pub(crate) enum EventRead<'a> {
    /// One line, without its end.
    Line(&'a [u8]),
    /// A line longer than `LINE_BYTES_MAX` was thrown away.
    Overlong,
    /// Nothing for a quarter of a second.
    Quiet,
    /// The runtime closed the connection, or it broke: events are missing from here on.
    Ended(Option<io::Error>),
}

#[derive(Debug, PartialEq, Eq)]
enum Overlong {
    No,
    UntilLineEnd,
}

impl EventStream {
    pub(super) fn new(
        mut response: Response<Deadline>,
        socket: &UnixStream,
    ) -> Result<Self, ApiError> {
        response.stream_mut().until = None;
        socket.set_read_timeout(Some(QUIET)).map_err(ApiError::Broken)?;
        Ok(Self { response, bytes: Vec::new(), start: 0, overlong: Overlong::No })
    }

    /// Waits a moment for the next line.
    pub(crate) fn next(&mut self) -> EventRead<'_> {
        let mut searched = self.start;
        let (start, end) = loop {
            let fresh = self.bytes.get(searched..).unwrap_or_default();
            if let Some(found) = fresh.iter().position(|&byte| byte == b'\n') {
                let line = (self.start, searched + found);
                self.start = line.1 + 1;
                searched = self.start;
                if self.overlong == Overlong::UntilLineEnd {
                    self.overlong = Overlong::No;
                    return EventRead::Overlong;
                }
                if line.0 < line.1 {
                    break line;
                }
                continue;
            }
            self.make_room();
            searched = self.bytes.len();
            match self.response.read_some(&mut self.bytes) {
                Ok(0) => return EventRead::Ended(None),
                Ok(_) => {}
                Err(error) if is_pause(&error) => return EventRead::Quiet,
                Err(error) => return EventRead::Ended(Some(error)),
            }
        };
        let line = self.bytes.get(start..end).unwrap_or_default();
        EventRead::Line(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Forgets what was handed out, and an unfinished line that is too long to keep.
    fn make_room(&mut self) {
        self.bytes.drain(..self.start.min(self.bytes.len()));
        self.start = 0;
        if self.bytes.len() > LINE_BYTES_MAX {
            self.bytes.clear();
            self.overlong = Overlong::UntilLineEnd;
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
