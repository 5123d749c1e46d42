//! Parses a log of JSON lines and does nothing with it: what `cargo xtask bench channels` holds
//! the program against. `parse dom FILE` makes a tree of each line with sonic-rs, `parse typed
//! FILE` the members of a connection with serde_json.

use std::io::BufRead as _;
use std::process::ExitCode;

use serde::Deserialize;

/// The members of `conn.log` that every reader wants.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Conn {
    ts: f64,
    uid: String,
    #[serde(rename = "id.orig_h")]
    orig_h: String,
    #[serde(rename = "id.orig_p")]
    orig_p: u16,
    #[serde(rename = "id.resp_h")]
    resp_h: String,
    #[serde(rename = "id.resp_p")]
    resp_p: u16,
    proto: String,
    service: String,
    duration: f64,
    orig_bytes: u64,
    resp_bytes: u64,
    conn_state: String,
    history: String,
    orig_pkts: u64,
    orig_ip_bytes: u64,
    resp_pkts: u64,
    resp_ip_bytes: u64,
}

impl Conn {
    /// Touches every member, so that none is left out.
    fn weight(&self) -> u64 {
        let texts = [&self.uid, &self.orig_h, &self.resp_h, &self.proto, &self.service];
        let text_bytes: usize = texts.iter().map(|text| text.len()).sum();
        let ports = u64::from(self.orig_p) + u64::from(self.resp_p);
        let sizes = self.orig_bytes + self.resp_bytes + self.orig_ip_bytes + self.resp_ip_bytes;
        let rest = self.conn_state.len() + self.history.len();
        let times = (self.ts + self.duration) as u64;
        (text_bytes + rest) as u64 + ports + sizes + times + self.orig_pkts + self.resp_pkts
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [how, path] = arguments.as_slice() else {
        eprintln!("usage: parse dom|typed FILE");
        return ExitCode::FAILURE;
    };
    match run(how, path) {
        Ok(weight) => {
            println!("{weight}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(how: &str, path: &str) -> std::io::Result<u64> {
    let mut reader = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
    let (mut line, mut weight) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(weight);
        }
        let seen = if how == "dom" {
            let tree: sonic_rs::Value = sonic_rs::from_slice(&line)?;
            sonic_rs::JsonContainerTrait::as_object(&tree).map_or(0, |members| members.len() as u64)
        } else {
            let row: Conn = serde_json::from_slice(&line)?;
            row.weight()
        };
        weight = weight.wrapping_add(seen);
    }
}
