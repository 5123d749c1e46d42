//! A progress bar for people who wait: on a terminal's standard error only.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

/// How much of the input was read.
pub(crate) struct Progress {
    bar: ProgressBar,
    read_bytes: Arc<AtomicU64>,
}

impl Progress {
    /// A bar over `total_bytes` of input.
    pub(crate) fn new(total_bytes: u64) -> Self {
        let bar = if stderr().is_terminal() {
            ProgressBar::new(total_bytes).with_style(style())
        } else {
            ProgressBar::hidden()
        };
        Self { bar, read_bytes: Arc::new(AtomicU64::new(0)) }
    }

    /// What readers add to.
    pub(crate) fn read_bytes(&self) -> &Arc<AtomicU64> {
        &self.read_bytes
    }

    /// Shows how far reading is. Cheap, but not for every packet.
    pub(crate) fn show(&self) {
        self.bar.set_position(self.read_bytes.load(Ordering::Relaxed));
    }

    /// Takes the bar away, so that what follows stands on a clean line.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
