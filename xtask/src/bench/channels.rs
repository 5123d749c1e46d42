//! A simulated day of Zeek's `conn.log`, judged, beside a bare parse of the same file; and ten
//! days, which may take no more memory than one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::{ROUNDS, measure, median};
use crate::{program, run};

/// 2026-03-01 in seconds.
const DAY0_S: f64 = 1_772_323_200.0;
const DAY_S: f64 = 86_400.0;
const CONTAINER_COUNT: u32 = 150;
/// Nobody else has this one.
const BEACON_PORT: u16 = 8443;
const DAY_COUNT: u32 = 10;
/// Ten days may take so much more memory than one: allocators do not give all back at once.
const MEMORY_RATIO_MAX: f64 = 1.1;

/// What is to be measured.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// About how large the log of one day is, in megabytes.
    #[arg(long, default_value_t = 200)]
    megabytes: u32,
    /// Takes the release build that is there, whatever it was built from.
    #[arg(long)]
    pub(super) no_build: bool,
    /// Where the logs are made; removed in the end.
    #[arg(long, default_value = "/tmp/tidewaiter-bench-channels")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    run::must("cargo build --quiet --release --package formats --example parse")?;
    fs::create_dir_all(&arguments.folder)?;
    let told = compare(arguments);
    fs::remove_dir_all(&arguments.folder)?;
    told
}

fn compare(arguments: &Arguments) -> Result<()> {
    let folder = &arguments.folder;
    let containers = folder.join("containers.json");
    fs::write(&containers, inspected())?;
    let day = folder.join("conn.log");
    let row_count = simulate(&day, arguments.megabytes, 1)?;
    let bytes = fs::metadata(&day)?.len();
    println!("one day: {row_count} connections, {} MB", bytes / 1_000_000);
    let program = program();
    let parse = program.with_file_name("examples").join("parse");
    let (program, parse) = (program.display(), parse.display());
    let scan = |logs: &Path, store: &str| {
        let (containers, logs) = (containers.display(), logs.display());
        let store = folder.join(store);
        format!(
            "{program} scan --format ndjson --store {} --containers {containers} {logs}",
            store.display()
        )
    };
    let commands = [
        ("sonic-rs DOM", format!("{parse} dom {}", day.display())),
        ("serde_json typed", format!("{parse} typed {}", day.display())),
        ("tidewaiter scan", scan(&day, "store")),
    ];
    let mut costs = vec![Vec::new(); commands.len()];
    for _ in 0..ROUNDS {
        for ((_, line), costs) in commands.iter().zip(&mut costs) {
            costs.push(measure(line)?);
        }
    }
    println!(
        "{:<18} {:>8} {:>14} {:>8} {:>12}",
        "command", "CPU s", "MB/s per core", "peak MB", "x DOM"
    );
    let medians: Vec<_> = costs.iter_mut().map(|costs| median(costs)).collect();
    let dom_s = medians.first().map_or(1.0, |cost| cost.cpu_s);
    for ((name, _), cost) in commands.iter().zip(&medians) {
        println!(
            "{name:<18} {:>8.2} {:>14.0} {:>8.0} {:>12.2}",
            cost.cpu_s,
            bytes as f64 / 1e6 / cost.cpu_s,
            cost.peak_mb,
            dom_s / cost.cpu_s
        );
    }
    let one = medians.last().context("no measurement")?;
    let days = folder.join("ten-days.log");
    simulate(&days, arguments.megabytes, DAY_COUNT)?;
    let ten = measure(&scan(&days, "store-of-ten"))?;
    println!(
        "{DAY_COUNT} days: {:.0} MB/s per core, peak {:.0} MB beside {:.0} MB of one day",
        fs::metadata(&days)?.len() as f64 / 1e6 / ten.cpu_s,
        ten.peak_mb,
        one.peak_mb
    );
    if ten.peak_mb > one.peak_mb * MEMORY_RATIO_MAX {
        bail!("memory follows the input: {DAY_COUNT} days take more than one");
    }
    Ok(())
}

/// Makes such a day in a folder: `conn.log` and `containers.json`. Gives each pair of addresses
/// that speak, and whether it is a beacon.
pub(crate) fn simulate_into(
    folder: &Path,
    megabytes: u32,
) -> Result<Vec<((String, String), bool)>> {
    fs::write(folder.join("containers.json"), inspected())?;
    simulate(&folder.join("conn.log"), megabytes, 1)?;
    let habits = habits(&mut Dice(7), 1.0);
    let pairs = habits.iter().map(|habit| {
        let [a, b, c, d] = habit.far;
        let pair = (address(habit.container), format!("{a}.{b}.{c}.{d}"));
        (pair, habit.port == BEACON_PORT)
    });
    Ok(pairs.collect())
}

fn address(container: u32) -> String {
    format!("172.18.{}.{}", 1 + container / 200, 2 + container % 200)
}

/// A generator with a fixed seed: the same day in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 29)
    }

    fn part(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound.max(1))) as u32
    }
}

/// Whom a container calls, and how.
struct Habit {
    container: u32,
    far: [u8; 4],
    port: u16,
    service: &'static str,
    /// The mean wait in seconds and how much of it is a timer's; 0 is memoryless.
    wait_s: f64,
    timer: f64,
    next_s: f64,
    sent: u32,
    received: u32,
}

/// A collector, a clock, a database, some services of the workload and of its own, and in one of
/// twelve a beacon.
fn habits(dice: &mut Dice, scale: f64) -> Vec<Habit> {
    let mut all = Vec::new();
    for container in 0..CONTAINER_COUNT {
        let workload = (container % 10) as u8;
        let low = (container % 250) as u8;
        let mut add = |far, port, service, wait_s: f64, timer, (sent, received)| {
            let wait_s = wait_s / scale;
            let next_s = wait_s * dice.part();
            let habit =
                Habit { container, far, port, service, wait_s, timer, next_s, sent, received };
            all.push(habit);
        };
        add([10, 9, 0, 9], 4317, "ssl", 30.0, 0.9, (1800, 240));
        add([192, 0, 2, 123], 123, "ntp", 512.0, 0.95, (48, 48));
        add([10, 9, 0, 20], 5432, "postgresql", 40.0, 0.0, (900, 4000));
        add([203, 0, 113, workload], 443, "ssl", 60.0, 0.0, (800, 5000));
        for (own, wait_s) in (100..).zip([45.0, 90.0, 300.0, 900.0, 2400.0, 7200.0]) {
            add([198, 51, own, low], 443, "ssl", wait_s, 0.0, (700, 3000));
        }
        if container % 12 == 5 {
            add([198, 51, 99, low], BEACON_PORT, "ssl", 60.0, 0.7, (418, 220));
        }
    }
    all
}

/// Writes the log, in the order in which connections begin. Gives the number of its rows.
fn simulate(path: &Path, megabytes: u32, days: u32) -> Result<u64> {
    const ROW_BYTES: f64 = 395.0;
    let mut dice = Dice(7);
    let a_day: f64 = habits(&mut dice, 1.0).iter().map(|habit| DAY_S / habit.wait_s).sum();
    let scale = f64::from(megabytes) * 1e6 / ROW_BYTES / a_day;
    let mut dice = Dice(7);
    let habits = &mut habits(&mut dice, scale);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let firsts = habits.iter().enumerate();
    let mut queue: BinaryHeap<_> =
        firsts.map(|(place, habit)| Reverse((micros(habit.next_s), place))).collect();
    let (end, mut row_count, mut row) = (DAY_S * f64::from(days), 0, String::new());
    while let Some(Reverse((_, place))) = queue.pop() {
        let Some(habit) = habits.get_mut(place).filter(|habit| habit.next_s < end) else {
            continue;
        };
        row.clear();
        write_row(&mut row, habit, row_count, &mut dice)?;
        out.write_all(row.as_bytes())?;
        row_count += 1;
        let wait = if habit.timer > 0.0 {
            habit.timer + (1.0 - habit.timer) * 2.0 * dice.part()
        } else {
            -dice.part().ln()
        };
        habit.next_s += habit.wait_s * wait;
        queue.push(Reverse((micros(habit.next_s), place)));
    }
    out.flush()?;
    Ok(row_count)
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// A row as Zeek writes it, with all members that it has by default.
fn write_row(row: &mut String, habit: &Habit, number: u64, dice: &mut Dice) -> Result<()> {
    let [a, b, c, d] = habit.far;
    let sent = habit.sent + dice.below(habit.sent / 20);
    let received = habit.received + dice.below(habit.received / 5);
    let (orig_packets, resp_packets) = (4 + sent / 1400, 4 + received / 1400);
    let ts = DAY0_S + habit.next_s;
    let near = address(habit.container);
    let transport = if habit.service == "ntp" { "udp" } else { "tcp" };
    writeln!(
        row,
        "{{\"ts\":{ts:.6},\"uid\":\"C{number:x}\",\"id.orig_h\":\"{near}\",\
         \"id.orig_p\":{},\"id.resp_h\":\"{a}.{b}.{c}.{d}\",\"id.resp_p\":{},\
         \"proto\":\"{transport}\",\"service\":\"{}\",\"duration\":{:.6},\"orig_bytes\":{sent},\
         \"resp_bytes\":{received},\"conn_state\":\"SF\",\"local_orig\":true,\
         \"local_resp\":false,\"missed_bytes\":0,\"history\":\"ShADadFf\",\
         \"orig_pkts\":{orig_packets},\"orig_ip_bytes\":{},\"resp_pkts\":{resp_packets},\
         \"resp_ip_bytes\":{}}}",
        20_000 + dice.below(40_000),
        habit.port,
        habit.service,
        0.01 + dice.part() * 0.3,
        sent + orig_packets * 40,
        received + resp_packets * 40,
    )?;
    Ok(())
}

/// The containers as `docker inspect` prints them.
fn inspected() -> String {
    let one = |container: u32| {
        let workload = container % 10;
        serde_json::json!({
            "Id": format!("{:064x}", u64::from(container) + 1),
            "Name": format!("/app{workload}-{container}"),
            "Created": "2026-02-01T00:00:00Z",
            "State": { "Status": "running", "Running": true, "Pid": 4000 + container,
                       "StartedAt": "2026-02-01T00:00:00Z" },
            "Image": format!("sha256:{:064x}", u64::from(workload) + 1),
            "Config": { "Image": format!("shop/app{workload}:1"), "Labels": {},
                        "Env": ["PATH=/bin"], "Cmd": null, "Entrypoint": ["/app"] },
            "HostConfig": { "NetworkMode": "shop", "Privileged": false },
            "NetworkSettings": { "Networks": { "shop": {
                "IPAddress": address(container), "Gateway": "172.18.0.1" } } }
        })
    };
    serde_json::Value::from((0..CONTAINER_COUNT).map(one).collect::<Vec<_>>()).to_string()
}
