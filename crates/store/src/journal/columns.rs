//! What the frequent units write, column by column: bound one by one on SQLite, sent as JSON rows to PostgreSQL.

mod saga;
mod uploads;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{
    Due, DueOutcome, FileVersion, Head, NewArtifact, NewRow, Record, ScheduleTick, Start, StepRow, StoredLog,
};
use cogwheel_entity::{files, schedule_fires};
use cogwheel_machine::ExecutionStatus;
use rusqlite::ToSql;
use rusqlite::types::ToSqlOutput;
use sea_orm::ActiveEnum;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::rows::{Stored, file_status_after, skip_reason};
use crate::values::{instant_text, new_id, storable, storable_option, storable_text};

pub(super) use saga::{EndedTimeoutColumns, GivenUpColumns, PendingTimeoutColumns, SagaColumns, UndoColumns};
pub(super) use uploads::{LinkColumns, UploadColumns};

/// A UUID: a blob for SQLite, text in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct Key(pub(crate) Uuid);

/// An instant: the one text form in both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instant(pub(crate) DateTime<Utc>);

/// A JSON document.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Document(Json);

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_bytes().as_slice()))
    }
}

impl ToSql for Instant {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(instant_text(self.0)))
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&instant_text(self.0))
    }
}

impl ToSql for Document {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.to_string()))
    }
}

impl Document {
    /// One that both databases can keep as it is.
    pub(crate) fn stored(document: Json) -> Self {
        Self(document)
    }

    fn of(document: &Json) -> Self {
        Self(storable(document))
    }

    fn of_option(document: Option<&Json>) -> Option<Self> {
        storable_option(document).map(Self)
    }

    /// A value whose type always has a JSON form.
    fn of_value(value: &impl Serialize) -> Self {
        Self(storable(&serde_json::to_value(value).unwrap_or_default()))
    }
}

/// A new row of `workflow_executions`: queued, or as far as it got before it was recorded.
#[derive(Debug, Serialize)]
pub(super) struct ExecutionColumns {
    pub(super) id: Key,
    pub(super) tenant_id: Key,
    pub(super) workflow_id: Key,
    pub(super) workflow_version_id: Key,
    pub(super) trigger_type: String,
    pub(super) trigger_key: Option<String>,
    pub(super) trigger_data: Document,
    pub(super) input_data: Document,
    pub(super) idempotency_key: Option<String>,
    pub(super) correlation_id: Key,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner_node_id: Option<Key>,
    pub(super) priority: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) concurrency_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) concurrency_limit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_execution_id: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_step_ordinal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rerun_of_execution_id: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rerun_from_ordinal: Option<i32>,
    pub(super) retry_count: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_wake_at: Option<Instant>,
    pub(super) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deadline_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) execution_time_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result_data: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Document>,
    pub(super) created_at: Instant,
}

impl ExecutionColumns {
    pub(super) fn of(start: &Start) -> Self {
        let queued = Self::queued(&start.row);
        let Some((record, head)) = start.first.as_ref().and_then(|first| Some((first, first.head.as_ref()?))) else {
            return queued;
        };
        let head = HeadColumns::of(record, head);
        Self {
            owner_node_id: head.owner_node_id,
            next_wake_at: head.next_wake_at,
            status: head.status,
            started_at: head.started_at,
            deadline_at: head.deadline_at,
            completed_at: head.completed_at,
            execution_time_ms: head.execution_time_ms,
            result_data: head.result_data,
            error: head.error,
            ..queued
        }
    }

    fn queued(row: &NewRow) -> Self {
        Self {
            id: Key(row.id.0),
            tenant_id: Key(row.tenant.0),
            workflow_id: Key(row.workflow.0),
            workflow_version_id: Key(row.version.0),
            trigger_type: row.trigger_type.word(),
            trigger_key: row.trigger_key.clone(),
            trigger_data: Document::of(&row.trigger),
            input_data: Document::of(&row.inputs),
            idempotency_key: idempotency_key(row),
            correlation_id: Key(row.correlation_id),
            // What a key limits begins in the pool, where the limit is kept.
            owner_node_id: row.owner.filter(|_| row.concurrency.is_none()).map(|owner| Key(owner.0)),
            priority: row.priority.word(),
            concurrency_key: row.concurrency.as_ref().map(|slot| storable_text(&slot.key)),
            concurrency_limit: row.concurrency.as_ref().map(|slot| slot.limit),
            parent_execution_id: row.parent.map(|parent| Key(parent.execution.0)),
            parent_step_ordinal: row.parent.map(|parent| parent.step_ordinal),
            rerun_of_execution_id: row.rerun.map(|rerun| Key(rerun.of.0)),
            rerun_from_ordinal: row.rerun.and_then(|rerun| rerun.from_ordinal),
            retry_count: row.rerun.map_or(0, |rerun| rerun.retry_count),
            next_wake_at: row.queue_deadline_at.map(Instant),
            status: ExecutionStatus::Queued.word(),
            started_at: None,
            deadline_at: None,
            completed_at: None,
            execution_time_ms: None,
            result_data: None,
            error: None,
            created_at: Instant(row.created_at),
        }
    }
}

/// The caller's key as it is stored.
pub(super) fn idempotency_key(row: &NewRow) -> Option<String> {
    row.idempotency_key.as_deref().map(storable_text)
}

/// A new row of `files`, and its link to the execution that takes it in.
#[derive(Debug, Serialize)]
pub(super) struct FileColumns {
    pub(super) id: Key,
    pub(super) tenant_id: Key,
    pub(super) file_watch_id: Key,
    pub(super) change_kind: String,
    pub(super) filename: String,
    pub(super) file_path: String,
    pub(super) path_hash: String,
    pub(super) file_size: i64,
    pub(super) file_hash: Option<String>,
    pub(super) mime_type: Option<String>,
    pub(super) modified_at: Instant,
    pub(super) device_identity: String,
    pub(super) inode_identity: String,
    pub(super) fingerprint: String,
    pub(super) first_seen_at: Instant,
    pub(super) settled_at: Instant,
    pub(super) after_state: String,
    pub(super) batch_key: Option<String>,
    /// What has become of it, where the execution has ended by the time it is recorded.
    pub(super) status: String,
    pub(super) processed_at: Option<Instant>,
    pub(super) execution_id: Key,
    pub(super) created_at: Instant,
}

impl FileColumns {
    /// The files of a start; those of one execution that come together are a batch, and bear its id.
    pub(super) fn all(files: &[FileVersion], start: &Start) -> Vec<Self> {
        let batch = (files.len() > 1).then(|| start.row.id.0.to_string());
        files.iter().map(|file| Self::of(file, start, batch.clone())).collect()
    }

    fn of(file: &FileVersion, start: &Start, batch_key: Option<String>) -> Self {
        let row = &start.row;
        let ended = start.first.as_ref().and_then(|first| Some((first.head.as_ref()?.status, first.at)));
        let ended = ended.filter(|(status, _)| status.is_terminal());
        let after = if file.has_after { files::AfterState::Pending } else { files::AfterState::None };
        Self {
            id: Key(file.id.0),
            tenant_id: Key(file.tenant.0),
            file_watch_id: Key(file.watch.0),
            change_kind: file.event.word(),
            filename: file.filename.clone(),
            file_path: file.path.clone(),
            path_hash: file.path_hash.clone(),
            file_size: file.size,
            file_hash: file.sha256.clone(),
            mime_type: file.media_type.clone(),
            modified_at: Instant(file.modified_at),
            device_identity: file.device.clone(),
            inode_identity: file.inode.clone(),
            fingerprint: file.fingerprint.clone(),
            first_seen_at: Instant(file.first_seen_at),
            settled_at: Instant(file.settled_at),
            after_state: after.to_value(),
            batch_key,
            status: ended.map_or(files::FileStatus::Processing, |(status, _)| file_status_after(status)).to_value(),
            processed_at: ended.map(|(_, at)| Instant(at)),
            execution_id: Key(row.id.0),
            created_at: Instant(row.created_at),
        }
    }
}

/// A new row of `schedule_fires`.
#[derive(Debug, Serialize)]
pub(super) struct FireColumns {
    pub(super) id: Key,
    pub(super) tenant_id: Key,
    pub(super) schedule_id: Key,
    pub(super) due_at: Instant,
    pub(super) outcome: String,
    pub(super) skip_reason: Option<String>,
    pub(super) is_catch_up: bool,
    pub(super) fired_at: Option<Instant>,
    pub(super) lateness_ms: Option<i64>,
    pub(super) execution_id: Option<Key>,
    pub(super) created_at: Instant,
}

impl FireColumns {
    /// The tick's due instants; what fired started `execution`.
    pub(super) fn of(tick: &ScheduleTick, execution: Option<Uuid>) -> Vec<Self> {
        tick.due.iter().map(|due| Self::one(tick, due, execution)).collect()
    }

    fn one(tick: &ScheduleTick, due: &Due, execution: Option<Uuid>) -> Self {
        let skipped = match due.outcome {
            DueOutcome::Fired => None,
            DueOutcome::Skipped(reason) => Some(skip_reason(reason)),
        };
        let outcome =
            if skipped.is_some() { schedule_fires::FireOutcome::Skipped } else { schedule_fires::FireOutcome::Fired };
        let fired = skipped.is_none();
        Self {
            id: Key(new_id(tick.at)),
            tenant_id: Key(tick.tenant.0),
            schedule_id: Key(tick.schedule.0),
            due_at: Instant(due.due_at),
            outcome: outcome.to_value(),
            skip_reason: skipped.map(|reason| reason.to_value()),
            is_catch_up: due.is_catch_up,
            fired_at: fired.then_some(Instant(tick.at)),
            lateness_ms: fired.then(|| (tick.at - due.due_at).num_milliseconds().max(0)),
            execution_id: execution.filter(|_| fired).map(Key),
            created_at: Instant(tick.at),
        }
    }
}

/// Where a schedule goes from a tick.
#[derive(Debug, Serialize)]
pub(super) struct ScheduleColumns {
    pub(super) id: Key,
    pub(super) last_due_at: Option<Instant>,
    pub(super) next_due_at: Option<Instant>,
    pub(super) next_fire_at: Option<Instant>,
    pub(super) last_fired_at: Option<Instant>,
    pub(super) updated_at: Instant,
}

impl ScheduleColumns {
    pub(super) fn of(tick: &ScheduleTick) -> Self {
        let fired = tick.due.iter().any(|due| due.outcome == DueOutcome::Fired);
        Self {
            id: Key(tick.schedule.0),
            last_due_at: tick.due.iter().map(|due| due.due_at).max().map(Instant),
            next_due_at: tick.next_due_at.map(Instant),
            next_fire_at: tick.next_fire_at.map(Instant),
            last_fired_at: fired.then_some(Instant(tick.at)),
            updated_at: Instant(tick.at),
        }
    }
}

impl ScheduleColumns {
    /// Adds what a later tick of the same schedule says.
    pub(super) fn go_on(&mut self, later: &Self) {
        let last_due = self.last_due_at.map(|at| at.0).max(later.last_due_at.map(|at| at.0));
        self.last_due_at = last_due.map(Instant);
        self.last_fired_at = later.last_fired_at.or(self.last_fired_at);
        self.next_due_at = later.next_due_at;
        self.next_fire_at = later.next_fire_at;
        self.updated_at = later.updated_at;
    }
}

/// The changing part of a row of `workflow_executions`.
#[derive(Debug, Serialize)]
pub(super) struct HeadColumns {
    pub(super) id: Key,
    pub(super) workflow_id: Key,
    pub(super) status: String,
    pub(super) owner_node_id: Option<Key>,
    pub(super) started_at: Option<Instant>,
    pub(super) deadline_at: Option<Instant>,
    pub(super) next_wake_at: Option<Instant>,
    pub(super) completed_at: Option<Instant>,
    pub(super) execution_time_ms: Option<i64>,
    pub(super) result_data: Option<Document>,
    pub(super) error: Option<Document>,
    pub(super) updated_at: Instant,
}

/// What the end of an execution means for its input files and for the signals it has not taken.
#[derive(Debug, Serialize)]
pub(super) struct EndColumns {
    /// The execution.
    pub(super) id: Key,
    /// What becomes of the input files.
    pub(super) file_status: String,
    pub(super) updated_at: Instant,
}

impl EndColumns {
    pub(super) fn of(record: &Record, head: &Head) -> Self {
        Self {
            id: Key(record.execution.0),
            file_status: file_status_after(head.status).to_value(),
            updated_at: Instant(record.at),
        }
    }
}

impl HeadColumns {
    pub(super) fn of(record: &Record, head: &Head) -> Self {
        let ended = head.status.is_terminal();
        let took = head.started_at.zip(head.completed_at).map(|(from, to)| (to - from).num_milliseconds());
        Self {
            id: Key(record.execution.0),
            workflow_id: Key(record.workflow.0),
            status: head.status.word(),
            owner_node_id: head.owner.filter(|_| !ended).map(|owner| Key(owner.0)),
            started_at: head.started_at.map(Instant),
            deadline_at: head.deadline_at.map(Instant),
            next_wake_at: head.next_wake_at.filter(|_| !ended).map(Instant),
            completed_at: head.completed_at.map(Instant),
            execution_time_ms: took,
            result_data: Document::of_option(head.result.as_ref()),
            error: head.error.as_ref().map(Document::of_value),
            updated_at: Instant(record.at),
        }
    }
}

/// A row of `step_executions`, whole.
#[derive(Debug, Serialize)]
pub(super) struct StepColumns {
    pub(super) tenant_id: Key,
    pub(super) execution_id: Key,
    pub(super) ordinal: i32,
    pub(super) step_key: String,
    pub(super) parent_ordinal: Option<i32>,
    pub(super) step_name: String,
    pub(super) step_type: &'static str,
    pub(super) status: String,
    pub(super) effect_state: String,
    pub(super) attempt: i32,
    pub(super) attempt_history: Document,
    pub(super) input_data: Option<Document>,
    pub(super) output_data: Option<Document>,
    pub(super) is_output_offloaded: bool,
    pub(super) error: Option<Document>,
    pub(super) lease_epoch: i64,
    pub(super) wake_at: Option<Instant>,
    pub(super) timeout_at: Option<Instant>,
    pub(super) wait_signal_name: Option<String>,
    pub(super) wait_correlation_key: Option<String>,
    pub(super) started_at: Option<Instant>,
    pub(super) completed_at: Option<Instant>,
    pub(super) execution_time_ms: Option<i64>,
    pub(super) updated_at: Instant,
}

impl StepColumns {
    pub(super) fn of(record: &Record, step: &StepRow) -> Self {
        Self::written(step, (record.tenant.0, record.execution.0), record.epoch, record.at)
    }

    /// A step that a new execution begins with.
    pub(super) fn kept(row: &NewRow, step: &StepRow) -> Self {
        Self::written(step, (row.tenant.0, row.id.0), 0, row.created_at)
    }

    fn written(step: &StepRow, (tenant, execution): (Uuid, Uuid), epoch: i64, at: DateTime<Utc>) -> Self {
        let state = &step.state;
        let signal = state.signal.as_ref();
        Self {
            tenant_id: Key(tenant),
            execution_id: Key(execution),
            ordinal: state.ordinal,
            step_key: state.key.clone(),
            parent_ordinal: state.parent,
            step_name: storable_text(&step.name),
            step_type: step.step_type,
            status: state.status.word(),
            effect_state: step.effect.word(),
            attempt: state.attempt,
            attempt_history: Document::of_value(&state.history),
            input_data: Document::of_option(state.input.as_ref()),
            output_data: Document::of_option(state.output.as_ref()),
            is_output_offloaded: step.offloaded.is_some(),
            error: state.error.as_ref().map(Document::of_value),
            lease_epoch: epoch,
            wake_at: state.wake_at.map(Instant),
            timeout_at: state.timeout_at.map(Instant),
            wait_signal_name: signal.map(|signal| storable_text(&signal.name)),
            wait_correlation_key: signal.and_then(|signal| signal.correlation.as_deref()).map(storable_text),
            started_at: state.started_at.map(Instant),
            completed_at: state.completed_at.map(Instant),
            execution_time_ms: state.duration_ms(),
            updated_at: Instant(at),
        }
    }
}

/// A row of `artifacts`.
#[derive(Debug, Serialize)]
pub(super) struct ArtifactColumns {
    pub(super) id: Key,
    pub(super) tenant_id: Key,
    pub(super) execution_id: Key,
    pub(super) step_ordinal: Option<i32>,
    pub(super) name: String,
    pub(super) artifact_kind: String,
    pub(super) storage_key: String,
    pub(super) mime_type: String,
    pub(super) file_size: i64,
    pub(super) created_at: Instant,
}

impl ArtifactColumns {
    /// What a record keeps: by itself, and as the outputs of its steps.
    pub(super) fn of(record: &Record) -> impl Iterator<Item = Self> {
        let outputs = record.steps.iter().filter_map(|step| step.offloaded.as_ref());
        let of = (record.tenant.0, record.execution.0);
        record.artifacts.iter().chain(outputs).map(move |artifact| Self::written(artifact, of, record.at))
    }

    /// The outputs of the steps that a new execution begins with.
    pub(super) fn kept(start: &Start) -> impl Iterator<Item = Self> {
        let row = &start.row;
        let outputs = start.kept.iter().filter_map(|step| step.offloaded.as_ref());
        outputs.map(|artifact| Self::written(artifact, (row.tenant.0, row.id.0), row.created_at))
    }

    fn written(artifact: &NewArtifact, (tenant, execution): (Uuid, Uuid), at: DateTime<Utc>) -> Self {
        Self {
            id: Key(artifact.id),
            tenant_id: Key(tenant),
            execution_id: Key(execution),
            step_ordinal: artifact.step_ordinal,
            name: storable_text(&artifact.name),
            artifact_kind: artifact.kind.word(),
            storage_key: artifact.storage_key.to_string(),
            mime_type: artifact.mime_type.clone(),
            file_size: i64::try_from(artifact.size).unwrap_or(i64::MAX),
            created_at: Instant(at),
        }
    }
}

/// An execution that is looked at again at an instant.
#[derive(Debug, Serialize)]
pub(super) struct WakeColumns {
    pub(super) id: Key,
    pub(super) at: Instant,
    /// Whether it is woken whatever came for it.
    pub(super) asked: bool,
    /// Whether it is woken by a request to undo everything.
    pub(super) heeds_unwind: bool,
}

/// A new row of `execution_logs`.
#[derive(Debug, Serialize)]
pub(super) struct LogColumns {
    pub(super) tenant_id: Key,
    pub(super) execution_id: Key,
    pub(super) sequence: i64,
    pub(super) step_ordinal: Option<i32>,
    pub(super) attempt: Option<i32>,
    pub(super) log_level: String,
    pub(super) stream: String,
    pub(super) message: String,
    pub(super) logged_at: Instant,
    pub(super) created_at: Instant,
}

impl LogColumns {
    pub(super) fn of(record: &Record, log: &StoredLog) -> Self {
        Self {
            tenant_id: Key(record.tenant.0),
            execution_id: Key(record.execution.0),
            sequence: log.sequence,
            step_ordinal: log.step_ordinal,
            attempt: log.attempt,
            log_level: log.level.word(),
            stream: log.stream.word(),
            message: storable_text(&log.message),
            logged_at: Instant(log.at),
            created_at: Instant(record.at),
        }
    }
}
