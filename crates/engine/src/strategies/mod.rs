//! The strategies: one folder each, and two lines here.

mod telnet_c2;

use observation::FactKind;

use crate::alert::Maturity;
use crate::channel::{ChannelKey, Session};
use crate::context::Context;
use crate::evidence::Finding;

static STRATEGIES: &[&Strategy] = &[&telnet_c2::STRATEGY];

/// A strategy is data: what it is called, what it needs, what it claims, and one pure function.
pub(crate) struct Strategy {
    /// Its folder, its id in alerts and configuration, its address in the documents.
    pub id: &'static str,
    /// ATT&CK technique ids, see `attack.rs`.
    pub techniques: &'static [&'static str],
    pub maturity: Maturity,
    /// What it cannot do without; drives the honest sentence "blind".
    pub listens: &'static [FactKind],
    /// Its ADS document.
    pub ads: &'static str,
    pub detect: Detect,
}

/// How a strategy looks.
pub(crate) enum Detect {
    /// A pure function over a channel and its surroundings.
    Channel(fn(&ChannelKey, &Session, &Context<'_>) -> Option<Finding>),
}

/// What all strategies say about one channel.
pub(crate) fn judge(
    key: &ChannelKey,
    session: &Session,
    context: &Context<'_>,
) -> alloc::vec::Vec<Finding> {
    let findings = STRATEGIES.iter().filter_map(|strategy| match strategy.detect {
        Detect::Channel(detect) => detect(key, session, context),
    });
    findings.collect()
}

/// All of them, in the order of their ids.
pub(crate) fn all() -> impl Iterator<Item = &'static Strategy> {
    STRATEGIES.iter().copied()
}

/// The strategy of this id.
pub(crate) fn by_id(id: &str) -> Option<&'static Strategy> {
    all().find(|strategy| strategy.id == id)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::collections::BTreeSet;
    use alloc::string::String;
    use alloc::vec::Vec;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::attack;

    /// The sections of an ADS document, in the framework's order.
    const SECTIONS: [&str; 10] = [
        "Goal",
        "Categorization",
        "Strategy Abstract",
        "Technical Context",
        "Blind Spots and Assumptions",
        "False Positives",
        "Validation",
        "Priority",
        "Response",
        "Additional Resources",
    ];

    fn folder() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/strategies"))
    }

    #[test]
    fn every_folder_is_registered_and_complete() {
        let registered: BTreeSet<_> = all().map(|strategy| String::from(strategy.id)).collect();
        assert_eq!(registered.len(), STRATEGIES.len(), "ids are unique");
        let folders: BTreeSet<_> = fs::read_dir(folder())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        assert_eq!(registered, folders);
        for id in registered {
            for file in ["mod.rs", "ads.md", "attack.toml"] {
                assert!(folder().join(&id).join(file).is_file(), "{id} has no {file}");
            }
        }
    }

    #[test]
    fn every_technique_exists() {
        for strategy in all() {
            assert!(!strategy.techniques.is_empty(), "{} has no technique", strategy.id);
            for technique in strategy.techniques {
                assert!(attack::technique(technique).is_some(), "{technique} is not in ATT&CK");
            }
            assert!(!strategy.listens.is_empty());
        }
    }

    #[test]
    fn every_ads_document_has_its_sections_in_order() {
        for strategy in all() {
            let found: Vec<&str> =
                strategy.ads.lines().filter_map(|line| line.strip_prefix("## ")).collect();
            assert_eq!(found, SECTIONS, "{}", strategy.id);
        }
    }

    /// A constant that prose names has to exist.
    #[test]
    fn every_constant_that_an_ads_document_names_exists() {
        for strategy in all() {
            let mut code = fs::read_to_string(folder().join(strategy.id).join("mod.rs")).unwrap();
            for file in ["../channel.rs", "../roles.rs", "../context.rs", "../evidence.rs"] {
                code += &fs::read_to_string(folder().join(file)).unwrap();
            }
            let quoted = strategy.ads.split('`').skip(1).step_by(2);
            for name in quoted.filter(|name| name.contains('_') && name.to_uppercase() == **name) {
                assert!(code.contains(&std::format!("const {name}")), "{name} does not exist");
            }
        }
    }
}
