//! Ordinary container traffic: HTTP, DNS, Redis, PostgreSQL, a package download, an image build.
//! Nothing of it may reach Medium.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::watch::Watch;
use crate::lab::{FAR_END_V4, Lab, NAMESPACE};
use crate::run;

/// People and pipelines start things now and then: what comes again as by a clock is a beacon's
/// habit, and is rightly asked about. Drawn once from an exponential distribution of six seconds.
const PAUSES: [Duration; 16] = [
    Duration::from_millis(900),
    Duration::from_millis(14_200),
    Duration::from_millis(3_100),
    Duration::from_millis(300),
    Duration::from_millis(7_700),
    Duration::from_millis(1_800),
    Duration::from_millis(21_500),
    Duration::from_millis(600),
    Duration::from_millis(4_400),
    Duration::from_millis(100),
    Duration::from_millis(10_300),
    Duration::from_millis(2_600),
    Duration::from_millis(5_900),
    Duration::from_millis(400),
    Duration::from_millis(17_000),
    Duration::from_millis(1_300),
];
const SEVERITY_MEDIUM: u64 = 3;
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

pub(super) fn run(lab: &Lab, seconds: u64) -> Result<()> {
    // The package download below needs lists of what there is.
    run::must("apt-get update -qq")?;
    if !PathBuf::from(POSTGRES).join("postgres").exists() {
        run::must_command(
            run::command("apt-get install -y -qq --no-install-recommends postgresql-15")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .env("RUNLEVEL", "1")
                .stdout(Stdio::null()),
        )?;
    }
    let _database = Database::start()?;
    let watch = Watch::start(lab, None)?;
    services(lab)?;
    let began = Instant::now();
    let mut rounds = 0;
    let mut pauses = PAUSES.iter().copied().cycle();
    while began.elapsed() < Duration::from_secs(seconds) {
        round(lab).with_context(|| format!("ordinary traffic, round {rounds}"))?;
        rounds += 1;
        thread::sleep(pauses.next().unwrap_or_default());
    }
    thread::sleep(Duration::from_secs(6));
    let loud: Vec<_> =
        watch.all().into_iter().filter(|said| said.severity >= SEVERITY_MEDIUM).collect();
    let all = watch.all().len();
    println!("{}", watch.stop()?);
    println!(
        "{rounds} rounds of ordinary traffic in {} s: {} alerts at Medium or above, {all} in all",
        began.elapsed().as_secs(),
        loud.len()
    );
    for said in &loud {
        println!("    {}", said.finding);
    }
    if !loud.is_empty() {
        bail!("ordinary traffic was accused");
    }
    Ok(())
}

fn services(lab: &Lab) -> Result<()> {
    for line in [
        "run -d --name cache --network twlab6 twlab/tools redis-server --bind 0.0.0.0 \
         --protected-mode no",
        "run -d --name web --network twlab6 alpine httpd -f -p 8080 -h /bin",
    ] {
        lab.engine.docker_output(line)?;
    }
    let mut poller = lab.engine.docker();
    poller.args(["run", "-d", "--name", "poller", "--restart", "always", "--network", "twlab6"]);
    poller.args(["-e", "BACKEND_URL=http://web:8080/", "alpine", "sh", "-c"]);
    poller.arg("while sleep 3; do wget -q -O /dev/null $BACKEND_URL/busybox; done");
    run::output_of(&mut poller)?;
    Ok(())
}

/// Everything once.
fn round(lab: &Lab) -> Result<()> {
    for line in [
        "run --rm --network twlab6 alpine wget -q -O /dev/null http://web:8080/busybox",
        "run --rm --network twlab6 alpine wget -q -O /dev/null http://web:8080/busybox",
        "run --rm alpine nslookup c2.example.com",
        "run --rm --network twlab6 twlab/tools redis-cli -h cache set a 1",
        "run --rm --network twlab6 twlab/tools redis-cli -h cache info",
    ] {
        lab.engine.docker_output(line)?;
    }
    let mut bench = lab.engine.docker();
    bench.args(["run", "--rm", "-v", "/:/host:ro", "-e", "PGPASSWORD=lab", "alpine", "chroot"]);
    bench.args(["/host", &format!("{POSTGRES}/pgbench"), "-n", "-c", "2", "-t", "20", "-S"]);
    bench.args(["-h", FAR_END_V4, "-U", "postgres", "postgres"]);
    run::output_of(&mut bench)?;
    let mut download = lab.engine.docker();
    download.args(["run", "--rm", "-v", "/:/host", "-w", "/", "alpine", "chroot", "/host"]);
    download.args(["sh", "-c", "cd /tmp && apt-get download -qq hello && rm -f hello_*.deb"]);
    // A mirror may be slow; that is nobody's verdict.
    run::output_of(&mut download).or_else(|_| run::output_of(&mut download))?;
    image_build(lab)
}

fn image_build(lab: &Lab) -> Result<()> {
    let folder = std::env::temp_dir().join("twlab-build");
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join("Dockerfile"),
        "FROM alpine\nRUN wget -q -O /x http://web:8080/busybox\nRUN nslookup c2.example.com\n",
    )?;
    let mut build = lab.engine.docker();
    build.args(["build", "-q", "--no-cache", "--network", "twlab6"]).arg(&folder);
    build.env("DOCKER_BUILDKIT", "0");
    let id = run::output_of(&mut build)?;
    lab.engine.docker_output(&format!("rmi {id}"))?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// A PostgreSQL server in the outside world.
struct Database {
    server: Child,
    folder: PathBuf,
}

impl Database {
    fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("twlab-postgres-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        run::output(&format!("chown postgres {}", folder.display()))?;
        run::output(&format!(
            "runuser -u postgres -- {POSTGRES}/initdb -A trust -D {}/data",
            folder.display()
        ))?;
        fs::write(folder.join("data/pg_hba.conf"), "host all all 0.0.0.0/0 trust\n")?;
        let server = Command::new("ip")
            .args(["netns", "exec", NAMESPACE])
            // Each of these becomes the next, so that our child is the server itself.
            .args(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(format!("{POSTGRES}/postgres"))
            .args(["-h", FAR_END_V4, "-k", "", "-D"])
            .arg(folder.join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting postgres")?;
        let this = Self { server, folder };
        for _ in 0..100 {
            let ready = format!("ip netns exec {NAMESPACE} {POSTGRES}/pg_isready -h {FAR_END_V4}");
            if run::succeeds(&ready) {
                run::output(&format!(
                    "ip netns exec {NAMESPACE} {POSTGRES}/pgbench -i -q \
                     -h {FAR_END_V4} -U postgres postgres"
                ))?;
                return Ok(this);
            }
            thread::sleep(Duration::from_millis(100));
        }
        bail!("postgres did not start")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown.
        run::succeeds(&format!("kill -INT {}", self.server.id()));
        self.server.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}
