//! The elements of a JSON array, or one JSON value by itself, as unparsed text: a bad element
//! costs only itself, and a long array costs no memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Calls `out` with each element's text. Fails where the document stops being JSON, after the
/// elements before.
pub(crate) fn each_element(
    document: &[u8],
    out: &mut dyn FnMut(&str),
) -> Result<(), serde_json::Error> {
    if document.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        let element: &RawValue = serde_json::from_slice(document)?;
        out(element.get());
        return Ok(());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    Each(out).deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Each<'f>(&'f mut dyn FnMut(&str));

impl<'de> DeserializeSeed<'de> for Each<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            (self.0)(element.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &[u8]) -> (Vec<String>, bool) {
        let mut texts = Vec::new();
        let whole = each_element(document, &mut |text| texts.push(text.to_owned())).is_ok();
        (texts, whole)
    }

    #[test]
    fn an_array_gives_its_elements_and_an_object_itself() {
        assert_eq!(texts(b" [ {\"a\": 1}, 2 ] "), (vec!["{\"a\": 1}".into(), "2".into()], true));
        assert_eq!(texts(b"\n{\"a\":1}"), (vec!["{\"a\":1}".into()], true));
        assert_eq!(texts(b"[]"), (vec![], true));
    }

    #[test]
    fn a_cut_array_gives_the_elements_before_the_cut() {
        assert_eq!(texts(b"[{\"a\":1},{\"b\""), (vec!["{\"a\":1}".into()], false));
        assert_eq!(texts(b"[1] x"), (vec!["1".into()], false));
        assert_eq!(texts(b""), (vec![], false));
    }
}
