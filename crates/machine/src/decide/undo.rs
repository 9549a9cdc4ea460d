//! What operators ask of a saga: to undo it, and what becomes of undos that failed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Decision, Rejected, UnwoundBy};
use crate::saga::UndoStatus;
use crate::state::{Phase, Stopping};
use crate::{Cause, CauseKind, Change, Execution, ExecutionStatus, Failure, FailureKind, Resolution, UndoDecision};

impl Execution {
    /// Everything is to be undone. What runs is stopped first; what completed is undone at once. It is taken in once.
    pub(super) fn unwind_asked(
        &mut self,
        by: UnwoundBy,
        reason: Option<String>,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        if self.saga.is_none() {
            return Err(Rejected::NoSaga);
        }
        let is_past_pivot = self.is_past_pivot();
        match self.status {
            ExecutionStatus::Queued => Err(Rejected::NothingToUndo),
            ExecutionStatus::Compensating => Ok(()),
            ExecutionStatus::Failed
            | ExecutionStatus::Cancelled
            | ExecutionStatus::TimedOut
            | ExecutionStatus::Compensated => Err(Rejected::NotRunning),
            _ if is_past_pivot => Err(Rejected::PastPivot),
            ExecutionStatus::Completed => {
                let plan = self.plan();
                if plan.undos.is_empty() {
                    return Err(Rejected::NothingToUndo);
                }
                self.begin_unwinding(asked(by, reason), plan, now, decision);
                Ok(())
            }
            ExecutionStatus::Running | ExecutionStatus::Waiting if self.phase != Phase::Main => Err(Rejected::Ending),
            ExecutionStatus::Running | ExecutionStatus::Waiting => {
                // What stops it already comes first, and undoes it too.
                if self.stopping.is_none() {
                    self.record(Change::UnwindRequested { cause: asked(by, reason) }, decision);
                    self.stop_phase(Stopping::Undone, now, decision);
                }
                Ok(())
            }
        }
    }

    /// What becomes of an undo that failed.
    pub(super) fn undo_decided(
        &mut self,
        forward: i32,
        decided: UndoDecision,
        reason: String,
        by: Option<Uuid>,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        if self.phase != Phase::Unwinding || self.status != ExecutionStatus::Compensating {
            return Err(Rejected::NotRunning);
        }
        let unwinding = self.unwinding().ok_or(Rejected::NotAwaited)?;
        let undo = unwinding.of(forward).ok_or(Rejected::NotAwaited)?;
        if unwinding.undos[undo].is_done || self.undo_status(undo) != UndoStatus::Failed {
            return Err(Rejected::NotFailed);
        }
        let before = self.resolution(forward).map_or(0, |resolution| resolution.retries);
        let retries = before + u32::from(decided == UndoDecision::Retry);
        let resolution = Resolution { decision: decided, reason, by, at: now, retries };
        self.record(Change::UndoResolved { forward, resolution }, decision);
        if decided == UndoDecision::Retry {
            self.begin_undo(undo);
        } else {
            self.pass_undo_on(undo, now, decision);
        }
        Ok(())
    }
}

/// What is recorded of a request to undo everything.
fn asked(by: UnwoundBy, reason: Option<String>) -> Cause {
    let (kind, title) = match by {
        UnwoundBy::Operator => (CauseKind::Operator, "an operator asked for the execution to be undone"),
        UnwoundBy::Parent => (CauseKind::Parent, "the execution that started this one is undone"),
    };
    let error = Failure::permanent(FailureKind::Cancelled, title);
    Cause { kind, error: reason.into_iter().fold(error, Failure::with_detail) }
}
