//! An alert for people: what happened, who it was, why we believe it, what to do next.
//!
//! Everything that an attacker can write is escaped, addresses and names are defanged.

use std::fmt::{self, Write};

use engine::{
    Alert, ContainerView, FlowView, Level, PeerName, PeerRole, Prevalence, ProcessView, Subject,
};
use observation::{ContainerState, Side};

use super::escape::{defanged, defanged_address, defanged_endpoint, escaped, escaped_bytes};
use super::next::{next_steps, short_id};
use super::why::write_why;
use super::{Commands, Occasion, attack, words};
use crate::timestamp::readable;

/// How many of the other accused are named; all are in the JSON forms.
const OTHERS_SHOWN_MAX: usize = 10;
/// How many excerpts of the payload are shown.
const EXCERPTS_SHOWN_MAX: usize = 6;
/// The column of commands is at most so wide; what is longer pushes its explanation to the right.
const STEP_CHARS_MAX: usize = 76;
/// How many names that led to the peer are shown.
const NAMES_SHOWN_MAX: usize = 4;

/// The whole alert, ending with a line end.
pub(crate) fn alert_table(alert: &Alert, occasion: Occasion, commands: &Commands) -> String {
    let mut out = String::with_capacity(4096);
    // Writing to a string cannot fail.
    let _ = write_alert(&mut out, alert, occasion, commands);
    out
}

/// One line for an alert of which more is known and nothing that changes its level.
pub(crate) fn revision_line(alert: &Alert) -> String {
    let (level, strategy, id) =
        (level_name(alert.level), escaped(&alert.strategy), short_id(alert));
    let flow_count: u32 = alert.subjects.iter().map(|subject| subject.flow_count).sum();
    format!(
        "{level}  {strategy}  {id}  revised: {} accused, {flow_count} flows, sum {:+} dB, \
         last seen {}\n",
        alert.subject_count,
        alert.sum_db,
        readable(alert.last_seen),
    )
}

fn write_alert(
    out: &mut String,
    alert: &Alert,
    occasion: Occasion,
    commands: &Commands,
) -> fmt::Result {
    write_headline(out, alert, occasion)?;
    writeln!(out)?;
    write_when(out, alert)?;
    match alert.subjects.first() {
        Some(subject) => write_subject(out, subject, alert)?,
        None => field(out, "Container", "unknown")?,
    }
    write_others(out, alert)?;
    field(out, "Seen by", &seen_by(alert.prevalence))?;
    writeln!(out)?;
    write_why(out, alert)?;
    writeln!(out)?;
    write_next(out, alert, commands)
}

/// The level in capitals.
fn level_name(level: Level) -> String {
    level.name().to_ascii_uppercase()
}

fn write_headline(out: &mut String, alert: &Alert, occasion: Occasion) -> fmt::Result {
    let occasion = match occasion {
        Occasion::Opened => "new",
        Occasion::Revised => "revised",
        Occasion::Closed => "closed",
    };
    let techniques: Vec<_> = alert.techniques.iter().map(|id| escaped(id)).collect();
    let (level, strategy, id) =
        (level_name(alert.level), escaped(&alert.strategy), short_id(alert));
    let (techniques, version) = (techniques.join(" "), attack::VERSION);
    writeln!(out, "{level}  {strategy}  {id}  {techniques} (ATT&CK v{version})  {occasion}")?;
    writeln!(out, "{}", escaped(&alert.summary))
}

fn write_when(out: &mut String, alert: &Alert) -> fmt::Result {
    let lasted = alert.last_seen.since(alert.first_seen).as_millis();
    let after = alert.opened_at.since(alert.first_seen).as_millis();
    let when = format!(
        "{}, {}; alerted +{}",
        readable(alert.first_seen),
        duration(lasted),
        duration(after)
    );
    field(out, "When", &when)
}

fn write_subject(out: &mut String, subject: &Subject, alert: &Alert) -> fmt::Result {
    write_container(out, subject)?;
    let actor = match &subject.started_by {
        Some(actor) => format!(
            "{}{}, pid {}",
            or_unknown(escaped(&actor.command)),
            actor.uid.map(|uid| format!(", uid {uid}")).unwrap_or_default(),
            actor.pid
        ),
        None => "unknown".to_owned(),
    };
    field(out, "Started by", &actor)?;
    if let Some(privilege) = subject.container.as_ref().and_then(|it| it.privilege) {
        field(out, "Privilege", &words::privilege(privilege))?;
    }
    let process = subject.process.as_ref().map_or_else(|| "unknown".to_owned(), process);
    field(out, "Process", &process)?;
    write_flows(out, subject, alert)?;
    write_names(out, &alert.peer.names)?;
    write_payload(out, subject)
}

fn write_container(out: &mut String, subject: &Subject) -> fmt::Result {
    let Some(container) = &subject.container else {
        let address =
            subject.address.map(|address| format!(", seen as {}", defanged_address(address)));
        return field(out, "Container", &format!("unknown{}", address.unwrap_or_default()));
    };
    let name = or_unknown(escaped(&container.name));
    let (id, state) = (short_container_id(container), words::container_state(container.state));
    let network = or_unknown(escaped(&container.network));
    let runtime = words::runtime(container.runtime);
    field(out, "Container", &format!("{name} {id} ({state})   {runtime}, network {network}"))?;
    field(out, "Image", &image(container))?;
    let command: Vec<_> = container.command.iter().map(|word| escaped(word)).collect();
    field(out, "Command", &or_unknown(command.join(" ")))
}

fn image(container: &ContainerView) -> String {
    let digest = container.image_id.map(|id| words::hex(&id.0));
    let digest = digest.as_deref().and_then(|hex| hex.get(..12)).unwrap_or("digest unknown");
    let origin = match (container.image_id, container.registry_digests.first()) {
        (_, Some(registry)) => escaped(registry),
        (Some(_), None) => "no registry digest".to_owned(),
        (None, None) => String::new(),
    };
    let name = or_unknown(escaped(&container.image));
    format!("{name} {digest}   {origin}").trim_end().to_owned()
}

fn process(process: &ProcessView) -> String {
    let arguments: Vec<_> = process.arguments.iter().map(|word| escaped(word)).collect();
    let hash = process.sha256.map(|hash| words::hex(&hash));
    format!(
        "{}, pid {}{}, sha256 {}, {}{}",
        or_unknown(escaped(&process.executable)),
        process.pid,
        process.uid.map(|uid| format!(", uid {uid}")).unwrap_or_default(),
        hash.as_deref().unwrap_or("unknown"),
        words::in_image(process.in_image),
        if arguments.is_empty() { String::new() } else { format!(": {}", arguments.join(" ")) },
    )
}

fn write_flows(out: &mut String, subject: &Subject, alert: &Alert) -> fmt::Result {
    let Some(flow) = subject.flows.first() else {
        let peer = alert.peer.endpoint.map(defanged_endpoint);
        return field(
            out,
            "Flow",
            &format!("none seen, peer {}", peer.as_deref().unwrap_or("unknown")),
        );
    };
    field(out, "Flow", &flow_line(flow, alert.peer.role))?;
    if subject.flow_count > 1 {
        field(out, "", &format!("and {} more flows to the same peer", subject.flow_count - 1))?;
    }
    Ok(())
}

fn flow_line(flow: &FlowView, role: PeerRole) -> String {
    let arrow = match role {
        PeerRole::Called => '→',
        PeerRole::Caller => '←',
    };
    let protocols: Vec<_> = flow.protocols.iter().map(|name| escaped(name)).collect();
    let state = flow.state.map_or("still open", |state| words::conn_state(state).1);
    format!(
        "{} {arrow} {} {}   {}   sent {} B, received {} B, {state}{}",
        defanged_endpoint(flow.local),
        defanged_endpoint(flow.remote),
        words::transport(flow.transport),
        escaped(&flow.community_id),
        flow.sent_bytes,
        flow.received_bytes,
        if protocols.is_empty() { String::new() } else { format!(", {}", protocols.join(" in ")) },
    )
}

fn write_names(out: &mut String, names: &[PeerName]) -> fmt::Result {
    for (index, name) in names.iter().take(NAMES_SHOWN_MAX).enumerate() {
        let asked =
            name.asked_before.map(|span| format!(", asked {} before", duration(span.as_millis())));
        let by = name.answered_by.map(|by| format!(", answered by {}", defanged_address(by)));
        let line = format!(
            "{}{}{}",
            defanged(&name.name),
            asked.unwrap_or_default(),
            by.unwrap_or_default()
        );
        field(out, if index == 0 { "Name" } else { "" }, &line)?;
    }
    more(out, names.len(), NAMES_SHOWN_MAX, "names")
}

fn write_payload(out: &mut String, subject: &Subject) -> fmt::Result {
    let excerpts: Vec<_> = subject.flows.iter().flat_map(|flow| &flow.excerpts).collect();
    for (index, excerpt) in excerpts.iter().take(EXCERPTS_SHOWN_MAX).enumerate() {
        let arrow = match excerpt.side {
            Side::Originator => "→",
            Side::Responder => "←",
        };
        let rest = excerpt.burst_bytes.saturating_sub(excerpt.bytes.len() as u64);
        let rest = if rest > 0 { format!(" and {rest} B more") } else { String::new() };
        let line = format!("{arrow} {}{rest}", escaped_bytes(&excerpt.bytes));
        field(out, if index == 0 { "Payload" } else { "" }, &line)?;
    }
    more(out, excerpts.len(), EXCERPTS_SHOWN_MAX, "excerpts")
}

fn write_others(out: &mut String, alert: &Alert) -> fmt::Result {
    let others: Vec<_> = alert.subjects.iter().skip(1).take(OTHERS_SHOWN_MAX).collect();
    for (index, subject) in others.iter().enumerate() {
        let line = match (&subject.container, subject.address) {
            (Some(container), _) => {
                format!(
                    "{} {}",
                    or_unknown(escaped(&container.name)),
                    short_container_id(container)
                )
            }
            (None, Some(address)) => defanged_address(address),
            (None, None) => "unknown".to_owned(),
        };
        field(out, if index == 0 { "Also" } else { "" }, &line)?;
    }
    more(out, (alert.subject_count as usize).saturating_sub(1), others.len(), "accused")
}

fn more(out: &mut String, count: usize, shown: usize, what: &str) -> fmt::Result {
    match count.saturating_sub(shown) {
        0 => Ok(()),
        rest => field(out, "", &format!("and {rest} more {what}")),
    }
}

fn seen_by(prevalence: Prevalence) -> String {
    format!(
        "{} of {} containers, {} of {} workloads",
        prevalence.subject_count,
        prevalence.subject_total,
        prevalence.workload_count,
        prevalence.workload_total
    )
}

fn write_next(out: &mut String, alert: &Alert, commands: &Commands) -> fmt::Result {
    let steps = next_steps(alert, commands);
    let widths = steps.iter().map(|step| step.text.len());
    let width = widths.filter(|width| *width <= STEP_CHARS_MAX).max().unwrap_or(0);
    for (number, step) in (1..).zip(&steps) {
        let label = if number == 1 { "NEXT" } else { "" };
        write!(out, "{label:<4}  {number}  {:<width$}", step.text)?;
        // What is longer has its reason below it, where those of the others stand.
        if step.text.len() > width {
            write!(out, "\n{:<9}{:<width$}", "", "")?;
        }
        writeln!(out, "   {}", step.why)?;
    }
    Ok(())
}

/// Whether anything of the container can still be asked.
pub(super) fn is_gone(container: &ContainerView) -> bool {
    matches!(container.state, ContainerState::Removed | ContainerState::Exited(_))
}

fn field(out: &mut String, label: &str, value: &str) -> fmt::Result {
    writeln!(out, "{label:<11}{value}")
}

fn short_container_id(container: &ContainerView) -> String {
    words::container_id(container.id).chars().take(12).collect()
}

fn or_unknown(text: String) -> String {
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn duration(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{}.{} s", millis / 1_000, millis / 100 % 10),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::alert_named;
    use super::*;

    fn shown(name: &str) -> String {
        alert_table(&alert_named(name), Occasion::Opened, &Commands::default())
    }

    #[test]
    fn the_briefs_case_reads_as_promised() {
        let table = shown("c2.example.com");
        for expected in [
            "HIGH  telnet_c2  ",
            "2026-11-24 21:24:24.513Z, 3 ms; alerted +600 ms",
            "172[.]17[.]0[.]2:52224 → 198[.]51[.]100[.]10:4444 tcp",
            "sent 0 B, received 14 B, reset by the opener",
            "c2[.]example[.]com, asked 4 ms before",
            "Seen by    1 of 412 containers, 1 of 37 workloads",
            "LOST       2 ",
            "LOW IF     the destination were declared",
        ] {
            assert!(table.contains(expected), "{expected:?} is not in\n{table}");
        }
    }

    #[test]
    fn a_hostile_name_forges_no_line_and_no_terminal_command() {
        let hostile = "x\nHIGH  forged\x1b[2J\x07\r\u{202e}\u{2028}\"'$(id)";
        let (table, harmless) = (shown(hostile), shown("x"));
        // A long value goes on in an indented line; nothing else may begin one.
        let begun = |table: &str| table.lines().filter(|line| !line.starts_with("    ")).count();
        assert_eq!(begun(&table), begun(&harmless));
        assert!(!table.lines().any(|line| line.starts_with("HIGH  forged")));
        let ours = ['→', '←', '–', '\n'];
        assert!(table.chars().all(|c| matches!(c, ' '..='~') || ours.contains(&c)), "{table}");
    }
}
