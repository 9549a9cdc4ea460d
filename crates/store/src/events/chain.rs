//! Gives events their places in their streams: version and hash.

use std::collections::HashMap;

use cogwheel_schema::event_chain::{ChainedEvent, event_hash};
use serde::Serialize;

use super::Event;
use crate::journal::columns::{Document, Instant, Key};

/// The version of what the types' data holds today.
const SCHEMA_VERSION: i16 = 1;

/// The last events of streams, by the streams' names.
#[derive(Debug, Default)]
pub(super) struct Heads(HashMap<String, Head>);

/// The last event of a stream.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) version: i64,
    pub(super) hash: String,
}

/// A new row of `event_store`, but for its position.
#[derive(Debug, Serialize)]
pub(crate) struct EventColumns {
    pub(super) id: Key,
    pub(super) tenant_id: Key,
    pub(super) stream_id: String,
    pub(super) version: i64,
    pub(super) event_type: String,
    pub(super) schema_version: i16,
    pub(super) aggregate_type: String,
    pub(super) aggregate_id: Option<Key>,
    pub(super) event_data: Document,
    pub(super) event_metadata: Document,
    pub(super) correlation_id: Option<Key>,
    pub(super) causation_id: Option<Key>,
    pub(super) hash: String,
    pub(super) created_at: Instant,
}

impl Heads {
    pub(super) fn knows(&self, stream: &str) -> bool {
        self.0.contains_key(stream)
    }

    /// Notes where a stream stands; `None` where it has no event.
    pub(super) fn put(&mut self, stream: &str, head: Option<Head>) {
        self.0.insert(stream.to_owned(), head.unwrap_or(Head { version: 0, hash: String::new() }));
    }

    /// Puts an event at the end of its stream, whose head is known.
    pub(super) fn chain(&mut self, event: Event) -> EventColumns {
        let head = self.0.entry(event.stream.clone()).or_insert(Head { version: 0, hash: String::new() });
        let version = head.version + 1;
        let chained = ChainedEvent {
            id: event.id,
            tenant_id: event.tenant,
            stream_id: &event.stream,
            version,
            event_type: &event.kind,
            schema_version: SCHEMA_VERSION,
            aggregate_type: &event.aggregate_type,
            aggregate_id: event.aggregate_id,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            created_at: event.at.timestamp_micros(),
            data: &event.data,
            metadata: &event.metadata,
        };
        let hash = event_hash(&head.hash, &chained);
        *head = Head { version, hash: hash.clone() };
        EventColumns {
            id: Key(event.id),
            tenant_id: Key(event.tenant),
            stream_id: event.stream,
            version,
            event_type: event.kind,
            schema_version: SCHEMA_VERSION,
            aggregate_type: event.aggregate_type,
            aggregate_id: event.aggregate_id.map(Key),
            event_data: Document::stored(event.data),
            event_metadata: Document::stored(event.metadata),
            correlation_id: event.correlation_id.map(Key),
            causation_id: event.causation_id.map(Key),
            hash,
            created_at: Instant(event.at),
        }
    }
}
