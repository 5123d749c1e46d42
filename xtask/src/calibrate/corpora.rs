//! Corpora whose answers are known: our fixtures by the verdicts of `attack.toml`, a simulated day
//! by how it was made, a given folder by its `truth.tsv`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::TermKey;
use crate::bench::channels;
use crate::emulate::answers;
use crate::{program, root};

/// What a pair of subject and far end is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Attack,
    Innocent,
    Unlabelled,
}

/// Subject and far end, as addresses.
pub(super) type Pair = (String, String);

/// What an alert said of a pair.
pub(super) struct Seen {
    pub(super) pair: Pair,
    pub(super) terms: Vec<TermKey>,
}

/// A folder, and what is known about it.
pub(super) struct Corpus {
    pub(super) name: String,
    paths: Vec<PathBuf>,
    containers: Option<PathBuf>,
    truth: BTreeMap<Pair, Label>,
    /// What every pair is that truth does not name.
    others: Label,
    /// A simulation is removed with its corpus.
    scratch: Option<PathBuf>,
}

impl Drop for Corpus {
    fn drop(&mut self) {
        if let Some(scratch) = &self.scratch {
            drop(fs::remove_dir_all(scratch));
        }
    }
}

/// Our fixtures and a simulated day.
pub(super) fn own() -> Result<Vec<Result<Corpus>>> {
    let mut all = Vec::new();
    let folder = root().join("fixtures");
    for strategy in folders(&folder)? {
        let name = last_name(&strategy);
        let answers = answers(&name)?;
        for fixture in folders(&strategy)? {
            let case = last_name(&fixture);
            let is_attack = case == "hit" || answers.get(&case).copied().unwrap_or(false);
            let others = if is_attack { Label::Attack } else { Label::Innocent };
            let truth = fixture.join("truth.tsv");
            let truth = if truth.is_file() { read_truth(&truth)? } else { BTreeMap::new() };
            all.push(Ok(Corpus {
                name: format!("fixtures/{name}/{case}"),
                paths: vec![fixture],
                containers: None,
                truth,
                others,
                scratch: None,
            }));
        }
    }
    all.push(simulated());
    Ok(all)
}

fn simulated() -> Result<Corpus> {
    const MEGABYTES: u32 = 60;
    let folder = std::env::temp_dir().join(format!("tidewaiter-calibrate-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let pairs = channels::simulate_into(&folder, MEGABYTES)?;
    let truth = pairs
        .into_iter()
        .map(|(pair, is_beacon)| (pair, if is_beacon { Label::Attack } else { Label::Innocent }));
    Ok(Corpus {
        name: String::from("a simulated day"),
        paths: vec![folder.join("conn.log")],
        containers: Some(folder.join("containers.json")),
        truth: truth.collect(),
        others: Label::Innocent,
        scratch: Some(folder),
    })
}

impl Corpus {
    /// A file, or a folder whose truth may stand in it.
    pub(super) fn given(folder: &PathBuf, others: Label) -> Result<Self> {
        let name = folder.display().to_string();
        if folder.is_file() {
            let (paths, truth) = (vec![folder.clone()], BTreeMap::new());
            return Ok(Self { name, paths, containers: None, truth, others, scratch: None });
        }
        let truth = folder.join("truth.tsv");
        let truth = if truth.is_file() { read_truth(&truth)? } else { BTreeMap::new() };
        let containers = Some(folder.join("containers.json")).filter(|path| path.is_file());
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)
            .with_context(|| folder.display().to_string())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| Some(path) != containers.as_ref() && last_name(path) != "truth.tsv")
            .collect();
        paths.sort();
        Ok(Self { name, paths, containers, truth, others, scratch: None })
    }

    pub(super) fn label(&self, pair: &Pair) -> Label {
        self.truth.get(pair).copied().unwrap_or(self.others)
    }

    /// Whether truth names this pair.
    pub(super) fn names(&self, pair: &Pair) -> bool {
        self.truth.contains_key(pair)
    }

    pub(super) fn pair_counts(&self) -> BTreeMap<Label, u32> {
        let mut counts = BTreeMap::new();
        self.truth.values().for_each(|label| *counts.entry(*label).or_default() += 1);
        counts
    }

    pub(super) fn summary(&self, told: &[Seen]) -> String {
        let of = |wanted| told.iter().filter(|seen| self.label(&seen.pair) == wanted).count();
        format!(
            "{} alerts about attacks, {} about innocents, {} about others",
            of(Label::Attack),
            of(Label::Innocent),
            of(Label::Unlabelled)
        )
    }

    /// What the built program says of it.
    pub(super) fn judge(&self) -> Result<Vec<Seen>> {
        let store = std::env::temp_dir().join(format!("tidewaiter-store-{}", std::process::id()));
        let mut command = Command::new(program());
        command.args(["scan", "--format", "ndjson", "--store"]).arg(&store);
        if let Some(containers) = &self.containers {
            command.arg("--containers").arg(containers);
        }
        let output = command
            .args(&self.paths)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .context("starting the program")?;
        fs::remove_dir_all(&store)?;
        // Damage in a corpus is said by its own exit code, and no reason to stop.
        if output.stdout.is_empty() && output.status.code() == Some(1) {
            bail!("{}: the program cannot read it", self.name);
        }
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut seen = Vec::new();
        for line in lines {
            seen.extend(read_alert(&serde_json::from_slice(line)?));
        }
        Ok(seen)
    }
}

/// Each subject of an alert with its far end, and the alert's terms.
fn read_alert(alert: &Value) -> Vec<Seen> {
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let list = |pointer: &str| alert.pointer(pointer).and_then(Value::as_array);
    let why = list("/unmapped/tidewaiter/why").into_iter().flatten();
    let terms = why.filter(|term| text(term, "/family") != "prior").map(|term| {
        let points_db = term.get("points_db").and_then(Value::as_i64).unwrap_or_default();
        (text(term, "/strategy"), text(term, "/family"), points_db)
    });
    let terms: Vec<TermKey> = terms.collect();
    let evidences = list("/evidences").into_iter().flatten();
    evidences
        .map(|evidence| {
            let far = text(evidence, "/dst_endpoint/ip");
            let far = if far.is_empty() { text(evidence, "/dst_endpoint/domain") } else { far };
            Seen { pair: (text(evidence, "/src_endpoint/ip"), far), terms: terms.clone() }
        })
        .collect()
}

/// Columns by their names; a pair may have several far ends, with commas between them.
fn read_truth(path: &Path) -> Result<BTreeMap<Pair, Label>> {
    let text = fs::read_to_string(path)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| {
        let place = header.iter().position(|column| *column == name);
        place.with_context(|| format!("{} has no column `{name}`", path.display()))
    };
    let (label, near, far) = (column("label")?, column("ip")?, column("dst")?);
    let mut truth = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |place: usize| fields.get(place).copied().unwrap_or_default();
        let label = match field(label) {
            "beacon" | "attack" => Label::Attack,
            "innocent" => Label::Innocent,
            _ => Label::Unlabelled,
        };
        for far in field(far).split(',') {
            truth.insert((field(near).to_owned(), far.to_owned()), label);
        }
    }
    Ok(truth)
}

fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = fs::read_dir(path)
        .with_context(|| path.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    Ok(all)
}

fn last_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
