//! The part of MITRE ATT&CK that strategies may name, pinned.

/// The release that the table was taken from.
pub const ATTACK_VERSION: &str = "19";

/// Technique ids with their names and the tactic under which we report them.
const TECHNIQUES: &[(&str, &str, Tactic)] = &[
    ("T1001.003", "Protocol or Service Impersonation", COMMAND_AND_CONTROL),
    ("T1041", "Exfiltration Over C2 Channel", EXFILTRATION),
    ("T1046", "Network Service Discovery", DISCOVERY),
    ("T1048", "Exfiltration Over Alternative Protocol", EXFILTRATION),
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
    ("T1105", "Ingress Tool Transfer", COMMAND_AND_CONTROL),
    ("T1132.001", "Standard Encoding", COMMAND_AND_CONTROL),
    ("T1219", "Remote Access Tools", COMMAND_AND_CONTROL),
    ("T1496", "Resource Hijacking", IMPACT),
    ("T1552.005", "Cloud Instance Metadata API", CREDENTIAL_ACCESS),
    ("T1568.002", "Domain Generation Algorithms", COMMAND_AND_CONTROL),
    ("T1571", "Non-Standard Port", COMMAND_AND_CONTROL),
    ("T1572", "Protocol Tunneling", COMMAND_AND_CONTROL),
    ("T1573", "Encrypted Channel", COMMAND_AND_CONTROL),
];

/// A tactic's id and name.
pub type Tactic = (&'static str, &'static str);

const COMMAND_AND_CONTROL: Tactic = ("TA0011", "Command and Control");
const CREDENTIAL_ACCESS: Tactic = ("TA0006", "Credential Access");
const DISCOVERY: Tactic = ("TA0007", "Discovery");
const EXFILTRATION: Tactic = ("TA0010", "Exfiltration");
const IMPACT: Tactic = ("TA0040", "Impact");

/// The name and the tactic of a technique.
#[must_use]
pub fn technique(id: &str) -> Option<(&'static str, Tactic)> {
    let (_, name, tactic) = TECHNIQUES.iter().find(|(known, _, _)| *known == id)?;
    Some((*name, *tactic))
}
