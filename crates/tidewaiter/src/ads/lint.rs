//! What an ADS document lacks: problems, which make it fail, and gaps, which are better known than
//! unknown.

use super::document::{Content, Document, Item, Section};
use crate::sinks::{sub_techniques, technique_name};

/// How much a remark weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// The document is no complete ADS.
    Problem,
    /// It is one, and says or leaves open that something is missing.
    Gap,
    /// Worth knowing.
    Note,
}

impl Weight {
    /// Its name in the output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Gap => "gap",
            Self::Note => "note",
        }
    }
}

/// One thing that was found. Its text may quote the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) weight: Weight,
    pub(crate) section: Option<Section>,
    pub(crate) text: String,
}

/// Everything worth saying about a document, problems first.
pub(crate) fn lint(document: &Document) -> Vec<Remark> {
    let mut remarks = Remarks(Vec::new());
    if document.title.is_none() {
        remarks.say(Weight::Gap, None, "the document has no title");
    }
    for section in Section::ALL {
        match document.sections.get(&section) {
            None => remarks.say(Weight::Problem, Some(section), "the section is missing"),
            Some(content) => lint_section(section, content, &mut remarks),
        }
    }
    for section in &document.repeated {
        remarks.say(Weight::Note, Some(*section), "the section has more than one heading");
    }
    for heading in &document.other_headings {
        let text = format!("{heading:?} is none of the ten sections");
        remarks.say(Weight::Note, None, &text);
    }
    note_order(document, &mut remarks);
    remarks.0.sort_by_key(|remark| remark.weight);
    remarks.0
}

struct Remarks(Vec<Remark>);

impl Remarks {
    fn say(&mut self, weight: Weight, section: Option<Section>, text: &str) {
        self.0.push(Remark { weight, section, text: text.to_owned() });
    }
}

fn lint_section(section: Section, content: &Content, remarks: &mut Remarks) {
    match (filling(content), section) {
        (Filling::Nothing, _) => {
            remarks.say(Weight::Problem, Some(section), "the section is empty");
        }
        (Filling::Placeholder(word), _) => {
            let text = format!("the section holds only a placeholder ({word})");
            remarks.say(Weight::Problem, Some(section), &text);
        }
        // These three may be empty in truth; that is then a known gap.
        (
            Filling::None(words),
            Section::AdditionalResources | Section::FalsePositives | Section::BlindSpots,
        ) => remarks.say(Weight::Gap, Some(section), &format!("the section says {words:?}")),
        (Filling::None(words), _) => {
            let text = format!("the section says only {words:?}");
            remarks.say(Weight::Problem, Some(section), &text);
        }
        (Filling::Text, Section::Categorization) => lint_categorization(content, remarks),
        (Filling::Text, Section::BlindSpots) => lint_blind_spots(content, remarks),
        (Filling::Text, Section::Validation) => lint_validation(content, remarks),
        (Filling::Text, Section::Priority) => lint_priority(content, remarks),
        (Filling::Text, _) => {}
    }
}

/// What a section is filled with.
enum Filling {
    Nothing,
    Placeholder(&'static str),
    None(String),
    Text,
}

fn filling(content: &Content) -> Filling {
    let last = content.items.last().map_or(content.text.trim(), |item| item.text.trim());
    let text = if content.items.len() == 1 { last } else { content.text.trim() };
    if content.text.trim().is_empty() {
        return Filling::Nothing;
    }
    let plain = text.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    match plain.as_str() {
        "" => Filling::Nothing,
        "tbd" | "to be done" | "to be defined" | "to be determined" => Filling::Placeholder("TBD"),
        "todo" | "to do" | "fixme" => Filling::Placeholder("to do"),
        "lorem ipsum" | "placeholder" => Filling::Placeholder("placeholder"),
        "none" | "n/a" | "na" | "none available" | "none known" | "not applicable" | "nothing"
        | "unknown" => Filling::None(text.to_owned()),
        _ => Filling::Text,
    }
}

fn lint_categorization(content: &Content, remarks: &mut Remarks) {
    let section = Some(Section::Categorization);
    let techniques = technique_ids(&content.text);
    if techniques.is_empty() {
        remarks.say(Weight::Gap, section, "no ATT&CK technique id (such as T1071)");
    }
    for id in &techniques {
        let below = sub_techniques(id);
        let refined = techniques.iter().any(|other| other.starts_with(&format!("{id}.")));
        if technique_name(id).is_none() {
            let text = format!("{id} is not in our table of ATT&CK techniques");
            remarks.say(Weight::Note, section, &text);
        } else if !below.is_empty() && !refined {
            let text = format!("{id} without a sub-technique ({})", below.join(", "));
            remarks.say(Weight::Gap, section, &text);
        }
    }
    let lower = content.text.to_lowercase();
    if !TACTICS.iter().any(|tactic| lower.contains(tactic)) && !lower.contains("ta00") {
        remarks.say(Weight::Gap, section, "no tactic (such as Command and Control)");
    }
    if !["linux", "windows", "macos", "container", "kubernetes"].iter().any(|p| lower.contains(p)) {
        remarks.say(Weight::Gap, section, "no platform");
    }
}

/// ATT&CK's enterprise tactics.
const TACTICS: &[&str] = &[
    "reconnaissance",
    "resource development",
    "initial access",
    "execution",
    "persistence",
    "privilege escalation",
    "defense evasion",
    "credential access",
    "discovery",
    "lateral movement",
    "collection",
    "command and control",
    "exfiltration",
    "impact",
];

/// An assumption that nothing measures is a hope. An item is taken for checked when it names, as
/// code, what checks it, or says so in words.
fn lint_blind_spots(content: &Content, remarks: &mut Remarks) {
    let section = Some(Section::BlindSpots);
    let says_check = |item: &&Item| {
        let lower = item.text.to_lowercase();
        let words = ["checked", "check:", "measured", "verified by", "monitored by", "test:"];
        item.code.is_empty() && !words.iter().any(|word| lower.contains(word))
    };
    let items = content.items.iter().filter(|item| !is_label(&item.text));
    for item in items.filter(says_check) {
        let text = format!("nothing is named that checks it: {:?}", item.text.trim());
        remarks.say(Weight::Gap, section, &text);
    }
    if content.items.is_empty() {
        remarks.say(Weight::Note, section, "blind spots are easier to check as a list");
    }
}

/// `Blind Spots:` and `Assumptions:` head lists and are no items of their own.
fn is_label(text: &str) -> bool {
    text.trim().ends_with(':') || text.trim().is_empty()
}

fn lint_validation(content: &Content, remarks: &mut Remarks) {
    let section = Some(Section::Validation);
    if content.code_count == 0 {
        remarks.say(Weight::Gap, section, "no command that could be run to validate it");
    }
    let lower = content.text.to_lowercase();
    if !["alert", "expected", "must fire", "should fire"].iter().any(|word| lower.contains(word)) {
        remarks.say(Weight::Gap, section, "says not which alert proves that it works");
    }
}

fn lint_priority(content: &Content, remarks: &mut Remarks) {
    let lower = content.text.to_lowercase();
    let levels = ["info", "low", "medium", "moderate", "high", "critical"];
    let is_level = |word: &str| levels.iter().any(|level| word.starts_with(level));
    if !lower.split(|c: char| !c.is_alphabetic()).any(is_level) {
        let text = "names no level (Low, Medium, High, Critical)";
        remarks.say(Weight::Gap, Some(Section::Priority), text);
    }
}

/// `T1071` and `T1071.001`, each once, in the order in which they stand.
fn technique_ids(text: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')) {
        let word = word.trim_end_matches('.');
        let Some(digits) = word.strip_prefix('T') else { continue };
        let (technique, sub) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = technique.len() == 4 && matches!(sub.len(), 0 | 3);
        if is_id && are_digits(technique) && are_digits(sub) && !ids.iter().any(|id| id == word) {
            ids.push(word.to_owned());
        }
    }
    ids
}

fn note_order(document: &Document, remarks: &mut Remarks) {
    let misplaced = document.order.iter().zip(document.order.iter().skip(1)).find(|(a, b)| a > b);
    if let Some((first, second)) = misplaced {
        let text = format!("{} stands after {} in the framework", first.name(), second.name());
        remarks.say(Weight::Note, None, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> String {
        Section::ALL.iter().fold("# Title\n".to_owned(), |text, section| {
            let content = match section {
                Section::Categorization => "T1071.001, Command and Control, Linux",
                Section::Priority => "High",
                Section::Validation => "```\ndocker run x\n```\nAn alert of telnet_c2 is expected.",
                _ => "Some sentence with `code`.",
            };
            text + &format!("## {}\n{content}\n", section.name())
        })
    }

    fn weights(text: &str) -> Vec<Weight> {
        lint(&Document::parse(text)).into_iter().map(|remark| remark.weight).collect()
    }

    #[test]
    fn a_complete_document_passes() {
        assert!(!weights(&whole()).contains(&Weight::Problem));
    }

    #[test]
    fn without_validation_it_fails() {
        let text = whole().replace("## Validation", "## Something else");
        assert!(weights(&text).contains(&Weight::Problem));
    }

    #[test]
    fn an_empty_section_fails_and_an_admitted_gap_does_not() {
        let empty = whole().replace("## Response\nSome sentence with `code`.", "## Response\n");
        assert!(weights(&empty).contains(&Weight::Problem));
        let tbd = whole().replace("## Response\nSome sentence with `code`.", "## Response\nTBD.");
        assert!(weights(&tbd).contains(&Weight::Problem));
        let admitted = whole().replace(
            "## Additional Resources\nSome sentence with `code`.",
            "## Additional Resources\nReferences:\n- None available\n",
        );
        let remarks = lint(&Document::parse(&admitted));
        assert!(remarks.iter().all(|remark| remark.weight != Weight::Problem), "{remarks:?}");
        assert!(remarks.iter().any(|remark| remark.text.contains("None available")), "{remarks:?}");
    }

    #[test]
    fn a_technique_without_its_sub_technique_is_a_gap() {
        let text = whole().replace("T1071.001", "T1071 and T9999");
        let remarks = lint(&Document::parse(&text));
        assert!(remarks.iter().any(|r| r.text.contains("T1071 without a sub-technique")));
        assert!(remarks.iter().any(|r| r.text.contains("T9999 is not in our table")));
    }

    #[test]
    fn an_assumption_that_nothing_checks_is_a_gap_and_a_checked_one_is_not() {
        let with = |item: &str| {
            whole().replace(
                "## Blind Spots and Assumptions\nSome sentence with `code`.",
                &format!("## Blind Spots and Assumptions\n- **Assumptions:**\n  - {item}\n"),
            )
        };
        let gaps = |text: &str| weights(text).iter().filter(|w| **w == Weight::Gap).count();
        assert_eq!(gaps(&with("Logs are complete.")), 1);
        assert_eq!(gaps(&with("Logs are complete, checked by `coverage`.")), 0);
    }

    #[test]
    fn the_order_does_not_matter_and_is_noted() {
        let swapped =
            whole().replace("## Priority", "## X").replace("## Validation", "## Priority");
        let swapped = swapped.replace("## X", "## Validation");
        let remarks = lint(&Document::parse(&swapped));
        assert!(remarks.iter().all(|remark| remark.weight != Weight::Problem), "{remarks:?}");
        assert!(remarks.iter().any(|remark| remark.text.contains("stands after")), "{remarks:?}");
    }
}
