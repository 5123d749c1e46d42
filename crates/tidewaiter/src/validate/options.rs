//! The options of `docker run` and `podman run`, and what becomes of each here.
//! Source: docker(1) "container run", version 28; Podman's are a superset of those listed.

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handling {
    /// It stays as it is.
    Keep,
    /// It is left out, for this reason.
    Leave(&'static str),
    /// The command is refused for this reason, unless dangerous options were allowed.
    Danger(&'static str),
}

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// It stands alone (`--rm`; also written `--rm=false`).
    Nothing,
    /// `--name x`, `--name=x`, `-m x`, `-mx`.
    Value,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownOption {
    /// Its long name.
    pub(crate) name: &'static str,
    /// Its letter, or `'\0'`.
    pub(crate) letter: char,
    /// Whether it takes a value.
    pub(crate) takes: Takes,
    /// What becomes of it.
    pub(crate) handling: Handling,
}

const OWN_NETWORK: Handling = Handling::Leave("replaced by the isolated network");
const OWN_RESOLVER: Handling = Handling::Leave("replaced by the resolver of the isolated network");
const HOST_FILE: Handling = Handling::Danger("reads or writes a file of this host");
const HOST_MOUNT: Handling = Handling::Danger("mounts something of this host");
const HOST_PORT: Handling = Handling::Danger("opens a port of this host");
const HOST_DEVICE: Handling = Handling::Danger("gives it a device of this host");
const HOST_SPACE: Handling = Handling::Danger("shares a namespace of this host");
const MORE_RIGHTS: Handling = Handling::Danger("takes isolation away");
const OUTLIVES: Handling = Handling::Danger("could outlive the validation");
const OTHER_NETWORK: Handling =
    Handling::Danger("ties it to something outside the isolated network");

const fn alone(name: &'static str, letter: char, handling: Handling) -> KnownOption {
    KnownOption { name, letter, takes: Takes::Nothing, handling }
}

const fn value(name: &'static str, letter: char, handling: Handling) -> KnownOption {
    KnownOption { name, letter, takes: Takes::Value, handling }
}

/// Every option that is known, by name.
pub(crate) static KNOWN: &[KnownOption] = &[
    value("add-host", '\0', Handling::Keep),
    value("annotation", '\0', Handling::Keep),
    value("attach", 'a', Handling::Keep),
    value("blkio-weight", '\0', Handling::Keep),
    value("cap-add", '\0', MORE_RIGHTS),
    value("cap-drop", '\0', Handling::Keep),
    value("cgroup-parent", '\0', MORE_RIGHTS),
    value("cgroupns", '\0', HOST_SPACE),
    value("cidfile", '\0', HOST_FILE),
    value("cpu-shares", 'c', Handling::Keep),
    value("cpus", '\0', Handling::Keep),
    value("cpuset-cpus", '\0', Handling::Keep),
    alone("detach", 'd', Handling::Leave("it is waited for here")),
    value("device", '\0', HOST_DEVICE),
    value("device-cgroup-rule", '\0', HOST_DEVICE),
    value("dns", '\0', OWN_RESOLVER),
    value("dns-option", '\0', Handling::Keep),
    value("dns-search", '\0', Handling::Keep),
    value("domainname", '\0', Handling::Keep),
    value("entrypoint", '\0', Handling::Keep),
    value("env", 'e', Handling::Keep),
    value("env-file", '\0', HOST_FILE),
    value("expose", '\0', Handling::Keep),
    value("gpus", '\0', HOST_DEVICE),
    value("group-add", '\0', Handling::Keep),
    value("hostname", 'h', Handling::Keep),
    alone("init", '\0', Handling::Keep),
    alone("interactive", 'i', Handling::Keep),
    value("ip", '\0', OTHER_NETWORK),
    value("ip6", '\0', OTHER_NETWORK),
    value("ipc", '\0', HOST_SPACE),
    value("label", 'l', Handling::Keep),
    value("label-file", '\0', HOST_FILE),
    value("link", '\0', OTHER_NETWORK),
    value("log-driver", '\0', OTHER_NETWORK),
    value("log-opt", '\0', OTHER_NETWORK),
    value("mac-address", '\0', Handling::Keep),
    value("memory", 'm', Handling::Keep),
    value("memory-swap", '\0', Handling::Keep),
    value("mount", '\0', HOST_MOUNT),
    value("name", '\0', Handling::Keep),
    value("net", '\0', OWN_NETWORK),
    value("network", '\0', OWN_NETWORK),
    value("network-alias", '\0', Handling::Keep),
    alone("no-healthcheck", '\0', Handling::Keep),
    value("oom-score-adj", '\0', Handling::Keep),
    value("pid", '\0', HOST_SPACE),
    value("pids-limit", '\0', Handling::Keep),
    value("platform", '\0', Handling::Keep),
    alone("privileged", '\0', Handling::Danger("gives it the rights of this host's root")),
    value("publish", 'p', HOST_PORT),
    alone("publish-all", 'P', HOST_PORT),
    value("pull", '\0', Handling::Leave("nothing is pulled here unless --pull says so")),
    alone("quiet", 'q', Handling::Keep),
    alone("read-only", '\0', Handling::Keep),
    value("restart", '\0', OUTLIVES),
    alone("rm", '\0', Handling::Keep),
    value("runtime", '\0', MORE_RIGHTS),
    value("security-opt", '\0', MORE_RIGHTS),
    value("shm-size", '\0', Handling::Keep),
    alone("sig-proxy", '\0', Handling::Keep),
    value("stop-signal", '\0', Handling::Keep),
    value("stop-timeout", '\0', Handling::Keep),
    value("storage-opt", '\0', MORE_RIGHTS),
    value("sysctl", '\0', MORE_RIGHTS),
    value("tmpfs", '\0', Handling::Keep),
    alone("tty", 't', Handling::Keep),
    value("ulimit", '\0', Handling::Keep),
    value("user", 'u', Handling::Keep),
    value("userns", '\0', HOST_SPACE),
    value("uts", '\0', HOST_SPACE),
    value("volume", 'v', HOST_MOUNT),
    value("volume-driver", '\0', HOST_MOUNT),
    value("volumes-from", '\0', HOST_MOUNT),
    value("workdir", 'w', Handling::Keep),
];

/// The option of this long name.
pub(crate) fn named(name: &str) -> Option<&'static KnownOption> {
    KNOWN.iter().find(|option| option.name == name)
}

/// The option of this letter.
pub(crate) fn lettered(letter: char) -> Option<&'static KnownOption> {
    KNOWN.iter().find(|option| option.letter == letter && letter != '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_letters_are_unique() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].name < pair[1].name));
        for option in KNOWN.iter().filter(|option| option.letter != '\0') {
            assert_eq!(lettered(option.letter).unwrap().name, option.name);
        }
    }
}
