//! What to do next: only commands that exist, with this case's real ids in them.

use std::path::PathBuf;

use engine::Alert;

use super::escape::shell_word;

/// How the commands of this run must be written so that they find the same store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commands {
    /// The store that was chosen on the command line.
    pub(crate) store: Option<PathBuf>,
}

/// One next step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Words of a command line, unquoted.
    pub(crate) words: Vec<String>,
    /// What it answers.
    pub(crate) why: &'static str,
}

impl Step {
    /// As a person copies it into a shell.
    pub(crate) fn command_line(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| shell_word(word)).collect();
        words.join(" ")
    }
}

/// The steps for this alert, in the order in which they are done.
pub(crate) fn next_commands(alert: &Alert, commands: &Commands) -> Vec<Step> {
    let id = short_id(alert);
    let mut steps =
        vec![commands.step(&["explain", &id], "each reason, and the strategy's own document")];
    if let Some(endpoint) = alert.peer.endpoint {
        let address = endpoint.address.to_string();
        steps.push(commands.step(&["alerts", "--peer", &address], "who else went there?"));
    } else if let Some(name) = alert.peer.names.first() {
        steps.push(commands.step(&["alerts", "--peer", &name.name], "who else asked for it?"));
    }
    steps.push(commands.step(
        &["alerts", "close", &id, "--verdict", "false-positive", "--note", "why"],
        "when it is understood: the verdict, in your words",
    ));
    steps
}

/// How much of an id is shown: long enough to be unambiguous among a million alerts.
pub(crate) fn short_id(alert: &Alert) -> String {
    const SHOWN_CHARS: usize = 10;
    alert.id.to_string().chars().take(SHOWN_CHARS).collect()
}

impl Commands {
    fn step(&self, words: &[&str], why: &'static str) -> Step {
        let mut words: Vec<String> =
            std::iter::once(&"tidewaiter").chain(words).map(ToString::to_string).collect();
        if let Some(store) = &self.store {
            words.extend(["--store".to_owned(), store.display().to_string()]);
        }
        Step { words, why }
    }
}
