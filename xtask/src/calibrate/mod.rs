//! `calibrate`: what stands behind each constant in decibans. Attacks and innocents whose answer is
//! known are judged by the built program, and for each constant it is counted on how many pairs of
//! subject and far end its term stood. What was never counted is said to be reasoned.

mod constants;
mod corpora;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;

use constants::{Constant, constants};
use corpora::{Corpus, Label, Seen};

use crate::run;

/// What is counted.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folders of logs or captures besides our fixtures and a simulated day. Where `truth.tsv`
    /// stands in one (columns `label`, `ip` and `dst`; `beacon` or `attack` beside `innocent`),
    /// its pairs are counted as it says; else as unlabelled.
    #[arg(long, value_name = "DIR")]
    corpus: Vec<PathBuf>,
    /// Logs or captures in which whatever is told is an attack's; each is a host by itself.
    #[arg(long, value_name = "PATH")]
    attack: Vec<PathBuf>,
    /// The same in which nothing is.
    #[arg(long, value_name = "PATH")]
    innocent: Vec<PathBuf>,
    /// Takes the release build that is there, whatever it was built from.
    #[arg(long)]
    no_build: bool,
}

/// Fewer pairs of which it is known what they are show nothing.
const PAIR_COUNT_MIN: u32 = 5;
/// A constant that says so much more than the counts show is marked.
const FAR_DB: f64 = 5.0;

/// On how many pairs a term stood.
#[derive(Clone, Copy, Default)]
struct Counts {
    attacks: u32,
    innocents: u32,
    unlabelled: u32,
}

impl Counts {
    fn add(&mut self, label: Label) {
        match label {
            Label::Attack => self.attacks += 1,
            Label::Innocent => self.innocents += 1,
            Label::Unlabelled => self.unlabelled += 1,
        }
    }

    /// The decibans that these counts show, with half a pair added to each (Jeffreys).
    fn decibans(self, all: Self) -> f64 {
        let share = |count: u32, total: u32| (f64::from(count) + 0.5) / (f64::from(total) + 1.0);
        10.0 * (share(self.attacks, all.attacks) / share(self.innocents, all.innocents)).log10()
    }

    /// The same as text, and a mark where it is far from what the constant says. A few pairs show
    /// nothing.
    fn shown(self, points_db: i64, all: Self) -> (String, &'static str) {
        if self.attacks + self.innocents < PAIR_COUNT_MIN {
            return (String::from("few"), "");
        }
        let shown_db = self.decibans(all);
        let is_far = shown_db * (points_db as f64) < 0.0
            || (points_db > 0 && shown_db < points_db as f64 - FAR_DB);
        (format!("{shown_db:+.0}"), if is_far { "  LESS THAN IT SAYS" } else { "" })
    }
}

/// Strategy, family, and points.
type TermKey = (String, String, i64);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.no_build {
        run::must("cargo build --quiet --release --package tidewaiter")?;
    }
    let mut all = Counts::default();
    let mut by_term: BTreeMap<TermKey, Counts> = BTreeMap::new();
    let labelled = [
        (&arguments.corpus, Label::Unlabelled),
        (&arguments.attack, Label::Attack),
        (&arguments.innocent, Label::Innocent),
    ];
    let given = labelled
        .into_iter()
        .flat_map(|(paths, label)| paths.iter().map(move |path| Corpus::given(path, label)));
    for corpus in corpora::own()?.into_iter().chain(given) {
        let corpus = corpus?;
        let told = corpus.judge()?;
        println!("{}: {}", corpus.name, corpus.summary(&told));
        for (label, count) in corpus.pair_counts() {
            (0..count).for_each(|_| all.add(label));
        }
        count(&corpus, &told, &mut all, &mut by_term);
    }
    println!(
        "\n{} attacking and {} innocent pairs, {} unlabelled. A term counts once a pair; what \
         sums up to less than Low is not told, so that innocents are counted too low, and what \
         they show too high.\n",
        all.attacks, all.innocents, all.unlabelled
    );
    report(&constants()?, &by_term, all);
    Ok(())
}

/// Each pair's terms, once each. What truth does not name is counted as it comes.
fn count(
    corpus: &Corpus,
    told: &[Seen],
    all: &mut Counts,
    by_term: &mut BTreeMap<TermKey, Counts>,
) {
    let mut pairs: BTreeMap<&(String, String), (Label, BTreeSet<&TermKey>)> = BTreeMap::new();
    for seen in told {
        let label = corpus.label(&seen.pair);
        let (_, terms) = pairs.entry(&seen.pair).or_insert((label, BTreeSet::new()));
        terms.extend(&seen.terms);
    }
    for (pair, (label, terms)) in pairs {
        if !corpus.names(pair) {
            all.add(label);
        }
        for term in terms {
            by_term.entry(term.clone()).or_default().add(label);
        }
    }
}

fn report(constants: &[Constant], by_term: &BTreeMap<TermKey, Counts>, all: Counts) {
    println!(
        "{:<22} {:<24} {:>5}  {:>7} {:>9} {:>10} {:>6}",
        "strategy or file", "constant", "dB", "attacks", "innocents", "unlabelled", "shown"
    );
    let (mut reasoned, mut thresholds) = (0, 0);
    for constant in constants {
        let head = format!("{:<22} {:<24} {:>5}", constant.home, constant.name, constant.points_db);
        if constant.is_threshold() {
            println!("{head}  a threshold or a price, behind no term by itself");
            thresholds += 1;
            continue;
        }
        let behind = by_term.iter().filter(|(key, _)| constant.may_be(key));
        let sum = behind.fold(Counts::default(), |mut sum, (_, counts)| {
            sum.attacks += counts.attacks;
            sum.innocents += counts.innocents;
            sum.unlabelled += counts.unlabelled;
            sum
        });
        if sum.attacks + sum.innocents + sum.unlabelled == 0 {
            println!("{head}  reasoned, not counted");
            reasoned += 1;
            continue;
        }
        let alike = constants.iter().filter(|other| {
            other.home == constant.home
                && other.points_db == constant.points_db
                && other.name != constant.name
        });
        let names: Vec<&str> = alike.map(|other| other.name.as_str()).collect();
        let note = if names.is_empty() {
            String::new()
        } else {
            format!("  together with {}, which is worth the same", names.join(", "))
        };
        let (shown, contradicts) = sum.shown(constant.points_db, all);
        println!(
            "{head}  {:>7} {:>9} {:>10} {shown:>6}{contradicts}{note}",
            sum.attacks, sum.innocents, sum.unlabelled,
        );
    }
    println!(
        "\n{reasoned} of {} constants are reasoned, not counted; {thresholds} are thresholds and \
         prices",
        constants.len()
    );
}
