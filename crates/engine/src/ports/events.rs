//! Events as they are recorded, and how far they were read.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::TenantId;

/// A place in the order of all events. What is recorded later comes later, also where several transactions recorded at the
/// same time: such events are read only once all of them have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The transaction that recorded the event; 0 where one transaction is written after the other.
    pub transaction: i64,
    /// The event's position.
    pub position: i64,
}

/// An event as it is recorded.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its type, such as `workflow.failed`.
    pub event_type: String,
    /// The stream it belongs to.
    pub stream: String,
    /// Where it stands.
    pub place: Place,
    /// What it says.
    pub data: Value,
    /// How many executions had set each other off before it.
    pub depth: u64,
    /// Ties together what belongs together.
    pub correlation_id: Option<Uuid>,
    /// When it was recorded.
    pub at: DateTime<Utc>,
}

impl RecordedEvent {
    /// What expressions see as `event`, and an execution that it set off as `trigger.event`.
    pub(crate) fn seen(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "type": self.event_type,
            "stream": self.stream,
            "position": self.place.position,
            "subject": self.data["subject"],
            "data": self.data["data"],
            "correlation_id": self.correlation_id,
            "at": self.at,
        })
    }
}

/// Events that follow each other.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<RecordedEvent>,
    /// Whether more are recorded that cannot be read yet, since others may still come before them.
    pub is_held_up: bool,
}

/// The reader that holds events against the triggers of workflows. It begins in the transaction that saves the first such
/// workflow, so that the trigger sees whatever is recorded afterwards.
pub const EVENT_TRIGGERS: &str = "event-triggers";

/// Somebody who reads all events in order, and how far they got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its id.
    pub id: Uuid,
    /// The last event that it is done with.
    pub place: Place,
    /// When it began: what was recorded earlier is none of its business, even where it comes later in the order.
    pub since: DateTime<Utc>,
}

/// An event that a consumer gives up on.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The consumer.
    pub consumer: Uuid,
    /// The event.
    pub event: Uuid,
    /// Its tenant.
    pub tenant: TenantId,
    /// Why, for people: one line each for what it could not set off.
    pub reasons: Vec<String>,
    /// When.
    pub at: DateTime<Utc>,
}
