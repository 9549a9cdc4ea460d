//! The `Event` type.

use async_graphql::{ID, SimpleObject};
use cogwheel_engine::ports::RecordedEvent;
use serde_json::Value;

use super::instant::Instant;

/// Something that happened, as it is recorded for good.
#[derive(SimpleObject)]
pub(crate) struct Event {
    /// Its id, a UUID.
    id: ID,
    /// Its type, such as `workflow.failed` or `custom.order.shipped`.
    #[graphql(name = "type")]
    kind: String,
    /// The version of what its type says.
    schema_version: i32,
    /// The stream it belongs to: the kind of thing it is about, and its id.
    stream: String,
    /// Its place in the stream, from 1, without a gap.
    version: i64,
    /// Its place among all events; grows along a stream, and has gaps.
    position: i64,
    /// The kind of thing that the stream is about.
    aggregate_type: String,
    /// The id of that thing, a UUID.
    aggregate_id: Option<ID>,
    /// What it is about, in the words of whoever recorded it.
    subject: Value,
    /// What it says.
    data: Value,
    /// Who brought it about: `kind`, and `id` where there is one.
    actor: Value,
    /// How many executions had set each other off before it.
    depth: i64,
    /// Ties together what belongs together, a UUID.
    correlation_id: Option<ID>,
    /// The id of the event that led to this one.
    causation_id: Option<ID>,
    /// SHA-256, in hex, of the event and of the hash of the one before it in its stream.
    hash: String,
    /// When it was recorded.
    recorded_at: Instant,
}

impl From<RecordedEvent> for Event {
    fn from(event: RecordedEvent) -> Self {
        let part = |name: &str| event.data.get(name).cloned().unwrap_or_default();
        Self {
            subject: part("subject"),
            data: part("data"),
            actor: event.metadata.get("actor").cloned().unwrap_or_default(),
            depth: i64::try_from(event.depth()).unwrap_or(i64::MAX),
            id: event.id.into(),
            kind: event.event_type,
            schema_version: event.schema_version.into(),
            stream: event.stream,
            version: event.version,
            position: event.place.position,
            aggregate_type: event.aggregate_type,
            aggregate_id: event.aggregate_id.map(ID::from),
            correlation_id: event.correlation_id.map(ID::from),
            causation_id: event.causation_id.map(ID::from),
            hash: event.hash,
            recorded_at: event.at.into(),
        }
    }
}
