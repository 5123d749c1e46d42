//! What a watch costs those whom it watches: connections per second and throughput of a container,
//! with and without it, in alternating runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::lab::{FAR_END_V4, Lab, NAMESPACE};
use crate::run;

const PORT: u16 = 5001;
const IMAGE: &str = "twlab/load";
const START_SECONDS_MAX: u64 = 15;
/// The first byte of a connection says what it is for.
const SHORT: u8 = b's';
const BULK: u8 = b'b';
/// Connections that ended are forgotten soon, or the kernel's table of them fills up within a run.
const FORGET: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait";

/// What a run loads the network with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Load {
    /// One short TCP connection after the other.
    Connections,
    /// One connection, as fast as it goes.
    Bulk,
}

/// One run.
#[derive(Clone, Copy)]
struct Measured {
    /// Connections or bits a second.
    rate: f64,
    watch_cpu_s: f64,
}

pub(super) fn run(pairs: u32, seconds: u64) -> Result<()> {
    let lab = Lab::up()?;
    let program = std::env::current_exe()?.display().to_string();
    lab.add_image(IMAGE, &[(&program, "opt/load")])?;
    let _sink = Sink::start()?;
    let _forgetful = Forgetful::set();
    println!(
        "{:<16} {:>26} {:>26} {:>6} {:>12}",
        "", "without watch", "with watch", "ratio", "its CPU s"
    );
    for load in [Load::Connections, Load::Bulk] {
        let (mut without, mut with, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..pairs {
            // What comes first in a pair takes turns, so that a machine that warms up favours none.
            for turn in 0..2 {
                if (pair + turn) % 2 == 0 {
                    without.push(measure(&lab, load, seconds, None)?);
                } else {
                    let watch = Watch::start(&lab)?;
                    with.push(measure(&lab, load, seconds, Some(watch.0.id()))?);
                    lines.push(watch.stop()?);
                }
            }
        }
        row(load, &without, &with);
        for line in lines {
            println!("    {line}");
        }
    }
    Ok(())
}

fn row(load: Load, without: &[Measured], with: &[Measured]) {
    let (name, unit) = match load {
        Load::Connections => ("connections/s", 1.0),
        Load::Bulk => ("Gbit/s", 1e9),
    };
    let spread = |runs: &[Measured]| {
        let mut rates: Vec<f64> = runs.iter().map(|run| run.rate / unit).collect();
        rates.sort_by(f64::total_cmp);
        let at = |index: usize| rates.get(index).copied().unwrap_or_default();
        let (low, middle, high) = (at(0), at(rates.len() / 2), at(rates.len().saturating_sub(1)));
        (middle, format!("{middle:.2} ({low:.2} to {high:.2})"))
    };
    let ((before, before_text), (after, after_text)) = (spread(without), spread(with));
    let mut cpu: Vec<f64> = with.iter().map(|run| run.watch_cpu_s).collect();
    cpu.sort_by(f64::total_cmp);
    let cpu = cpu.get(cpu.len() / 2).copied().unwrap_or_default();
    println!("{name:<16} {before_text:>26} {after_text:>26} {:>6.2} {cpu:>12.2}", after / before);
}

fn measure(lab: &Lab, load: Load, seconds: u64, watch: Option<u32>) -> Result<Measured> {
    let before = watch.map_or(0.0, cpu_s);
    let kind = match load {
        Load::Connections => "connections",
        Load::Bulk => "bulk",
    };
    let mut docker = lab.engine.docker();
    docker.args(["run", "--rm", IMAGE, "/opt/load", "load", FAR_END_V4, kind]);
    docker.arg(seconds.to_string());
    let rate = run::output_of(&mut docker)?.parse().context("the load's rate")?;
    Ok(Measured { rate, watch_cpu_s: watch.map_or(0.0, cpu_s) - before })
}

/// User and system seconds of a process so far (proc(5), utime and stime).
fn cpu_s(pid: u32) -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}

/// A watch that alerts on nothing here; its figures are what is wanted.
struct Watch(Child, PathBuf);

impl Watch {
    fn start(lab: &Lab) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("twlab-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let errors = fs::File::create(folder.join("errors"))?;
        let mut command = Command::new(crate::program());
        command.args(["watch", "--format", "ndjson", "--store"]).arg(folder.join("store"));
        command.env("DOCKER_HOST", &lab.engine.host);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let this = Self(command.spawn().context("starting tidewaiter watch")?, folder);
        let began = Instant::now();
        while !this.errors().contains("watching") {
            if began.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
                bail!("tidewaiter watch did not say that it watches: {}", this.errors());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(this)
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.1.join("errors")).unwrap_or_default()
    }

    fn stop(mut self) -> Result<String> {
        run::must(&format!("kill -INT {}", self.0.id()))?;
        self.0.wait()?;
        Ok(self.errors().lines().last().unwrap_or_default().to_owned())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
        fs::remove_dir_all(&self.1).ok();
    }
}

/// The far end's process.
struct Sink(Child);

impl Sink {
    fn start() -> Result<Self> {
        let mut command = run::command(&format!("ip netns exec {NAMESPACE}"));
        command.arg(std::env::current_exe()?).arg("load-sink").stdin(Stdio::null());
        command.stdout(Stdio::piped());
        let mut child = command.spawn().context("starting the far end")?;
        let mut ready = [0; 1];
        child.stdout.as_mut().context("its output")?.read_exact(&mut ready)?;
        Ok(Self(child))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The kernel's patience with connections that ended, as it was before.
struct Forgetful(Option<String>);

impl Forgetful {
    fn set() -> Self {
        let before = fs::read_to_string(FORGET).ok();
        fs::write(FORGET, "1").ok();
        Self(before)
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            fs::write(FORGET, before.trim()).ok();
        }
    }
}

/// The far end: answers short connections and swallows bulk.
pub(crate) fn sink() -> Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", PORT))?;
    print!("!");
    std::io::stdout().flush()?;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut first = [0];
        if stream.read_exact(&mut first).is_err() {
            continue;
        }
        if first == [BULK] {
            thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()).ok());
        } else {
            // It closes first, so that the client's ports are free again at once.
            stream.write_all(&first).ok();
        }
    }
    Ok(())
}

/// The container's side: prints its rate.
pub(crate) fn load(far: &str, load: Load, seconds: u64) -> Result<()> {
    let far: SocketAddr = format!("{far}:{PORT}").parse()?;
    let (began, span) = (Instant::now(), Duration::from_secs(seconds));
    let mut amount = 0.0;
    match load {
        Load::Connections => {
            while began.elapsed() < span {
                let mut stream = TcpStream::connect(far)?;
                stream.write_all(&[SHORT])?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer)?;
                amount += 1.0;
            }
        }
        Load::Bulk => {
            let (mut stream, block) = (TcpStream::connect(far)?, vec![0; 1 << 17]);
            stream.write_all(&[BULK])?;
            while began.elapsed() < span {
                stream.write_all(&block)?;
                amount += 8.0 * block.len() as f64;
            }
        }
    }
    println!("{}", amount / began.elapsed().as_secs_f64());
    Ok(())
}
