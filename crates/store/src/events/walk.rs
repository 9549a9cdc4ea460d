//! Proves that streams are whole: goes through them event by event and computes every hash anew.

use cogwheel_engine::ports::{RecordedEvent, StoreError};
use cogwheel_schema::event_chain::{ChainedEvent, event_hash};
use serde::Serialize;

use super::read::page_of_streams;
use crate::tx::Ask;

/// Events that are read at once.
const PAGE: usize = 1000;

/// What going through streams found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventWalk {
    /// How many streams there are.
    pub streams: u64,
    /// How many events they hold.
    pub events: u64,
    /// Every event that does not fit, in the order of streams and versions.
    pub faults: Vec<EventFault>,
}

/// An event that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventFault {
    /// The event's id.
    pub event: String,
    /// Its stream.
    pub stream: String,
    /// Its version in the stream.
    pub version: i64,
    /// Its position among all events.
    pub position: i64,
    /// What does not fit, for people.
    pub problem: String,
}

/// The event before, in the same stream.
struct Before {
    stream: String,
    version: i64,
    position: i64,
    hash: String,
}

/// Goes through one stream, or all of them.
pub(crate) async fn walk(ask: &mut dyn Ask, only: Option<&str>) -> Result<EventWalk, StoreError> {
    let mut walk = EventWalk::default();
    let mut before: Option<Before> = None;
    loop {
        let after = before.as_ref().map_or(("", 0), |before| (before.stream.as_str(), before.version));
        let page = page_of_streams(ask, after, only, PAGE).await?;
        let is_last = page.len() < PAGE;
        for event in page {
            before = Some(look(event, before.as_ref(), &mut walk));
        }
        if is_last {
            return Ok(walk);
        }
    }
}

/// Holds an event against the one before. What follows is held against it as it is stored, so that one changed event is one
/// fault.
fn look(event: RecordedEvent, before: Option<&Before>, walk: &mut EventWalk) -> Before {
    let before = before.filter(|before| before.stream == event.stream);
    walk.streams += u64::from(before.is_none());
    walk.events += 1;
    let (version, position, hash) = before.map_or((0, 0, ""), |before| (before.version, before.position, &before.hash));
    let mut problems = Vec::new();
    if event.version != version + 1 {
        problems.push(match event.version - version - 1 {
            1 => format!("the event with version {} is missing before it", version + 1),
            missing => format!("{missing} events are missing before it, from version {}", version + 1),
        });
    }
    if event.place.position <= position {
        problems.push(format!("its position is not behind {position}, that of the event before it"));
    }
    let computed = event_hash(hash, &chained(&event));
    if computed != event.hash && event.version == version + 1 {
        problems.push(format!("its hash is {}, what it says and the hash before it give {computed}", event.hash));
    }
    if !problems.is_empty() {
        walk.faults.push(EventFault {
            event: event.id.to_string(),
            stream: event.stream.clone(),
            version: event.version,
            position: event.place.position,
            problem: problems.join("; "),
        });
    }
    Before { stream: event.stream, version: event.version, position: event.place.position, hash: event.hash }
}

fn chained(event: &RecordedEvent) -> ChainedEvent<'_> {
    ChainedEvent {
        id: event.id,
        tenant_id: event.tenant.0,
        stream_id: &event.stream,
        version: event.version,
        event_type: &event.event_type,
        schema_version: event.schema_version,
        aggregate_type: &event.aggregate_type,
        aggregate_id: event.aggregate_id,
        correlation_id: event.correlation_id,
        causation_id: event.causation_id,
        created_at: event.at.timestamp_micros(),
        data: &event.data,
        metadata: &event.metadata,
    }
}
