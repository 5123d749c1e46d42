//! Names of MITRE ATT&CK techniques, pinned to one version: an alert carries ids, people read names.
//! Source: <https://attack.mitre.org/versions/v18/>.

/// The version that the names below are from.
pub(crate) const VERSION: &str = "18.1";

const COMMAND_AND_CONTROL: (&str, &str) = ("TA0011", "Command and Control");
const EXECUTION: (&str, &str) = ("TA0002", "Execution");
const PRIVILEGE_ESCALATION: (&str, &str) = ("TA0004", "Privilege Escalation");
const EXFILTRATION: (&str, &str) = ("TA0010", "Exfiltration");

type Tactic = (&'static str, &'static str);

/// Id, name and tactic, sorted by id.
const TECHNIQUES: &[(&str, &str, Tactic)] = &[
    ("T1001", "Data Obfuscation", COMMAND_AND_CONTROL),
    ("T1008", "Fallback Channels", COMMAND_AND_CONTROL),
    ("T1041", "Exfiltration Over C2 Channel", EXFILTRATION),
    ("T1048", "Exfiltration Over Alternative Protocol", EXFILTRATION),
    ("T1059", "Command and Scripting Interpreter", EXECUTION),
    ("T1059.004", "Unix Shell", EXECUTION),
    ("T1071", "Application Layer Protocol", COMMAND_AND_CONTROL),
    ("T1071.001", "Web Protocols", COMMAND_AND_CONTROL),
    ("T1071.002", "File Transfer Protocols", COMMAND_AND_CONTROL),
    ("T1071.003", "Mail Protocols", COMMAND_AND_CONTROL),
    ("T1071.004", "DNS", COMMAND_AND_CONTROL),
    ("T1071.005", "Publish/Subscribe Protocols", COMMAND_AND_CONTROL),
    ("T1090", "Proxy", COMMAND_AND_CONTROL),
    ("T1090.001", "Internal Proxy", COMMAND_AND_CONTROL),
    ("T1090.002", "External Proxy", COMMAND_AND_CONTROL),
    ("T1090.003", "Multi-hop Proxy", COMMAND_AND_CONTROL),
    ("T1095", "Non-Application Layer Protocol", COMMAND_AND_CONTROL),
    ("T1102", "Web Service", COMMAND_AND_CONTROL),
    ("T1104", "Multi-Stage Channels", COMMAND_AND_CONTROL),
    ("T1105", "Ingress Tool Transfer", COMMAND_AND_CONTROL),
    ("T1132", "Data Encoding", COMMAND_AND_CONTROL),
    ("T1132.001", "Standard Encoding", COMMAND_AND_CONTROL),
    ("T1132.002", "Non-Standard Encoding", COMMAND_AND_CONTROL),
    ("T1205", "Traffic Signaling", COMMAND_AND_CONTROL),
    ("T1219", "Remote Access Tools", COMMAND_AND_CONTROL),
    ("T1568", "Dynamic Resolution", COMMAND_AND_CONTROL),
    ("T1568.002", "Domain Generation Algorithms", COMMAND_AND_CONTROL),
    ("T1571", "Non-Standard Port", COMMAND_AND_CONTROL),
    ("T1572", "Protocol Tunneling", COMMAND_AND_CONTROL),
    ("T1573", "Encrypted Channel", COMMAND_AND_CONTROL),
    ("T1609", "Container Administration Command", EXECUTION),
    ("T1610", "Deploy Container", EXECUTION),
    ("T1611", "Escape to Host", PRIVILEGE_ESCALATION),
];

/// The technique's name.
pub(crate) fn technique_name(id: &str) -> Option<&'static str> {
    entry(id).map(|(_, name, _)| *name)
}

/// What we know of a technique's sub-techniques, as `T1071.004 DNS`.
pub(crate) fn sub_techniques(id: &str) -> Vec<String> {
    let is_below = |known: &str| known.strip_prefix(id).is_some_and(|rest| rest.starts_with('.'));
    let below = TECHNIQUES.iter().filter(|(known, _, _)| is_below(known));
    below.map(|(known, name, _)| format!("{known} {name}")).collect()
}

/// The id and name of the tactic that it serves here.
pub(super) fn tactic_of(id: &str) -> Option<Tactic> {
    entry(id).map(|(_, _, tactic)| *tactic)
}

fn entry(id: &str) -> Option<&'static (&'static str, &'static str, Tactic)> {
    let index = TECHNIQUES.binary_search_by_key(&id, |(known, _, _)| known).ok()?;
    TECHNIQUES.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_knows_the_briefs_technique() {
        assert!(TECHNIQUES.is_sorted_by_key(|(id, _, _)| id));
        assert_eq!(technique_name("T1071"), Some("Application Layer Protocol"));
        assert_eq!(technique_name("T0000"), None);
    }

    #[test]
    fn every_technique_of_every_strategy_has_a_name() {
        for strategy in engine::strategies() {
            for id in strategy.techniques {
                assert!(technique_name(id).is_some(), "{id} of {}", strategy.id);
            }
        }
    }
}
