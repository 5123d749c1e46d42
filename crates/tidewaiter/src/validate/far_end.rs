//! The far end of a validation: a resolver and listeners on the isolated network's own gateway
//! address, inside this process. It speaks as an operator would, and only harmless commands.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::destinations::Destinations;
use super::resolver;

/// What the operator says, one line at a time. Nothing here changes anything.
const COMMANDS: &[&str] = &["id\n", "uname -a\n", "hostname\n", "ls /\n"];
/// How long the operator thinks over an answer.
const THINK: Duration = Duration::from_millis(900);
/// How long it waits for an answer before it goes on.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an accepted connection waits for an HTTP request.
const REQUEST_WAIT: Duration = Duration::from_secs(5);
/// Waits are cut into pieces of this length, so that stopping takes no longer.
const TICK: Duration = Duration::from_millis(50);
/// Conversations at the same time; more are closed at once and counted.
const SESSION_COUNT_MAX: usize = 32;
const DATAGRAM_BYTES_MAX: usize = 4096;
const HTTP_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nid\n";

/// What reached the far end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Names that were asked for.
    pub(crate) asked: BTreeSet<String>,
    /// TCP connections.
    pub(crate) connection_count: usize,
    /// UDP datagrams to its ports.
    pub(crate) datagram_count: usize,
    /// Connections beyond [`SESSION_COUNT_MAX`].
    pub(crate) turned_away_count: usize,
}

/// A far end that listens; it stops when it is dropped.
pub(crate) struct FarEnd {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    listening: Vec<SocketAddr>,
    /// Ports that could not be listened on, and why.
    pub(crate) missing: Vec<String>,
}

struct Shared {
    stop: AtomicBool,
    session_count: AtomicUsize,
    reached: Mutex<Reached>,
}

impl FarEnd {
    /// Listens on `address`. A resolver that cannot is an error; a port that cannot is named.
    pub(crate) fn start(address: Ipv4Addr, to: &Destinations) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            session_count: AtomicUsize::new(0),
            reached: Mutex::default(),
        });
        let mut this =
            Self { shared, threads: Vec::new(), listening: Vec::new(), missing: Vec::new() };
        let socket = udp(address, 53)
            .with_context(|| format!("the resolver cannot listen on {address} port 53 (udp)"))?;
        let names = to.names.clone();
        this.spawn(move |shared| resolve(&socket, &names, address, shared))?;
        for &port in &to.ports {
            let speaks = if to.http_ports.contains(&port) { Speaks::Second } else { Speaks::First };
            match tcp(address, port) {
                Ok(listener) => {
                    this.listening.push(SocketAddr::from((address, port)));
                    this.spawn_accept(listener, speaks)?;
                }
                Err(error) => this.missing.push(format!("{address} port {port} (tcp): {error}")),
            }
            if port == 53 {
                continue;
            }
            match udp(address, port) {
                Ok(socket) => this.spawn(move |shared| converse(&socket, shared))?,
                Err(error) => this.missing.push(format!("{address} port {port} (udp): {error}")),
            }
        }
        Ok(this)
    }

    /// What reached it so far; counting starts anew.
    pub(crate) fn take_reached(&self) -> Reached {
        std::mem::take(&mut *self.shared.reached())
    }

    /// Its thread waits in the kernel and is not waited for: should its address vanish with the
    /// network, nobody can wake it any more.
    fn spawn_accept(&mut self, listener: TcpListener, speaks: Speaks) -> anyhow::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("far-end".into());
        let spawned = thread.spawn(move || accept(&listener, speaks, &shared));
        spawned.map(|_| ()).context("starting the far end")
    }

    fn spawn(&mut self, work: impl FnOnce(&Arc<Shared>) + Send + 'static) -> anyhow::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("far-end".into()).spawn(move || work(&shared));
        self.threads.push(thread.context("starting the far end")?);
        Ok(())
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for address in &self.listening {
            // Wakes the thread that waits for the next client there.
            let _ = TcpStream::connect_timeout(address, TICK);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn reached(&self) -> std::sync::MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, and says whether the time passed without a stop.
    fn wait(&self, span: Duration) -> bool {
        let until = Instant::now() + span;
        while !self.stopped() && Instant::now() < until {
            thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
        }
        !self.stopped()
    }
}

/// Who speaks first in a conversation.
#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    First,
    Second,
}

fn udp(address: Ipv4Addr, port: u16) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, port))?;
    socket.set_read_timeout(Some(TICK))?;
    Ok(socket)
}

fn tcp(address: Ipv4Addr, port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((address, port))
}

fn resolve(socket: &UdpSocket, names: &BTreeSet<String>, address: Ipv4Addr, shared: &Arc<Shared>) {
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    while !shared.stopped() {
        let Some((query, from)) = datagram(socket, &mut buffer) else { continue };
        if let Some((name, answer)) = resolver::answer(query, names, address) {
            let _ = socket.send_to(&answer, from);
            let mut reached = shared.reached();
            if reached.asked.len() < super::destinations::NAME_COUNT_MAX {
                reached.asked.insert(name);
            }
        }
    }
}

fn datagram<'b>(socket: &UdpSocket, buffer: &'b mut [u8]) -> Option<(&'b [u8], SocketAddr)> {
    let (length, from) = socket.recv_from(buffer).ok()?;
    Some((buffer.get(..length)?, from))
}

fn accept(listener: &TcpListener, speaks: Speaks, shared: &Arc<Shared>) {
    // A literal `telnet` without input lives 20 ms: the first word must not wait for a tick.
    for stream in listener.incoming() {
        if shared.stopped() {
            return;
        }
        let Ok(stream) = stream else {
            thread::sleep(TICK);
            continue;
        };
        if shared.session_count.fetch_add(1, Ordering::Relaxed) >= SESSION_COUNT_MAX {
            shared.session_count.fetch_sub(1, Ordering::Relaxed);
            shared.reached().turned_away_count += 1;
            continue;
        }
        shared.reached().connection_count += 1;
        let in_thread = Arc::clone(shared);
        let spawned = thread::Builder::new().name("far-end-session".into()).spawn(move || {
            let _ = match speaks {
                Speaks::First => operate(stream, &in_thread),
                Speaks::Second => serve_page(stream, &in_thread),
            };
            in_thread.session_count.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            shared.session_count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// An operator at a raw connection: commands at once, thinks over each answer, then goes on.
fn operate(mut stream: TcpStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    for command in COMMANDS {
        stream.write_all(command.as_bytes())?;
        if hear(&mut stream, shared, PATIENCE)? == Heard::Something {
            shared.wait(THINK);
        }
        if shared.stopped() {
            return Ok(());
        }
    }
    // It stays, as an operator would: the connection's end is the container's business.
    while !shared.stopped() && hear(&mut stream, shared, PATIENCE)? != Heard::End {}
    Ok(())
}

fn serve_page(mut stream: TcpStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if hear(&mut stream, shared, REQUEST_WAIT)? == Heard::Something {
        stream.write_all(HTTP_ANSWER)?;
    }
    Ok(())
}

#[derive(PartialEq)]
enum Heard {
    Something,
    Nothing,
    End,
}

fn hear(
    stream: &mut TcpStream,
    shared: &Arc<Shared>,
    patience: Duration,
) -> std::io::Result<Heard> {
    let until = Instant::now() + patience;
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    while !shared.stopped() && Instant::now() < until {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(Heard::End),
            Ok(_) => return Ok(Heard::Something),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Heard::Nothing)
}

/// The same operator over datagrams: a command to whoever spoke, for each answer the next.
fn converse(socket: &UdpSocket, shared: &Arc<Shared>) {
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    let mut commands = COMMANDS.iter().cycle();
    while !shared.stopped() {
        let Some((_, from)) = datagram(socket, &mut buffer) else { continue };
        shared.reached().datagram_count += 1;
        if let (true, Some(command)) = (shared.wait(TICK), commands.next()) {
            let _ = socket.send_to(command.as_bytes(), from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_loopback(last: u8, ports: &[u16], http: &[u16]) -> (FarEnd, Ipv4Addr) {
        // Port 53 on an address of our own in 127/8 is free wherever root runs the tests; without
        // root the test of the whole far end is the live one.
        let address = Ipv4Addr::new(127, 83, 17, last);
        let to = Destinations {
            names: BTreeSet::from(["c2.example.com".to_owned()]),
            ports: ports.iter().copied().collect(),
            http_ports: http.iter().copied().collect(),
            ..Destinations::default()
        };
        (FarEnd::start(address, &to).unwrap(), address)
    }

    fn may_bind_low_ports() -> bool {
        UdpSocket::bind((Ipv4Addr::new(127, 83, 17, 200), 53)).is_ok()
    }

    #[test]
    fn a_client_that_says_nothing_is_spoken_to_at_once() {
        if !may_bind_low_ports() {
            eprintln!("SKIPPED: needs the right to bind port 53");
            return;
        }
        let (far_end, address) = on_loopback(1, &[4444], &[]);
        let began = Instant::now();
        let mut stream = TcpStream::connect((address, 4444)).unwrap();
        let mut line = [0; 3];
        stream.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"id\n");
        assert!(began.elapsed() < Duration::from_millis(500));
        assert_eq!(far_end.take_reached().connection_count, 1);
    }

    #[test]
    fn a_web_client_speaks_first() {
        if !may_bind_low_ports() {
            eprintln!("SKIPPED: needs the right to bind port 53");
            return;
        }
        let (_far_end, address) = on_loopback(2, &[8080], &[8080]);
        let mut stream = TcpStream::connect((address, 8080)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("id\n"));
    }
}
