//! Programs in the kernel: real sockets of real children in cgroups of their own.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests state facts the short way"
)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use support::{BPF, NET_ADMIN, SYS_ADMIN, TestCgroup, eventually, may};
use sys::bpf::{
    CgroupCut, Mounted, SkbDirection, SocketCall, SocketEvent, SocketEvents, SocketOpened,
    SocketTuple, Transport, ensure_bpffs,
};
use sys::process::Cgroups;

const CAPS: &[(u32, &str)] = &[NET_ADMIN, SYS_ADMIN, BPF];

/// Attached at the root they hear every test; each test looks at its own cgroup only.
fn events() -> SocketEvents {
    SocketEvents::open(&Cgroups::probe().unwrap()).unwrap()
}

/// Held for writing by the test that floods every buffer, for reading by those that must lose
/// nothing.
static FLOOD: RwLock<()> = RwLock::new(());

/// What was heard of a cgroup until it has been quiet for a while.
fn heard(events: &mut SocketEvents, cgroup: u64) -> (Vec<SocketOpened>, Vec<SocketTuple>) {
    let end = Instant::now() + Duration::from_millis(400);
    let (mut opened, mut tuples) = (Vec::new(), Vec::new());
    while Instant::now() < end {
        events.wait(Duration::from_millis(50)).unwrap();
        events.drain(|event| match event {
            SocketEvent::Opened(event) if event.cgroup == cgroup => opened.push(event),
            SocketEvent::Tuple(event) if event.cgroup == cgroup => tuples.push(event),
            _ => {}
        });
    }
    (opened, tuples)
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn a_connection_has_its_process_cgroup_and_addresses() {
    if !may("a_connection_has_its_process_cgroup_and_addresses", CAPS) {
        return;
    }
    let _calm = FLOOD.read().unwrap_or_else(PoisonError::into_inner);
    for host in ["127.0.0.1", "::1"] {
        let cgroup = TestCgroup::new();
        let mut events = events();
        let listener = TcpListener::bind((host, 0)).unwrap();
        let server = listener.local_addr().unwrap();
        let before = sys::clock::realtime_ns() - 1_000_000;
        let child =
            cgroup.command(&format!("busybox nc {host} {}", server.port())).spawn().unwrap();
        let pid = child.id();
        let (stream, client) = listener.accept().unwrap();
        let (opened, tuples) = heard(&mut events, cgroup.id());
        assert_eq!(opened.len(), 1, "{opened:?}");
        assert_eq!((opened[0].pid, opened[0].remote), (pid, server));
        assert_eq!((opened[0].transport, opened[0].call), (Transport::Tcp, SocketCall::Connect));
        assert_eq!(tuples.len(), 1, "{tuples:?}");
        assert_eq!((tuples[0].local, tuples[0].remote), (client, server));
        assert_eq!(tuples[0].cookie, opened[0].cookie);
        assert_eq!(tuples[0].direction, SkbDirection::Egress);
        assert!((before..=sys::clock::realtime_ns()).contains(&opened[0].at_ns));
        assert_eq!(events.lost_count().unwrap(), 0);
        drop(stream);
        end(child);
    }
}

#[test]
fn who_is_called_has_a_tuple_and_opened_nothing() {
    if !may("who_is_called_has_a_tuple_and_opened_nothing", CAPS) {
        return;
    }
    let _calm = FLOOD.read().unwrap_or_else(PoisonError::into_inner);
    let cgroup = TestCgroup::new();
    let mut events = events();
    let port = free_port();
    let child = cgroup.command(&format!("busybox nc -l -p {port} 127.0.0.1")).spawn().unwrap();
    let mut stream = eventually("connection", || TcpStream::connect(("127.0.0.1", port)).ok());
    stream.write_all(b"id\n").unwrap();
    let (opened, tuples) = heard(&mut events, cgroup.id());
    assert!(opened.is_empty(), "{opened:?}");
    let caller = stream.local_addr().unwrap();
    let mine: Vec<_> = tuples.iter().filter(|tuple| tuple.remote == caller).collect();
    assert!(!mine.is_empty(), "{tuples:?}");
    assert!(mine.iter().all(|tuple| tuple.local.port() == port));
    end(child);
}

#[test]
fn datagrams_are_told_once_for_each_destination() {
    if !may("datagrams_are_told_once_for_each_destination", CAPS) {
        return;
    }
    let _calm = FLOOD.read().unwrap_or_else(PoisonError::into_inner);
    let cgroup = TestCgroup::new();
    let mut events = events();
    let far = [UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap()];
    let ports: Vec<u16> = far.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    // This test program itself is the child: it sends twice to each from one unconnected socket.
    let own = std::env::current_exe().unwrap();
    let line = format!("{} --exact sends_datagrams --ignored", own.display());
    let mut command = cgroup.command(&line);
    command.env("SYS_TEST_PORTS", format!("{},{}", ports[0], ports[1]));
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success());
    let (opened, tuples) = heard(&mut events, cgroup.id());
    let sent: Vec<SocketAddr> =
        opened.iter().filter(|event| event.call == SocketCall::Send).map(|e| e.remote).collect();
    let expected: Vec<SocketAddr> = far.iter().map(|s| s.local_addr().unwrap()).collect();
    assert_eq!(sent, expected);
    assert!(opened.iter().all(|event| event.pid == pid && event.transport == Transport::Udp));
    assert_eq!(tuples.len(), 1, "one socket");
    assert_eq!(tuples[0].remote, expected[0]);
}

#[test]
#[ignore = "the child of datagrams_are_told_once_for_each_destination"]
fn sends_datagrams() {
    let ports = std::env::var("SYS_TEST_PORTS").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..2 {
        for port in ports.split(',') {
            socket.send_to(b"x", ("127.0.0.1", port.parse().unwrap())).unwrap();
        }
    }
}

#[test]
fn events_without_room_are_counted_and_a_socket_is_told_later() {
    if !may("events_without_room_are_counted_and_a_socket_is_told_later", CAPS) {
        return;
    }
    let _flood = FLOOD.write().unwrap_or_else(PoisonError::into_inner);
    let mut events = events();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // One event for each destination, more than the buffer holds, read by nobody.
    for port in 1..20_000 {
        let _ = socket.send_to(b"x", ("127.0.0.2", port));
    }
    let lost = events.lost_count().unwrap();
    assert!(lost > 0);
    let mut count = 0;
    while events.drain(|_| count += 1) > 0 {}
    assert!(count > 5000, "{count}");
    socket.send_to(b"x", ("127.0.0.2", 19_999)).unwrap();
    let mut told = false;
    events.drain(|event| {
        told |= matches!(event, SocketEvent::Opened(opened) if opened.remote.port() == 19_999);
    });
    assert!(told, "what was lost once is told at the next datagram");
}

/// A child in a cgroup of its own, in a conversation with this process.
struct Session {
    cgroup: TestCgroup,
    child: Child,
    stream: TcpStream,
}

impl Session {
    fn start() -> Self {
        let cgroup = TestCgroup::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = format!("busybox nc 127.0.0.1 {port} -e busybox cat");
        let child = cgroup.command(&line).spawn().unwrap();
        let (stream, _) = listener.accept().unwrap();
        Self { cgroup, child, stream }
    }

    /// Whether what is said now is echoed within this time.
    fn echoes(&mut self, word: &str, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        self.stream.write_all(word.as_bytes()).unwrap();
        let mut answer = vec![0; word.len()];
        self.stream.read_exact(&mut answer).is_ok() && answer == word.as_bytes()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_cut_stops_a_live_session_and_its_undo_restores_it() {
    if !may("a_cut_stops_a_live_session_and_its_undo_restores_it", CAPS) {
        return;
    }
    let (mut session, mut neighbour) = (Session::start(), Session::start());
    assert!(session.echoes("before", Duration::from_secs(5)));
    let cut = CgroupCut::apply(&session.cgroup.path).unwrap();
    assert!(!session.echoes("during", Duration::from_millis(700)));
    assert!(neighbour.echoes("beside", Duration::from_secs(5)), "the neighbour goes on");
    assert!(session.child.try_wait().unwrap().is_none(), "the process lives");
    assert!(cut.counters().unwrap().ingress.packet_count > 0);
    assert!(cut.counters().unwrap().ingress.byte_count > 0);
    let stopped = cut.undo().unwrap();
    assert!(stopped.ingress.packet_count > 0);
    // TCP sends again what it held back.
    session.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = [0; 6];
    session.stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"during");
}

/// A bpf file system of the test's own.
struct Bpffs(PathBuf);

impl Bpffs {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("sys-bpffs-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        assert_eq!(ensure_bpffs(&path).unwrap(), Mounted::Now);
        assert_eq!(ensure_bpffs(&path).unwrap(), Mounted::Before);
        Self(path)
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        support::run("umount", &[&self.0.to_string_lossy()]);
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_pinned_cut_outlives_its_maker() {
    if !may("a_pinned_cut_outlives_its_maker", CAPS) {
        return;
    }
    let bpffs = Bpffs::new();
    let pins = bpffs.0.join("tidewaiter/01jd8t6v3m");
    let mut session = Session::start();
    let mut cut = CgroupCut::apply(&session.cgroup.path).unwrap();
    cut.pin(&pins).unwrap();
    drop(cut);
    assert!(!session.echoes("during", Duration::from_millis(500)));
    assert!(CgroupCut::apply(&session.cgroup.path).unwrap().pin(&pins).is_err(), "no second one");
    let found = CgroupCut::reopen(&pins).unwrap();
    assert!(found.counters().unwrap().ingress.packet_count > 0);
    let other = CgroupCut::reopen(&pins).unwrap();
    found.undo().unwrap();
    assert!(session.echoes("", Duration::from_secs(1)));
    session.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = [0; 6];
    session.stream.read_exact(&mut answer).unwrap();
    drop(other);
    let gone = CgroupCut::reopen(&pins).unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_cgroup_that_does_not_exist_is_not_cut() {
    assert!(CgroupCut::apply(std::path::Path::new("/sys/fs/cgroup/none")).is_err());
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
