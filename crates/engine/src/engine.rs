//! The engine: Observations in, Alerts out.

use alloc::vec::Vec;

use observation::{Observation, Time};

use crate::alert::{AlertUpdate, Maturity};

/// The limit of every collection of the engine. What is evicted is counted in the [`Tally`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Containers kept, running or gone.
    pub container_count_max: usize,
    /// Flows remembered per engine.
    pub flow_count_max: usize,
    /// Open alerts.
    pub alert_count_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { container_count_max: 20_000, flow_count_max: 200_000, alert_count_max: 10_000 }
    }
}

/// What went through, for the last line of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Observations taken in.
    pub observation_count: u64,
    /// Things evicted to keep within a limit.
    pub evicted_count: u64,
    /// Alerts opened.
    pub alert_count: u64,
}

/// What the program may show of a strategy.
#[derive(Clone, Copy, Debug)]
pub struct StrategyInfo {
    /// Its id: folder, alert, configuration and documents use the same.
    pub id: &'static str,
    /// ATT&CK technique ids.
    pub techniques: &'static [&'static str],
    /// How settled it is.
    pub maturity: Maturity,
    /// Its ADS document.
    pub ads: &'static str,
}

/// All strategies, in the order of their ids.
pub fn strategies() -> impl Iterator<Item = StrategyInfo> {
    core::iter::empty()
}

/// The one place where verdicts are made.
pub struct Engine {}

impl Engine {
    /// An engine that knows nothing yet. `seed` seeds its hash tables: random live, fixed in replay.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        let _ = (limits, seed);
        Self {}
    }

    /// Takes one Observation in.
    pub fn observe(&mut self, observation: &Observation<'_>, out: &mut impl FnMut(AlertUpdate)) {
        let _ = (observation, out);
    }

    /// Time passes: what was waiting for `to` or earlier is judged, each at its own deadline.
    pub fn advance(&mut self, to: Time, out: &mut impl FnMut(AlertUpdate)) {
        let _ = (to, out);
    }

    /// The input has ended: everything still waiting is judged.
    pub fn finish(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        let _ = out;
    }

    /// Counts so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::default()
    }

    /// Everything that [`Engine::load`] needs to go on from here.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        Vec::new()
    }
}
