//! The port of the store: what the engine asks of a database, in its own words.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_definition::{Overflow, Priority, Workflow};
use cogwheel_machine::{ExecutionId, ExecutionStatus, Failure, RecordedSaga, StepState};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Actor, AskInbox, BlobKey, Claim, Claimed, EventLog, EventWaiters, FileLedger, FileVersion, Inbox, Lease, LogLevel,
    LogStream, NewEvent, NewNode, NewSignal, Notice, PauseSchedule, SagaRows, ScheduleRecord, ScheduleTick,
    SignalAnswer, StoreError, Swept, UndoAnswer, UndoRequest, UnwindAnswer, UnwindRequest,
};
use crate::{EndpointId, FileId, NodeId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId};

/// The engine's side of the database. Each call that writes is one transaction, durable when it returns.
///
/// Writes from many callers are committed together; none waits for more company than is already there.
#[async_trait]
pub trait Store: FileLedger + EventLog {
    /// The tenant that owns what has no other owner (slug `default`), made at the first start.
    async fn default_tenant(&self) -> Result<TenantId, StoreError>;

    /// Records that this process runs.
    async fn join(&self, node: NewNode) -> Result<(), StoreError>;

    /// Prolongs the node's lease to `until`. A node that was taken for dead in the meantime is alive again, but owns
    /// nothing any more.
    async fn renew_lease(&self, node: NodeId, at: DateTime<Utc>, until: DateTime<Utc>) -> Result<Lease, StoreError>;

    /// Takes every other node whose lease has lapsed by `at` for dead (one without a lease always), and puts the live
    /// executions of all dead and departed nodes into the pool, raising each one's epoch.
    async fn sweep(&self, node: NodeId, at: DateTime<Utc>) -> Result<Swept, StoreError>;

    /// Takes executions out of the pool: live ones that nobody owns and that can go on.
    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreError>;

    /// Records that this process ends, and puts what it still owns into the pool.
    async fn leave(&self, node: NodeId, at: DateTime<Utc>) -> Result<(), StoreError>;

    /// Tells every other node; a call that gets lost is made up for by their sweeps. Costs nothing on SQLite.
    async fn notify(&self, notice: Notice) -> Result<(), StoreError>;

    /// Hears what other nodes tell from now on. After a lost connection comes [`Notice::Missed`]. Silent on SQLite.
    async fn listen(&self) -> Result<mpsc::Receiver<Notice>, StoreError>;

    /// Keeps a signal until an execution takes it, and wakes those that wait for it.
    async fn send_signal(&self, signal: NewSignal) -> Result<SignalAnswer, StoreError>;

    /// What came for an execution from outside: marks the signals it waits for as taken, each by one step and for ever.
    async fn inbox(&self, ask: AskInbox) -> Result<Inbox, StoreError>;

    /// Makes executions for which an event that they wait for has come due where nobody owns them, and answers all of
    /// them. Each finds the event in its inbox.
    async fn wake_event_waiters(&self, of: EventWaiters, at: DateTime<Utc>) -> Result<Vec<ExecutionId>, StoreError>;

    /// Any execution as it is recorded, live or ended, with all its steps.
    async fn execution(&self, tenant: TenantId, id: ExecutionId) -> Result<Option<StoredExecution>, StoreError>;

    /// Stops or resumes the starting of executions of a workflow; live ones go on. `false` when there is none.
    async fn pause_workflow(&self, pause: PauseWorkflow) -> Result<bool, StoreError>;

    /// Makes a live execution that nobody owns due at once.
    async fn wake(&self, execution: ExecutionId, at: DateTime<Utc>) -> Result<(), StoreError>;

    /// Every workflow that is not deleted, with its active version and its triggers, in no order.
    async fn workflows(&self, tenant: TenantId) -> Result<Vec<WorkflowRecord>, StoreError>;

    /// The texts of these versions; those that do not exist are left out.
    async fn workflow_sources(&self, versions: &[VersionId]) -> Result<HashMap<VersionId, String>, StoreError>;

    /// Saves a definition: makes the workflow if there is none of that name (a deleted one of the same name and origin
    /// is revived), a new active version if the text changed, and brings its schedules and watches in line.
    async fn save_workflow(&self, save: SaveWorkflow) -> Result<WorkflowRecord, StoreError>;

    /// Marks a workflow deleted and switches its triggers off; live executions go on to their end.
    async fn remove_workflow(&self, workflow: WorkflowId, at: DateTime<Utc>) -> Result<(), StoreError>;

    /// Records a new execution together with what set it off. Nothing is recorded if the same start was recorded before.
    async fn start(&self, start: Start) -> Result<Started, StoreError>;

    /// Records that an execution is to be cancelled; of several requests the first counts.
    async fn request_cancel(&self, request: CancelRequest) -> Result<CancelAnswer, StoreError>;

    /// Records that everything an execution did is to be undone. One that had completed is live again from then on, and
    /// in the pool. Written to the audit log where an operator asks.
    async fn request_unwind(&self, request: UnwindRequest) -> Result<UnwindAnswer, StoreError>;

    /// Records what an operator decided about an undo that failed, for its owner to act on, and that in the audit log.
    async fn decide_undo(&self, request: UndoRequest) -> Result<UndoAnswer, StoreError>;

    /// Records what became of an execution. Refused with [`StoreError::Conflict`] when the epoch is not the current one.
    async fn record(&self, record: Record) -> Result<(), StoreError>;

    /// Records due instants that start nothing and moves the schedule on.
    async fn tick(&self, tick: ScheduleTick) -> Result<(), StoreError>;

    /// Switches a schedule off or on; live executions go on. `false` when there is none that its workflow defines.
    async fn pause_schedule(&self, pause: PauseSchedule) -> Result<bool, StoreError>;

    /// The last due instant of this schedule's present ledger that has an outcome, whoever decided it.
    async fn last_due_at(&self, schedule: ScheduleId) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Whether an execution that this schedule started is still live.
    async fn schedule_is_busy(&self, schedule: ScheduleId) -> Result<bool, StoreError>;

    /// Adds to what is counted of the calls of addresses; those that are gone are left out.
    async fn count_calls(&self, calls: &[CountedCalls]) -> Result<(), StoreError>;
}

/// A workflow as stored.
#[derive(Clone, Debug)]
pub struct WorkflowRecord {
    /// Its id.
    pub id: WorkflowId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// The file it came from, relative to its workflow folder; `None` if it came otherwise.
    pub origin_path: Option<String>,
    /// The active version.
    pub version_id: VersionId,
    /// The active version's number.
    pub version: i32,
    /// SHA-256 of the active version's text, in hex.
    pub checksum: String,
    /// Whether triggers and people may start it.
    pub is_enabled: bool,
    /// Its enabled schedules.
    pub schedules: Vec<ScheduleRecord>,
    /// Its enabled watches.
    pub watches: Vec<WatchRecord>,
    /// Its addresses for calls.
    pub endpoints: Vec<EndpointRecord>,
    /// Whether events start it.
    pub has_events: bool,
}

/// A watch as stored.
#[derive(Clone, Debug)]
pub struct WatchRecord {
    /// Its id.
    pub id: WatchId,
    /// Its key in the definition.
    pub trigger_key: String,
}

/// An address at which calls come in, as stored.
#[derive(Clone, Debug)]
pub struct EndpointRecord {
    /// Its id.
    pub id: EndpointId,
    /// Its key in the definition.
    pub trigger_key: String,
}

/// Calls of an address that were not counted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedCalls {
    /// The address.
    pub endpoint: EndpointId,
    /// How many there were.
    pub total: i64,
    /// How many of them were refused.
    pub rejected: i64,
    /// When the last one came.
    pub last_at: DateTime<Utc>,
}

/// A definition to save.
#[derive(Clone, Debug)]
pub struct SaveWorkflow {
    /// The tenant.
    pub tenant: TenantId,
    /// The checked definition.
    pub workflow: Workflow,
    /// Its text, as written.
    pub source: String,
    /// SHA-256 of the text, in hex.
    pub checksum: String,
    /// The file it came from, relative to its workflow folder.
    pub origin_path: Option<String>,
    /// The triggers' stored form.
    pub triggers: SavedTriggers,
    /// When.
    pub at: DateTime<Utc>,
}

/// What of the triggers the store keeps beyond the definition: computed by the engine, which knows time and paths.
#[derive(Clone, Debug, Default)]
pub struct SavedTriggers {
    /// The coming due instant of each schedule, by trigger key.
    pub next_due: Vec<(String, Option<DateTime<Utc>>)>,
    /// The absolute folders of each watch, by trigger key.
    pub locations: Vec<(String, WatchFolders)>,
}

/// The absolute folders of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFolders {
    /// The one that is watched.
    pub watched: String,
    /// Where files are moved whose executions completed.
    pub success: Option<String>,
    /// Where files are moved whose executions ended otherwise.
    pub failure: Option<String>,
}

/// What sets executions off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerType {
    /// A person or program asked.
    Manual,
    /// A due instant.
    Schedule,
    /// A file.
    File,
    /// An inbound webhook.
    Webhook,
    /// An event.
    Event,
    /// Another workflow.
    Workflow,
    /// A job flow.
    JobFlow,
}

/// An execution to record.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Its id.
    pub id: ExecutionId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// The version it runs, to its end.
    pub version: VersionId,
    /// What set it off.
    pub trigger_type: TriggerType,
    /// The trigger's key in the definition.
    pub trigger_key: Option<String>,
    /// What set it off, as expressions see it.
    pub trigger: Value,
    /// Checked inputs.
    pub inputs: Value,
    /// Ties together what belongs together.
    pub correlation_id: Uuid,
    /// The caller's key: the same key of the same workflow is the same execution.
    pub idempotency_key: Option<String>,
    /// The node that will run it; `None` puts it into the pool.
    pub owner: Option<NodeId>,
    /// How early it is taken from the queue.
    pub priority: Priority,
    /// How many of its kind may be live at once; such an execution starts in the pool.
    pub concurrency: Option<ConcurrencySlot>,
    /// When it must have left the queue.
    pub queue_deadline_at: Option<DateTime<Utc>>,
    /// The step that it is run for, and that waits for its end or did no more than start it.
    pub parent: Option<Parent>,
    /// The execution it does over again.
    pub rerun: Option<Rerun>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

/// The step of another execution that an execution is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// That execution.
    pub execution: ExecutionId,
    /// The step's ordinal in it.
    pub step_ordinal: i32,
}

/// The execution that another one does over again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rerun {
    /// That execution.
    pub of: ExecutionId,
    /// Its first step that is done anew, by ordinal; `None` when all are.
    pub from_ordinal: Option<i32>,
    /// How often the work has been done over by now, from 1.
    pub retry_count: i32,
}

/// What limits how many executions are live at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencySlot {
    /// Executions of the same tenant and key count together.
    pub key: String,
    /// How many may be running or waiting at once, at least 1.
    pub limit: i32,
    /// What happens with one more.
    pub overflow: Overflow,
}

/// An execution to record, and what it comes from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The execution, queued.
    pub row: NewRow,
    /// What is recorded with it.
    pub from: StartFrom,
    /// Ended steps that it has from the execution it does over; its first own step comes after them.
    pub kept: Vec<StepRow>,
    /// What became of it before it was recorded: its head is the execution's from the start. Only where it has an owner
    /// and keeps nothing.
    pub first: Option<Box<Record>>,
}

/// What is recorded together with a new execution.
#[derive(Clone, Debug)]
pub enum StartFrom {
    /// Nothing.
    Request,
    /// The due instant that set it off, and those skipped on the way; the fired one is the tick's last outcome.
    Schedule(ScheduleTick),
    /// The file versions that set it off; they become the execution's inputs. It is refused if one of them is known.
    Files(Vec<FileVersion>),
    /// An uploaded file, which is recorded before it in the same transaction.
    Upload(FileId),
}

/// What became of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// It is recorded.
    Accepted,
    /// It is recorded, and these live ones were asked to end in its favour.
    Replacing(Vec<ExecutionId>),
    /// It is recorded as cancelled: as many as may be are live.
    Skipped,
    /// Its due instant is recorded as skipped, and nothing else: the schedule's previous execution is still going, or
    /// another server has switched the schedule off.
    PassedOver,
    /// The same idempotency key, due instant or file version was recorded before.
    Duplicate {
        /// The execution of that first time, where it is still known.
        execution: Option<ExecutionId>,
    },
}

/// A request to cancel an execution.
#[derive(Clone, Debug)]
pub struct CancelRequest {
    /// The tenant that the execution must belong to.
    pub tenant: TenantId,
    /// The execution.
    pub execution: ExecutionId,
    /// Why, in the words of whoever asks.
    pub reason: Option<String>,
    /// Whether a person asks by hand: then it is written to the audit log.
    pub is_audited: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// What became of a request to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// It is recorded, now or before.
    Requested,
    /// The execution had ended, and how.
    Ended(ExecutionStatus),
    /// The tenant has no such execution.
    Unknown,
}

/// What became of an execution: written in one transaction.
#[derive(Clone, Debug)]
pub struct Record {
    /// The execution.
    pub execution: ExecutionId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its workflow, whose counters move when the execution ends.
    pub workflow: WorkflowId,
    /// The epoch under which the writer owns it.
    pub epoch: i64,
    /// The execution's own row, where it changed.
    pub head: Option<Head>,
    /// Steps that changed, whole.
    pub steps: Vec<StepRow>,
    /// What became of it as a saga; nothing where it is none.
    pub saga: Option<Box<SagaRows>>,
    /// New log lines.
    pub logs: Vec<StoredLog>,
    /// New events, appended to the stream `execution-<id>` in the transaction of what they tell.
    pub events: Vec<NewEvent>,
    /// Bytes that were kept, beside those of [`StepRow::offloaded`].
    pub artifacts: Vec<NewArtifact>,
    /// The execution that waits for the end of this one, if this record is that end: it becomes due at once.
    pub parent: Option<ExecutionId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Bytes that an execution put out, to be recorded with what put them out: the row is what keeps them from being
/// removed. One of the same name takes the place of an earlier one.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    /// Its id.
    pub id: Uuid,
    /// The step that put it out; `None` for the execution's own result.
    pub step_ordinal: Option<i32>,
    /// Its name, unique in the execution: the step's key, then `/` and a path if it is a file.
    pub name: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// Where its bytes are kept, which is also their SHA-256.
    pub storage_key: BlobKey,
    /// What the bytes mean.
    pub mime_type: String,
    /// How many bytes there are.
    pub size: u64,
}

/// What an artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactKind {
    /// A file that a step left.
    Artifact,
    /// An output, or a result, that is too large for its row.
    StepOutput,
    /// The log of an execution that ended long ago.
    LogArchive,
}

/// A request to stop or to resume the starting of executions of a workflow.
#[derive(Clone, Copy, Debug)]
pub struct PauseWorkflow {
    /// The tenant that the workflow must belong to.
    pub tenant: TenantId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// Whether it is paused from now on.
    pub paused: bool,
    /// Who asks.
    pub actor: Actor,
    /// When.
    pub at: DateTime<Utc>,
}

/// The changing part of an execution's row.
#[derive(Clone, Debug)]
pub struct Head {
    /// Where it stands. A final one also moves the workflow's counters and settles the input files' status.
    pub status: ExecutionStatus,
    /// Who runs it; `None` once it ended or is let go of.
    pub owner: Option<NodeId>,
    /// When it was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it must have ended.
    pub deadline_at: Option<DateTime<Utc>>,
    /// When its owner must look at it next, whatever else happens.
    pub next_wake_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// What it put out.
    pub result: Option<Value>,
    /// Why it did not complete.
    pub error: Option<Failure>,
}

/// A step to write.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// Its name for people.
    pub name: String,
    /// Its type or construct: `shell`, `foreach`.
    pub step_type: &'static str,
    /// What must be assumed about its effects outside.
    pub effect: StepEffect,
    /// Everything else.
    pub state: StepState,
    /// Where its output is kept, if the one in `state` only refers to it.
    pub offloaded: Option<NewArtifact>,
}

/// What must be assumed about a step's effects outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepEffect {
    /// There is none.
    None,
    /// It took place.
    Applied,
    /// It may have taken place: an attempt began and did not complete.
    Unknown,
}

/// A log line to write.
#[derive(Clone, Debug)]
pub struct StoredLog {
    /// Its place in the execution's log, from 0.
    pub sequence: i64,
    /// The step it belongs to.
    pub step_ordinal: Option<i32>,
    /// The attempt it belongs to.
    pub attempt: Option<i32>,
    /// How grave.
    pub level: LogLevel,
    /// Where from.
    pub stream: LogStream,
    /// The text.
    pub message: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A live execution, to go on with.
#[derive(Clone, Debug)]
pub struct StoredExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// The workflow's name when it is known no more from its definition.
    pub workflow_name: String,
    /// The version it runs.
    pub version_id: VersionId,
    /// That version's number.
    pub version: i32,
    /// That version's text.
    pub source: String,
    /// The epoch under which it is owned now.
    pub epoch: i64,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// What set it off, as expressions see it.
    pub trigger: Value,
    /// Its inputs.
    pub inputs: Value,
    /// When it was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it must have ended.
    pub deadline_at: Option<DateTime<Utc>>,
    /// When it must be looked at; while it is queued, when it must have left the queue.
    pub next_wake_at: Option<DateTime<Utc>>,
    /// What it put out, as far as that is decided.
    pub result: Option<Value>,
    /// Why it does not complete, as far as that is decided.
    pub error: Option<Failure>,
    /// The step of another execution that it is run for.
    pub parent: Option<Parent>,
    /// Whether its end lets another execution of its key go on.
    pub has_concurrency_key: bool,
    /// How often the work had been done over before, from 0.
    pub retry_count: i32,
    /// Ties together what belongs together.
    pub correlation_id: Uuid,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// Why, in the words of whoever asked.
    pub cancel_reason: Option<String>,
    /// What is recorded of it as a saga, where it is one and has begun.
    pub saga: Option<RecordedSaga>,
    /// Its recorded steps.
    pub steps: Vec<StepState>,
    /// The sequence of its next log line.
    pub next_log_sequence: i64,
}
