//! A DNS responder on the containers' gateway: the attackers' names lead to the far end, everything
//! else is passed on to the machine's own resolver.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::FAR_END_V4;

/// Names under these domains are ours (RFC 2606); `nowhere.` among them does not exist.
const DOMAINS: &[&str] = &["example.com", "example.net"];
const MISSING: &str = "nowhere.";
const PATIENCE: Duration = Duration::from_millis(200);

pub(super) struct Resolver {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    pub(super) fn start(address: &str) -> Result<Self> {
        let socket = UdpSocket::bind((address, 53))
            .with_context(|| format!("binding the lab's resolver to {address}:53"))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&socket, &stopped));
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0_u8; 1500];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        let Some(query) = buffer.get(..length) else { continue };
        let answer = match question(query) {
            Some((name, end)) if is_ours(&name) => own_answer(query, &name, end),
            Some(_) => passed_on(query),
            None => None,
        };
        if let Some(answer) = answer {
            socket.send_to(&answer, client).ok();
        }
    }
}

/// Whether a name leads to the far end, or would.
pub(crate) fn is_ours(name: &str) -> bool {
    DOMAINS.iter().any(|domain| name.ends_with(domain))
}

/// The first question's name, and where the question ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name.to_ascii_lowercase(), at + 4));
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(query.get(at..at + length)?));
        at += length;
    }
}

/// A: the far end. Anything else: no data. Missing names: NXDOMAIN.
fn own_answer(query: &[u8], name: &str, question_end: usize) -> Option<Vec<u8>> {
    let asked = query.get(..question_end)?;
    let is_address = query.get(question_end - 4..question_end - 2)? == [0, 1];
    let missing = name.starts_with(MISSING);
    let answer_count = u8::from(is_address && !missing);
    let mut answer = Vec::with_capacity(question_end + 16);
    answer.extend_from_slice(query.get(..2)?);
    answer.extend_from_slice(&[0x85, if missing { 0x83 } else { 0x80 }]);
    answer.extend_from_slice(&[0, 1, 0, answer_count, 0, 0, 0, 0]);
    answer.extend_from_slice(asked.get(12..)?);
    if answer_count == 1 {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend_from_slice(&FAR_END_V4.parse::<Ipv4Addr>().ok()?.octets());
    }
    Some(answer)
}

fn passed_on(query: &[u8]) -> Option<Vec<u8>> {
    let configuration = fs::read_to_string("/etc/resolv.conf").ok()?;
    let server = configuration.lines().find_map(|line| line.strip_prefix("nameserver "))?;
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    socket.send_to(query, (server.trim(), 53)).ok()?;
    let mut answer = vec![0_u8; 1500];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}
