//! What a Sigma rule may be about: log sources that we can fill, and the names of their fields.
//! <https://github.com/SigmaHQ/sigma-specification>, "Taxonomy"; Zeek's names beside Sigma's.

use anyhow::bail;
use sigma_rust::Event;

/// What is told of, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Flow,
    Lookup,
    Request,
    Program,
}

impl Subject {
    /// What a rule's log source means here.
    pub(super) fn of(
        category: Option<&str>,
        product: Option<&str>,
        service: Option<&str>,
    ) -> anyhow::Result<Self> {
        match product {
            None | Some("linux" | "zeek" | "docker" | "tidewaiter") => {}
            Some(other) => bail!("its product is {other:?}, and this is about Linux containers"),
        }
        Ok(match (category, service) {
            (Some("network_connection" | "firewall" | "network"), None | Some("conn")) => {
                Self::Flow
            }
            (None, Some("conn")) => Self::Flow,
            (Some("dns" | "dns_query"), None) | (Some("network") | None, Some("dns")) => {
                Self::Lookup
            }
            (Some("proxy" | "webserver"), None) | (Some("network") | None, Some("http")) => {
                Self::Request
            }
            (Some("process_creation"), None) => Self::Program,
            (category, service) => bail!(
                "its log source (category {}, service {}) is none of network_connection, firewall, \
                 network, dns, dns_query, proxy, webserver, process_creation, nor Zeek's conn, \
                 dns, http",
                category.unwrap_or("none"),
                service.unwrap_or("none")
            ),
        })
    }

    /// How it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Flow => "flows",
            Self::Lookup => "lookups",
            Self::Request => "requests",
            Self::Program => "programs",
        }
    }

    /// The fields that it has.
    pub(super) const fn fields(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Flow => FLOW,
            Self::Lookup => LOOKUP,
            Self::Request => REQUEST,
            Self::Program => PROGRAM,
        }
    }

    /// Whether a rule may use a field of this name.
    pub(super) fn knows(self, field: &str) -> bool {
        let mut all = self.fields().iter().chain(CONTAINER).flat_map(|names| names.iter());
        all.any(|name| *name == field)
    }
}

// One row for each fact: all its names.

const FLOW: &[&[&str]] = &[
    &["SourceIp", "src_ip", "id.orig_h"],
    &["SourcePort", "src_port", "id.orig_p"],
    &["DestinationIp", "dst_ip", "id.resp_h"],
    &["DestinationPort", "dst_port", "id.resp_p"],
    &["DestinationHostname", "dst_host"],
    &["Protocol", "proto"],
    &["Initiated"],
    &["service"],
    &["duration"],
    &["orig_bytes"],
    &["resp_bytes"],
    &["orig_pkts"],
    &["resp_pkts"],
    &["conn_state"],
    &["community_id"],
    &["ja4"],
    &["Image"],
    &["CommandLine"],
    &["User"],
];

const LOOKUP: &[&[&str]] = &[
    &["QueryName", "query", "dns.question.name"],
    &["record_type", "qtype_name", "QueryType"],
    &["QueryStatus", "rcode"],
    &["QueryResults", "answer", "answers"],
    &["SourceIp", "src_ip", "id.orig_h"],
    &["DestinationIp", "dst_ip", "id.resp_h"],
    &["DestinationPort", "dst_port", "id.resp_p"],
    &["Image"],
];

const REQUEST: &[&[&str]] = &[
    &["cs-method", "method"],
    &["cs-host", "host", "r-dns"],
    &["c-uri", "uri"],
    &["cs-uri-stem", "c-uri-path"],
    &["cs-uri-query", "c-uri-query"],
    &["c-useragent", "cs-user-agent", "user_agent"],
    &["sc-status", "status_code"],
    &["cs-bytes", "request_body_len"],
    &["sc-bytes", "response_body_len"],
    &["SourceIp", "src_ip", "c-ip", "id.orig_h"],
    &["DestinationIp", "dst_ip", "r-ip", "id.resp_h"],
    &["DestinationPort", "dst_port", "r-port", "id.resp_p"],
    &["Image"],
];

const PROGRAM: &[&[&str]] = &[
    &["Image", "exe"],
    &["CommandLine", "ProcessCommandLine"],
    &["User", "uid"],
    &["ProcessId", "pid"],
    &["ParentProcessId", "ppid"],
    &["Hashes", "sha256"],
];

/// What all of them have, where the container is known.
const CONTAINER: &[&[&str]] = &[&["container.name"], &["container.image.name"], &["container.id"]];

/// One event: each fact under all its names.
pub(super) struct Facts {
    subject: Subject,
    pub(super) event: Event,
}

impl Facts {
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, event: Event::new() }
    }

    pub(super) fn text(&mut self, first: &str, value: &str) {
        for name in self.names(first) {
            self.event.insert(*name, value);
        }
    }

    pub(super) fn number(&mut self, first: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        for name in self.names(first) {
            self.event.insert(*name, value);
        }
    }

    /// All names of the fact whose first one this is.
    fn names(&self, first: &str) -> &'static [&'static str] {
        let mut rows = self.subject.fields().iter().chain(CONTAINER);
        rows.find(|names| names.first() == Some(&first)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_source_means_one_thing_or_says_why_not() {
        let of = |category, product, service| Subject::of(category, product, service).ok();
        assert_eq!(of(Some("network_connection"), Some("linux"), None), Some(Subject::Flow));
        assert_eq!(of(None, Some("zeek"), Some("dns")), Some(Subject::Lookup));
        assert_eq!(of(Some("proxy"), None, None), Some(Subject::Request));
        assert_eq!(of(Some("process_creation"), None, None), Some(Subject::Program));
        assert_eq!(of(Some("process_creation"), Some("windows"), None), None);
        assert_eq!(of(Some("registry_event"), None, None), None);
        assert_eq!(of(None, Some("zeek"), Some("smb_files")), None);
    }

    #[test]
    fn each_name_stands_for_one_fact() {
        for subject in [Subject::Flow, Subject::Lookup, Subject::Request, Subject::Program] {
            let mut all: Vec<_> =
                subject.fields().iter().chain(CONTAINER).flat_map(|names| names.iter()).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{subject:?}");
        }
    }
}
