//! One suppression as a Sigma filter document: people read and edit it, other tools understand it.
//! <https://github.com/SigmaHQ/sigma-specification>, "Sigma Filters".

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use engine::{Alert, Level};
use observation::Time;
use serde::{Deserialize, Serialize};
use serde_norway::Value;

use super::selection::{Field, Selection, exactly};
use crate::timestamp;

/// The title's limit in the specification.
const TITLE_CHARS_MAX: usize = 256;
/// A reason is read by people.
pub(crate) const REASON_CHARS_MAX: usize = 1000;
/// The only condition: a filter takes away what it selects.
const CONDITION: &str = "not selection";
/// Whose rules are meant: strategies are `analytic.uid` in an alert.
const PRODUCT: &str = "tidewaiter";
/// Any strategy.
const ANY: &str = "any";

/// One suppression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suppression {
    pub(crate) id: String,
    /// The strategies whose findings it takes away; none stands for any.
    pub(crate) strategies: Vec<String>,
    pub(crate) selection: Selection,
    /// What is selected, as it is written.
    pub(crate) written: Vec<(String, Vec<String>)>,
    pub(crate) reason: String,
    pub(crate) author: String,
    /// The alert that it was made from.
    pub(crate) alert: String,
    pub(crate) created: Time,
    pub(crate) expires: Time,
    /// What is graver than what somebody has looked at is shown.
    pub(crate) level_max: Level,
}

#[derive(Serialize, Deserialize)]
struct Written {
    title: String,
    id: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    author: String,
    #[serde(default)]
    date: String,
    logsource: BTreeMap<String, String>,
    filter: Filter,
    tidewaiter: Own,
}

#[derive(Serialize, Deserialize)]
struct Filter {
    rules: Value,
    selection: Value,
    condition: String,
}

/// Custom fields, as the specification allows them.
#[derive(Serialize, Deserialize)]
struct Own {
    expires: String,
    #[serde(default)]
    created: String,
    #[serde(default)]
    alert: String,
    #[serde(default = "highest")]
    level_max: String,
}

fn highest() -> String {
    "critical".to_owned()
}

/// What a suppression is made of, beside the alert.
pub(crate) struct Draft<'a> {
    pub(crate) id: String,
    pub(crate) strategies: Vec<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) reason: &'a str,
    pub(crate) author: String,
    pub(crate) created: Time,
    pub(crate) expires: Time,
}

impl Suppression {
    /// One that hides what is like this alert. Values are written so that they match nothing else.
    pub(crate) fn of(alert: &Alert, draft: Draft<'_>) -> anyhow::Result<Self> {
        let mut written = Vec::new();
        for field in &draft.fields {
            let values = field.values(alert);
            ensure!(!values.is_empty(), "the alert does not say {}", field.name());
            let values = values.iter().map(|value| exactly(value)).collect();
            written.push((field.name().to_owned(), values));
        }
        let selection = read_selection(&written)?;
        Ok(Self {
            id: draft.id,
            strategies: draft.strategies,
            selection,
            written,
            reason: draft.reason.to_owned(),
            author: draft.author,
            alert: alert.id.to_string(),
            created: draft.created,
            expires: draft.expires,
            level_max: alert.level,
        })
    }

    /// Reads a document; the error says what is wrong with it.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let written: Written = serde_norway::from_str(text).context("no Sigma filter")?;
        let product = written.logsource.get("product").map(String::as_str);
        ensure!(product == Some(PRODUCT), "its logsource is not `product: {PRODUCT}`");
        ensure!(
            written.filter.condition.trim() == CONDITION,
            "its condition is not `{CONDITION}`, and this version knows no other"
        );
        ensure!(!written.id.is_empty(), "it has no id");
        let time = |name: &str, text: &str| {
            timestamp::parsed(text).with_context(|| format!("{name}: {text:?} is no date or time"))
        };
        let selection = texts_by_key(&written.filter.selection)?;
        let suppression = Self {
            id: written.id,
            strategies: strategies(&written.filter.rules)?,
            selection: read_selection(&selection)?,
            written: selection,
            reason: written.description,
            author: written.author,
            alert: written.tidewaiter.alert,
            created: time("created", &written.tidewaiter.created).unwrap_or(Time(0)),
            expires: time("expires", &written.tidewaiter.expires)?,
            level_max: level(&written.tidewaiter.level_max)?,
        };
        ensure!(
            suppression.selection.is_fixed(),
            "it is too broad: it fixes neither a workload nor a destination"
        );
        Ok(suppression)
    }

    /// The document.
    pub(crate) fn to_yaml(&self) -> anyhow::Result<String> {
        let one_or_many = |values: &[String]| match values {
            [one] => Value::from(one.as_str()),
            many => Value::from(many.to_vec()),
        };
        let selection = self.written.iter();
        let selection =
            selection.map(|(key, values)| (Value::from(key.as_str()), one_or_many(values)));
        let rules = match self.strategies.as_slice() {
            [] => Value::from(ANY),
            some => Value::from(some.to_vec()),
        };
        let title: String = format!("Suppression: {}", self.reason);
        let written = Written {
            title: title.chars().take(TITLE_CHARS_MAX).collect(),
            id: self.id.clone(),
            description: self.reason.clone(),
            author: self.author.clone(),
            date: timestamp::rfc3339(self.created).chars().take(10).collect(),
            logsource: BTreeMap::from([
                ("product".to_owned(), PRODUCT.to_owned()),
                ("service".to_owned(), "alerts".to_owned()),
            ]),
            filter: Filter {
                rules,
                selection: Value::Mapping(selection.collect()),
                condition: CONDITION.to_owned(),
            },
            tidewaiter: Own {
                expires: timestamp::rfc3339(self.expires),
                created: timestamp::rfc3339(self.created),
                alert: self.alert.clone(),
                level_max: self.level_max.name().to_ascii_lowercase(),
            },
        };
        serde_norway::to_string(&written).context("writing a Sigma filter")
    }

    /// Whether it hides this alert, going by what it says alone.
    pub(crate) fn matches(&self, alert: &Alert) -> bool {
        alert.level <= self.level_max && self.covers(alert) && self.selection.matches(alert)
    }

    /// Whether it fixes a workload or a destination.
    pub(crate) fn is_fixed(&self) -> bool {
        self.selection.is_fixed()
    }

    /// Whether it takes away every strategy that accuses: a filter silences its own rules, and what
    /// another one finds is news.
    fn covers(&self, alert: &Alert) -> bool {
        let is_meant = |strategy: &str| self.strategies.iter().any(|meant| meant == strategy);
        self.strategies.is_empty() || accusers(alert).all(is_meant)
    }
}

/// The strategies that speak for an attack in this alert.
pub(crate) fn accusers(alert: &Alert) -> impl Iterator<Item = &str> {
    let accusing = alert.evidence.iter().filter(|term| term.points_db > 0);
    let named = accusing.map(|term| term.strategy.as_ref()).filter(|name| !name.is_empty());
    std::iter::once(alert.strategy.as_ref()).chain(named)
}

fn read_selection(written: &[(String, Vec<String>)]) -> anyhow::Result<Selection> {
    Selection::read(written.iter().map(|(key, values)| (key.as_str(), values.clone())))
}

fn strategies(rules: &Value) -> anyhow::Result<Vec<String>> {
    let all = texts(rules).context("rules")?;
    ensure!(!all.is_empty(), "it names no rules; `rules: {ANY}` stands for any");
    Ok(if all == [ANY] { Vec::new() } else { all })
}

fn texts_by_key(selection: &Value) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let Value::Mapping(pairs) = selection else {
        bail!("its selection is no map of fields, and this version knows no other")
    };
    let pair = |(key, values): (&Value, &Value)| {
        let Value::String(key) = key else { bail!("a field of its selection has no name") };
        Ok((key.clone(), texts(values).with_context(|| format!("{key:?}"))?))
    };
    pairs.iter().map(pair).collect()
}

/// A scalar, or a list of them.
fn texts(value: &Value) -> anyhow::Result<Vec<String>> {
    Ok(match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Sequence(all) => all.iter().map(texts).collect::<anyhow::Result<Vec<_>>>()?.concat(),
        _ => bail!("neither a text nor a number"),
    })
}

fn level(name: &str) -> anyhow::Result<Level> {
    const ALL: [Level; 5] = [Level::Info, Level::Low, Level::Medium, Level::High, Level::Critical];
    let found = ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name));
    found.with_context(|| format!("level_max: {name:?} is no level"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::sample::alert_named;

    fn suppression(alert: &Alert, fields: &[Field]) -> Suppression {
        let draft = Draft {
            id: "0e95725d-7320-415d-80f7-004da920fc11".to_owned(),
            strategies: vec!["telnet_c2".to_owned()],
            fields: fields.to_vec(),
            reason: "agreed: 'ops' say so\n# no comment",
            author: "alice".to_owned(),
            created: Time(1_795_555_464_513_000_000),
            expires: Time(1_796_555_464_513_000_000),
        };
        Suppression::of(alert, draft).unwrap()
    }

    const ALL: [Field; 5] =
        [Field::Workload, Field::ImageDigest, Field::ImageName, Field::Address, Field::Port];

    #[test]
    fn a_document_comes_back_as_it_was_written() {
        let alert = alert_named("registry/x:1");
        let written = suppression(&alert, &ALL);
        let text = written.to_yaml().unwrap();
        assert_eq!(Suppression::read(&text).unwrap(), written, "{text}");
        assert!(written.matches(&alert));
        assert!(text.contains("condition: not selection"), "{text}");
    }

    #[test]
    fn a_hostile_label_cannot_widen_one() {
        for hostile in
            ["*", "x\n  dst_endpoint.ip: '*'", "'", "\"*\"", "? *", "!!str *", "&a *a", "\\*"]
        {
            let alert = alert_named(hostile);
            let fields = [Field::ImageName, Field::Domain, Field::Address];
            let text = suppression(&alert, &fields).to_yaml().unwrap();
            let read = Suppression::read(&text).unwrap();
            assert!(read.matches(&alert), "{text}");
            assert!(!read.matches(&alert_named("something else")), "{text}");
            assert_eq!(read.written.len(), 3, "{text}");
        }
    }

    #[test]
    fn what_another_strategy_finds_or_what_has_become_graver_is_shown() {
        let alert = alert_named("x");
        let hidden = suppression(&alert, &ALL);
        let mut joined = alert.clone();
        joined.evidence[1].strategy = "beacon".into();
        assert!(hidden.matches(&alert) && !hidden.matches(&joined));
        let graver = Alert { level: Level::Critical, ..alert.clone() };
        assert!(!hidden.matches(&graver));
        let mut elsewhere = alert;
        elsewhere.peer.endpoint = None;
        assert!(!hidden.matches(&elsewhere));
    }

    #[test]
    fn a_document_that_says_too_little_is_refused_with_a_reason() {
        let text = suppression(&alert_named("x"), &ALL).to_yaml().unwrap();
        for (from, to, why) in [
            ("not selection", "selection", "condition"),
            ("product: tidewaiter", "product: windows", "logsource"),
            ("container.workload: 5a", "container.workload: '*'\n    # 5a", "too broad"),
            ("expires: ", "expires: someday #", "date"),
        ] {
            let changed =
                text.replace(from, to).replace("dst_endpoint.ip: 198.51.100.10\n    ", "");
            let error = format!("{:#}", Suppression::read(&changed).unwrap_err());
            assert!(error.contains(why), "{error} for\n{changed}");
        }
        assert!(Suppression::read("a: &a [*a]").is_err());
        assert!(Suppression::read(&"[".repeat(60_000)).is_err());
    }
}
