//! What a case uses that another may use too. Two cases with something in common never play at the
//! same time: it is derived from their lines, and a case whose lines do not tell plays alone.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::case::{Case, FarEndCase};
use crate::lab::{FAR_END_V4, FAR_END_V6, HOST_V4, is_ours};

/// Options of `docker run` and `docker create` that share nothing with another container.
const FLAGS: &[&str] = &["--rm", "-d", "-i", "-t", "-it", "-di"];
/// The same, with a value each.
const VALUES: &[&str] = &["-e", "--label", "--expose", "--restart", "--cap-add"];

/// What a case claims while it plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// All of the lab: nothing plays beside it.
    Lab,
    Part(Part),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    Little,
    Much,
    Everything,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Ports of the outside world, whichever transport.
    outside: Ports,
    /// Ports of the host: published by a container, or called.
    host: Ports,
    /// Names of containers, and addresses that a case brings along.
    names: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ports {
    These(BTreeSet<u16>),
    All,
}

/// A line from which it cannot be told what it uses.
#[derive(Debug)]
struct Untold;

impl Claim {
    pub(super) fn of(case: &Case) -> Self {
        if case.alone {
            return Self::Lab;
        }
        let mut part = Part::default();
        let lines = case.before.iter().chain(&case.run);
        match lines.map(String::as_str).try_for_each(|line| part.line(line)) {
            Ok(()) => {}
            Err(Untold) => return Self::Lab,
        }
        if let Some(far_end) = &case.far_end {
            part.far_end(far_end);
        }
        Self::Part(part)
    }

    /// How much it keeps others from playing.
    pub(super) fn width(&self) -> Width {
        match self {
            Self::Lab => Width::Everything,
            Self::Part(Part { outside: Ports::All, .. } | Part { host: Ports::All, .. }) => {
                Width::Much
            }
            Self::Part(_) => Width::Little,
        }
    }

    /// Whether both may play at the same time.
    pub(super) fn allows(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Part(one), Self::Part(other)) => {
                one.outside.allow(&other.outside)
                    && one.host.allow(&other.host)
                    && one.names.is_disjoint(&other.names)
            }
            (Self::Lab, _) | (_, Self::Lab) => false,
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Ports {
    fn add(&mut self, port: u16) {
        if let Self::These(ports) = self {
            ports.insert(port);
        }
    }

    fn allow(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::These(one), Self::These(other)) => one.is_disjoint(other),
            (Self::All, Self::These(some)) | (Self::These(some), Self::All) => some.is_empty(),
            (Self::All, Self::All) => false,
        }
    }
}

impl Part {
    fn line(&mut self, line: &str) -> Result<(), Untold> {
        self.addresses(line);
        let words = shlex::split(line).ok_or(Untold)?;
        let mut words = words.iter().map(String::as_str);
        match (words.next(), words.next()) {
            (Some("docker"), Some("run" | "create")) => self.options(words),
            // Without options, in a container of its own: a name that an earlier line gave.
            (Some("docker"), Some("exec")) => {
                let is_own = words.next().is_some_and(|name| self.names.contains(name));
                is_own.then_some(()).ok_or(Untold)
            }
            _ => Err(Untold),
        }
    }

    /// The options in front of the image.
    fn options<'a>(&mut self, mut words: impl Iterator<Item = &'a str>) -> Result<(), Untold> {
        while let Some(word) = words.next().filter(|word| word.starts_with('-')) {
            if FLAGS.contains(&word) {
                continue;
            }
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, value),
                None => (word, words.next().ok_or(Untold)?),
            };
            match option {
                "--name" => {
                    self.names.insert(value.to_owned());
                }
                // It may use any port of the host's.
                "--network" if value == "host" => self.host = Ports::All,
                "--network" => {
                    self.names.extend(value.strip_prefix("container:").map(str::to_owned))
                }
                "-p" | "--publish" => self.host.add(published(value).ok_or(Untold)?),
                option if VALUES.contains(&option) => {}
                _ => return Err(Untold),
            }
        }
        Ok(())
    }

    /// Each address or name of the outside world or the host, with the port that stands behind it:
    /// `198.51.100.10 443`, `TCP:198.51.100.10:443`, `/dev/tcp/198.51.100.10/443`. A variable may
    /// be any port; so may an option, behind which it is not looked for.
    fn addresses(&mut self, line: &str) {
        let line = line.replace(FAR_END_V6, FAR_END_V4);
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || ".$-".contains(letter);
        let mut words = line.split(|letter| !is_word(letter)).peekable();
        while let Some(word) = words.next() {
            let address = word.parse::<Ipv4Addr>().ok();
            if !is_ours(word) && address.is_none_or(|address| address.is_unspecified()) {
                continue;
            }
            let is_host = address.is_some_and(|address| is_host(address.into()));
            if address.is_some() && !is_host && word != FAR_END_V4 {
                self.names.insert(word.to_owned());
            }
            let ports = if is_host { &mut self.host } else { &mut self.outside };
            match words.peek() {
                Some(next) if next.starts_with(['$', '-']) => *ports = Ports::All,
                Some(next) => next.parse().into_iter().for_each(|port| ports.add(port)),
                None => {}
            }
        }
    }

    fn far_end(&mut self, far_end: &FarEndCase) {
        let inside = far_end.inside.as_deref();
        self.names.extend(inside.filter(|name| *name != "host").map(str::to_owned));
        let Some(called) = far_end.calls.as_deref() else {
            match inside {
                None => self.outside.add(far_end.port),
                Some("host") => self.host.add(far_end.port),
                // A port of the container's own.
                Some(_) => {}
            }
            return;
        };
        match called.parse::<IpAddr>() {
            Ok(address) if is_host(address) => self.host.add(far_end.port),
            Ok(_) => self.outside.add(far_end.port),
            Err(_) => {
                self.names.insert(called.to_owned());
            }
        }
    }
}

fn is_host(address: IpAddr) -> bool {
    address.is_loopback() || address.to_string() == HOST_V4
}

/// The host's port of `8080:80`, `127.0.0.1:8080:80` or `8080:80/tcp`.
fn published(value: &str) -> Option<u16> {
    let value = value.split_once('/').map_or(value, |(ports, _)| ports);
    let mut parts = value.rsplit(':');
    parts.next()?;
    parts.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(case: &str) -> Claim {
        let text = format!("name = 'a case'\nverdict = 'high'\n{case}");
        Claim::of(&toml::from_str(&text).expect("a case"))
    }

    fn run(line: &str) -> Claim {
        claim(&format!("run = [\"{line}\"]"))
    }

    #[test]
    fn one_port_of_the_outside_world_is_for_one_case_at_a_time() {
        let listens = claim("far_end = { port = 4444, steps = [] }");
        assert!(!listens.allows(&claim("far_end = { port = 4444, steps = [] }")));
        assert!(listens.allows(&claim("far_end = { port = 4445, steps = [] }")));
        // Nobody may listen where it has to be refused.
        for refused in [
            "docker run --rm alpine telnet c2.example.com 4444",
            "docker run --rm twlab/tools /opt/healthd - TCP:198.51.100.10:4444",
            "docker run --rm twlab/tools sh -c 'exec 3<>/dev/tcp/198.51.100.10/4444'",
            "docker run --rm alpine nc fd00:c2::10 4444",
        ] {
            assert!(!listens.allows(&run(refused)), "{refused}");
            assert!(listens.allows(&run(&refused.replace("4444", "4445"))), "{refused}");
        }
    }

    #[test]
    fn a_port_that_cannot_be_told_may_be_any() {
        let listens = claim("far_end = { port = 6379, steps = [] }");
        let tries =
            run("docker run --rm alpine sh -c 'for p in 1 2; do nc 198.51.100.10 $p; done'");
        assert!(!tries.allows(&listens));
        assert!(!listens.allows(&tries));
        assert!(!tries.allows(&tries.clone()));
        assert!(tries.width() > listens.width());
        assert!(!run("docker run --rm alpine nc 198.51.100.10 -w 1 6379").allows(&listens));
        // No port at all is another matter.
        assert!(run("docker run --rm alpine ping -c 5 198.51.100.10").allows(&listens));
        assert!(run("docker run --rm alpine nslookup c2.example.com").allows(&tries));
    }

    #[test]
    fn a_containers_name_is_given_once_at_a_time() {
        let shop = claim("before = ['docker run -d --name shop alpine sleep 300']");
        assert!(!shop.allows(&run("docker run --name=shop alpine true")));
        assert!(!shop.allows(&run("docker run --network container:shop alpine true")));
        assert!(
            !shop.allows(&claim("far_end = { calls = 'shop', in = 'host', port = 1, steps = [] }"))
        );
        assert!(!shop.allows(&claim("far_end = { in = 'shop', port = 1, steps = [] }")));
        assert!(shop.allows(&run("docker run --name shop2 alpine true")));
    }

    #[test]
    fn a_port_inside_a_container_is_its_own() {
        let relay = claim(
            "before = ['docker run -d --name relay alpine sleep 300']\n\
             far_end = { in = 'relay', port = 4444, steps = [] }",
        );
        assert!(relay.allows(&claim("far_end = { port = 4444, steps = [] }")));
    }

    #[test]
    fn a_published_port_is_the_hosts() {
        let published = run("docker run -p 8000:80 alpine httpd");
        assert!(!published.allows(&run("docker run -p 127.0.0.1:8000:81/tcp alpine httpd")));
        assert!(!published.allows(&run("docker run alpine nc 198.51.100.1 8000")));
        for caller in ["calls = '198.51.100.1'", "calls = '127.0.0.1', in = 'host'", "in = 'host'"]
        {
            let caller = claim(&format!("far_end = {{ {caller}, port = 8000, steps = [] }}"));
            assert!(!published.allows(&caller));
            assert!(!run("docker run --network host alpine true").allows(&caller));
        }
        assert!(published.allows(&claim("far_end = { port = 8000, steps = [] }")));
        assert!(published.allows(&run("docker run -p 8001:80 alpine httpd")));
    }

    #[test]
    fn an_address_that_a_case_brings_along_is_for_one_at_a_time() {
        let one = run("docker run alpine ip addr add 169.254.169.254/32 dev eth0");
        assert!(!one.allows(&run("docker run alpine wget http://169.254.169.254/latest")));
    }

    #[test]
    fn what_cannot_be_told_plays_alone() {
        let nothing = claim("");
        assert!(nothing.allows(&claim("")));
        for line in [
            "docker build -q .",
            "docker network create other",
            "docker run -v /tmp:/tmp alpine true",
            "docker run -P alpine httpd",
            "docker run -p 80 alpine httpd",
            "docker exec somebodys true",
            "docker run 'alpine",
            "ip route add default",
        ] {
            assert_eq!(run(line), Claim::Lab, "{line}");
            assert!(!run(line).allows(&nothing), "{line}");
            assert!(!nothing.allows(&run(line)), "{line}");
        }
        assert_eq!(claim("alone = true"), Claim::Lab);
    }
}
