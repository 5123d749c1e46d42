//! Sigma's strings: `*` is any text and `?` any character unless a backslash stands before it, and
//! letters match in either case.

/// One part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Letter(char),
    /// `?`
    One,
    /// `*`
    Any,
}

/// A string as a Sigma document writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads a value of a Sigma document.
    pub(super) fn read(written: &str) -> Self {
        let mut pieces = Vec::new();
        let mut letters = written.chars().peekable();
        while let Some(letter) = letters.next() {
            let piece = match letter {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => match letters.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                    Some(meant) => Piece::Letter(meant),
                    None => Piece::Letter('\\'),
                },
                letter => Piece::Letter(lower(letter)),
            };
            pieces.push(piece);
        }
        Self(pieces)
    }

    /// Whether all of `text` is as the pattern says. Takes at most length times length steps.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().map(lower).collect();
        let (mut place, mut at) = (0, 0);
        // Where to go on when what follows the last `*` does not fit.
        let mut retry = None;
        while let Some(letter) = text.get(at) {
            match self.0.get(place) {
                Some(Piece::Any) => {
                    retry = Some((place, at));
                    place += 1;
                }
                Some(Piece::One) => (place, at) = (place + 1, at + 1),
                Some(Piece::Letter(wanted)) if wanted == letter => {
                    (place, at) = (place + 1, at + 1);
                }
                _ => {
                    let Some((star, taken)) = retry else { return false };
                    retry = Some((star, taken + 1));
                    (place, at) = (star + 1, taken + 1);
                }
            }
        }
        self.0.get(place..).unwrap_or_default().iter().all(|piece| *piece == Piece::Any)
    }

    /// Whether it stands for one text only.
    pub(super) fn is_literal(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Letter(_)))
    }

    /// Whether it stands for the hosts below one domain of at least two labels: `*.example.com`.
    pub(super) fn is_below_domain(&self) -> bool {
        let [Piece::Any, Piece::Letter('.'), rest @ ..] = self.0.as_slice() else { return false };
        let is_letter = |piece: &Piece| matches!(piece, Piece::Letter(_));
        rest.iter().all(is_letter)
            && rest.iter().skip(1).any(|piece| *piece == Piece::Letter('.'))
            && rest.last().is_some_and(|piece| *piece != Piece::Letter('.'))
    }
}

/// The text as a value that matches nothing else: what an attacker has put into a label cannot
/// widen a suppression.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn lower(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(single), None) => single,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::read(pattern).matches(text)
    }

    #[test]
    fn stars_and_question_marks_are_sigmas() {
        assert!(matches("*.Example.com", "api.example.COM"));
        assert!(!matches("*.example.com", "example.com.evil.net"));
        assert!(matches("a?c", "abc") && !matches("a?c", "ac"));
        assert!(matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "a-c-b"));
        assert!(matches("", "") && !matches("", "a") && matches("*", ""));
        assert!(matches(r"c:\temp\\*", r"c:\temp\x"));
    }

    #[test]
    fn what_an_attacker_wrote_matches_only_itself() {
        for hostile in ["*", "?", r"\*", "a*", r"\", "\u{202e}*\n", "İ*"] {
            let pattern = Pattern::read(&literal(hostile));
            assert!(pattern.is_literal());
            assert!(pattern.matches(hostile), "{hostile:?}");
            assert!(!pattern.matches("anything else"), "{hostile:?}");
        }
    }

    #[test]
    fn a_pattern_against_itself_takes_no_longer_than_it_must() {
        assert!(!matches(&("a*".repeat(2000) + "b"), &"a".repeat(4000)));
    }

    #[test]
    fn only_hosts_below_a_domain_are_a_destination() {
        assert!(Pattern::read("*.example.com").is_below_domain());
        for wide in ["*.com", "*example.com", "*", "*.*.com", "*.com.", "a.example.com"] {
            assert!(!Pattern::read(wide).is_below_domain(), "{wide}");
        }
    }
}
