//! One conversation of a client with a stranger, as the bytes of a capture file.

use crate::openings::Transport::{self, Tcp, Udp};

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Client,
    Server,
}
use By::{Client, Server};

const CLIENT: ([u8; 4], u16) = ([172, 17, 0, 2], 52224);
const SERVER: [u8; 4] = [198, 51, 100, 10];
const START_S: u64 = 1_790_000_000;
/// A capture's link type for bare IP packets.
const LINKTYPE_RAW: u32 = 101;
const SEGMENT_BYTES_MAX: usize = 1400;

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN_ACK: u8 = 17;

pub(crate) struct Talk {
    transport: Transport,
    port: u16,
    now_ms: u64,
    sequences: [u32; 2],
    packets: Vec<(u64, Vec<u8>)>,
}

impl Talk {
    pub(crate) fn new(transport: Transport, port: u16) -> Self {
        let sequences = [1000, 9000];
        let talk = Self { transport, port, now_ms: 0, sequences, packets: Vec::new() };
        match transport {
            Tcp => talk.segment(Client, SYN, b"").segment(Server, SYN | ACK, b""),
            Udp => talk,
        }
    }

    pub(crate) fn wait(mut self, ms: u64) -> Self {
        self.now_ms += ms;
        self
    }

    pub(crate) fn says(self, by: By, bytes: &[u8]) -> Self {
        match self.transport {
            Tcp => bytes
                .chunks(SEGMENT_BYTES_MAX)
                .fold(self, |talk, segment| talk.segment(by, ACK, segment)),
            Udp => self.datagram(by, bytes),
        }
    }

    /// A shell whose input and output are the connection.
    pub(crate) fn lines(self) -> Self {
        COMMANDS.iter().fold(self, |talk, (command, output)| {
            talk.wait(1_900).says(Server, command).wait(6).says(Client, output)
        })
    }

    /// A shell on a terminal: it prompts and echoes, and prints as the terminal's buffer fills.
    pub(crate) fn terminal(self) -> Self {
        let prompted = self.wait(30).says(Client, b"root@3f2a:/# ");
        COMMANDS.iter().fold(prompted, |mut talk, (command, output)| {
            talk = talk.wait(1_900);
            for key in command.trim_ascii_end().chunks(1) {
                talk = talk.wait(130).says(Server, key).wait(2).says(Client, key);
            }
            talk = talk.wait(200).says(Server, b"\r").wait(2).says(Client, b"\r\n");
            for part in output.chunks(64) {
                talk = talk.wait(1).says(Client, part);
            }
            talk.wait(1).says(Client, b"root@3f2a:/# ")
        })
    }

    pub(crate) fn pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, LINKTYPE_RAW] {
            file.extend(word.to_le_bytes());
        }
        let mut packets = self.packets.clone();
        if self.transport == Tcp {
            let end = Self { packets: Vec::new(), ..*self }.wait(400);
            packets.extend(end.segment(Client, FIN_ACK, b"").segment(Server, FIN_ACK, b"").packets);
        }
        for (at_ms, bytes) in &packets {
            let length = u32::try_from(bytes.len()).unwrap();
            let seconds = u32::try_from(START_S + at_ms / 1000).unwrap();
            let micros = u32::try_from(at_ms % 1000 * 1000).unwrap();
            for word in [seconds, micros, length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(bytes);
        }
        file
    }

    fn segment(mut self, by: By, flags: u8, payload: &[u8]) -> Self {
        let [sent, received] = match by {
            Client => self.sequences,
            Server => [self.sequences[1], self.sequences[0]],
        };
        let mut bytes = self.ports(by);
        bytes.extend(sent.to_be_bytes());
        bytes.extend(if flags & ACK == 0 { [0; 4] } else { received.to_be_bytes() });
        bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(payload);
        let used = u32::try_from(payload.len()).unwrap() + u32::from(flags & 3 != 0);
        self.sequences[by as usize] += used;
        self.packet(by, 6, &bytes)
    }

    fn datagram(self, by: By, payload: &[u8]) -> Self {
        let mut bytes = self.ports(by);
        bytes.extend(u16::try_from(payload.len() + 8).unwrap().to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
        self.packet(by, 17, &bytes)
    }

    fn ports(&self, by: By) -> Vec<u8> {
        let (from, to) = match by {
            Client => (CLIENT.1, self.port),
            Server => (self.port, CLIENT.1),
        };
        [from.to_be_bytes(), to.to_be_bytes()].concat()
    }

    fn packet(mut self, by: By, protocol: u8, payload: &[u8]) -> Self {
        let (from, to) = match by {
            Client => (CLIENT.0, SERVER),
            Server => (SERVER, CLIENT.0),
        };
        let length = u16::try_from(payload.len() + 20).unwrap().to_be_bytes();
        let mut bytes = vec![0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
        bytes.extend(from);
        bytes.extend(to);
        bytes.extend(payload);
        self.packets.push((self.now_ms, bytes));
        self
    }
}

const COMMANDS: &[(&[u8], &[u8])] = &[
    (b"id\n", b"uid=0(root) gid=0(root) groups=0(root)\n"),
    (b"uname -a\n", b"Linux 3f2a 6.1.0-18-amd64 #1 SMP Debian 6.1.76-1 x86_64 GNU/Linux\n"),
    (
        b"ls -la\n",
        b"total 12\ndrwxr-xr-x 1 root root 4096 Jan  2 10:11 .\n\
          drwxr-xr-x 1 root root 4096 Jan  2 10:11 ..\n\
          -rw-r--r-- 1 root root  570 Jan 31  2010 .bashrc\n\
          -rw-r--r-- 1 root root  148 Aug 17  2015 .profile\n",
    ),
];
