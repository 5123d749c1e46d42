//! Reads an ADS document as CommonMark and finds its sections, whatever their order, their heading
//! level, their numbering and small variations of their names.

use std::collections::BTreeMap;

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

/// The ten sections, in the framework's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Goal,
    Categorization,
    StrategyAbstract,
    TechnicalContext,
    BlindSpots,
    FalsePositives,
    Validation,
    Priority,
    Response,
    AdditionalResources,
}

impl Section {
    /// All of them, in the framework's order.
    pub(crate) const ALL: [Self; 10] = [
        Self::Goal,
        Self::Categorization,
        Self::StrategyAbstract,
        Self::TechnicalContext,
        Self::BlindSpots,
        Self::FalsePositives,
        Self::Validation,
        Self::Priority,
        Self::Response,
        Self::AdditionalResources,
    ];

    /// The framework's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Goal => "Goal",
            Self::Categorization => "Categorization",
            Self::StrategyAbstract => "Strategy Abstract",
            Self::TechnicalContext => "Technical Context",
            Self::BlindSpots => "Blind Spots and Assumptions",
            Self::FalsePositives => "False Positives",
            Self::Validation => "Validation",
            Self::Priority => "Priority",
            Self::Response => "Response",
            Self::AdditionalResources => "Additional Resources",
        }
    }

    /// The section that a heading opens: `2. Blind spots & assumptions:` and the like.
    fn of_heading(heading: &str) -> Option<Self> {
        let without_aside = heading.split('(').next().unwrap_or(heading).replace('&', " and ");
        let words: Vec<String> = without_aside
            .split(|character: char| !character.is_alphabetic())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        Some(match words.join(" ").as_str() {
            "goal" | "goals" | "objective" => Self::Goal,
            "categorization" | "categorisation" | "category" | "classification" => {
                Self::Categorization
            }
            "strategy abstract" | "abstract" | "detection strategy abstract" => {
                Self::StrategyAbstract
            }
            "technical context" | "technical details" | "technical background" => {
                Self::TechnicalContext
            }
            "blind spots and assumptions"
            | "assumptions and blind spots"
            | "blind spots"
            | "blindspots"
            | "blindspots and assumptions"
            | "blind spots assumptions"
            | "assumptions" => Self::BlindSpots,
            "false positives" | "false positive" | "known false positives" => Self::FalsePositives,
            "validation"
            | "validation steps"
            | "adversary emulation"
            | "testing"
            | "validation and testing" => Self::Validation,
            "priority" | "priorities" | "severity" => Self::Priority,
            "response" | "response steps" | "response plan" | "incident response" => Self::Response,
            "additional resources"
            | "additional resource"
            | "resources"
            | "references"
            | "further reading" => Self::AdditionalResources,
            _ => return None,
        })
    }
}

/// What stands in a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Its text without subheadings, marks of emphasis and code fences; one block a line.
    pub(crate) text: String,
    /// The text of its list items, each with whether it holds inline code.
    pub(crate) items: Vec<Item>,
    /// Code blocks, and inline code of more than one word: what could be a command.
    pub(crate) code_count: usize,
    /// Its Markdown as it stands in the file, without its heading.
    pub(crate) source: String,
}

/// One list item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its own text, without that of lists inside it.
    pub(crate) text: String,
    /// Its inline code.
    pub(crate) code: Vec<String>,
}

/// A document by its sections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    /// Its first heading, where that opens no section.
    pub(crate) title: Option<String>,
    /// In the order in which they stand.
    pub(crate) order: Vec<Section>,
    /// What stands in them.
    pub(crate) sections: BTreeMap<Section, Content>,
    /// Sections with more than one heading of the same words.
    pub(crate) repeated: Vec<Section>,
    /// Headings as high as a section's that open none.
    pub(crate) other_headings: Vec<String>,
}

/// A heading and where its text in the file begins and ends.
struct Heading {
    level: HeadingLevel,
    text: String,
    start: usize,
    end: usize,
}

impl Document {
    /// Reads a document. Any text is one, if only one without sections.
    pub(crate) fn parse(text: &str) -> Self {
        let headings = headings(text);
        let levels = section_levels(&headings);
        let opened = |heading: &Heading| {
            let section = Section::of_heading(&heading.text)?;
            (levels.get(&section) == Some(&heading.level)).then_some(section)
        };
        let mut document = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for (index, heading) in headings.iter().enumerate() {
            let Some(section) = opened(heading) else {
                document.other_heading(index, heading, &levels);
                continue;
            };
            let end = headings
                .iter()
                .skip(index + 1)
                .find(|next| next.level <= heading.level || opened(next).is_some())
                .map_or(text.len(), |next| next.start);
            let source = text.get(heading.end..end).unwrap_or_default();
            let words = heading.text.to_lowercase();
            if seen.contains(&words) {
                document.repeated.push(section);
            }
            seen.push(words);
            document.add(section, source);
        }
        document
    }

    fn other_heading(
        &mut self,
        index: usize,
        heading: &Heading,
        levels: &BTreeMap<Section, HeadingLevel>,
    ) {
        if index == 0 {
            self.title = Some(heading.text.clone());
        } else if levels.values().any(|level| heading.level <= *level) {
            self.other_headings.push(heading.text.clone());
        }
    }

    fn add(&mut self, section: Section, source: &str) {
        if !self.order.contains(&section) {
            self.order.push(section);
        }
        let content = self.sections.entry(section).or_default();
        content.source.push_str(source);
        content.read(source);
    }
}

/// The highest level at which each section has a heading: a "Response" inside "Technical Context"
/// is no section when there is one of its own.
fn section_levels(headings: &[Heading]) -> BTreeMap<Section, HeadingLevel> {
    let mut levels = BTreeMap::new();
    for heading in headings {
        if let Some(section) = Section::of_heading(&heading.text) {
            let level = levels.entry(section).or_insert(heading.level);
            *level = (*level).min(heading.level);
        }
    }
    levels
}

fn headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut open: Option<Heading> = None;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match (event, &mut open) {
            (Event::Start(Tag::Heading { level, .. }), _) => {
                open = Some(Heading {
                    level,
                    text: String::new(),
                    start: range.start,
                    end: range.end,
                });
            }
            (Event::End(TagEnd::Heading(_)), _) => headings.extend(open.take()),
            (Event::Text(piece) | Event::Code(piece), Some(heading)) => {
                heading.text.push_str(&piece);
            }
            _ => {}
        }
    }
    headings
}

impl Content {
    fn read(&mut self, source: &str) {
        let mut reader = Reader { content: self, open_items: Vec::new(), heading_depth: 0 };
        for event in Parser::new(source) {
            reader.event(event);
        }
    }
}

struct Reader<'c> {
    content: &'c mut Content,
    open_items: Vec<Item>,
    heading_depth: u32,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::Heading { .. }) => self.heading_depth += 1,
            Event::End(TagEnd::Heading(_)) => {
                self.heading_depth = self.heading_depth.saturating_sub(1);
            }
            Event::Start(Tag::Item) => self.open_items.push(Item::default()),
            Event::End(TagEnd::Item) => self.content.items.extend(self.open_items.pop()),
            Event::Start(Tag::CodeBlock(_)) => self.content.code_count += 1,
            Event::Text(piece) => self.text(&piece),
            Event::Code(piece) => {
                self.content.code_count += usize::from(piece.trim().contains(' '));
                if let Some(item) = self.open_items.last_mut() {
                    item.code.push(piece.to_string());
                }
                self.text(&piece);
            }
            Event::SoftBreak | Event::HardBreak => self.text(" "),
            Event::End(TagEnd::Paragraph) => self.content.text.push('\n'),
            _ => {}
        }
    }

    fn text(&mut self, piece: &str) {
        if self.heading_depth > 0 {
            return;
        }
        self.content.text.push_str(piece);
        if let Some(item) = self.open_items.last_mut() {
            item.text.push_str(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_vary_and_mean_the_same() {
        for heading in [
            "Blind Spots and Assumptions",
            "5. Blind spots & assumptions",
            "Blind Spots",
            "**Assumptions**",
        ] {
            let document = Document::parse(&format!("# T\n## {heading}\n- x\n"));
            assert_eq!(document.order, [Section::BlindSpots], "{heading}");
        }
        let document = Document::parse("Validation (Adversary Emulation)\n===\nx\n");
        assert_eq!(document.order, [Section::Validation]);
    }

    #[test]
    fn a_heading_inside_another_section_is_part_of_it() {
        let text = "# T\n## Technical Context\na\n### Response\nb\n## Response\nc\n";
        let document = Document::parse(text);
        assert_eq!(document.order, [Section::TechnicalContext, Section::Response]);
        assert_eq!(document.sections[&Section::TechnicalContext].text, "a\nb\n");
        assert_eq!(document.sections[&Section::Response].text, "c\n");
    }

    #[test]
    fn a_heading_in_a_code_block_is_none() {
        let document = Document::parse("# T\n## Goal\n```\n## Response\n```\n");
        assert_eq!(document.order, [Section::Goal]);
    }
}
