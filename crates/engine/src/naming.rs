//! Whether a text names a host: environment, labels and commands say where a container may go.

/// Whether `text` names this domain or a host below it.
pub(crate) fn names_below(text: &str, domain: &str) -> bool {
    let host = |letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '.' | '-' | '_');
    text.split(host).any(|word| {
        let word = word.strip_suffix('.').unwrap_or(word);
        let below = word.strip_suffix(domain);
        !domain.is_empty() && below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
    })
}

/// Whether `text` names this host: as a whole word, so that 10.0.0.1 is not found in 10.0.0.12.
pub(crate) fn names(text: &str, host: &str) -> bool {
    // Shorter names (`a`, `db`) are found only as the whole value or host part.
    if host.len() < 2 {
        return false;
    }
    let part_of_name =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(host)) {
        let start = from + found;
        let end = start + host.len();
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let after = text.get(end..).and_then(|after| after.chars().next());
        if !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name) {
            return true;
        }
        from = end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_as_a_whole_word() {
        assert!(names("API=http://198.51.100.1:80/", "198.51.100.1"));
        assert!(!names("API=http://198.51.100.10:80/", "198.51.100.1"));
        assert!(names("db:10.0.0.5", "db"));
        assert!(!names("POSTGRES_DB=shop-db2", "db2"));
        assert!(!names("A=", "a"));
    }
}
