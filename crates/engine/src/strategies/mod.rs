//! The strategies: one folder each, and two lines here.

mod beacon;
mod beacon_in_connection;
mod c2_server;
mod dns_c2;
mod errands;
mod exfil_volume;
mod file_transfer_c2;
mod foreign_port;
mod icmp_c2;
mod ingress_tool;
mod interactive_shell;
mod irc_c2;
mod long_connection;
mod mail_c2;
mod metadata_service;
mod mining;
mod protocol_mask;
mod proxy_c2;
mod pubsub_c2;
mod scan_from_container;
mod telnet_c2;
mod terms;
mod threat_intel;
mod tls_oddity;
mod tunnel_c2;
mod web_c2;
mod web_service_c2;

use alloc::borrow::Cow;
use alloc::vec::Vec;

use observation::FactKind;

use crate::alert::Maturity;
use crate::channel::{ChannelKey, Far};
use crate::context::Context;
use crate::evidence::{Finding, Term, Worth};
use crate::flows::Flow;
use crate::lookups::Asked;
use crate::profiles::{FanIn, Profile};
use crate::session::Session;
use crate::surveys::Survey;

static STRATEGIES: &[&Strategy] = &[
    &beacon::STRATEGY,
    &beacon_in_connection::STRATEGY,
    &c2_server::STRATEGY,
    &dns_c2::STRATEGY,
    &exfil_volume::STRATEGY,
    &file_transfer_c2::STRATEGY,
    &foreign_port::STRATEGY,
    &icmp_c2::STRATEGY,
    &ingress_tool::STRATEGY,
    &interactive_shell::STRATEGY,
    &irc_c2::STRATEGY,
    &long_connection::STRATEGY,
    &mail_c2::STRATEGY,
    &metadata_service::STRATEGY,
    &mining::STRATEGY,
    &protocol_mask::STRATEGY,
    &proxy_c2::STRATEGY,
    &pubsub_c2::STRATEGY,
    &scan_from_container::STRATEGY,
    &telnet_c2::STRATEGY,
    &threat_intel::STRATEGY,
    &tls_oddity::STRATEGY,
    &tunnel_c2::STRATEGY,
    &web_c2::STRATEGY,
    &web_service_c2::STRATEGY,
];

/// A strategy is data: what it is called, what it needs, what it claims, and one pure function.
pub(crate) struct Strategy {
    /// Its folder, its id in alerts and configuration, its address in the documents.
    pub id: &'static str,
    /// All ATT&CK technique ids that its findings may name, see `attack.rs`.
    pub techniques: &'static [&'static str],
    pub maturity: Maturity,
    /// What it cannot do without; drives the honest sentence "blind".
    pub listens: &'static [FactKind],
    /// Its ADS document.
    pub ads: &'static str,
    /// Whether it may say something about a flow, going by what was seen on the wire alone. Only
    /// such flows are put into channels.
    pub concerns: fn(&Flow) -> bool,
    pub detect: Detect,
}

impl Strategy {
    /// What it says, with all its techniques, where that is worth a word.
    fn finding(
        &self,
        summary: &'static str,
        terms: Vec<Term>,
        low_if: Vec<Cow<'static, str>>,
    ) -> Option<Finding> {
        let finding = Finding {
            strategy: Cow::Borrowed(self.id),
            techniques: self.techniques.iter().copied().map(Cow::Borrowed).collect(),
            summary: Cow::Borrowed(summary),
            terms,
            low_if,
            worth: Worth::Telling,
        };
        match self.detect {
            Detect::Channel(_) | Detect::Profile(_) => finding.worth_keeping(),
            Detect::Accepted(..) | Detect::Lookups(_) | Detect::Survey(_) => {
                finding.worth_telling()
            }
        }
    }
}

/// How a strategy looks.
pub(crate) enum Detect {
    /// A pure function over a channel that its subject opened, and its surroundings.
    Channel(fn(&ChannelKey, &Session, &Context<'_>) -> Option<Finding>),
    /// What its subject accepted: the same over one caller's flows, and a pure function over all
    /// who call one port.
    Accepted(
        fn(&ChannelKey, &Session, &Context<'_>) -> Option<Finding>,
        fn(&FanIn<'_>, &Context<'_>) -> Option<Finding>,
    ),
    /// A pure function over all lookups of a subject below a registered domain.
    Lookups(fn(&Asked<'_>, &Context<'_>) -> Option<Finding>),
    /// A pure function over all calls of a subject to a far end.
    Profile(fn(&Profile<'_>, &Context<'_>) -> Option<Finding>),
    /// A pure function over all that a subject has tried.
    Survey(fn(&Survey, &Context<'_>) -> Option<Finding>),
}

/// Whether any strategy may say something about this flow.
pub(crate) fn concern(flow: &Flow) -> bool {
    let is_outgoing = flow.is_outgoing();
    STRATEGIES.iter().any(|strategy| {
        let is_about_accepted = matches!(strategy.detect, Detect::Accepted(..));
        is_about_accepted != is_outgoing && (strategy.concerns)(flow)
    })
}

/// What all strategies say about one channel.
pub(crate) fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Vec<Finding> {
    let is_called = matches!(key.far, Far::Caller(..));
    let findings = STRATEGIES.iter().filter_map(|strategy| match strategy.detect {
        Detect::Channel(detect) if !is_called => detect(key, session, context),
        Detect::Accepted(detect, _) if is_called => detect(key, session, context),
        _ => None,
    });
    findings.collect()
}

/// What is said about something that a feed lists, where there is no conversation to judge.
pub(crate) fn judge_listed(context: &Context<'_>) -> Vec<Finding> {
    threat_intel::judge_listed(context).into_iter().collect()
}

/// What all strategies say about one profile.
pub(crate) fn judge_profile(profile: &Profile<'_>, context: &Context<'_>) -> Vec<Finding> {
    let findings = STRATEGIES.iter().filter_map(|strategy| match strategy.detect {
        Detect::Profile(detect) => detect(profile, context),
        _ => None,
    });
    findings.collect()
}

/// What all strategies say about those who call one port.
pub(crate) fn judge_callers(fan_in: &FanIn<'_>, context: &Context<'_>) -> Vec<Finding> {
    let findings = STRATEGIES.iter().filter_map(|strategy| match strategy.detect {
        Detect::Accepted(_, detect) => detect(fan_in, context),
        _ => None,
    });
    findings.collect()
}

/// What all strategies say about the lookups below a domain.
pub(crate) fn judge_lookups(asked: &Asked<'_>, context: &Context<'_>) -> Vec<Finding> {
    let findings = STRATEGIES.iter().filter_map(|strategy| match strategy.detect {
        Detect::Lookups(detect) => detect(asked, context),
        _ => None,
    });
    findings.collect()
}

/// What all strategies say about what a subject has tried.
pub(crate) fn judge_survey(survey: &Survey, context: &Context<'_>) -> Vec<Finding> {
    let findings = STRATEGIES.iter().filter_map(|strategy| match strategy.detect {
        Detect::Survey(detect) => detect(survey, context),
        _ => None,
    });
    findings.collect()
}

/// All of them, in the order of their ids.
pub(crate) fn all() -> impl Iterator<Item = &'static Strategy> {
    STRATEGIES.iter().copied()
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

    /// Where constants may stand that an ADS document names, beside the strategy's own file.
    const ENGINE_FILES: &[&str] = &[
        "strategies/errands.rs",
        "relays.rs",
        "roles.rs",
        "shell.rs",
        "typing.rs",
        "opening.rs",
        "served.rs",
        "session.rs",
        "context.rs",
        "intel/mod.rs",
        "evidence.rs",
        "stacks.rs",
        "flows/oddity.rs",
        "flows/speech.rs",
        "lookups/mod.rs",
        "flows/pulses.rs",
        "profiles/rhythm.rs",
        "profiles/sharing.rs",
        "web.rs",
        "lasting.rs",
        "flows/freight.rs",
        "surveys.rs",
        "baseline/mod.rs",
        "marks.rs",
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
            for file in ENGINE_FILES {
                code += &fs::read_to_string(folder().join("..").join(file)).unwrap();
            }
            let quoted = strategy.ads.split('`').skip(1).step_by(2);
            for name in quoted.filter(|name| name.contains('_') && name.to_uppercase() == **name) {
                assert!(code.contains(&std::format!("const {name}")), "{name} does not exist");
            }
        }
    }
}
