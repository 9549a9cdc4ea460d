//! Sagas as they are recorded, and what is asked of them from outside.

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use cogwheel_definition::OnUndoFailure;
use cogwheel_machine::{
    Cause, ExecutionId, ExecutionStatus, Resolution, SagaStatus, UndoDecision, UndoStatus, UnwoundBy,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::NewEvent;
use crate::TenantId;

/// What became of a saga, beside its execution's own row and steps: written in the same transaction.
#[derive(Clone, Debug, Default)]
pub struct SagaRows {
    /// The saga itself, where it changed.
    pub saga: Option<SagaRow>,
    /// Undos that changed, whole.
    pub undos: Vec<UndoRow>,
    /// Time limits that changed.
    pub timeouts: Vec<TimeoutRow>,
    /// Whether a request to undo everything would be taken in: with one that is recorded, the execution is due at once
    /// although the record lets go of it.
    pub heeds_unwind: bool,
    /// Whether the saga fails as its rows stand: nobody can tell what becomes of it. What is open of it is closed.
    pub gives_up: bool,
}

/// A saga to write. It is recorded from the begin of its execution on, in its row and as an event; in the latter, times are
/// microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SagaRow {
    /// The workflow's name.
    pub saga_type: String,
    /// Where it stands.
    pub status: SagaStatus,
    /// Why it is undone. The one that was recorded first stays.
    pub cause: Option<Cause>,
    /// What follows when an undo fails for good.
    #[serde(with = "on_undo_failure")]
    pub on_undo_failure: OnUndoFailure,
    /// How many of the workflow's own steps have ended.
    pub current_step: i32,
    /// How many there are.
    pub total_steps: i32,
    /// They, each with its class: `compensatable`, `pivot`, `retriable` or `plain`.
    pub steps: Value,
    /// How many unwindings have begun.
    pub unwind_number: u32,
    /// Ties together what belongs together.
    pub correlation_id: Uuid,
    /// The execution that started this one.
    pub parent: Option<ExecutionId>,
    /// When its steps must have ended, where it says so.
    #[serde(with = "ts_microseconds_option")]
    pub deadline_at: Option<DateTime<Utc>>,
    /// When it began.
    #[serde(with = "ts_microseconds_option")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(with = "ts_microseconds_option")]
    pub completed_at: Option<DateTime<Utc>>,
}

/// The undo of one step instance, to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UndoRow {
    /// The number of the unwinding.
    pub unwind_number: u32,
    /// The key of the step that is undone.
    pub step_key: String,
    /// Its ordinal.
    pub step_ordinal: i32,
    /// 0 comes first; equal ones may run side by side.
    pub unwind_order: u32,
    /// What is done to undo it: the step type, and what an attempt was given, once one has begun.
    pub command: Value,
    /// Where it stands.
    pub status: UndoStatus,
    /// How many attempts there were after the first.
    pub retry_count: i32,
    /// How many there may be without an operator.
    pub max_retries: i32,
    /// When the next attempt begins.
    #[serde(with = "ts_microseconds_option")]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the first attempt began.
    #[serde(with = "ts_microseconds_option")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it was settled.
    #[serde(with = "ts_microseconds_option")]
    pub completed_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub error: Option<Value>,
    /// What an operator decided last, as [`super::Store::decide_undo`] has written it: that stays as it is.
    pub resolution: Option<Resolution>,
}

/// A time limit of a saga, of one of its steps, or of an undo, to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeoutRow {
    /// Its id: the same for all attempts of a step.
    pub id: Uuid,
    /// The key of the step; nothing for the saga as a whole.
    pub step_key: Option<String>,
    /// What it limits.
    pub kind: TimeoutKind,
    /// Where it stands.
    pub state: TimeoutState,
}

/// What a time limit is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutKind {
    /// The saga as a whole.
    Saga,
    /// A step.
    Step,
    /// The undoing of a step.
    Compensation,
}

/// Where a time limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutState {
    /// It passes then.
    Pending(#[serde(with = "ts_microseconds")] DateTime<Utc>),
    /// It has passed, which was noticed then.
    Fired(#[serde(with = "ts_microseconds")] DateTime<Utc>),
    /// What it limits ended before.
    Cancelled,
}

/// A request to undo everything that an execution did.
#[derive(Clone, Debug)]
pub struct UnwindRequest {
    /// The tenant that the execution must belong to.
    pub tenant: TenantId,
    /// The execution.
    pub execution: ExecutionId,
    /// Where it stood when it was found that it can be undone: live, or completed.
    pub expected: ExecutionStatus,
    /// Who asks.
    pub by: UnwoundBy,
    /// Why, in the words of whoever asks.
    pub reason: Option<String>,
    /// Whether a person asks, which is audited.
    pub is_audited: bool,
    /// What is recorded as the cause, where the execution had completed.
    pub cause: Cause,
    /// What is told of that, where the execution had completed: nobody drives it who could tell it.
    pub told: Option<NewEvent>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What became of a request to undo everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwindAnswer {
    /// It is recorded, now or before.
    Requested,
    /// The execution stands elsewhere by now: it must be looked at anew.
    Moved,
    /// The tenant has no such execution.
    Unknown,
}

/// An operator's decision about an undo that failed.
#[derive(Clone, Debug)]
pub struct UndoRequest {
    /// The tenant that the execution must belong to.
    pub tenant: TenantId,
    /// The execution.
    pub execution: ExecutionId,
    /// The key of the step that is undone.
    pub step_key: String,
    /// What is decided.
    pub decision: UndoDecision,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What became of a decision about an undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoAnswer {
    /// It is recorded, in the audit log as well.
    Recorded,
    /// The tenant has no such execution.
    Unknown,
    /// The execution is no saga.
    NoSaga,
    /// No such step of it is undone.
    NoSuchUndo,
    /// The undo does not wait for a decision: it stands here.
    NotFailed(UndoStatus),
    /// What fails to be undone is left as it is, by the saga's own word, or the execution has not begun or has ended.
    NotPaused,
}

/// What was asked of a saga, and not taken in by then.
#[derive(Clone, Debug, Default)]
pub struct SagaInbox {
    /// The request to undo everything.
    pub unwind: Option<UnwindAsked>,
    /// What operators decided last, by the ordinal of the step that is undone.
    pub decisions: Vec<(i32, Resolution)>,
}

/// A recorded request to undo everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwindAsked {
    /// Who asked.
    pub by: UnwoundBy,
    /// Why.
    pub reason: Option<String>,
}

/// The policy in words.
mod on_undo_failure {
    use cogwheel_definition::OnUndoFailure;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(policy: &OnUndoFailure, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match policy {
            OnUndoFailure::Pause => "pause",
            OnUndoFailure::Fail => "fail",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnUndoFailure, D::Error> {
        match <std::borrow::Cow<'_, str>>::deserialize(deserializer)?.as_ref() {
            "pause" => Ok(OnUndoFailure::Pause),
            "fail" => Ok(OnUndoFailure::Fail),
            other => Err(de::Error::unknown_variant(other, &["pause", "fail"])),
        }
    }
}
