//! The `EventDeadLetter` type.

use async_graphql::SimpleObject;
use cogwheel_engine::views::DeadLetterView;
use serde_json::Value;

use super::instant::Instant;

/// An event that could not set off what it should have.
#[derive(SimpleObject)]
pub(crate) struct EventDeadLetter {
    /// The event's type.
    event_type: String,
    /// What it says.
    event: Value,
    /// Why, one line for each workflow it did not start.
    reasons: Vec<String>,
    /// When it was given up on.
    created_at: Instant,
}

impl From<DeadLetterView> for EventDeadLetter {
    fn from(view: DeadLetterView) -> Self {
        let DeadLetterView { event, event_type, data, reasons, created_at } = view;
        let event = serde_json::json!({ "id": event.to_string(), "subject": data["subject"], "data": data["data"] });
        Self { event_type, event, reasons, created_at: created_at.into() }
    }
}
