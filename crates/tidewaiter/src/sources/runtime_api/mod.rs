//! The container runtime's API over its Unix socket: Docker Engine API 1.41 and the compatible part
//! of Podman's (`/run/podman/podman.sock`).
//!
//! One GET a connection, every wait and every size bounded: a socket that is absent, hangs or
//! answers garbage gives an [`ApiError`] that says so, and never more than that.

mod events;
mod http;

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) use events::{EventRead, EventStream};
use http::Response;

/// One answer at most; an inspect is about 10 KB, a list of 1 000 containers about 2 MB.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Docker answers `stats` after 1 s and an inspect at `network connect` after 160 ms.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Connection attempts that hang in the kernel at the same time; more are refused at once.
const HANGING_CONNECT_COUNT_MAX: usize = 4;
/// A container's id or name, an image's reference.
const REFERENCE_BYTES_MAX: usize = 512;

static HANGING_CONNECT_COUNT: AtomicUsize = AtomicUsize::new(0);

/// A runtime's socket. Holds no connection, so it never breaks and may be shared by threads.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeApi {
    socket: PathBuf,
    timeout: Duration,
}

/// Why a runtime did not answer. [`ApiError::NotFound`] is the one that callers match on: the
/// container vanished between its event and our question.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// There is no such socket, or nobody listens on it, or we may not open it.
    Absent(io::Error),
    /// It did not answer in time.
    Hangs,
    /// The thing asked for does not exist (any more).
    NotFound,
    /// It refused, with this status and message.
    Refused(u16, String),
    /// What it answered is no HTTP or no JSON.
    Garbage(String),
    /// The answer is larger than `ANSWER_BYTES_MAX`.
    TooLarge,
    /// The connection broke.
    Broken(io::Error),
}

/// How much of an answer is wanted when it is larger than we hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oversize {
    Refuse,
    Cut,
}

/// The bytes of an answer that is no JSON.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    /// Its bytes, from the start.
    pub(crate) bytes: Vec<u8>,
    /// Whether it went on.
    pub(crate) extent: Extent,
}

/// Whether all of an answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// Its beginning.
    Cut,
}

impl RuntimeApi {
    /// The runtime behind this socket. Nothing is contacted yet.
    pub(crate) fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), timeout: ANSWER_TIMEOUT }
    }

    /// The sockets of this machine: `$DOCKER_HOST` alone where it names a Unix socket, else those
    /// of
    /// Docker and Podman that exist.
    pub(crate) fn discover() -> Vec<Self> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        sockets_to_try(&host).into_iter().map(Self::at).collect()
    }

    /// Its path.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET /version`.
    pub(crate) fn version(&self) -> Result<Value, ApiError> {
        self.json("/version")
    }

    /// `GET /containers/json`: the running ones.
    pub(crate) fn containers(&self) -> Result<Value, ApiError> {
        self.json("/containers/json")
    }

    /// The bytes of `GET /containers/ID/json`, as `docker inspect` prints one element.
    pub(crate) fn inspect(&self, container: &str) -> Result<Vec<u8>, ApiError> {
        let path = format!("/containers/{}/json", reference(container)?);
        self.get(&path, Oversize::Refuse).map(|answer| answer.bytes)
    }

    /// `GET /containers/ID/top`: its processes.
    pub(crate) fn top(&self, container: &str) -> Result<Value, ApiError> {
        self.json(&format!("/containers/{}/top", reference(container)?))
    }

    /// `GET /containers/ID/changes`: what it changed in its file system.
    pub(crate) fn changes(&self, container: &str) -> Result<Value, ApiError> {
        self.json(&format!("/containers/{}/changes", reference(container)?))
    }

    /// `GET /containers/ID/stats`, once. Takes a second on Docker 20.10.
    pub(crate) fn stats(&self, container: &str) -> Result<Value, ApiError> {
        self.json(&format!(
            "/containers/{}/stats?stream=false&one-shot=true",
            reference(container)?
        ))
    }

    /// `GET /containers/ID/logs`: the last `line_count_max` lines of both streams, with times.
    /// Where
    /// the container has no TTY, Docker frames them (8 bytes: stream, 0, 0, 0, length).
    pub(crate) fn logs(&self, container: &str, line_count_max: u32) -> Result<RawAnswer, ApiError> {
        let path = format!(
            "/containers/{}/logs?stdout=1&stderr=1&timestamps=1&tail={line_count_max}",
            reference(container)?
        );
        self.get(&path, Oversize::Cut)
    }

    /// `GET /exec/ID/json`: what a `docker exec` runs, and its pid.
    pub(crate) fn exec(&self, exec: &str) -> Result<Value, ApiError> {
        self.json(&format!("/exec/{}/json", reference(exec)?))
    }

    /// `GET /images/ID/json`: with `RepoDigests`.
    pub(crate) fn image(&self, image: &str) -> Result<Value, ApiError> {
        self.json(&format!("/images/{}/json", reference(image)?))
    }

    /// `GET /networks/ID`.
    pub(crate) fn network(&self, network: &str) -> Result<Value, ApiError> {
        self.json(&format!("/networks/{}", reference(network)?))
    }

    /// `GET /events`: everything from `since` on (seconds and nanoseconds of the Unix epoch), or
    /// from now.
    pub(crate) fn events(&self, since: Option<(u64, u32)>) -> Result<EventStream, ApiError> {
        let path = match since {
            Some((seconds, nanos)) => format!("/events?since={seconds}.{nanos:09}"),
            None => "/events".into(),
        };
        let (stream, socket) = self.request(&path)?;
        let response = checked(Response::read_head(stream)?)?;
        EventStream::new(response, &socket)
    }

    fn json(&self, path: &str) -> Result<Value, ApiError> {
        let answer = self.get(path, Oversize::Refuse)?;
        serde_json::from_slice(&answer.bytes)
            .map_err(|error| ApiError::Garbage(format!("no JSON at {path}: {error}")))
    }

    fn get(&self, path: &str, oversize: Oversize) -> Result<RawAnswer, ApiError> {
        let (stream, _) = self.request(path)?;
        read_answer(checked(Response::read_head(stream)?)?, oversize)
    }

    /// Sends the request; the stream's reads end at the deadline. The socket is the same
    /// connection.
    fn request(&self, path: &str) -> Result<(Deadline, UnixStream), ApiError> {
        let stream = connect(&self.socket)?;
        let socket = stream.try_clone().map_err(ApiError::Broken)?;
        stream.set_write_timeout(Some(self.timeout)).map_err(ApiError::Broken)?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: runtime\r\nConnection: close\r\n\r\n");
        (&stream).write_all(head.as_bytes())?;
        Ok((Deadline { stream, until: Some(Instant::now() + self.timeout) }, socket))
    }
}

/// A connection whose reads give up at a point in time, not after each pause.
#[derive(Debug)]
struct Deadline {
    stream: UnixStream,
    /// `None`: the socket's own read timeout counts.
    until: Option<Instant>,
}

impl Read for Deadline {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(until) = self.until {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
        }
        self.stream.read(out)
    }
}

/// Connects in a thread of its own: a Unix socket whose backlog is full blocks without limit, and
/// std has no timeout for it.
fn connect(socket: &Path) -> Result<UnixStream, ApiError> {
    if HANGING_CONNECT_COUNT.load(Ordering::Relaxed) >= HANGING_CONNECT_COUNT_MAX {
        return Err(ApiError::Hangs);
    }
    let (done, wait) = mpsc::sync_channel(1);
    let path = socket.to_path_buf();
    HANGING_CONNECT_COUNT.fetch_add(1, Ordering::Relaxed);
    thread::Builder::new()
        .name("runtime-connect".into())
        .spawn(move || {
            let _ = done.send(UnixStream::connect(path));
            HANGING_CONNECT_COUNT.fetch_sub(1, Ordering::Relaxed);
        })
        .map_err(|error| {
            HANGING_CONNECT_COUNT.fetch_sub(1, Ordering::Relaxed);
            ApiError::Broken(error)
        })?;
    match wait.recv_timeout(CONNECT_TIMEOUT) {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(ApiError::Absent(error)),
        Err(_) => Err(ApiError::Hangs),
    }
}

fn checked(mut response: Response<Deadline>) -> Result<Response<Deadline>, ApiError> {
    match response.status {
        200..300 => Ok(response),
        404 => Err(ApiError::NotFound),
        status => {
            let mut body = Vec::new();
            let _ = response.read_some(&mut body);
            let told: Option<Value> = serde_json::from_slice(&body).ok();
            let message = told.as_ref().and_then(|value| value.get("message")?.as_str());
            Err(ApiError::Refused(status, message.unwrap_or("without a reason").into()))
        }
    }
}

fn read_answer(
    mut response: Response<Deadline>,
    oversize: Oversize,
) -> Result<RawAnswer, ApiError> {
    let mut bytes = Vec::new();
    while response.read_some(&mut bytes)? > 0 {
        if bytes.len() > ANSWER_BYTES_MAX {
            if oversize == Oversize::Refuse {
                return Err(ApiError::TooLarge);
            }
            bytes.truncate(ANSWER_BYTES_MAX);
            return Ok(RawAnswer { bytes, extent: Extent::Cut });
        }
    }
    Ok(RawAnswer { bytes, extent: Extent::Whole })
}

/// An id or name as it may stand in a request's path; anything else would forge a request.
fn reference(text: &str) -> Result<&str, ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@".contains(&byte);
    let plain = !text.is_empty() && text.len() <= REFERENCE_BYTES_MAX && text.bytes().all(allowed);
    if plain && !text.contains("..") { Ok(text) } else { Err(ApiError::NotFound) }
}

fn sockets_to_try(docker_host: &str) -> Vec<PathBuf> {
    if let Some(path) = docker_host.strip_prefix("unix://") {
        return vec![path.into()];
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for path in ["/var/run/docker.sock", "/run/podman/podman.sock"] {
        if Path::new(path).exists() {
            found.push(path.into());
        }
    }
    found
}

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Hangs,
            io::ErrorKind::InvalidData => Self::Garbage(error.to_string()),
            _ => Self::Broken(error),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(error) => write!(out, "nobody answers at the runtime's socket: {error}"),
            Self::Hangs => write!(out, "the runtime did not answer in time"),
            Self::NotFound => write!(out, "the runtime knows no such thing (any more)"),
            Self::Refused(status, message) => {
                write!(out, "the runtime refused (status {status}): {}", message.escape_debug())
            }
            Self::Garbage(what) => write!(out, "the runtime's answer is garbage: {what}"),
            Self::TooLarge => write!(out, "the runtime's answer is larger than we hold"),
            Self::Broken(error) => write!(out, "the connection to the runtime broke: {error}"),
        }
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A socket that answers every connection with these bytes, and then keeps it open or not.
    fn runtime_that_answers(answer: &'static [u8], then: Then) -> (tempfile::TempDir, RuntimeApi) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runtime.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().take(8) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer);
                if then == Then::Hang {
                    kept.push(stream);
                }
            }
        });
        let timeout = Duration::from_millis(200);
        (folder, RuntimeApi { socket: path, timeout })
    }

    #[derive(PartialEq)]
    enum Then {
        Close,
        Hang,
    }

    #[test]
    fn an_absent_socket_says_so() {
        let error = RuntimeApi::at("/nonexistent/docker.sock").version().unwrap_err();
        assert!(matches!(error, ApiError::Absent(_)), "{error}");
    }

    #[test]
    fn a_socket_that_hangs_is_given_up_at_the_deadline() {
        for part in
            [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
        {
            let (_folder, api) = runtime_that_answers(part, Then::Hang);
            let start = Instant::now();
            let error = api.version().unwrap_err();
            assert!(matches!(error, ApiError::Hangs), "{error}");
            assert!(start.elapsed() < Duration::from_secs(2));
        }
    }

    #[test]
    fn garbage_is_named_as_garbage() {
        let (_folder, api) = runtime_that_answers(b"\x15\x03\x01\0\x02\x02\x50\n", Then::Close);
        assert!(matches!(api.version().unwrap_err(), ApiError::Garbage(_)));
        let (_folder, api) = runtime_that_answers(b"HTTP/1.1 200 OK\r\n\r\n<html>", Then::Close);
        assert!(matches!(api.version().unwrap_err(), ApiError::Garbage(_)));
    }

    #[test]
    fn a_vanished_container_is_not_found_and_a_refusal_keeps_its_message() {
        let (_folder, api) = runtime_that_answers(b"HTTP/1.1 404 Not Found\r\n\r\n{}", Then::Close);
        assert!(matches!(api.inspect("abc").unwrap_err(), ApiError::NotFound));
        let answer = b"HTTP/1.1 409 Conflict\r\n\r\n{\"message\":\"is not running\"}";
        let (_folder, api) = runtime_that_answers(answer, Then::Close);
        let error = api.top("abc").unwrap_err();
        assert!(
            matches!(&error, ApiError::Refused(409, text) if text == "is not running"),
            "{error}"
        );
    }

    #[test]
    fn a_reference_cannot_forge_a_request() {
        for bad in ["", "a b", "a\r\nX: y", "../x", "a?b", "a%2f"] {
            assert!(matches!(reference(bad), Err(ApiError::NotFound)), "{bad:?}");
        }
        assert_eq!(
            reference("registry.example:5000/a@sha256:00").unwrap(),
            "registry.example:5000/a@sha256:00"
        );
    }

    #[test]
    fn docker_host_names_the_only_socket_where_it_is_a_unix_one() {
        assert_eq!(sockets_to_try("unix:///tmp/x.sock"), [PathBuf::from("/tmp/x.sock")]);
        assert!(
            !sockets_to_try("tcp://192.0.2.1:2375")
                .contains(&PathBuf::from("tcp://192.0.2.1:2375"))
        );
    }

    #[test]
    fn events_come_line_by_line_and_a_pause_loses_nothing() {
        let answer =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n6\r\n:1}\n{}\r\n";
        let (_folder, api) = runtime_that_answers(answer, Then::Hang);
        let mut stream = api.events(None).unwrap();
        let mut lines = Vec::new();
        for _ in 0..3 {
            if let EventRead::Line(line) = stream.next() {
                lines.push(line.to_vec());
            }
        }
        assert_eq!(lines, [b"{\"a\":1}".to_vec()]);
    }
}
