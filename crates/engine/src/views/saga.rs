//! Sagas as the API reads them.

use chrono::{DateTime, Utc};
use cogwheel_machine::{CauseKind, ExecutionId, SagaStatus, UndoDecision, UndoStatus};
use serde_json::Value;
use uuid::Uuid;

use crate::ports::TimeoutKind;

/// An execution whose steps can be undone.
#[derive(Clone, Debug)]
pub struct SagaView {
    /// The execution.
    pub execution: ExecutionId,
    /// The workflow's name when it began.
    pub workflow: String,
    /// Where it stands.
    pub status: SagaStatus,
    /// Whether failed undos are left for an operator; otherwise they are left as they are.
    pub pauses: bool,
    /// Why it is undone.
    pub cause: Option<CauseKind>,
    /// What went wrong, or who asked.
    pub cause_detail: Option<Value>,
    /// How many of the workflow's own steps have ended.
    pub current_step: i32,
    /// How many there are.
    pub total_steps: i32,
    /// They, each with its class.
    pub steps: Value,
    /// How many unwindings have begun.
    pub unwind_number: i32,
    /// Ties together what belongs together.
    pub correlation_id: Uuid,
    /// The saga of the execution that started this one.
    pub parent: Option<ExecutionId>,
    /// When its steps must have ended.
    pub timeout_at: Option<DateTime<Utc>>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
}

/// The undo of one step instance.
#[derive(Clone, Debug)]
pub struct CompensationView {
    /// The execution.
    pub execution: ExecutionId,
    /// The key of the step that is undone.
    pub step_key: String,
    /// Its ordinal.
    pub step_ordinal: i32,
    /// 0 comes first; equal ones may run side by side.
    pub unwind_order: i32,
    /// What is done to undo it.
    pub command: Value,
    /// Where it stands.
    pub status: UndoStatus,
    /// How many attempts there were after the first.
    pub retry_count: i32,
    /// How many there may be without an operator.
    pub max_retries: i32,
    /// When the next attempt begins.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was settled.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub error: Option<Value>,
    /// What an operator decided last.
    pub resolution: Option<UndoDecision>,
    /// Why.
    pub resolution_reason: Option<String>,
    /// When.
    pub resolved_at: Option<DateTime<Utc>>,
}

/// A time limit of a saga, of one of its steps, or of an undo.
#[derive(Clone, Debug)]
pub struct SagaTimeoutView {
    /// The execution.
    pub execution: ExecutionId,
    /// The key of the step; nothing for the saga as a whole.
    pub step_key: Option<String>,
    /// What it limits.
    pub kind: TimeoutKind,
    /// When it passes, or would have.
    pub timeout_at: DateTime<Utc>,
    /// When it was found to have passed.
    pub fired_at: Option<DateTime<Utc>>,
    /// Whether it has not passed, and what it limits has not ended.
    pub is_pending: bool,
}

/// Which sagas.
#[derive(Clone, Debug, Default)]
pub struct SagaFilter {
    /// In one of these states; empty for all.
    pub status: Vec<SagaStatus>,
    /// Of the workflow with this name.
    pub workflow: Option<String>,
}
