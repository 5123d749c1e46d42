//! OCSF 1.8 Detection Finding (class 2004).

use engine::Alert;
use serde_json::{Value, json};

use super::Occasion;

/// The alert as one OCSF event.
pub(super) fn detection_finding(alert: &Alert, occasion: Occasion) -> Value {
    let activity_id = match occasion {
        Occasion::Opened => 1,
        Occasion::Revised => 2,
        Occasion::Closed => 3,
    };
    json!({
        "class_uid": 2004,
        "category_uid": 2,
        "activity_id": activity_id,
        "type_uid": 200_400 + activity_id,
        "finding_info": { "uid": alert.id.to_string(), "title": alert.summary },
    })
}
