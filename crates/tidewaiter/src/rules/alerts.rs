//! What rules have found, as alerts: one for each rule, container and far end.

use std::borrow::Cow;
use std::collections::BTreeMap;

use engine::{
    Alert, AlertId, AlertUpdate, Counted, Engine, Evidence, Family, PeerRole, Prevalence, Status,
};
use observation::{Endpoint, SourceKind};
use sha2::{Digest, Sha256};

use super::document::UserRule;
use super::events::Seen;

/// Alerts of one run; matches beyond it are counted.
const ALERT_COUNT_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct Told {
    alerts: BTreeMap<AlertId, Match>,
    dropped_count: u64,
}

struct Match {
    alert: Alert,
    count: u32,
    told_count: u32,
}

impl Told {
    /// A rule matches what was seen. It is told when it is new, and again when it has doubled.
    pub(super) fn matched(
        &mut self,
        rule: &UserRule,
        seen: &Seen,
        engine: &Engine,
        out: &mut impl FnMut(AlertUpdate),
    ) {
        let id = id_of(rule, seen);
        if let Some(known) = self.alerts.get_mut(&id) {
            known.count = known.count.saturating_add(1);
            known.alert.first_seen = known.alert.first_seen.min(seen.at);
            known.alert.last_seen = known.alert.last_seen.max(seen.at);
            if known.count >= known.told_count.saturating_mul(2) {
                out(AlertUpdate::Revised(known.tell()));
            }
            return;
        }
        if self.alerts.len() >= ALERT_COUNT_MAX {
            self.dropped_count += 1;
            return;
        }
        let alert = alert(id, rule, seen, engine);
        out(AlertUpdate::Opened(alert.clone()));
        self.alerts.insert(id, Match { alert, count: 1, told_count: 1 });
    }

    pub(super) fn finish(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        for known in self.alerts.values_mut().filter(|known| known.count > known.told_count) {
            out(AlertUpdate::Revised(known.tell()));
        }
    }

    pub(super) const fn dropped_count(&self) -> u64 {
        self.dropped_count
    }
}

impl Match {
    fn tell(&mut self) -> Alert {
        self.told_count = self.count;
        self.alert.revision = self.alert.revision.saturating_add(1);
        for subject in &mut self.alert.subjects {
            subject.flow_count = subject.flow_count.max(1).max(self.count);
        }
        if let Some(term) = self.alert.evidence.first_mut() {
            term.observed = observed(self.count);
        }
        self.alert.clone()
    }
}

/// Rule, who and whom, hashed: a replay gives the same id.
fn id_of(rule: &UserRule, seen: &Seen) -> AlertId {
    let container = seen.accused.container.as_ref().map(|container| container.id.0);
    let place = (seen.accused.port.0, seen.accused.address);
    // A container is one wherever it is; without one the place is all that is known.
    let place = if container.is_some() { None } else { Some(place) };
    // Who calls in does so from another port each time.
    let is_caller = seen.peer.role == PeerRole::Caller;
    let far = |end: Endpoint| (end.address, if is_caller { 0 } else { end.port });
    let (endpoint, program) = (seen.peer.endpoint.map(far), seen.accused.process.as_ref());
    let program = program.filter(|_| endpoint.is_none()).map(|process| &process.executable);
    let text = format!("sigma {} {container:?} {place:?} {endpoint:?} {program:?}", rule.id);
    let digest = Sha256::digest(text);
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
    AlertId(u128::from_be_bytes(bytes))
}

fn alert(id: AlertId, rule: &UserRule, seen: &Seen, engine: &Engine) -> Alert {
    let witness = match seen.witness {
        SourceKind::ProcessEvents => "process",
        _ => "network",
    };
    let mut witnesses = vec![seen.witness];
    if seen.accused.container.is_some() {
        witnesses.push(SourceKind::RuntimeEvents);
    }
    Alert {
        id,
        revision: 1,
        status: Status::New,
        level: rule.level,
        strategy: Cow::Owned(rule.id.clone()),
        techniques: rule.techniques.iter().cloned().map(Cow::Owned).collect(),
        summary: Cow::Owned(format!("A rule of your own matches: {}", rule.title)),
        first_seen: seen.at,
        last_seen: seen.at,
        opened_at: seen.at,
        subjects: vec![seen.accused.clone()],
        subject_count: 1,
        peer: seen.peer.clone(),
        evidence: vec![Evidence {
            family: Family::Session,
            witness: Cow::Borrowed(witness),
            observed: observed(1),
            expected: Cow::Borrowed("no match"),
            points_db: 0,
            strategy: Cow::Owned(rule.id.clone()),
            counts: Counted::Outweighed,
        }],
        sum_db: 0,
        witnesses,
        blind: engine.blind(),
        lost_count: 0,
        low_if: Vec::new(),
        prevalence: Prevalence::default(),
    }
}

/// The level is the rule's own: no decibans are added up.
fn observed(count: u32) -> String {
    match count {
        1 => "the rule matches, at its own level".to_owned(),
        count => format!("the rule matches {count} times, at its own level"),
    }
}
