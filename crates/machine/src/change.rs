//! What became true, and the one function that makes it so.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::context;
use crate::{Execution, ExecutionStatus, Failure, PastAttempt, PastOutcome, StepStatus};

/// One recorded fact about an execution. `step` is the step's place in the definition.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The execution left the queue.
    Started {
        /// When.
        at: DateTime<Utc>,
        /// When it must have ended.
        deadline_at: DateTime<Utc>,
    },
    /// An attempt began.
    StepStarted {
        /// Which step.
        step: usize,
        /// What it was given, after expressions.
        input: Value,
        /// When.
        at: DateTime<Utc>,
        /// When the attempt must have ended.
        timeout_at: DateTime<Utc>,
    },
    /// The end of an attempt was not seen.
    StepLost {
        /// Which step.
        step: usize,
        /// When the loss was noticed.
        at: DateTime<Utc>,
    },
    /// An attempt failed, and another follows.
    StepRetrying {
        /// Which step.
        step: usize,
        /// How the attempt ended.
        outcome: PastOutcome,
        /// Why.
        error: Failure,
        /// When it ended.
        at: DateTime<Utc>,
        /// When the next one begins.
        wake_at: DateTime<Utc>,
    },
    /// A step reached its final state.
    StepEnded {
        /// Which step.
        step: usize,
        /// The final state.
        status: StepStatus,
        /// What it put out.
        output: Option<Value>,
        /// Why it did not complete.
        error: Option<Failure>,
        /// When.
        at: DateTime<Utc>,
    },
    /// The execution reached its final state.
    Ended {
        /// The final state.
        status: ExecutionStatus,
        /// What it put out.
        result: Option<Value>,
        /// Why it did not complete.
        error: Option<Failure>,
        /// When.
        at: DateTime<Utc>,
    },
}

impl Change {
    /// The step it is about.
    pub fn step(&self) -> Option<usize> {
        match self {
            Self::Started { .. } | Self::Ended { .. } => None,
            Self::StepStarted { step, .. }
            | Self::StepLost { step, .. }
            | Self::StepRetrying { step, .. }
            | Self::StepEnded { step, .. } => Some(*step),
        }
    }
}

impl Execution {
    /// Folds one change into the state. Total: what was decided can always be applied.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Started { at, deadline_at } => {
                self.move_to(ExecutionStatus::Running);
                self.started_at = Some(*at);
                self.deadline_at = Some(*deadline_at);
            }
            Change::StepStarted { step, input, at, timeout_at } => {
                self.number(*step);
                let state = &mut self.steps[*step];
                debug_assert!(state.status.may_become(StepStatus::Running));
                state.status = StepStatus::Running;
                state.attempt += 1;
                state.input = Some(input.clone());
                state.started_at.get_or_insert(*at);
                state.wake_at = None;
                state.timeout_at = Some(*timeout_at);
            }
            Change::StepLost { step, at } => {
                let state = &mut self.steps[*step];
                debug_assert!(state.status.may_become(StepStatus::Retrying));
                state.status = StepStatus::Retrying;
                state.timeout_at = None;
                let attempt = state.attempt;
                state.history.push(PastAttempt { attempt, outcome: PastOutcome::Lost, ended_at: *at, error: None });
            }
            Change::StepRetrying { step, outcome, error, at, wake_at } => {
                let state = &mut self.steps[*step];
                debug_assert!(state.status.may_become(StepStatus::Retrying));
                state.status = StepStatus::Retrying;
                state.timeout_at = None;
                state.wake_at = Some(*wake_at);
                let (attempt, error) = (state.attempt, Some(error.clone()));
                state.history.push(PastAttempt { attempt, outcome: *outcome, ended_at: *at, error });
            }
            Change::StepEnded { step, status, output, error, at } => {
                self.number(*step);
                let state = &mut self.steps[*step];
                debug_assert!(state.status.may_become(*status), "{:?} -> {status:?}", state.status);
                state.status = *status;
                state.output.clone_from(output);
                state.error.clone_from(error);
                state.wake_at = None;
                state.timeout_at = None;
                state.completed_at = Some(*at);
                self.seen["steps"][&self.new.workflow.steps[*step].id] = context::seen_step(state);
            }
            Change::Ended { status, result, error, at } => {
                self.move_to(*status);
                self.result.clone_from(result);
                self.error.clone_from(error);
                self.completed_at = Some(*at);
            }
        }
    }

    fn move_to(&mut self, status: ExecutionStatus) {
        debug_assert!(self.status.may_become(status), "{:?} -> {status:?}", self.status);
        self.status = status;
    }

    fn number(&mut self, step: usize) {
        if self.steps[step].ordinal.is_none() {
            self.steps[step].ordinal = Some(self.next_ordinal);
            self.next_ordinal += 1;
        }
    }
}
