//! What `validate` says: a table for people, or one JSON object.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::command::{Documented, Placement, Reading, RunCommand};
use super::destinations::Destinations;
use super::document::Found;
use super::run::{Ended, Ran};
use crate::sinks::{defanged, defanged_address, escaped, escaped_whole};

/// Everything about one validation.
pub(crate) struct Report<'a> {
    /// The document's file.
    pub(crate) path: &'a str,
    /// What it holds.
    pub(crate) found: &'a Found,
    /// Its commands as they were understood.
    pub(crate) documented: &'a [Documented],
    /// What was run; `None` when nothing was to be.
    pub(crate) ran: Option<&'a [Ran]>,
}

impl Report<'_> {
    /// How many commands alerted at Medium or above.
    pub(crate) fn passed_count(&self) -> usize {
        self.ran.unwrap_or_default().iter().filter(|ran| ran.passed()).count()
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let headings: Vec<_> = self.found.headings.iter().map(|title| escaped(title)).collect();
        let _ = writeln!(out, "{}: {}", escaped(self.path), headings.join(", "));
        for documented in self.documented {
            let _ = writeln!(out, "\nline {}  {}", documented.line, escaped(&documented.text));
            match &documented.reading {
                Reading::Refused(why) => row(&mut out, "refused", &escaped_whole(why)),
                Reading::Run(command) => self.command_rows(&mut out, documented.line, command),
            }
        }
        for block in &self.found.other_blocks {
            let _ = writeln!(out, "\n{}: not read, its language is no shell", escaped(block));
        }
        if self.found.left_out_count > 0 {
            let _ = writeln!(out, "\n{} more lines were not read", self.found.left_out_count);
        }
        let _ = write!(out, "\n{}", self.last_line());
        out
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let commands: Vec<_> = self.documented.iter().map(|one| self.command_json(one)).collect();
        json!({
            "document": self.path,
            "headings": self.found.headings,
            "commands": commands,
            "other_blocks": self.found.other_blocks,
            "left_out_count": self.found.left_out_count,
            "command_count": self.documented.len(),
            "passed_count": self.ran.map(|_| self.passed_count()),
        })
    }

    fn last_line(&self) -> String {
        let count = self.documented.len();
        if self.ran.is_none() {
            let runnable = |one: &&Documented| matches!(one.reading, Reading::Run(_));
            let runnable = self.documented.iter().filter(runnable).count();
            return format!(
                "{count} commands found, {runnable} can be run; nothing was run. --run runs them."
            );
        }
        format!(
            "{} of {count} commands alerted at Medium or above; what was made has been removed.",
            self.passed_count()
        )
    }

    fn command_rows(&self, out: &mut String, line: usize, command: &RunCommand) {
        for left_out in &command.left_out {
            row(out, "left out", left_out);
        }
        let mut to = Destinations::default();
        to.add(command);
        match command.network {
            Placement::Isolated => row(out, "far end", &far_end(&to)),
            Placement::Documented => row(out, "warning", "it is not in the isolated network"),
        }
        if !to.addresses.is_empty() {
            let addresses: Vec<_> = to.addresses.iter().map(|one| defanged_address(*one)).collect();
            row(out, "warning", &format!("nothing leads to {} there", addresses.join(", ")));
        }
        match self.ran_at(line) {
            None => row(out, "added", "--network, --dns, --name, --label, --cidfile, --pull=never"),
            Some(ran) => ran_rows(out, ran),
        }
    }

    fn ran_at(&self, line: usize) -> Option<&Ran> {
        self.ran?.iter().find(|ran| ran.line == line)
    }

    fn command_json(&self, documented: &Documented) -> Value {
        let mut value = json!({ "line": documented.line, "text": documented.text });
        let Some(object) = value.as_object_mut() else { return value };
        match &documented.reading {
            Reading::Refused(why) => {
                object.insert("refused".into(), json!(why));
            }
            Reading::Run(command) => {
                object.insert("left_out".into(), json!(command.left_out));
            }
        }
        if let Some(ran) = self.ran_at(documented.line) {
            object.insert("ran".into(), ran_json(ran));
        }
        value
    }
}

fn row(out: &mut String, title: &str, text: &str) {
    let _ = writeln!(out, "  {title:<9} {text}");
}

fn far_end(to: &Destinations) -> String {
    if to.names.is_empty() && to.ports.is_empty() {
        return "the command names no destination; nothing will answer it".to_owned();
    }
    let list = |items: BTreeSet<String>| items.into_iter().collect::<Vec<_>>().join(", ");
    let names = list(to.names.iter().map(|name| defanged(name)).collect());
    let ports = to.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    format!("answers {names}; speaks on port {ports} (tcp and udp)")
}

fn ran_rows(out: &mut String, ran: &Ran) {
    row(out, "added", &ran.added.iter().map(|word| escaped(word)).collect::<Vec<_>>().join(" "));
    let container = ran.container.get(..12).unwrap_or("none");
    let ended = format!("{} after {:.1} s; container {container}", ended(&ran.ended), ran.seconds);
    row(out, "ran", &ended);
    let asked: Vec<_> = ran.reached.asked.iter().map(|name| defanged(name)).collect();
    let reached = format!(
        "{} connections, {} datagrams; names asked: {}",
        ran.reached.connection_count,
        ran.reached.datagram_count,
        if asked.is_empty() { "none".to_owned() } else { asked.join(", ") }
    );
    row(out, "reached", &reached);
    match &ran.alert {
        Some(came) => {
            let title = if ran.passed() { "ALERT" } else { "too low" };
            let (level, seconds) = (came.level.name(), came.seconds);
            let (strategy, id) = (escaped(&came.strategy), escaped(&came.id));
            row(out, title, &format!("{level} by {strategy} after {seconds:.1} s  {id}"));
        }
        None => row(out, "NO ALERT", "none came for this container"),
    }
}

fn ended(ended: &Ended) -> String {
    match ended {
        Ended::Exit(code) => format!("exit {code}"),
        Ended::Client(said) => format!("the client failed: {}", escaped(said)),
        Ended::NoProgram(said) => format!("the image has no such program: {}", escaped(said)),
        Ended::ByUs => "ended here".to_owned(),
    }
}

fn ran_json(ran: &Ran) -> Value {
    json!({
        "added": ran.added,
        "container": ran.container,
        "ended": ended(&ran.ended),
        "exit_code": match ran.ended { Ended::Exit(code) => Some(code), _ => None },
        "seconds": ran.seconds,
        "reached": {
            "names": ran.reached.asked,
            "connection_count": ran.reached.connection_count,
            "datagram_count": ran.reached.datagram_count,
        },
        "passed": ran.passed(),
        "alert": ran.alert.as_ref().map(|came| json!({
            "id": came.id,
            "level": came.level.name(),
            "strategy": came.strategy,
            "seconds": came.seconds,
        })),
    })
}
