//! One row of an `attack.toml`.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::lab::far_end::{Script, Step, Transport};

/// A strategy's emulation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attack {
    strategy: String,
    /// What the watch is given as threat intelligence: a list, one indicator a line.
    #[serde(default)]
    pub intel: Vec<String>,
    pub case: Vec<Case>,
}

/// See the comment at the top of each `attack.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub name: String,
    pub verdict: Verdict,
    #[serde(default)]
    pub before: Vec<String>,
    #[serde(default)]
    pub run: Vec<String>,
    #[serde(default)]
    pub input: Input,
    pub far_end: Option<FarEndCase>,
    /// How many alerts there have to be, where that matters.
    pub alerts: Option<usize>,
    /// How long it is waited for, where that is longer than for others. Such a case is played only
    /// to be recorded; tests replay the recording.
    pub patience_s: Option<u64>,
    /// How long what has to stay quiet is watched after its commands have ended, where that is
    /// longer than for others: a rhythm is judged late.
    pub settle_s: Option<u64>,
    /// Nothing plays beside it; a comment beside it says why.
    #[serde(default)]
    pub alone: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FarEndCase {
    /// The container in whose network it is, or the `host`; the outside world where absent.
    #[serde(rename = "in")]
    pub inside: Option<String>,
    /// The container, or the address, that it calls; it listens where absent.
    pub calls: Option<String>,
    #[serde(default)]
    transport: Transport,
    pub port: u16,
    steps: Vec<Step>,
}

impl FarEndCase {
    /// Its script; whom it calls is known by his address now.
    pub(super) fn script(&self, calls: Option<IpAddr>) -> Script {
        let (transport, port, steps) = (self.transport, self.port, self.steps.clone());
        Script { transport, port, calls, steps }
    }
}

/// The verdict that a case has to get.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    Info,
    Low,
    Medium,
    High,
    /// Medium or above: how far above depends on what else was known by then.
    Found,
    BelowMedium,
}

impl Verdict {
    /// Whether somebody ought to be accused.
    pub(super) fn is_attack(self) -> bool {
        matches!(self, Self::Medium | Self::High | Self::Found)
    }

    /// Whether it may be judged as soon as one alert has it.
    pub(super) fn ends_early(self) -> bool {
        matches!(self, Self::High | Self::Found)
    }

    /// Whether an OCSF severity (0: no alert at all) is this verdict.
    pub(super) fn accepts(self, severity: u64) -> bool {
        match self {
            Self::Info => severity == 1,
            Self::Low => severity == 2,
            Self::Medium => severity == 3,
            Self::High => severity >= 4,
            Self::Found => severity >= 3,
            Self::BelowMedium => severity <= 2,
        }
    }
}

/// What the container's standard input gets.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(super) enum Input {
    #[default]
    Closed,
    Held,
    /// Lines are sent back for whatever arrives.
    Answer,
    /// These lines, one after the other.
    Lines(Vec<String>),
    /// These bytes at once.
    Raw(String),
}

impl TryFrom<String> for Input {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(": ") {
            Some(("lines", lines)) => {
                Ok(Self::Lines(lines.split('|').map(str::to_owned).collect()))
            }
            Some(("raw", bytes)) => Ok(Self::Raw(bytes.to_owned())),
            _ => match text.as_str() {
                "closed" => Ok(Self::Closed),
                "held" => Ok(Self::Held),
                "answer" => Ok(Self::Answer),
                _ => Err(format!("unknown input `{text}`")),
            },
        }
    }
}

impl Attack {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let attack: Self =
            toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        let folder = path.parent().and_then(Path::file_name);
        if folder.is_none_or(|name| name != attack.strategy.as_str()) {
            bail!("{} speaks of the strategy {}", path.display(), attack.strategy);
        }
        Ok(attack)
    }
}

impl Case {
    /// Its name as a folder's name.
    pub(super) fn folder_name(&self) -> String {
        let mut name: String = self
            .name
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        name.make_ascii_lowercase();
        name
    }
}
