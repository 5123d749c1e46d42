//! Names of MITRE ATT&CK techniques, out of the engine's pinned table.

pub(crate) use engine::ATTACK_VERSION as VERSION;
use engine::{Tactic, technique};

/// The technique's name.
pub(crate) fn technique_name(id: &str) -> Option<&'static str> {
    technique(id).map(|(name, _)| name)
}

/// The tactic under which we report it.
pub(super) fn tactic_of(id: &str) -> Option<Tactic> {
    technique(id).map(|(_, tactic)| tactic)
}

/// What we know of a technique's sub-techniques, as `T1071.004 DNS`.
pub(crate) fn sub_techniques(id: &str) -> Vec<String> {
    // ATT&CK numbers them from 001 without large gaps.
    let ids = (1..=30).map(|number| format!("{id}.{number:03}"));
    ids.filter_map(|id| technique_name(&id).map(|name| format!("{id} {name}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_briefs_technique_has_its_sub_techniques() {
        assert_eq!(technique_name("T1071"), Some("Application Layer Protocol"));
        assert!(sub_techniques("T1071").contains(&"T1071.004 DNS".to_owned()));
        assert!(sub_techniques("T1071.004").is_empty());
    }
}
