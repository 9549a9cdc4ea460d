//! What events hold beside what they tell everybody: the rows themselves, for whoever rebuilds a state.

use chrono::serde::ts_microseconds_option;
use chrono::{DateTime, Utc};
use cogwheel_machine::{Cause, CauseKind, Resolution, SagaStatus, StepState, UndoStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::events::EventType;
use crate::ports::{SagaRow, TimeoutRow, TimeoutState, UndoRow};

/// Where in an event the row is, beside `subject` and `data`. It stays in the event store: neither webhooks nor triggers see it.
pub const ROW: &str = "row";

/// What is kept of a step beside what its event tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StepFacts {
    pub(crate) parent: Option<i32>,
    #[serde(with = "ts_microseconds_option")]
    pub(crate) started_at: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds_option")]
    pub(crate) completed_at: Option<DateTime<Utc>>,
}

impl StepFacts {
    pub(crate) fn of(state: &StepState) -> Self {
        Self { parent: state.parent, started_at: state.started_at, completed_at: state.completed_at }
    }
}

/// What the first event of an execution says of those that follow.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct WholeFacts {
    /// Whether every change of its status and of its steps is among them.
    pub is_whole: bool,
}

/// A recorded request to undo everything, as its event keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnwindAskedFor {
    /// What asked: the cause that the unwinding then has.
    pub requested_as: CauseKind,
    /// Why.
    pub reason: Option<String>,
    /// The cause that was recorded at once, of an execution that had completed and is live again.
    pub revived: Option<Cause>,
}

/// What an operator decided about an undo, as its event keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecidedFacts {
    /// The number of the unwinding.
    pub unwind_number: u32,
    /// The ordinal of the step that is undone.
    pub step_ordinal: i32,
    /// Where the undo stands by the decision.
    pub status: UndoStatus,
    /// What was decided.
    pub resolution: Resolution,
}

/// Everything about a decision: what its event tells, and what it keeps.
#[derive(Clone, Debug)]
pub struct Decided<'d> {
    /// The workflow's name.
    pub workflow: &'d str,
    /// The execution's id.
    pub execution: &'d str,
    /// The key of the step that is undone.
    pub step_key: &'d str,
    /// What is kept.
    pub facts: DecidedFacts,
}

impl Decided<'_> {
    /// What the event holds.
    pub fn data(&self) -> Value {
        let DecidedFacts { unwind_number, step_ordinal, resolution, .. } = &self.facts;
        json!({
            "subject": self.workflow,
            "data": {
                "workflow": self.workflow,
                "execution_id": self.execution,
                "step": self.step_key,
                "ordinal": step_ordinal,
                "unwind_number": unwind_number,
                "decision": resolution.decision.as_str(),
                "reason": resolution.reason,
            },
            ROW: self.facts,
        })
    }
}

impl UnwindAskedFor {
    /// What the event holds.
    pub fn data(&self, workflow: &str, execution: &str) -> Value {
        json!({
            "subject": workflow,
            "data": {
                "workflow": workflow,
                "execution_id": execution,
                "requested_as": self.requested_as.as_str(),
                "reason": self.reason,
            },
            ROW: self,
        })
    }
}

/// What of a failure is told to others: its details may hold what is nobody's business.
pub(crate) fn told_failure(failure: &Value) -> Value {
    json!({ "kind": failure["kind"], "title": failure["title"], "step": failure["step"] })
}

/// The event that a written row of a saga is, and what it tells. `before` is where the saga stood.
pub(crate) fn of_saga(row: &SagaRow, before: Option<SagaStatus>) -> (EventType, Value) {
    let event_type = match (before, row.status) {
        (None, SagaStatus::Pending | SagaStatus::Running) => EventType::SagaStarted,
        (before, status) if before == Some(status) => EventType::SagaProgressed,
        (_, SagaStatus::Pending | SagaStatus::Running) => EventType::SagaProgressed,
        (_, SagaStatus::Compensating) => EventType::SagaCompensating,
        (_, SagaStatus::Completed) => EventType::SagaCompleted,
        (_, SagaStatus::Compensated) => EventType::SagaCompensated,
        (_, SagaStatus::Failed) => EventType::SagaFailed,
    };
    let told = json!({
        "status": row.status.as_str(),
        "cause": row.cause.as_ref().map(|cause| cause.kind.as_str()),
        "unwind_number": row.unwind_number,
    });
    (event_type, told)
}

/// The event that a written row of an undo is, and what it tells.
pub(crate) fn of_undo(row: &UndoRow) -> (EventType, Value) {
    let event_type = match row.status {
        UndoStatus::Pending if row.started_at.is_none() => EventType::CompensationPlanned,
        UndoStatus::Pending => EventType::CompensationRetrying,
        UndoStatus::Running => EventType::CompensationStarted,
        UndoStatus::Completed => EventType::CompensationCompleted,
        UndoStatus::Failed => EventType::CompensationFailed,
        UndoStatus::Skipped => EventType::CompensationSkipped,
    };
    let told = json!({
        "step": row.step_key,
        "ordinal": row.step_ordinal,
        "unwind_number": row.unwind_number,
        "status": row.status.as_str(),
        "error": row.error.as_ref().map(told_failure),
    });
    (event_type, told)
}

/// The event that a written row of a time limit is, and what it tells.
pub(crate) fn of_timeout(row: &TimeoutRow) -> (EventType, Value) {
    let (event_type, at) = match row.state {
        TimeoutState::Pending(at) => (EventType::SagaTimeoutScheduled, Some(at)),
        TimeoutState::Fired(at) => (EventType::SagaTimeoutFired, Some(at)),
        TimeoutState::Cancelled => (EventType::SagaTimeoutCancelled, None),
    };
    let mut told = json!({ "step": row.step_key, "kind": row.kind });
    if let Some(at) = at {
        told["at"] = json!(at);
    }
    (event_type, told)
}
