//! What to do next: only commands that exist, with this case's real ids in them.

use std::iter;
use std::path::{self, Path, PathBuf};

use engine::{Alert, Level, PeerRole};

use super::escape::{escaped, shell_word};
use super::table::is_gone;

/// How the commands of this run must be written so that they find the same store.
#[derive(Clone, Debug, Default)]
pub(crate) enum Commands {
    /// The default store needs no words.
    #[default]
    Default,
    /// The store that was chosen on the command line.
    In(PathBuf),
    /// Nothing was kept, so no command finds it.
    Nowhere,
}

/// One next step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// A command line with its words quoted, or what a person should do.
    pub(crate) text: String,
    /// What it answers.
    pub(crate) why: String,
}

/// The steps for this alert, in the order in which they are done.
pub(crate) fn next_steps(alert: &Alert, commands: &Commands) -> Vec<Step> {
    if matches!(commands, Commands::Nowhere) {
        return iter::once(keep_it()).chain(person_to_ask(alert)).collect();
    }
    let id = short_id(alert);
    let mut steps =
        vec![commands.step(&["explain", &id], "each reason, and the strategy's own document")];
    if alert.subjects.iter().any(|subject| subject.container.is_some()) {
        steps.push(commands.step(&["respond", &id], "what would be done (a plan, nothing acts)"));
        steps.push(commands.step(&["evidence", "show", &id], "what was preserved, once it was"));
    }
    if let Some(endpoint) = alert.peer.endpoint {
        let address = endpoint.address.to_string();
        let why = match alert.peer.role {
            PeerRole::Called => "who else went there?",
            PeerRole::Caller => "whom else did it have to do with?",
        };
        steps.push(commands.step(&["alerts", "--peer", &address], why));
    } else if let Some(name) = alert.peer.names.first() {
        steps.push(commands.step(&["alerts", "--peer", &name.name], "who else asked for it?"));
    }
    steps.extend(person_to_ask(alert));
    if alert.level >= Level::Low {
        let close =
            ["alerts", "close", &id, "--verdict", "benign", "--note", "why it is permitted"];
        steps.push(commands.step(&close, "or true-positive, false-positive: record the verdict"));
    }
    if alert.level >= Level::Low && alert.peer.endpoint.is_some() {
        let suppress = ["suppress", &id, "--reason", "why it is permitted"];
        steps.push(commands.step(&suppress, "what hiding its like for two weeks would hide"));
    }
    steps
}

/// A run without a store is over with its output.
fn keep_it() -> Step {
    let text = "the same scan with --store DIR keeps its alerts".to_owned();
    Step { text, why: "to explain, answer, suppress and close them".to_owned() }
}

/// When the container is gone, what is left is whoever started it, and the image.
fn person_to_ask(alert: &Alert) -> Option<Step> {
    let subject = alert.subjects.first()?;
    let container = subject.container.as_ref().filter(|container| is_gone(container))?;
    let asked = match subject.started_by.as_ref().and_then(|actor| actor.uid) {
        Some(uid) => format!("ask the user with uid {uid}"),
        None => "ask who started it".to_owned(),
    };
    let text = format!("the container is gone: {asked}");
    Some(Step { text, why: format!("and look at the image {}", escaped(&container.image)) })
}

/// How much of an id is shown: long enough to be unambiguous among a million alerts.
pub(crate) fn short_id(alert: &Alert) -> String {
    const SHOWN_CHARS: usize = 10;
    alert.id.to_string().chars().take(SHOWN_CHARS).collect()
}

impl Commands {
    /// For the store in this folder; they work from any other.
    pub(crate) fn of(folder: &Path) -> Self {
        Self::In(path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf()))
    }

    fn step(&self, words: &[&str], why: &str) -> Step {
        let mut words: Vec<String> =
            iter::once(&"tidewaiter").chain(words).map(ToString::to_string).collect();
        if let Self::In(store) = self {
            words.extend(["--store".to_owned(), store.display().to_string()]);
        }
        let quoted: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
        Step { text: quoted.join(" "), why: why.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::sample::alert_named;
    use super::*;

    #[test]
    fn every_command_is_one_that_we_have() {
        let commands = Commands::In(PathBuf::from("/tmp/a store/x"));
        let mut without_address = alert_named("c2.example.com");
        without_address.peer.endpoint = None;
        for alert in [alert_named("c2.example.com"), without_address, alert_named("$(id); x")] {
            let steps = next_steps(&alert, &commands);
            let lines = steps.iter().filter(|step| step.text.starts_with("tidewaiter "));
            for line in lines {
                let words = shlex::split(&line.text).unwrap();
                let parsed = crate::commands::Arguments::try_parse_from(&words);
                assert!(parsed.is_ok(), "{}: {}", line.text, parsed.unwrap_err());
            }
        }
    }
}
