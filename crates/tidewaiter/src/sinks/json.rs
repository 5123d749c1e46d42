//! Plain JSON: the alert itself.

use engine::Alert;
use serde_json::Value;

/// The alert as one JSON object.
pub(super) fn object(alert: &Alert) -> Value {
    serde_json::to_value(alert).unwrap_or(Value::Null)
}
