//! A documented command, read: what would be run, what is left out of it, or why it is refused.

use super::document::Snippet;
use super::options::{Handling, KnownOption, Takes, lettered, named};
use super::words;

/// The client programs that are run, and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// `docker`
    Docker,
    /// `podman`
    Podman,
}

impl Program {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// Whether options that reach out of the container may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Danger {
    /// They are refused.
    Refused,
    /// The user said that they may.
    Allowed,
}

/// One documented line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Documented {
    /// Its line in the document.
    pub(crate) line: usize,
    /// As it stands there.
    pub(crate) text: String,
    /// What it was understood as.
    pub(crate) reading: Reading,
}

/// What it was understood as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A container that can be run here.
    Run(RunCommand),
    /// It is not run, for this reason.
    Refused(String),
}

/// A `docker run`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunCommand {
    /// Who runs it.
    pub(crate) program: Program,
    /// Its options that stay, as they are written again.
    pub(crate) options: Vec<String>,
    /// What was left out, and why.
    pub(crate) left_out: Vec<String>,
    /// The name that the document gives it.
    pub(crate) name: Option<String>,
    /// Which network it gets.
    pub(crate) network: Placement,
    /// Whether its standard input is kept open.
    pub(crate) stdin: Stdin,
    /// The image.
    pub(crate) image: String,
    /// What is run in it.
    pub(crate) arguments: Vec<String>,
}

/// Which network it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Ours.
    Isolated,
    /// The one that the document names; only where dangerous options are allowed.
    Documented,
}

/// Whether `-i` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// It reads the end of its input at once.
    Closed,
    /// It waits for input that does not come.
    Open,
}

/// Reads one line of a document.
pub(crate) fn read(snippet: Snippet, danger: Danger) -> Documented {
    let reading = match understand(&snippet.text, danger) {
        Ok(command) => Reading::Run(command),
        Err(why) => Reading::Refused(why),
    };
    Documented { line: snippet.line, text: snippet.text, reading }
}

fn understand(text: &str, danger: Danger) -> Result<RunCommand, String> {
    let words = words::split(text)?;
    let mut words = words.iter().map(String::as_str).peekable();
    let mut left_out = Vec::new();
    if words.next_if_eq(&"sudo").is_some() {
        left_out.push("sudo: tidewaiter runs it with its own rights".to_owned());
    }
    let program = match words.next() {
        Some("docker") => Program::Docker,
        Some("podman") => Program::Podman,
        Some(other) => {
            return Err(format!("only docker and podman are run, not `{}`", other.escape_debug()));
        }
        None => return Err("it is empty".into()),
    };
    let _ = words.next_if_eq(&"container");
    match words.next() {
        Some("run") => {}
        Some(option) if option.starts_with('-') => {
            return Err(format!("`{}` could lead to another host", option.escape_debug()));
        }
        _ => return Err(format!("only `{} run` is run here", program.name())),
    }
    let mut command = RunCommand {
        program,
        options: Vec::new(),
        left_out,
        name: None,
        network: Placement::Isolated,
        stdin: Stdin::Closed,
        image: String::new(),
        arguments: Vec::new(),
    };
    while let Some(word) = words.next_if(|word| word.starts_with('-') && *word != "-") {
        if word == "--" {
            break;
        }
        for use_ in option_uses(word, &mut || words.next().map(str::to_owned))? {
            command.option(use_, danger)?;
        }
    }
    command.image = words.next().ok_or("it names no image")?.to_owned();
    command.arguments = words.map(str::to_owned).collect();
    command.without_terminal();
    Ok(command)
}

/// An option as it was used.
struct OptionUse {
    known: &'static KnownOption,
    value: Option<String>,
}

/// One word can hold several letters (`-it`), and its value (`-m64m`) or leave it to the next word.
fn option_uses(
    word: &str,
    next: &mut dyn FnMut() -> Option<String>,
) -> Result<Vec<OptionUse>, String> {
    let unknown = || format!("`{}` is no option that is known here", word.escape_debug());
    let missing = || format!("`{}` has no value", word.escape_debug());
    if let Some(long) = word.strip_prefix("--") {
        let (name, inline) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let known = named(name).ok_or_else(unknown)?;
        let value = match known.takes {
            Takes::Nothing => inline,
            Takes::Value => Some(inline.or_else(next).ok_or_else(missing)?),
        };
        return Ok(vec![OptionUse { known, value }]);
    }
    let mut uses = Vec::new();
    let mut letters = word.trim_start_matches('-').chars();
    while let Some(letter) = letters.next() {
        let known = lettered(letter).ok_or_else(unknown)?;
        if known.takes == Takes::Nothing {
            uses.push(OptionUse { known, value: None });
            continue;
        }
        let rest = letters.as_str();
        let inline = rest.strip_prefix('=').unwrap_or(rest);
        let value = if inline.is_empty() { next().ok_or_else(missing)? } else { inline.to_owned() };
        uses.push(OptionUse { known, value: Some(value) });
        break;
    }
    Ok(uses)
}

impl RunCommand {
    fn option(&mut self, used: OptionUse, danger: Danger) -> Result<(), String> {
        let OptionUse { known, value } = used;
        let written = match &value {
            Some(value) => format!("--{}={value}", known.name),
            None => format!("--{}", known.name),
        };
        let switched_off = known.takes == Takes::Nothing && value.as_deref() == Some("false");
        match handling(known, value.as_deref()) {
            Handling::Danger(why) if danger == Danger::Refused && !switched_off => {
                return Err(format!("`{}` {why}", written.escape_debug()));
            }
            Handling::Leave(why) => {
                self.left_out.push(format!("{}: {why}", written.escape_debug()));
                return Ok(());
            }
            Handling::Keep | Handling::Danger(_) => {}
        }
        match known.name {
            "name" => self.name = value,
            "net" | "network" => self.network = Placement::Documented,
            "interactive" if !switched_off => self.stdin = Stdin::Open,
            _ => {}
        }
        self.options.push(written);
        Ok(())
    }

    /// The client refuses `-it` where its own input is no terminal, and here it is none.
    fn without_terminal(&mut self) {
        if self.stdin == Stdin::Open && self.options.iter().any(|option| option == "--tty") {
            self.options.retain(|option| option != "--tty");
            self.left_out.push("--tty: there is no terminal behind its input here".to_owned());
        }
    }
}

fn handling(known: &KnownOption, value: Option<&str>) -> Handling {
    let value = value.unwrap_or("");
    match known.name {
        "net" | "network" if !["bridge", "default"].contains(&value) => match value {
            "host" => Handling::Danger("shares the network of this host"),
            _ => Handling::Danger("names a network outside the isolated one"),
        },
        "volume" | "mount" if value.contains("docker.sock") || value.contains("podman.sock") => {
            Handling::Danger("gives it the runtime's socket, and with it this host's root")
        }
        _ => known.handling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> RunCommand {
        understand(text, Danger::Refused).unwrap()
    }

    fn refusal(text: &str) -> String {
        understand(text, Danger::Refused).unwrap_err()
    }

    #[test]
    fn the_briefs_own_command_is_taken_as_it_is() {
        let command = run("docker run --rm alpine telnet c2.example.com 4444");
        assert_eq!(command.options, ["--rm"]);
        assert_eq!(command.image, "alpine");
        assert_eq!(command.arguments, ["telnet", "c2.example.com", "4444"]);
        assert_eq!(command.stdin, Stdin::Closed);
        assert!(command.left_out.is_empty());
    }

    #[test]
    fn letters_values_and_the_end_of_options_are_understood() {
        let command = run("sudo podman container run -itm64m -e A=1 --name=x -u 0 -- img -v /:/x");
        assert_eq!(command.program, Program::Podman);
        assert_eq!(
            command.options,
            ["--interactive", "--memory=64m", "--env=A=1", "--name=x", "--user=0"]
        );
        assert_eq!(command.name.as_deref(), Some("x"));
        assert_eq!((command.image.as_str(), command.arguments.len()), ("img", 2));
        assert_eq!(command.left_out.len(), 2);
    }

    #[test]
    fn options_that_reach_out_of_the_container_are_refused() {
        for text in [
            "docker run --privileged a",
            "docker run --privileged=true a",
            "docker run -v /:/host a",
            "docker run -v/var/run/docker.sock:/s a",
            "docker run --mount type=bind,src=/,dst=/x a",
            "docker run --network host a",
            "docker run --net=host a",
            "docker run --network=container:db a",
            "docker run --pid host a",
            "docker run --ipc=host a",
            "docker run --cap-add SYS_ADMIN a",
            "docker run --device /dev/mem a",
            "docker run -p 80:80 a",
            "docker run -dP a",
            "docker run --env-file /etc/shadow a",
            "docker run --security-opt apparmor=unconfined a",
            "docker run --restart always a",
        ] {
            assert!(understand(text, Danger::Refused).is_err(), "{text}");
            assert!(understand(text, Danger::Allowed).is_ok(), "{text}");
        }
        assert!(refusal("docker run -v/var/run/docker.sock:/s a").contains("socket"));
    }

    #[test]
    fn a_dangerous_switch_that_is_off_is_no_danger() {
        assert_eq!(run("docker run --privileged=false a").options, ["--privileged=false"]);
    }

    #[test]
    fn other_programs_other_verbs_other_hosts_and_unknown_options_are_refused() {
        for text in [
            "nc -l 4444",
            "docker rm -f db",
            "docker -H tcp://x run a",
            "docker --context prod run a",
            "docker run --brand-new a",
            "docker run -Z a",
            "docker run --name",
            "docker run --rm",
            "docker",
            "A=1 docker run a",
            "/usr/bin/docker run a",
            "",
        ] {
            // Allowing dangerous options does not allow any of these.
            assert!(understand(text, Danger::Allowed).is_err(), "{text}");
        }
    }

    #[test]
    fn the_network_and_resolver_are_replaced_and_said_so() {
        let command = run("docker run -d --network bridge --dns 9.9.9.9 a");
        assert!(command.options.is_empty());
        assert_eq!(command.network, Placement::Isolated);
        assert_eq!(command.left_out.len(), 3);
    }
}
