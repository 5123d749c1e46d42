//! Terms, families and the sum.
//!
//! Each term carries signed decibans: ten times the base-10 logarithm of how much likelier it is
//! under attack than under innocence. Of each family only the strongest term for and the strongest
//! term against count: five names for one fact are one fact.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::alert::{Counted, Evidence, Family, LOW_DB_MIN, Level};

/// One in a hundred of the things that a strategy looks at is an attack.
pub(crate) const PRIOR_DB: i16 = -20;
/// From this sum on a finding is kept until it is known what else is found: it makes what it is
/// about more than twice as likely an attack as it was before.
const FAINT_DB_MIN: i16 = -16;

const _: () = assert!(PRIOR_DB < FAINT_DB_MIN && FAINT_DB_MIN < LOW_DB_MIN);

/// What one strategy says about one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub strategy: Cow<'static, str>,
    /// The ATT&CK techniques that it shows, of those that its strategy may name.
    pub techniques: Vec<Cow<'static, str>>,
    pub summary: Cow<'static, str>,
    pub terms: Vec<Term>,
    pub low_if: Vec<Cow<'static, str>>,
    pub worth: Worth,
}

/// What becomes of a finding that nothing else comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Worth {
    /// It is told.
    #[default]
    Telling,
    /// It is kept until it is known what else is found.
    Keeping,
}

/// One reason, for or against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Term {
    pub family: Family,
    pub witness: Cow<'static, str>,
    pub observed: String,
    pub expected: Cow<'static, str>,
    pub points_db: i16,
}

/// The findings of all strategies about one channel, added up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub evidence: Vec<Evidence>,
    pub sum_db: i16,
}

impl Finding {
    /// The sum of what counts of it alone, prior included.
    pub(crate) fn sum_db(&self) -> i16 {
        Strongest::default().with(&self.terms).sum_db()
    }

    /// The finding, unless it would be of no level on its own.
    pub(crate) fn worth_telling(self) -> Option<Self> {
        (Level::of(self.sum_db()) > Level::Info).then_some(self)
    }

    /// The finding, unless it says next to nothing: oddities that are ordinary on a container
    /// platform are not told one by one, and several together may be.
    pub(crate) fn worth_keeping(self) -> Option<Self> {
        let sum_db = self.sum_db();
        let worth = if Level::of(sum_db) == Level::Info { Worth::Keeping } else { Worth::Telling };
        (sum_db >= FAINT_DB_MIN).then_some(Self { worth, ..self })
    }
}

/// Leaves out what is not told by itself, unless it makes the sum of all others greater, and gives
/// that sum. Findings come in the order of their weight.
pub(crate) fn joined(findings: Vec<Finding>) -> (Vec<Finding>, i16) {
    let (faint, mut joined): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.worth == Worth::Keeping);
    let mut strongest =
        joined.iter().fold(Strongest::default(), |all, finding| all.with(&finding.terms));
    for mut finding in faint {
        if !joined.is_empty() {
            finding.terms.retain(is_its_own);
        }
        let greater = strongest.with(&finding.terms);
        if greater.sum_db() > strongest.sum_db() {
            strongest = greater;
            joined.push(finding);
        }
    }
    (joined, strongest.sum_db())
}

/// The strongest terms of each family, for and against.
#[derive(Clone, Copy, Default)]
struct Strongest([(i16, i16); FAMILY_COUNT]);

const FAMILY_COUNT: usize = Family::Health as usize + 1;

impl Strongest {
    fn with(mut self, terms: &[Term]) -> Self {
        for term in terms {
            if let Some((most, least)) = self.0.get_mut(term.family as usize) {
                (*most, *least) = ((*most).max(term.points_db), (*least).min(term.points_db));
            }
        }
        self
    }

    /// The prior included.
    fn sum_db(&self) -> i16 {
        let all = self.0.iter().flat_map(|(most, least)| [*most, *least]);
        all.fold(PRIOR_DB, i16::saturating_add)
    }
}

/// Whose it is and where it leads has been weighed by whoever says more: what speaks against that
/// would else make room for the same twice.
const fn is_its_own(term: &Term) -> bool {
    !matches!(term.family, Family::Identity | Family::Destination) || term.points_db < 0
}

impl Sum {
    pub(crate) const fn level(&self) -> Level {
        Level::of(self.sum_db)
    }

    /// Adds up what all strategies say about one channel.
    pub(crate) fn of(findings: &[Finding], prior: &str) -> Self {
        let mut evidence = alloc::vec![Evidence {
            family: Family::Prior,
            witness: Cow::Borrowed(""),
            observed: String::from(prior),
            expected: Cow::Borrowed("-"),
            points_db: PRIOR_DB,
            strategy: Cow::Borrowed(""),
            counts: Counted::InSum,
        }];
        for finding in findings {
            let terms = finding.terms.iter().cloned();
            evidence.extend(terms.map(|term| Evidence::of(term, finding.strategy.clone())));
        }
        let sum_db = recount(&mut evidence);
        Self { evidence, sum_db }
    }

    /// Adds what is no strategy's.
    pub(crate) fn weigh(&mut self, term: Option<Term>) {
        let Some(term) = term else { return };
        self.evidence.push(Evidence::of(term, Cow::Borrowed("")));
        self.sum_db = recount(&mut self.evidence);
    }
}

impl Evidence {
    /// A term, before it is known whether it counts.
    pub(crate) fn of(term: Term, strategy: Cow<'static, str>) -> Self {
        let Term { family, witness, observed, expected, points_db } = term;
        let counts = Counted::Outweighed;
        Self { family, witness, observed, expected, points_db, strategy, counts }
    }
}

/// Says which terms count, orders them, and adds them up.
pub(crate) fn recount(evidence: &mut [Evidence]) -> i16 {
    count_strongest(evidence);
    // For before against, the heavier first; the prior leads.
    evidence.get_mut(1..).unwrap_or_default().sort_by(|left, right| {
        right.points_db.cmp(&left.points_db).then_with(|| left.family.cmp(&right.family))
    });
    let counting = evidence.iter().filter(|term| term.counts == Counted::InSum);
    counting.map(|term| term.points_db).fold(0_i16, i16::saturating_add)
}

/// Of each family and sign, the first of the heaviest terms counts.
fn count_strongest(evidence: &mut [Evidence]) {
    for place in 1..evidence.len() {
        let Some(term) = evidence.get(place) else { continue };
        let rivals = evidence.iter().enumerate().skip(1).filter(|(_, rival)| {
            rival.family == term.family && rival.points_db.signum() == term.points_db.signum()
        });
        let strongest = rivals
            .max_by(|(left_place, left), (right_place, right)| {
                let weight = left.points_db.abs().cmp(&right.points_db.abs());
                weight.then(right_place.cmp(left_place))
            })
            .map(|(place, _)| place);
        let counts = if strongest == Some(place) { Counted::InSum } else { Counted::Outweighed };
        if let Some(term) = evidence.get_mut(place) {
            term.counts = counts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(family: Family, points_db: i16) -> Term {
        Term {
            family,
            witness: Cow::Borrowed("network"),
            observed: String::new(),
            expected: Cow::Borrowed(""),
            points_db,
        }
    }

    fn finding(terms: &[Term]) -> Finding {
        Finding {
            strategy: Cow::Borrowed("telnet_c2"),
            techniques: Vec::new(),
            summary: Cow::Borrowed(""),
            terms: terms.to_vec(),
            low_if: Vec::new(),
            worth: Worth::Telling,
        }
    }

    #[test]
    fn one_fact_told_by_two_strategies_is_one_fact() {
        let one = finding(&[term(Family::Session, 16), term(Family::Destination, 9)]);
        let other = finding(&[term(Family::Session, 14)]);
        let sum = Sum::of(&[one.clone(), other], "");
        assert_eq!(sum.sum_db, Sum::of(&[one], "").sum_db);
        assert_eq!(sum.sum_db, PRIOR_DB + 16 + 9);
    }

    #[test]
    fn what_speaks_against_is_not_swallowed_by_what_speaks_for() {
        let sum = Sum::of(&[finding(&[term(Family::Session, 16), term(Family::Session, -4)])], "");
        assert_eq!(sum.sum_db, PRIOR_DB + 12);
    }

    #[test]
    fn faint_findings_meet_in_different_families() {
        let timer = finding(&[term(Family::Rhythm, 9)]);
        let talk = finding(&[term(Family::Session, 8)]);
        let [timer, talk] = [timer, talk].map(|it| it.worth_keeping().unwrap());
        let (found, sum_db) = joined(alloc::vec![timer.clone(), talk.clone()]);
        assert_eq!((found.len(), sum_db), (2, PRIOR_DB + 17));
        let (found, sum_db) = joined(alloc::vec![talk.clone(), talk]);
        assert_eq!((found.len(), sum_db), (1, PRIOR_DB + 8), "one fact told twice is one");
    }

    #[test]
    fn whose_it_is_and_where_it_leads_is_weighed_once() {
        let strong = finding(&[term(Family::Rhythm, 16), term(Family::Destination, -6)]);
        let faint = finding(&[term(Family::Session, 5), term(Family::Destination, 9)]);
        let faint = Finding { worth: Worth::Keeping, ..faint };
        let (_, sum_db) = joined(alloc::vec![strong, faint]);
        assert_eq!(sum_db, PRIOR_DB + 16 + 5 - 6);
    }

    #[test]
    fn what_is_faint_acquits_nobody() {
        let strong = finding(&[term(Family::Session, 16)]);
        let faint = finding(&[term(Family::Rhythm, 12), term(Family::Session, -8)]);
        let faint = faint.worth_keeping().unwrap();
        let outweighed = finding(&[term(Family::Session, 9), term(Family::Destination, -5)]);
        let outweighed = outweighed.worth_keeping().unwrap();
        let (found, sum_db) = joined(alloc::vec![strong, faint, outweighed]);
        assert_eq!((found.len(), sum_db), (2, PRIOR_DB + 16 + 12 - 8));
    }

    #[test]
    fn the_alert_that_we_want() {
        let terms = [
            term(Family::Session, 16),
            term(Family::Identity, 14),
            term(Family::Destination, 9),
            term(Family::Session, -4),
        ];
        let sum = Sum::of(&[finding(&terms)], "");
        assert_eq!((sum.sum_db, sum.level()), (15, Level::High));
        assert_eq!(finding(&terms).sum_db(), 15);
    }
}
