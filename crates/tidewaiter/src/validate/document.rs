//! Finds the commands that the Validation section of an ADS document gives: CommonMark, whatever
//! the order of the sections, their numbering and what stands behind the word.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The largest document that is read.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// Lines that one document may give; more are counted and not looked at.
const SNIPPET_COUNT_MAX: usize = 256;

/// Languages of code blocks whose lines are commands. No language is one of them.
const SHELLS: &[&str] = &[
    "",
    "ash",
    "bash",
    "bat",
    "batch",
    "cmd",
    "console",
    "dash",
    "powershell",
    "ps1",
    "sh",
    "shell",
    "shell-session",
    "shellsession",
    "terminal",
    "text",
    "zsh",
];

/// One line that may be a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snippet {
    /// Its line in the document, from 1.
    pub(crate) line: usize,
    /// Its text, continuation lines joined, prompt removed.
    pub(crate) text: String,
}

/// What a document holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Headings that open a Validation section, as written.
    pub(crate) headings: Vec<String>,
    /// Its lines that may be commands, each text once.
    pub(crate) snippets: Vec<Snippet>,
    /// Code blocks in another language, as `line N: language`.
    pub(crate) other_blocks: Vec<String>,
    /// Snippets beyond the limit.
    pub(crate) left_out_count: usize,
}

/// Reads a document.
pub(crate) fn read(text: &str) -> Found {
    let mut reader = Reader { text, found: Found::default(), section: None, open: Open::Nothing };
    for (event, range) in Parser::new_ext(text, Options::empty()).into_offset_iter() {
        reader.event(event, range.start);
    }
    reader.found
}

struct Reader<'t> {
    text: &'t str,
    found: Found,
    /// The level of the heading that opened the section we are in.
    section: Option<HeadingLevel>,
    open: Open,
}

enum Open {
    Nothing,
    Heading(HeadingLevel, String),
    Block { shell: Option<()>, text: String, start: Option<usize> },
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, at: usize) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                self.open = Open::Heading(level, String::new());
            }
            Event::End(TagEnd::Heading(_)) => self.heading_ends(),
            Event::Start(Tag::CodeBlock(kind)) if self.section.is_some() => {
                self.block_starts(&kind, at);
            }
            Event::End(TagEnd::CodeBlock) => self.block_ends(),
            Event::Text(piece) => self.piece(&piece, at),
            Event::Code(piece) => match &self.open {
                Open::Heading(..) => self.piece(&piece, at),
                _ if self.section.is_some() => self.inline(&piece, at),
                _ => {}
            },
            _ => {}
        }
    }

    fn piece(&mut self, piece: &str, at: usize) {
        match &mut self.open {
            Open::Nothing => {}
            Open::Heading(_, text) => text.push_str(piece),
            Open::Block { text, start, .. } => {
                start.get_or_insert(at);
                text.push_str(piece);
            }
        }
    }

    fn heading_ends(&mut self) {
        let Open::Heading(level, title) = std::mem::replace(&mut self.open, Open::Nothing) else {
            return;
        };
        if is_validation(&title) {
            // A "Validation steps" inside "Validation" does not make the section narrower.
            self.section = Some(self.section.map_or(level, |outer| outer.min(level)));
            self.found.headings.push(title);
        } else if self.section.is_some_and(|outer| level <= outer) {
            self.section = None;
        }
    }

    fn block_starts(&mut self, kind: &CodeBlockKind<'_>, at: usize) {
        let info = match kind {
            CodeBlockKind::Indented => "",
            CodeBlockKind::Fenced(info) => info.as_ref(),
        };
        let language = info.split([' ', ',', '{']).next().unwrap_or("").to_ascii_lowercase();
        let shell = SHELLS.contains(&language.as_str()).then_some(());
        if shell.is_none() {
            self.found.other_blocks.push(format!("line {}: {language}", self.line_of(at)));
        }
        self.open = Open::Block { shell, text: String::new(), start: None };
    }

    fn block_ends(&mut self) {
        let Open::Block { shell: Some(()), text, start: Some(start) } =
            std::mem::replace(&mut self.open, Open::Nothing)
        else {
            return;
        };
        // In a transcript only the lines with a prompt are commands; the others are output.
        let transcript = text.lines().any(|line| line.trim_start().starts_with("$ "));
        let mut joined: Option<Snippet> = None;
        for (line, text) in (self.line_of(start)..).zip(text.lines()) {
            let mut text = text.trim();
            if joined.is_none() && transcript {
                let Some(command) = text.strip_prefix("$ ") else { continue };
                text = command.trim();
            }
            let snippet = joined.get_or_insert(Snippet { line, text: String::new() });
            match text.strip_suffix('\\') {
                Some(part) => snippet.text.push_str(part),
                None => {
                    snippet.text.push_str(text);
                    self.add(joined.take());
                }
            }
        }
        self.add(joined);
    }

    /// Inline code is mostly a word; it is a command when it starts like one.
    fn inline(&mut self, text: &str, at: usize) {
        let text = text.trim();
        let command = text.strip_prefix("$ ").unwrap_or(text);
        let bare = command.strip_prefix("sudo ").unwrap_or(command);
        if ["docker ", "podman "].iter().any(|program| bare.starts_with(program)) {
            self.add(Some(Snippet { line: self.line_of(at), text: command.to_owned() }));
        }
    }

    fn add(&mut self, snippet: Option<Snippet>) {
        let Some(snippet) = snippet else { return };
        if snippet.text.is_empty() || snippet.text.starts_with('#') {
            return;
        }
        if self.found.snippets.iter().any(|known| known.text == snippet.text) {
            return;
        }
        if self.found.snippets.len() == SNIPPET_COUNT_MAX {
            self.found.left_out_count += 1;
            return;
        }
        self.found.snippets.push(snippet);
    }

    fn line_of(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// "Validation", "9. Validation (Adversary Emulation)", "How to validate" …
fn is_validation(title: &str) -> bool {
    title
        .split(|letter: char| !letter.is_alphabetic())
        .any(|word| ["validation", "validate", "validating"].contains(&&*word.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str) -> Vec<String> {
        read(document).snippets.into_iter().map(|snippet| snippet.text).collect()
    }

    #[test]
    fn a_block_in_a_list_below_a_sub_heading_is_found_with_its_line() {
        let document = "# T\n## Validation (Adversary Emulation)\n### Steps\n\n1. **Go:**\n   \
                        - Run:\n     ```bash\n     docker run --rm alpine telnet c2 1\n     ```\n";
        let found = read(document);
        assert_eq!(found.headings, ["Validation (Adversary Emulation)"]);
        assert_eq!(
            found.snippets,
            [Snippet { line: 8, text: "docker run --rm alpine telnet c2 1".into() }]
        );
    }

    #[test]
    fn commands_of_other_sections_are_not_taken() {
        let document = "## Technical Context\n`docker run a`\n## 9. VALIDATION\n`docker run b`\n\
                        ## Response\n```\ndocker rm -f c\n```\n";
        assert_eq!(texts(document), ["docker run b"]);
    }

    #[test]
    fn an_underlined_heading_and_an_indented_block_are_commonmark_too() {
        assert_eq!(texts("Validation\n----------\n\n    docker run a\n"), ["docker run a"]);
    }

    #[test]
    fn a_word_that_only_contains_it_is_no_validation_heading() {
        assert_eq!(texts("## Invalidations\n`docker run a`\n"), Vec::<String>::new());
    }

    #[test]
    fn in_a_transcript_only_prompted_lines_are_commands() {
        let document =
            "# Validation\n```console\n$ docker run a \\\n  --help\nUnable to find image\n```\n";
        assert_eq!(texts(document), ["docker run a --help"]);
    }

    #[test]
    fn comments_words_and_repetitions_are_no_commands_of_their_own() {
        let document = "# Validation\nNeeds `telnet`. `docker run a`\n```sh\n# first\n\n\
                        docker run a\nnc -l 1\n```\n";
        assert_eq!(texts(document), ["docker run a", "nc -l 1"]);
    }

    #[test]
    fn a_block_in_another_language_is_named() {
        let found = read("# Validation\n```python\nimport os\n```\n");
        assert_eq!((found.snippets.len(), found.other_blocks), (0, vec!["line 2: python".into()]));
    }

    #[test]
    fn a_document_that_never_ends_its_lines_is_bounded() {
        let mut document = String::from("# Validation\n```\n");
        for number in 0..SNIPPET_COUNT_MAX + 3 {
            document.push_str(&format!("docker run {number}\n"));
        }
        let found = read(&document);
        assert_eq!((found.snippets.len(), found.left_out_count), (SNIPPET_COUNT_MAX, 3));
    }
}
