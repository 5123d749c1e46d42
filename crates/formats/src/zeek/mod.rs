//! Zeek's logs, as JSON lines or in Zeek's own columns: <https://docs.zeek.org/en/master/logs/>.
//!
//! A row of `conn.log` is a whole flow, and comes when it is over; the rows of the other logs name
//! their flow by the same `uid`, mostly before.

mod conn;
mod dns;
mod http;
mod loss;
mod quick;
mod row;
mod ssh;
mod ssl;
mod tsv;
mod values;

use observation::Observation;
use serde::Deserialize;

use crate::detect::keys;
use crate::parsed::{Parsed, Reason};

/// Which of Zeek's logs a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are Zeek's and documented there")]
pub enum Kind {
    Conn,
    Dns,
    Http,
    Ssl,
    Ssh,
    CaptureLoss,
    X509,
    Files,
    Weird,
    Notice,
    /// Any other.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Conn,
        Self::Dns,
        Self::Http,
        Self::Ssl,
        Self::Ssh,
        Self::CaptureLoss,
        Self::X509,
        Self::Files,
        Self::Weird,
        Self::Notice,
        Self::Other,
    ];

    /// Its name in Zeek's `#path` and `_path`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conn => "conn",
            Self::Dns => "dns",
            Self::Http => "http",
            Self::Ssl => "ssl",
            Self::Ssh => "ssh",
            Self::CaptureLoss => "capture_loss",
            Self::X509 => "x509",
            Self::Files => "files",
            Self::Weird => "weird",
            Self::Notice => "notice",
            Self::Other => "other",
        }
    }

    fn of_path(path: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == path).unwrap_or(Self::Other)
    }

    /// The log that has rows with these members; `None` where it is none of Zeek's.
    pub(crate) fn of_keys(keys: &[&[u8]]) -> Option<Self> {
        let has = |key: &str| keys.contains(&key.as_bytes());
        let any = |names: &[&str]| names.iter().any(|name| has(name));
        if !has("ts") {
            return None;
        }
        let connection = any(&["uid", "id.orig_h", "id_orig_h"]);
        let kind = if any(&["conn_state", "orig_ip_bytes"]) {
            Self::Conn
        } else if connection && any(&["query", "qtype", "qtype_name", "trans_id", "rcode"]) {
            Self::Dns
        } else if has("trans_depth") && !any(&["helo", "mailfrom", "last_reply"]) {
            Self::Http
        } else if any(&["kex_alg", "auth_attempts", "host_key_alg"]) {
            Self::Ssh
        } else if connection
            && any(&["cipher", "ssl_history", "cert_chain_fuids", "cert_chain_fps", "established"])
        {
            Self::Ssl
        } else if has("percent_lost") && has("gaps") {
            Self::CaptureLoss
        } else if any(&["certificate.version", "certificate.serial", "certificate.subject"]) {
            Self::X509
        } else if has("fuid") && any(&["seen_bytes", "analyzers", "conn_uids"]) {
            Self::Files
        } else if has("note") && any(&["msg", "actions"]) {
            Self::Notice
        } else if has("name") && has("notice") {
            Self::Weird
        } else if connection || any(OTHER_KEYS) {
            Self::Other
        } else {
            return None;
        };
        Some(kind)
    }
}

/// What rows of logs have that are of no use here, and that other programs' logs do not call so.
const OTHER_KEYS: &[&str] =
    &["_path", "uids", "peer", "node", "fuid", "software_type", "orig_hw", "host_p", "conn_uids"];

/// An Observation that a row gave. Its witness and, in a gap, its source are the caller's to say.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The row's log.
    pub kind: Kind,
    /// Names the row: the same row in two files, or twice in one, has the same.
    pub row: u64,
    /// What it says.
    pub observation: Observation<'static>,
}

/// How the rows of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// JSON lines.
    Json,
    /// Columns under header lines.
    Tsv,
}

/// Reads the lines of one file, which may hold several logs one after the other.
#[derive(Debug)]
pub struct Reader {
    writing: Writing,
    kind: Option<Kind>,
    header: tsv::Header,
}

impl Reader {
    /// A reader at the beginning of a file.
    #[must_use]
    pub fn new(writing: Writing) -> Self {
        Self { writing, kind: None, header: tsv::Header::default() }
    }

    /// The log that the last row was of.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Reads a line; `None` where it is no row but a header.
    pub fn line(&mut self, line: &[u8], out: &mut dyn FnMut(Seen)) -> Option<Parsed> {
        match self.writing {
            Writing::Json => Some(self.json(line, out)),
            Writing::Tsv => self.tsv(line, out),
        }
    }

    fn json(&mut self, line: &[u8], out: &mut dyn FnMut(Seen)) -> Parsed {
        // Nearly all rows of a day are of this log and of this shape.
        if self.kind == Some(Kind::Conn)
            && let Some(row) = quick::conn(line)
            && row.see(out).is_ok()
        {
            return Parsed::Understood;
        }
        // A row that the kind of the one before does not fit may be of another log.
        let mut tried = None;
        if let Some(kind) = self.kind {
            match read(kind, &Json(line), out) {
                Parsed::NotUnderstood(reason) => tried = Some((kind, reason)),
                Parsed::Unused => {}
                parsed => return parsed,
            }
        }
        if std::str::from_utf8(line).is_err() {
            let text = String::from_utf8_lossy(line).into_owned();
            return self.json(text.as_bytes(), out);
        }
        match (Kind::of_keys(&keys(line)), tried) {
            (Some(kind), Some((before, reason))) if kind == before => Parsed::NotUnderstood(reason),
            (Some(kind), _) => {
                self.kind = Some(kind);
                read(kind, &Json(line), out)
            }
            (None, Some((_, reason))) => Parsed::NotUnderstood(reason),
            (None, None) => Parsed::NotUnderstood(Reason::NotJson),
        }
    }

    fn tsv(&mut self, line: &[u8], out: &mut dyn FnMut(Seen)) -> Option<Parsed> {
        let trimmed = line.trim_ascii_start();
        if trimmed.starts_with(b"#") {
            self.header.line(trimmed);
            self.kind = Some(Kind::of_path(&self.header.path));
            return None;
        }
        let kind = self.kind.unwrap_or(Kind::Other);
        Some(read(kind, &Tsv(&self.header, line), out))
    }
}

/// Where a row's members come from.
trait Source<'a> {
    fn row<T: Deserialize<'a>>(&self) -> Result<T, Reason>;
}

struct Json<'a>(&'a [u8]);

impl<'a> Source<'a> for Json<'a> {
    fn row<T: Deserialize<'a>>(&self) -> Result<T, Reason> {
        // An array would be taken for the members in their order.
        if !self.0.trim_ascii_start().starts_with(b"{") {
            return Err(Reason::NotJson);
        }
        sonic_rs::from_slice(self.0).map_err(|_| Reason::no_json(self.0))
    }
}

struct Tsv<'a>(&'a tsv::Header, &'a [u8]);

impl<'a> Source<'a> for Tsv<'a> {
    fn row<T: Deserialize<'a>>(&self) -> Result<T, Reason> {
        self.0.row(self.1)
    }
}

fn read<'a>(kind: Kind, source: &impl Source<'a>, out: &mut dyn FnMut(Seen)) -> Parsed {
    let parsed = match kind {
        Kind::Conn => understood(source.row::<conn::Conn<'_>>().and_then(|row| row.see(out))),
        Kind::Dns => understood(source.row::<dns::Dns<'_>>().and_then(|row| row.see(out))),
        Kind::Http => understood(source.row::<http::Http<'_>>().and_then(|row| row.see(out))),
        Kind::Ssl => understood(source.row::<ssl::Ssl<'_>>().and_then(|row| row.see(out))),
        Kind::Ssh => understood(source.row::<ssh::Ssh<'_>>().and_then(|row| row.see(out))),
        Kind::CaptureLoss => source.row::<loss::Loss>().and_then(|row| row.see(out)),
        _ => source.row::<serde::de::IgnoredAny>().map(|_| Parsed::Unused),
    };
    parsed.unwrap_or_else(Parsed::NotUnderstood)
}

fn understood(seen: Result<(), Reason>) -> Result<Parsed, Reason> {
    seen.map(|()| Parsed::Understood)
}
