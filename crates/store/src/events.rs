//! The event store: the one way in, the ways to read it, and the proof that nobody changed it.
//!
//! Whoever appends does so in the transaction of what the events tell of. Versions and hashes are computed here, in Rust, for
//! both databases; the last event of a stream must not change between reading and writing it. On SQLite there is one
//! writer. On PostgreSQL an execution's stream is guarded by the lock of the execution's row, and any other stream by a lock
//! of its own, which is held until the transaction ends.

mod chain;
pub(crate) mod postgres;
pub(crate) mod read;
pub(crate) mod sqlite;
pub(crate) mod walk;

use chrono::{DateTime, SubsecRound as _, Utc};
use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{NewEvent, Stream};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::values::{storable, storable_text};

/// An event that has no place in its stream yet.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    pub(crate) tenant: Uuid,
    pub(crate) stream: String,
    pub(crate) aggregate_type: String,
    pub(crate) aggregate_id: Option<Uuid>,
    pub(crate) kind: String,
    pub(crate) data: Json,
    pub(crate) metadata: Json,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) at: DateTime<Utc>,
}

impl Event {
    /// An event of a stream as both databases can keep it.
    pub(crate) fn new(tenant: TenantId, stream: &Stream, event: &NewEvent, at: DateTime<Utc>) -> Self {
        Self {
            id: event.id,
            tenant: tenant.0,
            stream: storable_text(stream.name()),
            aggregate_type: storable_text(stream.kind()),
            aggregate_id: stream.subject(),
            kind: event.event_type.as_str().to_owned(),
            data: storable(&event.data),
            metadata: json!({ "actor": event.actor.to_json(), "depth": event.depth }),
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            at: at.trunc_subsecs(6),
        }
    }
}
