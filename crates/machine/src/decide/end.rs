//! Ends an execution with the verdict its steps give.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Decision, Effect};
use crate::state::Stopping;
use crate::{Change, Execution, ExecutionStatus, Failure, FailureKind, StepStatus, contains_nul};

impl Execution {
    pub(super) fn end(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        let (status, result, error) = if let Some(why) = self.stopping {
            match why {
                Stopping::DeadlinePassed => {
                    (ExecutionStatus::TimedOut, None, Some(execution_timeout(self.new.workflow.timeout)))
                }
                Stopping::Cancelled => (ExecutionStatus::Cancelled, None, Some(self.cancelled())),
            }
        } else if let Some(cause) = self.first_failure() {
            (ExecutionStatus::Failed, None, Some(cause))
        } else {
            match self.outputs(now) {
                Ok(result) if contains_nul(&result) => {
                    let title = "outputs hold the character U+0000, which cannot be stored";
                    (ExecutionStatus::Failed, None, Some(Failure::permanent(FailureKind::Expression, title)))
                }
                Ok(result) => (ExecutionStatus::Completed, Some(result), None),
                Err(error) => {
                    let failure = Failure::permanent(FailureKind::Expression, format!("outputs: {error}"));
                    (ExecutionStatus::Failed, None, Some(failure))
                }
            }
        };
        self.record(Change::Ended { status, result, error, at: now }, decision);
        decision.effects.push(Effect::End);
    }

    /// Ends an execution that never ran.
    pub(super) fn end_cancelled(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        let (status, error) = (ExecutionStatus::Cancelled, Some(self.cancelled()));
        self.record(Change::Ended { status, result: None, error, at: now }, decision);
        decision.effects.push(Effect::End);
    }

    fn cancelled(&self) -> Failure {
        let failure = Failure::permanent(FailureKind::Cancelled, "the execution was cancelled");
        match self.cancel_requested.as_ref().and_then(|request| request.reason.clone()) {
            Some(reason) => failure.with_detail(reason),
            None => failure,
        }
    }

    /// The failure that came first is the cause; later ones are its company.
    fn first_failure(&self) -> Option<Failure> {
        let (step, state) = self
            .new
            .workflow
            .steps
            .iter()
            .zip(&self.steps)
            .filter(|(step, state)| {
                matches!(state.status, StepStatus::Failed | StepStatus::TimedOut) && !step.continue_on_error
            })
            .min_by_key(|(_, state)| (state.completed_at, state.ordinal))?;
        state.error.clone().map(|failure| failure.in_step(&step.id))
    }
}

fn execution_timeout(limit: Duration) -> Failure {
    Failure::permanent(FailureKind::Timeout, format!("the execution took longer than its limit of {limit:?}"))
}

pub(super) fn step_timeout(limit: Duration) -> Failure {
    Failure::retriable(FailureKind::Timeout, format!("the step took longer than its limit of {limit:?}"))
}

pub(super) fn execution_ended() -> Failure {
    Failure::permanent(FailureKind::Cancelled, "the execution ended first")
}

pub(super) fn lost(times: usize) -> Failure {
    Failure::permanent(FailureKind::Lost, format!("the server stopped {times} times while the step ran"))
}
