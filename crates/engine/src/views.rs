//! What the API reads: one struct a type, assembled by the store, and the pages they come in.

mod page;
mod saga;

pub use page::{Page, PageRequest, PageSize, TimeCursor};
pub use saga::{CompensationView, SagaFilter, SagaTimeoutView, SagaView};

use std::time::Duration;

use chrono::{DateTime, Utc};
pub use cogwheel_definition::Priority;
use cogwheel_definition::schedule::{Dst, DstGap, DstOverlap, Recurrence, Timing, parse_zone};
use cogwheel_machine::{ExecutionId, ExecutionStatus, StepStatus};
use serde_json::Value;
use uuid::Uuid;

use crate::ports::{LogLevel, LogStream, Parent, TriggerType};
use crate::{EndpointId, FileId, ScheduleId, VersionId, WatchId, WorkflowId};

/// Where a workflow stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowStatus {
    /// Saved, never activated.
    Draft,
    /// In use.
    Active,
    /// No new executions for now.
    Paused,
    /// Retired.
    Inactive,
}

/// A workflow.
#[derive(Clone, Debug)]
pub struct WorkflowView {
    /// Its id.
    pub id: WorkflowId,
    /// Its name, unique in the tenant.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Labels.
    pub labels: Value,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// Whether it may be started: in use, and switched on.
    pub is_enabled: bool,
    /// The file it comes from.
    pub origin_path: Option<String>,
    /// The active version.
    pub active_version: Option<VersionId>,
    /// Executions that ended, purged ones included.
    pub total_executions: i64,
    /// Of these, completed.
    pub successful_executions: i64,
    /// Of these, failed, timed out or compensated.
    pub failed_executions: i64,
    /// When one last ended.
    pub last_execution_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// One saved version of a workflow.
#[derive(Clone, Debug)]
pub struct VersionView {
    /// Its id.
    pub id: VersionId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its number, from 1.
    pub version: i32,
    /// The text as written.
    pub source: String,
    /// The compiled form.
    pub definition: Value,
    /// SHA-256 of the text, in hex.
    pub checksum: String,
    /// Whether new executions run it.
    pub is_active: bool,
    /// When it was saved.
    pub created_at: DateTime<Utc>,
}

/// An execution.
#[derive(Clone, Debug)]
pub struct ExecutionView {
    /// Its id.
    pub id: ExecutionId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// The version it runs.
    pub version: VersionId,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// What set it off.
    pub trigger_type: TriggerType,
    /// The trigger's key in the definition.
    pub trigger_key: Option<String>,
    /// What set it off, as expressions see it.
    pub trigger: Value,
    /// Its inputs.
    pub inputs: Value,
    /// What it put out.
    pub result: Option<Value>,
    /// Why it did not complete.
    pub error: Option<Value>,
    /// How early it is taken from the queue.
    pub priority: Priority,
    /// The caller's key.
    pub idempotency_key: Option<String>,
    /// Ties together what belongs together.
    pub correlation_id: Uuid,
    /// The step of another execution that it is run for.
    pub parent: Option<Parent>,
    /// The execution it does over again.
    pub rerun_of: Option<ExecutionId>,
    /// The first step of that one that is done anew, by ordinal.
    pub rerun_from_ordinal: Option<i32>,
    /// How often the work had been done over before, from 0.
    pub retry_count: i32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it must have ended.
    pub deadline_at: Option<DateTime<Utc>>,
    /// When it must be looked at again, whatever else happens.
    pub next_wake_at: Option<DateTime<Utc>>,
    /// When somebody first asked for its end.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Why, in the words of whoever asked first.
    pub cancel_reason: Option<String>,
    /// Milliseconds from claim to end.
    pub execution_time_ms: Option<i64>,
    /// When its row last changed.
    pub updated_at: DateTime<Utc>,
}

/// A step instance.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Its execution.
    pub execution: ExecutionId,
    /// Order of creation inside the execution.
    pub ordinal: i32,
    /// The ordinal of the instance that encloses it.
    pub parent_ordinal: Option<i32>,
    /// Its key in the definition, with the path of its rounds and values.
    pub step_key: String,
    /// Its name for people.
    pub step_name: String,
    /// Its type.
    pub step_type: String,
    /// Where it stands.
    pub status: StepStatus,
    /// The number of the current or last attempt.
    pub attempt: i32,
    /// Earlier attempts.
    pub attempt_history: Value,
    /// What it was given.
    pub input: Option<Value>,
    /// What it put out.
    pub output: Option<Value>,
    /// Why it did not complete.
    pub error: Option<Value>,
    /// The signal it waits for.
    pub wait_signal_name: Option<String>,
    /// What tells signals of that name apart.
    pub wait_correlation_key: Option<String>,
    /// When it goes on by itself.
    pub wake_at: Option<DateTime<Utc>>,
    /// When the current attempt must have ended.
    pub timeout_at: Option<DateTime<Utc>>,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Milliseconds from begin to end.
    pub execution_time_ms: Option<i64>,
    /// When its row last changed.
    pub updated_at: DateTime<Utc>,
}

/// A file that a step left.
#[derive(Clone, Debug)]
pub struct ArtifactView {
    /// Its id.
    pub id: Uuid,
    /// The execution.
    pub execution: ExecutionId,
    /// The step's ordinal.
    pub step_ordinal: Option<i32>,
    /// The step's key, `/`, and its path.
    pub name: String,
    /// Where its bytes are kept.
    pub storage_key: String,
    /// What the bytes mean.
    pub mime_type: String,
    /// How many bytes there are.
    pub size: i64,
    /// Their SHA-256 in hex.
    pub sha256: String,
    /// When it was kept first.
    pub created_at: DateTime<Utc>,
}

/// A log line.
#[derive(Clone, Debug)]
pub struct LogView {
    /// Its execution.
    pub execution: ExecutionId,
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
    pub logged_at: DateTime<Utc>,
}

/// Where a file version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStatus {
    /// Seen.
    Detected,
    /// Not quiet yet.
    Settling,
    /// Whole and hashed.
    Ready,
    /// Its execution runs.
    Processing,
    /// Its execution completed.
    Processed,
    /// Its execution did not complete.
    Failed,
    /// Decided against, with a reason.
    Skipped,
    /// Removed.
    Deleted,
}

impl FileStatus {
    /// The word, as the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "DETECTED",
            Self::Settling => "SETTLING",
            Self::Ready => "READY",
            Self::Processing => "PROCESSING",
            Self::Processed => "PROCESSED",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIPPED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A file version in the ledger.
#[derive(Clone, Debug)]
pub struct FileView {
    /// Its id.
    pub id: FileId,
    /// The watch that saw it.
    pub watch: Option<WatchId>,
    /// `watch`, `upload` or `step`: where it comes from.
    pub source: String,
    /// Its name.
    pub filename: String,
    /// The name as it was sent, or found.
    pub original_filename: String,
    /// Its absolute path.
    pub path: Option<String>,
    /// Where its bytes are kept, if they are.
    pub storage_key: Option<String>,
    /// What it is, by its content.
    pub media_type: Option<String>,
    /// Bytes.
    pub size: i64,
    /// SHA-256 of the content, in hex.
    pub sha256: Option<String>,
    /// Where it stands.
    pub status: FileStatus,
    /// Why it was taken or not.
    pub decision_reason: Option<String>,
    /// `created`, `modified` or `deleted`.
    pub change_kind: String,
    /// The file's time stamp.
    pub modified_at: Option<DateTime<Utc>>,
    /// When it was first seen.
    pub first_seen_at: DateTime<Utc>,
    /// When it had settled.
    pub settled_at: Option<DateTime<Utc>>,
    /// When its execution ended.
    pub processed_at: Option<DateTime<Utc>>,
    /// What it has in common with the other files of its batch.
    pub batch: Option<String>,
    /// Why it started nothing, or was left where it is, for people.
    pub detail: Option<String>,
    /// `none`, `pending`, `done` or `failed`: what is done with it once its execution has ended.
    pub after_state: String,
    /// Where it was moved, or is about to be.
    pub after_target: Option<String>,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
}

/// A schedule.
#[derive(Clone, Debug)]
pub struct ScheduleView {
    /// Its id.
    pub id: ScheduleId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its key in the definition.
    pub trigger_key: String,
    /// The cron expression.
    pub cron: Option<String>,
    /// The IANA zone it is read in.
    pub timezone: String,
    /// Seconds from one due instant to the next, where it is an interval.
    pub interval_seconds: Option<i64>,
    /// What becomes of skipped times: `shift` or `skip`.
    pub dst_gap: String,
    /// What becomes of repeated times: `first`, `last` or `both`.
    pub dst_overlap: String,
    /// What else decides when it comes due; [`cogwheel_definition::schedule::Timing::with_details`] reads it.
    pub details: Option<Value>,
    /// By how many milliseconds at most starts are put off.
    pub jitter_ms: i32,
    /// Due instants older than so many seconds are not made up for.
    pub catch_up_window_seconds: Option<i64>,
    /// `none`, `last` or `all`.
    pub catch_up: String,
    /// `allow`, `skip`, `queue` or `replace`.
    pub overlap: String,
    /// Whether it fires.
    pub is_enabled: bool,
    /// The coming due instant.
    pub next_due_at: Option<DateTime<Utc>>,
    /// The last due instant with an outcome.
    pub last_due_at: Option<DateTime<Utc>>,
    /// When it last started something.
    pub last_fired_at: Option<DateTime<Utc>>,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
}

impl ScheduleView {
    /// When it comes due; `None` where this release cannot read what is stored.
    pub fn timing(&self) -> Option<Timing> {
        let recurrence = match (&self.cron, self.interval_seconds) {
            (Some(cron), _) => Recurrence::Cron(cron.clone()),
            (None, seconds) => {
                Recurrence::Every { interval: Duration::from_secs(u64::try_from(seconds?).ok()?), anchor: None }
            }
        };
        let dst = Dst { gap: DstGap::from_word(&self.dst_gap)?, overlap: DstOverlap::from_word(&self.dst_overlap)? };
        let timing = Timing::new(recurrence, parse_zone(&self.timezone).ok()?);
        Some(Timing { dst, ..timing.with_details(self.details.as_ref()) })
    }
}

/// One due instant in the ledger.
#[derive(Clone, Debug)]
pub struct FireView {
    /// Its id.
    pub id: Uuid,
    /// The schedule.
    pub schedule: ScheduleId,
    /// When it was due.
    pub due_at: DateTime<Utc>,
    /// Whether it started something.
    pub fired: bool,
    /// Why not.
    pub skip_reason: Option<String>,
    /// Whether it was made up for after a pause.
    pub is_catch_up: bool,
    /// When it started something.
    pub fired_at: Option<DateTime<Utc>>,
    /// How late that was.
    pub lateness_ms: Option<i64>,
    /// What it started.
    pub execution: Option<ExecutionId>,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
}

/// A watch.
#[derive(Clone, Debug)]
pub struct WatchView {
    /// Its id.
    pub id: WatchId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its key in the definition.
    pub trigger_key: String,
    /// The absolute folder.
    pub location: Option<String>,
    /// `directory` or `upload`: where its files come from.
    pub source: String,
    /// Media types that are taken; none for any.
    pub mime_types: Value,
    /// The fewest bytes.
    pub min_size: Option<i64>,
    /// The most bytes.
    pub max_size: Option<i64>,
    /// Patterns that take a file in.
    pub include: Value,
    /// Patterns that leave one out.
    pub exclude: Value,
    /// Whether sub-folders count.
    pub is_recursive: bool,
    /// How long a file must be quiet.
    pub settle_ms: i32,
    /// Whether it looks.
    pub is_enabled: bool,
    /// `starting`, `healthy`, `degraded` or `failed`.
    pub health: String,
    /// What is wrong.
    pub problem: Option<String>,
    /// The last full scan.
    pub last_scan_at: Option<DateTime<Utc>>,
    /// What must have happened to a file.
    pub events: Value,
    /// How it was asked to look: `auto`, `events` or `poll`.
    pub observe_mode: String,
    /// How it looks: `events` or `poll`.
    pub active_mode: Option<String>,
    /// The type of the file system.
    pub filesystem: Option<String>,
    /// How often the folder is scanned, beside the rare scan that all folders have.
    pub scan_every_ms: Option<i64>,
    /// The file that says that others are whole.
    pub done_marker: Option<String>,
    /// How many files start one execution at most.
    pub batch_max_files: i32,
    /// How long the first file of a batch waits.
    pub batch_max_wait_ms: i32,
    /// `keep`, `delete`, or the folder that files are moved to whose executions completed.
    pub after_success: String,
    /// The same for executions that ended otherwise.
    pub after_failure: String,
    /// How often reports of the kernel were lost, since the watch began.
    pub overflows: i64,
    /// Whether a limit of the system keeps the kernel from reporting changes.
    pub limit_reached: bool,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<DateTime<Utc>>,
    /// How many names were left alone since the watch began.
    pub ignored: i64,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
}

/// An address at which calls come in.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// Its id.
    pub id: EndpointId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its key in the definition.
    pub trigger_key: String,
    /// The last part of the address.
    pub path: String,
    /// The HTTP methods that it takes: a list of texts.
    pub methods: Value,
    /// `standard_webhooks`, `hub_sha256`, `bearer` or `none`.
    pub signature_mode: String,
    /// Whether it is answered with the result.
    pub replies: bool,
    /// Whether it takes calls.
    pub is_enabled: bool,
    /// How often it was called.
    pub total_calls: i64,
    /// How often in vain.
    pub rejected_calls: i64,
    /// When it was called last.
    pub last_called_at: Option<DateTime<Utc>>,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
}

/// An event that a consumer gave up on.
#[derive(Clone, Debug)]
pub struct DeadLetterView {
    /// The event's id.
    pub event: Uuid,
    /// Its type.
    pub event_type: String,
    /// What it says.
    pub data: Value,
    /// Why: a list of texts.
    pub reasons: Vec<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Which executions to list.
#[derive(Clone, Debug, Default)]
pub struct ExecutionFilter {
    /// Of this workflow, by name.
    pub workflow: Option<String>,
    /// In one of these states; empty means any.
    pub status: Vec<ExecutionStatus>,
    /// Set off by one of these; empty means any.
    pub trigger_type: Vec<TriggerType>,
}

/// Which workflows to list.
#[derive(Clone, Debug, Default)]
pub struct WorkflowFilter {
    /// In one of these states; empty means any.
    pub status: Vec<WorkflowStatus>,
    /// Which may be started, or may not.
    pub is_enabled: Option<bool>,
}

/// Which files to list.
#[derive(Clone, Debug, Default)]
pub struct FileFilter {
    /// In one of these states; empty means any.
    pub status: Vec<FileStatus>,
    /// Seen by this watch.
    pub watch: Option<WatchId>,
}

/// Which schedules or watches to list.
#[derive(Clone, Debug, Default)]
pub struct TriggerFilter {
    /// Of this workflow, by name.
    pub workflow: Option<String>,
}

/// Which due instants to list.
#[derive(Clone, Debug, Default)]
pub struct FireFilter {
    /// Of this schedule.
    pub schedule: Option<ScheduleId>,
    /// Those that fired, or those that did not.
    pub fired: Option<bool>,
    /// Due at this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Due at this instant or earlier.
    pub until: Option<DateTime<Utc>>,
}
