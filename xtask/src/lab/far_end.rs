//! The far end of an emulation: a scripted TCP, TLS or UDP server, or a TCP client, started inside
//! a network namespace.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::run;

/// How long a pause ends what the other side is saying.
const QUIET: Duration = Duration::from_millis(150);
/// How long it is tried to call somebody.
const CALL_PATIENCE: Duration = Duration::from_secs(8);
/// How long a far end outlives its script.
const LIFE: Duration = Duration::from_secs(300);

/// What the far end does with each client.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// `tcp`, `tls` or `udp`.
    #[serde(default)]
    pub transport: Transport,
    /// The port that it listens on, or calls.
    pub port: u16,
    /// Whom it calls; it listens where absent.
    #[serde(default)]
    pub calls: Option<IpAddr>,
    /// Played for each connection, or for the first datagram's sender.
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    #[default]
    Tcp,
    /// With a certificate that it has signed itself.
    Tls,
    Udp,
}

/// One step of a script. Bytes are given as TOML strings, so `\n` and `\u0000` work.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Sends this at once.
    Say(String),
    /// Sends these bytes, two hexadecimal digits each, at once.
    Hex(String),
    /// Sends it key by key, as a person types: milliseconds between the keys, then the text.
    Keys(u64, String),
    /// Sends it in segments of one byte, each padded with a NUL.
    Drip(String),
    /// Waits.
    WaitMs(u64),
    /// Waits until the client says something, at most so many milliseconds.
    Expect(u64),
}

impl Step {
    /// How long it waits at most.
    const fn at_most(&self) -> Duration {
        match self {
            Self::WaitMs(millis) | Self::Expect(millis) => Duration::from_millis(*millis),
            Self::Say(_) | Self::Hex(_) | Self::Keys(..) | Self::Drip(_) => Duration::ZERO,
        }
    }
}

/// A far end that runs; dropping it ends it.
pub(crate) struct FarEnd(Child);

impl FarEnd {
    /// Starts it inside the namespace that `enter` leads to (`ip netns exec wan`, `nsenter …`).
    pub(crate) fn start(enter: &str, script: &Script) -> Result<Self> {
        let mut words = enter.split_whitespace();
        let program = words.next().context("how to enter the namespace")?;
        let child = Command::new(program)
            .args(words)
            .arg(std::env::current_exe()?)
            .args(["far-end", &serde_json::to_string(script)?])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the far end")?;
        let mut this = Self(child);
        this.wait_until_listening()?;
        Ok(this)
    }

    /// Whether it has ended by itself, as one that calls does.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait().context("asking for the far end")?.is_some())
    }

    fn wait_until_listening(&mut self) -> Result<()> {
        let mut line = [0_u8; 10];
        let output = self.0.stdout.as_mut().context("the far end's output")?;
        output.read_exact(&mut line).context("the far end did not start listening")?;
        Ok(())
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The far end's own process.
pub(crate) fn play(script: &str) -> Result<()> {
    let script: Script = serde_json::from_str(script).context("reading the script")?;
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, script.port));
    // It ends by itself should its parent die.
    let life = LIFE + script.steps.iter().map(Step::at_most).sum::<Duration>();
    thread::spawn(move || {
        thread::sleep(life);
        std::process::exit(0);
    });
    if let Some(address) = script.calls {
        listening();
        play_tcp(call(SocketAddr::from((address, script.port)))?, &script.steps);
        return Ok(());
    }
    match script.transport {
        Transport::Tcp => {
            let listener = TcpListener::bind(address).context("listening")?;
            listening();
            play_each(&listener, &script.steps);
        }
        Transport::Tls => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening")?;
            let _unwraps = unwrap_tls(script.port, listener.local_addr()?)?;
            listening();
            play_each(&listener, &script.steps);
        }
        Transport::Udp => {
            let socket = UdpSocket::bind(address).context("listening")?;
            listening();
            play_udp(&socket, &script.steps)?;
        }
    }
    Ok(())
}

fn play_each(listener: &TcpListener, steps: &[Step]) {
    for stream in listener.incoming().flatten() {
        let steps = steps.to_vec();
        thread::spawn(move || play_tcp(stream, &steps));
    }
}

/// Takes TLS off what comes to this port and leads it there. It ends when its input does, and so
/// with its parent.
fn unwrap_tls(port: u16, to: SocketAddr) -> Result<Child> {
    let folder = std::env::temp_dir().join(format!("twlab-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]);
    make.args(["-subj", "/CN=Server", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    run::output_of(&mut make).context("making a certificate")?;
    let listens = format!(
        "OPENSSL-LISTEN:{port},reuseaddr,fork,verify=0,cert={},key={}",
        certificate.display(),
        key.display()
    );
    let script = "socat \"$0\" \"$1\" & cat >/dev/null; kill $!; rm -r \"$2\"";
    let child = Command::new("sh")
        .args(["-c", script, &listens, &format!("TCP:{to}")])
        .arg(&folder)
        .stdin(Stdio::piped())
        .spawn()
        .context("starting socat")?;
    // A connection that only looks whether it listens would be a client.
    let listening = format!(":{port:04X} 00000000:0000 0A");
    let deadline = Instant::now() + CALL_PATIENCE;
    while !std::fs::read_to_string("/proc/net/tcp")?.contains(&listening) {
        ensure!(Instant::now() < deadline, "socat does not listen on port {port}");
        thread::sleep(QUIET);
    }
    Ok(child)
}

/// Calls until somebody listens.
fn call(address: SocketAddr) -> Result<TcpStream> {
    let deadline = Instant::now() + CALL_PATIENCE;
    loop {
        match TcpStream::connect_timeout(&address, CALL_PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => return Err(error).context("calling"),
            Err(_) => thread::sleep(QUIET),
        }
    }
}

fn listening() {
    println!("listening");
    std::io::stdout().flush().ok();
}

fn play_tcp(mut stream: TcpStream, steps: &[Step]) {
    stream.set_nodelay(true).ok();
    stream.set_read_timeout(Some(QUIET)).ok();
    for step in steps {
        let done = match step {
            Step::Say(text) => stream.write_all(text.as_bytes()).is_ok(),
            Step::Hex(digits) => stream.write_all(&bytes_of(digits)).is_ok(),
            Step::Keys(every_ms, text) => pieces(text).all(|piece| {
                thread::sleep(Duration::from_millis(*every_ms));
                stream.write_all(&piece).is_ok()
            }),
            Step::Drip(text) => text.bytes().all(|byte| {
                thread::sleep(Duration::from_millis(3));
                stream.write_all(&[byte]).is_ok() && stream.write_all(&[0]).is_ok()
            }),
            Step::WaitMs(millis) => {
                thread::sleep(Duration::from_millis(*millis));
                true
            }
            Step::Expect(millis) => expect(&mut stream, Duration::from_millis(*millis)),
        };
        if !done {
            return;
        }
    }
}

/// Whatever is no digit separates.
fn bytes_of(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

fn pieces(text: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    text.bytes().map(|byte| vec![byte])
}

/// Reads until the client has spoken and is quiet again. False once it has closed.
fn expect(stream: &mut TcpStream, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let mut heard = 0;
    let mut buffer = [0_u8; 65_536];
    while Instant::now() < deadline {
        match stream.read(&mut buffer) {
            // A client that has closed its side may still listen: the script goes on.
            Ok(0) => {
                thread::sleep(QUIET);
                return true;
            }
            Ok(length) => heard += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock && heard > 0 => return true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}

fn play_udp(socket: &UdpSocket, steps: &[Step]) -> Result<()> {
    let mut buffer = [0_u8; 65_536];
    let (_, client) = socket.recv_from(&mut buffer)?;
    for step in steps {
        match step {
            Step::Say(text) | Step::Keys(_, text) | Step::Drip(text) => {
                socket.send_to(text.as_bytes(), client)?;
            }
            Step::Hex(digits) => {
                socket.send_to(&bytes_of(digits), client)?;
            }
            Step::WaitMs(millis) => thread::sleep(Duration::from_millis(*millis)),
            Step::Expect(millis) => {
                socket.set_read_timeout(Some(Duration::from_millis(*millis)))?;
                socket.recv_from(&mut buffer).ok();
            }
        }
    }
    thread::sleep(Duration::from_secs(1));
    Ok(())
}
