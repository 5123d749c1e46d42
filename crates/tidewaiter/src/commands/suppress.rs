//! `suppress`: hides what somebody has looked at, for a while, and never silently.

use std::collections::BTreeSet;
use std::io::{self, Write};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use engine::{Alert, AlertId};
use observation::{Span, Time};
use sha2::{Digest, Sha256};

use super::Outcome;
use super::alerts::{find, line};
use crate::sinks::{defanged, defanged_address, escaped, escaped_whole};
use crate::store::{Filter, Store, StoreChoice};
use crate::suppressions::{
    Draft, Field, Kept, REASON_CHARS_MAX, Suppression, Suppressions, accusers, keep,
};
use crate::timestamp::{self, readable};

/// Hide what is like an alert, for a while. Shows what it would hide unless --apply.
///
/// What is hidden is judged and kept as before, with the OCSF status Suppressed; the last line of
/// `watch`, `scan` and `alerts` counts it, and `alerts --suppressed` lists it. It is shown again as
/// soon as another strategy accuses too, it becomes graver, or the time is over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A suppression is a Sigma filter document in the store's folder `suppressions`: read it, edit it, or
write one yourself. One that fixes neither a workload nor a destination is refused, and so is one
that would hide more than a fifth of the other incidents in the store.

Examples:
  tidewaiter suppress 01JD8T6V3M --reason 'the nightly import, agreed with ops' --for 30d
                                                       what it would hide; nothing is changed
  tidewaiter suppress 01JD8T6V3M --reason 'the nightly import' --for 30d --apply
  tidewaiter suppress 01JD8T6V3M --reason 'its own mirror' --scope strategy,destination --apply
  tidewaiter suppress --list
  tidewaiter suppress --remove 5f2c")]
pub(crate) struct Arguments {
    /// The alert's id, or any unambiguous beginning of it.
    #[arg(required_unless_present_any = ["list", "remove"], requires = "reason")]
    alert: Option<String>,
    /// Why it is permitted; the next person reads it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// For how long: a number with s, m, h, d or w; at most 366d.
    #[arg(long = "for", value_name = "TIME", default_value = "14d", value_parser = span)]
    lifetime: Span,
    /// What has to be the same.
    #[arg(long, value_name = "WHAT", value_delimiter = ',',
          default_values = ["strategy", "workload", "destination"])]
    scope: Vec<Scope>,
    /// Make it; without this only what it would hide is shown.
    #[arg(long)]
    apply: bool,
    /// List all suppressions, with what they have hidden.
    #[arg(long, conflicts_with_all = ["alert", "remove"])]
    list: bool,
    /// Take one back: what it has hidden is shown again.
    #[arg(long, value_name = "ID", conflicts_with = "alert")]
    remove: Option<String>,
    #[command(flatten)]
    store: StoreChoice,
}

/// What of an alert has to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Scope {
    /// The strategies that accuse; without this any strategy is meant.
    Strategy,
    /// Image digest, command and owner together.
    Workload,
    /// Address and port, or the name where there was no address.
    Destination,
    /// The far end's address.
    Address,
    /// All names that led to the far end.
    Name,
    /// The far end's port.
    Port,
    /// The image's digest.
    Image,
    /// The image's name, as it was asked for.
    ImageName,
}

/// A suppression may hide at most this share of the other incidents of the store.
const OTHER_PERCENT_MAX: usize = 20;
/// One incident is no share.
const OTHER_COUNT_FREE: usize = 1;
/// Whoever wants more has to look again.
const FOR_DAYS_MAX: u64 = 366;
const LINES_SHOWN_MAX: usize = 10;
const TOO_BROAD: &str = "it fixes neither a workload nor a destination; add one of workload, \
                         destination, address, name to --scope";

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut store = arguments.store.open()?;
    if arguments.list {
        return list(&store);
    }
    if let Some(beginning) = &arguments.remove {
        return remove(&mut store, beginning);
    }
    let beginning = arguments.alert.as_deref().context("which alert?")?;
    let alert = find(&store, beginning)?.alert;
    let suppression = drafted(arguments, &alert)?;
    let preview = Preview::of(&store, &alert, &suppression)?;
    let mut out = io::stdout().lock();
    preview.write(&mut out, &suppression)?;
    if let Err(error) = preview.check(&suppression) {
        eprintln!("tidewaiter: refused: {}", escaped_whole(&error.to_string()));
        return Ok(Outcome::Refused);
    }
    if !arguments.apply {
        writeln!(out, "nothing was changed; --apply makes it")?;
        return Ok(Outcome::Done);
    }
    let path = keep(store.folder(), &suppression)?;
    store.suppress(&preview.hidden, &suppression.id)?;
    writeln!(out, "suppression {} is {}", suppression.id, escaped(&path.display().to_string()))?;
    Ok(Outcome::Done)
}

fn drafted(arguments: &Arguments, alert: &Alert) -> anyhow::Result<Suppression> {
    let reason = arguments.reason.as_deref().unwrap_or_default();
    ensure!(!reason.trim().is_empty(), "--reason is empty: the next person has to know why");
    ensure!(
        reason.chars().count() <= REASON_CHARS_MAX,
        "--reason is longer than {REASON_CHARS_MAX} characters"
    );
    let created = timestamp::now();
    ensure!(arguments.scope.iter().any(|part| *part != Scope::Strategy), TOO_BROAD);
    let scope: BTreeSet<Scope> = arguments.scope.iter().copied().collect();
    let mut strategies = Vec::new();
    if scope.contains(&Scope::Strategy) {
        let names: BTreeSet<&str> = accusers(alert).collect();
        strategies.extend(names.into_iter().map(str::to_owned));
    }
    let draft = Draft {
        id: identity(alert.id, created),
        strategies,
        fields: fields(&scope, alert),
        reason,
        author: author(),
        created,
        expires: created + arguments.lifetime,
    };
    Suppression::of(alert, draft)
}

/// The fields of a scope. Of the default one, what is not known of this alert is left out: without
/// a workload the destination remains, and the other way round.
fn fields(scope: &BTreeSet<Scope>, alert: &Alert) -> Vec<Field> {
    let is_default =
        *scope == BTreeSet::from([Scope::Strategy, Scope::Workload, Scope::Destination]);
    let mut fields = BTreeSet::new();
    for part in scope {
        match part {
            Scope::Strategy => {}
            Scope::Workload => drop(fields.insert(Field::Workload)),
            Scope::Destination if alert.peer.endpoint.is_some() => {
                fields.extend([Field::Address, Field::Port]);
            }
            Scope::Destination | Scope::Name => drop(fields.insert(Field::Domain)),
            Scope::Address => drop(fields.insert(Field::Address)),
            Scope::Port => drop(fields.insert(Field::Port)),
            Scope::Image => drop(fields.insert(Field::ImageDigest)),
            Scope::ImageName => drop(fields.insert(Field::ImageName)),
        }
    }
    fields.retain(|field| !is_default || !field.values(alert).is_empty());
    fields.into_iter().collect()
}

/// What a suppression would hide of what the store holds.
struct Preview {
    hidden: Vec<AlertId>,
    lines: Vec<String>,
    total_count: usize,
    /// Incidents with another workload or another far end.
    other_count: usize,
    other_hidden_count: usize,
}

impl Preview {
    fn of(store: &Store, alert: &Alert, suppression: &Suppression) -> anyhow::Result<Self> {
        let own = incident(alert);
        let (hidden, lines) = (Vec::new(), Vec::new());
        let (total_count, other_count, other_hidden_count) = (0, 0, 0);
        let mut preview = Self { hidden, lines, total_count, other_count, other_hidden_count };
        // Nothing is kept but what is counted: a store may hold very many.
        store.alerts(&Filter::default(), |stored| {
            let is_other = incident(&stored.alert) != own;
            let is_hidden = suppression.matches(&stored.alert);
            preview.total_count += 1;
            preview.other_count += usize::from(is_other);
            preview.other_hidden_count += usize::from(is_other && is_hidden);
            if is_hidden {
                preview.hidden.push(stored.alert.id);
                if preview.lines.len() < LINES_SHOWN_MAX {
                    preview.lines.push(line(stored));
                }
            }
            false
        })?;
        Ok(preview)
    }

    fn write(&self, out: &mut impl Write, suppression: &Suppression) -> io::Result<()> {
        let (hidden, total) = (self.hidden.len(), self.total_count);
        writeln!(out, "it would have hidden {hidden} of {total} alerts of this store:")?;
        for line in &self.lines {
            writeln!(out, "  {line}")?;
        }
        if hidden > self.lines.len() {
            writeln!(out, "  and {} more", hidden - self.lines.len())?;
        }
        writeln!(
            out,
            "of these {} of {} other incidents (another workload or another far end)",
            self.other_hidden_count, self.other_count
        )?;
        writeln!(out, "scope    {}", scope_words(suppression))?;
        let (level, until) = (suppression.level_max.name(), readable(suppression.expires));
        writeln!(out, "up to    {level}, until {until}")
    }

    fn check(&self, suppression: &Suppression) -> anyhow::Result<()> {
        ensure!(suppression.is_fixed(), TOO_BROAD);
        let (hidden, all) = (self.other_hidden_count, self.other_count);
        ensure!(
            hidden <= OTHER_COUNT_FREE || hidden * 100 <= all * OTHER_PERCENT_MAX,
            "it would hide {hidden} of {all} other incidents, which is more than \
             {OTHER_PERCENT_MAX} %; add to --scope what has to be the same"
        );
        Ok(())
    }
}

/// What makes two alerts one incident: who and where to.
fn incident(alert: &Alert) -> [Vec<String>; 3] {
    let far = match alert.peer.endpoint {
        Some(_) => Field::Address,
        None => Field::Domain,
    };
    [Field::Workload, far, Field::Port].map(|field| field.values(alert))
}

/// The scope in words, harmless to look at.
fn scope_words(suppression: &Suppression) -> String {
    let strategies: Vec<_> = suppression.strategies.iter().map(|name| escaped(name)).collect();
    let strategies = if strategies.is_empty() { "any".to_owned() } else { strategies.join("+") };
    let mut words = vec![format!("strategy {strategies}")];
    for (key, values) in &suppression.written {
        let values = values.iter().map(|value| match value.parse() {
            Ok(address) => defanged_address(address),
            Err(_) if key.starts_with("dst_endpoint.domain") => defanged(value),
            Err(_) => escaped(value),
        });
        words.push(format!("{} {}", escaped(key), values.collect::<Vec<_>>().join("|")));
    }
    words.join(", ")
}

fn list(store: &Store) -> anyhow::Result<Outcome> {
    let mut suppressions = Suppressions::of(Some(store.folder()), None)?;
    let now = timestamp::now();
    let mut out = io::stdout().lock();
    for Kept { suppression, .. } in suppressions.all() {
        let hits = store.hits(&suppression.id)?;
        let last = hits.last_at.map(|at| format!(", last {}", readable(at))).unwrap_or_default();
        let state = if now < suppression.expires { "until" } else { "EXPIRED at" };
        writeln!(out, "{}  {state} {}", escaped(&suppression.id), readable(suppression.expires))?;
        writeln!(out, "  reason {}, says {}", escaped(&suppression.reason), {
            let author = escaped(&suppression.author);
            if author.is_empty() { "nobody".to_owned() } else { author }
        })?;
        writeln!(out, "  scope  {}", scope_words(suppression))?;
        writeln!(out, "  hits   {}{last}", hits.alert_count)?;
    }
    out.flush()?;
    if suppressions.all().is_empty() {
        eprintln!("no suppression in {}", escaped(&store.folder().display().to_string()));
    }
    suppressions.speak(now);
    Ok(Outcome::Done)
}

fn remove(store: &mut Store, beginning: &str) -> anyhow::Result<Outcome> {
    let suppressions = Suppressions::of(Some(store.folder()), None)?;
    let found: Vec<&Kept> = suppressions
        .all()
        .iter()
        .filter(|kept| kept.suppression.id.starts_with(beginning))
        .collect();
    let Kept { suppression, path } = match found.as_slice() {
        [one] => one,
        [] => bail!("no suppression begins with {beginning:?}: `suppress --list` lists them"),
        _ => bail!("more than one suppression begins with {beginning:?}"),
    };
    std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
    let count = store.unsuppress(&suppression.id)?;
    println!("removed {}; {count} alerts are shown again", escaped(&suppression.id));
    Ok(Outcome::Done)
}

/// A UUID that nobody has chosen, in the form that Sigma recommends.
fn identity(alert: AlertId, at: Time) -> String {
    let digest = Sha256::digest(format!("{alert} {} {}", at.0, std::process::id()));
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let digits = format!("{number:032x}");
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Who made it, as far as the system says.
pub(super) fn author() -> String {
    let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    of("SUDO_USER").or_else(|| of("USER")).unwrap_or_else(|| "unknown".to_owned())
}

/// A time with its unit: `14d`.
pub(super) fn span(text: &str) -> Result<Span, String> {
    let unit_s = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        Some('w') => 7 * 86_400,
        _ => return Err("a number with s, m, h, d or w, as 14d".to_owned()),
    };
    let number = text.get(..text.len() - 1).and_then(|number| number.parse::<u64>().ok());
    let seconds = number.and_then(|number| number.checked_mul(unit_s));
    match seconds {
        Some(seconds) if (1..=FOR_DAYS_MAX * 86_400).contains(&seconds) => {
            Ok(Span::from_secs(seconds))
        }
        Some(_) => Err(format!("more than nothing and at most {FOR_DAYS_MAX}d")),
        None => Err("a number with s, m, h, d or w, as 14d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        assert_eq!(span("14d").unwrap(), Span::from_secs(14 * 86_400));
        assert_eq!(span("90s").unwrap(), Span::from_secs(90));
        for wrong in ["", "14", "0d", "-1d", "367d", "99999999999999999999w", "d", "1é"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_identity_is_a_uuid_of_version_4() {
        let id = identity(AlertId(7), Time(9));
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]));
        assert_ne!(id, identity(AlertId(8), Time(9)));
    }
}
