//! Runs the program, and writes small captures for it.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use formats::PcapngWriter;
use observation::{PortId, SourceId, Time};
use sensor::{Direction, LinkType, Packet};

/// What a run printed and how it ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Run {
    /// `scan` with a store of its own.
    pub(crate) fn scan(store: &Path, arguments: &[&str]) -> Self {
        let store = store.join("store");
        let head = ["scan", "--store", store.to_str().unwrap()];
        program(&[head.as_slice(), arguments].concat())
    }

    /// The last line on standard error.
    pub(crate) fn last_line(&self) -> &str {
        self.errors.lines().last().unwrap_or_default()
    }
}

/// Runs the program to its end.
pub(crate) fn program(arguments: &[&str]) -> Run {
    let done = command(arguments).output().unwrap();
    Run {
        code: done.status.code().unwrap_or(-1),
        output: String::from_utf8(done.stdout).unwrap(),
        errors: String::from_utf8(done.stderr).unwrap(),
    }
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewaiter"));
    command.args(arguments).env_remove("DOCKER_HOST");
    command
}

/// Runs the program, reads a little of its output and closes the pipe.
pub(crate) fn piped_to_head(arguments: &[&str]) -> Run {
    let mut child =
        command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut little = [0; 10];
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut little).unwrap();
    drop(pipe);
    let done = child.wait_with_output().unwrap();
    Run {
        code: done.status.code().unwrap_or(-1),
        output: String::from_utf8_lossy(&little).into_owned(),
        errors: String::from_utf8(done.stderr).unwrap(),
    }
}

/// A frame and when it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) at_ms: u64,
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

/// A pcapng with these frames at one container's port.
pub(crate) fn capture_of(frames: &[Frame]) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), "tidewaiter tests").unwrap();
    writer.interface(PortId(7), LinkType::Ethernet, "veth7").unwrap();
    for frame in frames {
        let packet = Packet {
            at: Time(START_NS + frame.at_ms * 1_000_000),
            source: SourceId(1),
            link: LinkType::Ethernet,
            port: PortId(7),
            direction: frame.direction,
            wire_len: u32::try_from(frame.bytes.len()).unwrap(),
            bytes: &frame.bytes,
        };
        writer.packet(&packet).unwrap();
    }
    let last = frames.last().map_or(0, |frame| frame.at_ms);
    writer.finish(Time(START_NS + last * 1_000_000), 0).unwrap()
}

/// 2026-11-24 20:00:00 UTC.
pub(crate) const START_NS: u64 = 1_795_550_400_000_000_000;

/// A container opens a connection; the far end types, the container answers like a shell.
pub(crate) fn text_session() -> Vec<Frame> {
    session(0, 52224)
}

/// A container asks a web server on the same port, and is answered.
pub(crate) fn web_request() -> Vec<Frame> {
    let mut talk = Talk::new(0, 52224);
    talk.open();
    talk.container(b"GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8\r\n\r\n");
    talk.wait(12);
    talk.far(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    talk.wait(1);
    talk.close();
    talk.frames
}

/// Many such sessions, one after the other, each from another port.
pub(crate) fn sessions(count: u16) -> Vec<Frame> {
    (0..count).flat_map(|index| session(u64::from(index) * 9000, 20_000 + index)).collect()
}

/// A name that tries a line of its own, terminal commands, quotes and a reversed direction.
pub(crate) const HOSTILE: &str = "x\nFORGED\u{1b}[2J\u{7}\r\"'`$(id)\u{202e}\u{2028}\u{430}";

/// What `docker inspect` prints of the container at 172.17.0.2.
pub(crate) fn inspect_of(name: &str) -> String {
    serde_json::json!([{
        "Id": "5455d941".repeat(8),
        "Created": "2026-11-24T19:59:00.000000000Z",
        "Path": "sh",
        "Args": ["-c", name],
        "State": { "Status": "running", "Running": true, "Pid": 4802 },
        "Image": format!("sha256:{}", "2ebf071a".repeat(8)),
        "Name": format!("/{name}"),
        "HostConfig": { "NetworkMode": "default", "AutoRemove": true },
        "Config": { "Image": name, "Env": [], "Cmd": ["sh", "-c", name], "Labels": { "x": name } },
        "NetworkSettings": { "Networks": { "bridge": { "IPAddress": "172.17.0.2" } } },
    }])
    .to_string()
}

fn session(start_ms: u64, port: u16) -> Vec<Frame> {
    let mut talk = Talk::new(start_ms, port);
    talk.open();
    for (command, answer) in [
        ("id\n", "uid=0(root) gid=0(root)\n# "),
        ("uname -a\n", "Linux 5455d941 6.1.0 x86_64 GNU/Linux\n# "),
        ("cat /etc/shadow\n", "root:*:19000:0:99999:7:::\n# "),
    ] {
        talk.wait(2300);
        talk.far(command.as_bytes());
        talk.wait(3);
        talk.container(answer.as_bytes());
    }
    talk.wait(500);
    talk.close();
    talk.frames
}

/// A TCP conversation under construction.
pub(crate) struct Talk {
    frames: Vec<Frame>,
    at_ms: u64,
    port: u16,
    container_sequence: u32,
    far_sequence: u32,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

impl Talk {
    pub(crate) fn new(at_ms: u64, port: u16) -> Self {
        Self { frames: Vec::new(), at_ms, port, container_sequence: 1000, far_sequence: 9000 }
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.at_ms += ms;
    }

    pub(crate) fn open(&mut self) {
        self.segment(Direction::Outward, SYN, b"");
        self.container_sequence += 1;
        self.wait(1);
        self.segment(Direction::Inward, SYN | ACK, b"");
        self.far_sequence += 1;
        self.segment(Direction::Outward, ACK, b"");
    }

    pub(crate) fn far(&mut self, payload: &[u8]) {
        self.segment(Direction::Inward, PSH | ACK, payload);
        self.segment(Direction::Outward, ACK, b"");
    }

    pub(crate) fn container(&mut self, payload: &[u8]) {
        self.segment(Direction::Outward, PSH | ACK, payload);
        self.segment(Direction::Inward, ACK, b"");
    }

    pub(crate) fn close(&mut self) {
        self.segment(Direction::Outward, FIN | ACK, b"");
        self.container_sequence += 1;
        self.segment(Direction::Inward, FIN | ACK, b"");
        self.far_sequence += 1;
        self.segment(Direction::Outward, ACK, b"");
    }

    fn segment(&mut self, direction: Direction, flags: u8, payload: &[u8]) {
        const FAR: ([u8; 4], u16) = ([198, 51, 100, 10], 4444);
        let container = ([172, 17, 0, 2], self.port);
        let outward = direction == Direction::Outward;
        let (from, to) = if outward { (container, FAR) } else { (FAR, container) };
        let (sequence, acknowledged) = if outward {
            (self.container_sequence, self.far_sequence)
        } else {
            (self.far_sequence, self.container_sequence)
        };
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let length = u16::try_from(40 + payload.len()).unwrap();
        bytes.extend([0x45, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend(from.0);
        bytes.extend(to.0);
        bytes.extend(from.1.to_be_bytes());
        bytes.extend(to.1.to_be_bytes());
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(acknowledged.to_be_bytes());
        bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(payload);
        self.frames.push(Frame { at_ms: self.at_ms, direction, bytes });
        let sent = u32::try_from(payload.len()).unwrap();
        if outward {
            self.container_sequence += sent;
        } else {
            self.far_sequence += sent;
        }
    }
}
