//! MISP feeds: a folder with `manifest.json` and one JSON file for each event.
//! <https://www.misp-project.org/feeds/>, <https://www.misp-standard.org/rfc/misp-standard-core.html>

use std::borrow::Cow;
use std::collections::BTreeMap;

use observation::Time;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::value::{Unused, of_kind};
use super::{Entry, FeedTally, Shared, Take, give};

/// The list of a folder's events.
pub const MANIFEST: &str = "manifest.json";
/// Events of one feed.
const EVENT_COUNT_MAX: usize = 100_000;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, rename = "Event")]
    event: Option<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "Attribute")]
    attributes: Vec<Attribute<'a>>,
    #[serde(borrow, default, rename = "Object")]
    objects: Vec<Object<'a>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default, rename = "Attribute")]
    attributes: Vec<Attribute<'a>>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Cow<'a, str>,
    #[serde(default)]
    to_ids: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    timestamp: Seconds,
}

/// Seconds since 1970, as a number or, as MISP mostly writes them, as a text.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
    #[default]
    None,
}

impl Seconds {
    fn time(&self) -> Option<Time> {
        let seconds = match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.parse().ok(),
            Self::None => None,
        };
        seconds?.checked_mul(1_000_000_000).filter(|nanos| *nanos > 0).map(Time)
    }
}

/// `None` where it is something else.
pub(super) fn read(
    text: &[u8],
    take: &mut Take<'_>,
) -> Result<Option<FeedTally>, serde_json::Error> {
    let file: File<'_> = serde_json::from_slice(text)?;
    let Some(event) = file.event else { return Ok(None) };
    let mut tally = FeedTally::default();
    let objects = event.objects.iter().flat_map(|object| &object.attributes);
    for attribute in event.attributes.iter().chain(objects) {
        // What is not meant for detection is there to be read by people.
        if !attribute.to_ids || attribute.deleted {
            tally.unused_count += 1;
            continue;
        }
        match of_kind(&attribute.kind, attribute.value.trim()) {
            Ok(Some(value)) => {
                let (seen, shared) = (attribute.timestamp.time(), Shared::No);
                let entry = Entry { value, confidence: None, seen, expires: None, shared };
                give(entry, &mut tally, take);
            }
            Ok(None) => tally.not_understood_count += 1,
            Err(Unused) => tally.unused_count += 1,
        }
    }
    Ok(Some(tally))
}

/// The names of the files that a manifest lists.
///
/// # Errors
///
/// It is no JSON object of events.
pub fn events_of_manifest(text: &[u8]) -> Result<Vec<String>, String> {
    let events: BTreeMap<String, IgnoredAny> =
        serde_json::from_slice(text).map_err(|error| format!("no manifest: {error}"))?;
    if events.len() > EVENT_COUNT_MAX {
        return Err(format!("it lists more than {EVENT_COUNT_MAX} events"));
    }
    // An event is named by its UUID; anything else could lead out of the folder.
    let is_uuid = |name: &&String| {
        name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    Ok(events.keys().filter(is_uuid).map(|name| format!("{name}.json")).collect())
}
