//! ADS documents: Alerting and Detection Strategies, in the ten sections of Palantir's framework
//! (<https://github.com/palantir/alerting-detection-strategy-framework>).

mod document;
mod lint;

pub(crate) use document::{Document, Section};
pub(crate) use lint::{Weight, lint};
