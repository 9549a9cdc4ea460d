//! Events as they are appended to streams, recorded, and read.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_machine::{ExecutionId, SagaStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use super::StoreError;
use crate::events::EventType;
use crate::{TenantId, WorkflowId};

/// The append-only record of what happened: per stream in versions without a gap, and all of it in one order.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends events to a stream in one transaction. Events whose ids are recorded are left out, so that a call whose
    /// answer was lost can be made again.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`] when the stream is not where the caller expects it; nothing is appended then.
    async fn append_events(&self, append: AppendEvents) -> Result<Appended, AppendError>;

    /// The events of a stream after a version (0: from the first), in order, at most `most`. Whoever has a snapshot of
    /// the stream goes on from the version it was made of.
    async fn stream_events(
        &self,
        tenant: TenantId,
        stream: &str,
        after_version: i64,
        most: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// The newest snapshot of a saga that holds no event beyond this version of its stream.
    async fn snapshot(
        &self,
        tenant: TenantId,
        execution: ExecutionId,
        up_to: i64,
    ) -> Result<Option<StoredSnapshot>, StoreError>;

    /// Keeps a snapshot, unless one of the same or a later version is there, and lets go of old ones.
    async fn keep_snapshot(&self, snapshot: NewSnapshot) -> Result<(), StoreError>;

    /// The reader of events of this name; a new one begins with what is recorded from now on: nothing that was recorded
    /// before, and all that is when this has been answered.
    async fn event_consumer(&self, name: &str, at: DateTime<Utc>) -> Result<Consumer, StoreError>;

    /// The events after a place, in order, at most `most`. None that could still get company before it.
    async fn events_after(&self, place: Place, most: usize) -> Result<EventPage, StoreError>;

    /// Records how far a reader of events got; it never goes back. `false` when that is not for this reader to say any
    /// more, since it was put to another place: then it has to ask where it stands.
    async fn move_consumer(&self, consumer: Consumer, at: DateTime<Utc>) -> Result<bool, StoreError>;

    /// Keeps that a reader gives up on an event; once, whoever else gives up on it at the same time.
    async fn bury(&self, letter: DeadLetter) -> Result<(), StoreError>;

    /// Hands events to a reader again, from a position on, and records who wanted that. `None` when there is no such reader.
    async fn replay_events(&self, replay: ReplayEvents) -> Result<Option<Replayed>, StoreError>;
}

/// What the events of a stream are about: a thing, by its kind and id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    name: String,
    kind: String,
    subject: Option<Uuid>,
}

impl Stream {
    /// The most bytes of a stream's name.
    pub const LONGEST_NAME: usize = 255;

    /// What becomes of an execution.
    pub fn execution(id: ExecutionId) -> Self {
        Self::of("execution", id.0)
    }

    /// What becomes of a workflow's definition.
    pub fn workflow(id: WorkflowId) -> Self {
        Self::of("workflow", id.0)
    }

    /// The stream of a thing of this kind, a word such as `secret`.
    pub fn of(kind: &str, id: Uuid) -> Self {
        Self { name: format!("{kind}-{id}"), kind: kind.to_owned(), subject: Some(id) }
    }

    /// Its name: the kind, `-`, and the id.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of thing.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The thing's id.
    pub fn subject(&self) -> Option<Uuid> {
        self.subject
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An event to append.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id: the same event twice is recorded once.
    pub id: Uuid,
    /// Its type.
    pub event_type: EventType,
    /// What it says: `subject` and `data`.
    pub data: Value,
    /// Who or what brought it about.
    pub actor: Actor,
    /// How many executions had set each other off before it.
    pub depth: u64,
    /// Ties together what belongs together.
    pub correlation_id: Option<Uuid>,
    /// The event that led to this one, where one did.
    pub causation_id: Option<Uuid>,
}

/// Who or what brought an event about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The engine itself.
    Engine,
    /// An execution, by a step of it.
    Execution(ExecutionId),
    /// Whoever has the admin key.
    Admin,
    /// Whoever works the command line on the server's machine.
    Operator,
}

impl Actor {
    /// As it is recorded: `kind`, and `id` where there is one.
    pub fn to_json(self) -> Value {
        match self {
            Self::Engine => json!({ "kind": "engine" }),
            Self::Execution(id) => json!({ "kind": "execution", "id": id.0 }),
            Self::Admin => json!({ "kind": "admin" }),
            Self::Operator => json!({ "kind": "operator" }),
        }
    }
}

/// Where a stream must stand for events to be appended to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Anywhere.
    Any,
    /// Its last event must have this version; 0 for a stream without events.
    Exactly(i64),
}

/// Events to append to a stream.
#[derive(Clone, Debug)]
pub struct AppendEvents {
    /// The tenant.
    pub tenant: TenantId,
    /// The stream.
    pub stream: Stream,
    /// Where it must stand.
    pub expected: ExpectedVersion,
    /// The events, in order.
    pub events: Vec<NewEvent>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The version of the stream's last event; 0 where there is none.
    pub version: i64,
    /// How many events were not recorded before.
    pub events: usize,
}

/// Why events were not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended to the stream, or nobody did.
    #[error("stream {stream} is at version {actual}, not {expected}")]
    Conflict {
        /// The stream.
        stream: String,
        /// Where the caller expected it.
        expected: i64,
        /// Where it is.
        actual: i64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

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
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its type, such as `workflow.failed`.
    pub event_type: String,
    /// The version of what its type says.
    pub schema_version: i16,
    /// The stream it belongs to.
    pub stream: String,
    /// Its place in the stream, from 1.
    pub version: i64,
    /// Where it stands among all events.
    pub place: Place,
    /// The kind of thing that the stream is about.
    pub aggregate_type: String,
    /// The thing.
    pub aggregate_id: Option<Uuid>,
    /// What it says.
    pub data: Value,
    /// Who brought it about (`actor`), and how many executions had set each other off before it (`depth`).
    pub metadata: Value,
    /// Ties together what belongs together.
    pub correlation_id: Option<Uuid>,
    /// The event that led to this one, where one did.
    pub causation_id: Option<Uuid>,
    /// SHA-256 of the event and of the hash before it in its stream, in hex.
    pub hash: String,
    /// When it was recorded.
    pub at: DateTime<Utc>,
}

impl RecordedEvent {
    /// How many executions had set each other off before it.
    pub fn depth(&self) -> u64 {
        self.metadata["depth"].as_u64().unwrap_or(0)
    }

    /// What expressions see as `event`, and an execution that it set off as `trigger.event`.
    pub fn seen(&self) -> Value {
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

/// The state of a saga, to be kept so that its events up to then need not be read again.
#[derive(Clone, Debug)]
pub struct NewSnapshot {
    /// The saga's execution.
    pub execution: ExecutionId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The version of the last event that it holds.
    pub stream_version: i64,
    /// Where the saga stands in it.
    pub status: SagaStatus,
    /// How many of its steps have ended in it.
    pub current_step: i32,
    /// The state, a JSON object.
    pub data: String,
    /// What tells whether the state is what was kept.
    pub checksum: String,
    /// When that event was recorded.
    pub at: DateTime<Utc>,
}

/// A kept state of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Its number among those of the saga, from 1.
    pub version: i64,
    /// The version of the last event that it holds.
    pub stream_version: i64,
    /// The state, a JSON object.
    pub data: String,
    /// What tells whether the state is what was kept.
    pub checksum: String,
}

/// Events that follow each other.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<RecordedEvent>,
    /// Whether more are recorded that cannot be read yet, since others may still come before them.
    pub is_held_up: bool,
}

/// Which events are listed.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Those of one stream.
    pub stream: Option<String>,
    /// Those of these types; all where there is none.
    pub types: Vec<String>,
}

/// The reader that holds events against the triggers of workflows. It begins, or begins anew where there was none any more,
/// in the transaction that saves the first such workflow: the trigger sees whatever is recorded afterwards.
pub const EVENT_TRIGGERS: &str = "event-triggers";

/// Somebody who reads all events in order, and how far they got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its id.
    pub id: Uuid,
    /// The last event that it is done with.
    pub place: Place,
    /// Grows whenever it is put to another place: events are handed to it again, or it begins anew.
    pub epoch: i64,
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
    /// How many executions had set each other off up to this.
    pub depth: u64,
    /// Why, for people: one line each for what it could not set off.
    pub reasons: Vec<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Events that are to be handed to a reader again.
#[derive(Clone, Debug)]
pub struct ReplayEvents {
    /// The tenant in whose trail it is recorded.
    pub tenant: TenantId,
    /// The reader's name.
    pub consumer: String,
    /// The position of the first event that it gets again.
    pub from_position: i64,
    /// Why, in the words of whoever asks.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What is handed to a reader again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How many events it had been done with and gets once more.
    pub events: i64,
    /// The position of the last of them; 0 where there is none.
    pub to_position: i64,
    /// How many of them it had given up on.
    pub dead_letters: i64,
}
