//! One Sigma rule: read, and checked whether it can ever match here.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use engine::Level;
use serde_norway::Value;
use sigma_rust::{Event, Rule, rule_from_yaml};

use super::source::Subject;

/// A rule that can be used.
pub(crate) struct UserRule {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) level: Level,
    /// ATT&CK techniques by its tags, as `T1071.004`.
    pub(crate) techniques: Vec<String>,
    pub(crate) subject: Subject,
    rule: Rule,
}

/// A title is shown.
const TITLE_CHARS_MAX: usize = 256;
const ID_BYTES_MAX: usize = 128;
/// Parentheses of a condition are read one inside the other.
const CONDITION_BYTES_MAX: usize = 4096;
const DEPTH_MAX: usize = 64;

impl UserRule {
    /// Reads a rule; the error is why it cannot be used.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let written: Value = serde_norway::from_str(text).context("no YAML document")?;
        ensure!(written.get("filter").is_none(), "it is a filter; see `tidewaiter suppress`");
        ensure!(written.get("correlation").is_none(), "correlations are not supported");
        let detection = written.get("detection").context("it has no detection")?;
        check_condition(detection)?;
        let rule = rule_from_yaml(text).context("no Sigma rule that is supported")?;
        let source = &rule.logsource;
        let of = |part: &Option<String>| part.as_ref().map(|part| part.to_ascii_lowercase());
        let (category, product, service) =
            (of(&source.category), of(&source.product), of(&source.service));
        let subject = Subject::of(category.as_deref(), product.as_deref(), service.as_deref())?;
        let mut unknown = BTreeSet::new();
        fields(detection, 0, &mut |field| {
            if !subject.knows(field) {
                unknown.insert(field.to_owned());
            }
        });
        ensure!(
            unknown.is_empty(),
            "{} have no field {}",
            subject.name(),
            unknown.into_iter().collect::<Vec<_>>().join(", ")
        );
        let id = rule.id.clone().context("it has no id")?;
        ensure!(!id.is_empty() && id.len() <= ID_BYTES_MAX, "its id is empty or too long");
        if let Some(sigma_status) = written.get("status").and_then(Value::as_str)
            && matches!(sigma_status, "deprecated" | "unsupported")
        {
            bail!("its status is {sigma_status}");
        }
        let level = level(written.get("level").and_then(Value::as_str))?;
        let tags = rule.tags.iter().flatten().filter_map(|tag| technique(tag));
        let techniques = tags.collect();
        let title = rule.title.chars().take(TITLE_CHARS_MAX).collect();
        Ok(Self { id, title, level, techniques, subject, rule })
    }

    pub(super) fn matches(&self, event: &Event) -> bool {
        self.rule.is_match(event)
    }
}

fn check_condition(detection: &Value) -> anyhow::Result<()> {
    let condition = detection.get("condition").context("its detection has no condition")?;
    let Some(condition) = condition.as_str() else { bail!("several conditions are not supported") };
    ensure!(condition.len() <= CONDITION_BYTES_MAX, "its condition is too long");
    let depth = condition.bytes().filter(|byte| *byte == b'(').count();
    let negations = condition.split_whitespace().filter(|word| *word == "not").count();
    ensure!(depth.max(negations) <= DEPTH_MAX, "its condition is too deep");
    ensure!(!condition.contains('|'), "aggregations (`|`) are not supported");
    ensure!(detection.get("timeframe").is_none(), "a timeframe is not supported");
    Ok(())
}

/// The names of all fields of a detection.
fn fields(value: &Value, depth: usize, found: &mut impl FnMut(&str)) {
    match value {
        Value::Mapping(pairs) => {
            for (key, value) in pairs {
                let Some(key) = key.as_str() else { continue };
                match depth {
                    0 if key == "condition" => {}
                    0 => fields(value, 1, found),
                    _ => found(key.split('|').next().unwrap_or_default()),
                }
            }
        }
        Value::Sequence(all) => all.iter().for_each(|value| fields(value, depth, found)),
        _ => {}
    }
}

fn level(name: Option<&str>) -> anyhow::Result<Level> {
    Ok(match name {
        Some("informational") => Level::Info,
        // A rule that does not say so is worth a look and no more.
        Some("low") | None => Level::Low,
        Some("medium") => Level::Medium,
        Some("high") => Level::High,
        Some("critical") => Level::Critical,
        Some(other) => bail!("its level {other:?} is none of Sigma's"),
    })
}

/// `attack.t1071.004`
fn technique(tag: &str) -> Option<String> {
    let id = tag.strip_prefix("attack.")?.to_ascii_uppercase();
    let digits = id.strip_prefix('T')?.replace('.', "");
    let is_id = matches!(digits.len(), 4 | 7) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "
title: An odd port
id: 7f9c1d5e-0000-4000-8000-000000000001
level: high
tags: [attack.command_and_control, attack.t1571]
logsource: {category: network_connection, product: linux}
detection:
  selection:
    DestinationPort: [4444, 5555]
    Initiated: 'true'
  filter:
    DestinationIp|cidr: 10.0.0.0/8
  condition: selection and not filter
";

    fn why(text: &str) -> String {
        format!("{:#}", UserRule::read(text).err().unwrap())
    }

    #[test]
    fn a_rule_says_what_it_is_about() {
        let rule = UserRule::read(RULE).unwrap();
        assert_eq!((rule.level, rule.subject), (Level::High, Subject::Flow));
        assert_eq!(rule.techniques, ["T1571"]);
        let mut event = Event::new();
        event.insert("DestinationPort", 4444_i64);
        event.insert("Initiated", "true");
        event.insert("DestinationIp", "198.51.100.10");
        assert!(rule.matches(&event));
        event.insert("DestinationIp", "10.1.2.3");
        assert!(!rule.matches(&event));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (from, to, reason) in [
            ("DestinationPort", "TargetObject", "no field TargetObject"),
            ("product: linux", "product: windows", "Linux containers"),
            ("network_connection", "registry_event", "log source"),
            ("and not filter", "| count() > 5", "aggregations"),
            ("selection and not filter", "[selection, filter]", "several conditions"),
            ("id: 7f9c", "ident: 7f9c", "no id"),
            ("level: high", "level: extreme", "level"),
            ("|cidr", "|nonsense", "nonsense"),
            ("title:", "status: deprecated\ntitle:", "deprecated"),
            ("detection:", "correlation: {}\ndetection:", "correlations"),
            ("condition: selection and not filter", "condition: other", "other"),
        ] {
            let text = why(&RULE.replace(from, to));
            assert!(text.contains(reason), "{reason:?} is not in {text:?}");
        }
        assert!(why(&RULE.replace("and not filter", &"(".repeat(4000))).contains("too deep"));
        assert!(why("").contains("detection") && why("a: [").contains("YAML"));
    }
}
