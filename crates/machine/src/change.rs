//! What became true, and the one function that makes it so.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{Cause, Execution, ExecutionStatus, Failure, PastAttempt, PastOutcome, Resolution, SignalName, StepStatus};

/// One recorded fact about an execution. `step` is the ordinal of a step instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The execution left the queue.
    Started {
        /// When.
        at: DateTime<Utc>,
        /// When it must have ended.
        deadline_at: DateTime<Utc>,
    },
    /// The execution goes between running and waiting.
    Moved {
        /// Where it stands now.
        status: ExecutionStatus,
    },
    /// The main part has ended and what follows it begins, or the last part begins.
    Decided {
        /// How the execution ends, unless what follows fails.
        status: ExecutionStatus,
        /// What it puts out.
        result: Option<Value>,
        /// Why it does not complete.
        error: Option<Failure>,
        /// When what follows must have ended.
        deadline_at: DateTime<Utc>,
    },
    /// An attempt began.
    StepStarted {
        /// Which step.
        step: i32,
        /// What it was given, after expressions.
        input: Value,
        /// When.
        at: DateTime<Utc>,
        /// When the attempt must have ended.
        timeout_at: Option<DateTime<Utc>>,
    },
    /// A step that has begun waits for something outside.
    StepWaits {
        /// Which step.
        step: i32,
        /// When it goes on by itself.
        wake_at: Option<DateTime<Utc>>,
        /// The signal it waits for.
        signal: Option<SignalName>,
    },
    /// A step that waited goes on.
    StepResumed {
        /// Which step.
        step: i32,
        /// When it must have ended.
        timeout_at: Option<DateTime<Utc>>,
    },
    /// The end of an attempt was not seen.
    StepLost {
        /// Which step.
        step: i32,
        /// When the loss was noticed.
        at: DateTime<Utc>,
    },
    /// An attempt failed, and another follows.
    StepRetrying {
        /// Which step.
        step: i32,
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
        step: i32,
        /// The final state.
        status: StepStatus,
        /// What it put out.
        output: Option<Value>,
        /// Why it did not complete.
        error: Option<Failure>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody asks for everything to be undone: what runs is stopped first.
    UnwindRequested {
        /// Who, and why.
        cause: Cause,
    },
    /// What the steps did begins to be undone.
    UnwindStarted {
        /// Why. The one that was recorded first stays.
        cause: Cause,
        /// When.
        at: DateTime<Utc>,
    },
    /// An operator decided what becomes of an undo.
    UndoResolved {
        /// The step that is undone.
        forward: i32,
        /// What was decided.
        resolution: Resolution,
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
    /// The ordinal of the step it is about.
    pub fn step(&self) -> Option<i32> {
        match self {
            Self::Started { .. }
            | Self::Moved { .. }
            | Self::Decided { .. }
            | Self::UnwindRequested { .. }
            | Self::UnwindStarted { .. }
            | Self::UndoResolved { .. }
            | Self::Ended { .. } => None,
            Self::StepStarted { step, .. }
            | Self::StepWaits { step, .. }
            | Self::StepResumed { step, .. }
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
            Change::Moved { status } => self.move_to(*status),
            Change::Decided { status, result, error, deadline_at } => {
                self.verdict = Some(*status);
                self.result.clone_from(result);
                self.error.clone_from(error);
                self.deadline_at = Some(*deadline_at);
            }
            Change::StepStarted { step, input, at, timeout_at } => {
                self.set_step(*step, StepStatus::Running);
                let state = self.at_mut(*step);
                state.attempt += 1;
                state.input = Some(input.clone());
                state.started_at.get_or_insert(*at);
                self.set_times(*step, None, *timeout_at);
            }
            Change::StepWaits { step, wake_at, signal } => {
                self.set_step(*step, StepStatus::Waiting);
                self.at_mut(*step).signal.clone_from(signal);
                let timeout_at = self.at(*step).timeout_at;
                self.set_times(*step, *wake_at, timeout_at);
            }
            Change::StepResumed { step, timeout_at } => {
                self.set_step(*step, StepStatus::Running);
                self.set_times(*step, None, *timeout_at);
            }
            Change::StepLost { step, at } => {
                self.set_step(*step, StepStatus::Retrying);
                self.set_times(*step, None, None);
                let state = self.at_mut(*step);
                let attempt = state.attempt;
                state.history.push(PastAttempt { attempt, outcome: PastOutcome::Lost, ended_at: *at, error: None });
            }
            Change::StepRetrying { step, outcome, error, at, wake_at } => {
                self.set_step(*step, StepStatus::Retrying);
                self.set_times(*step, Some(*wake_at), None);
                let state = self.at_mut(*step);
                let (attempt, error) = (state.attempt, Some(error.clone()));
                state.history.push(PastAttempt { attempt, outcome: *outcome, ended_at: *at, error });
            }
            Change::StepEnded { step, status, output, error, at } => {
                self.set_step(*step, *status);
                self.set_times(*step, None, None);
                let state = self.at_mut(*step);
                state.output.clone_from(output);
                state.error.clone_from(error);
                state.completed_at = Some(*at);
                state.signal = None;
            }
            Change::UnwindRequested { cause } => self.set_cause(cause),
            Change::UnwindStarted { cause, .. } => {
                self.move_to(ExecutionStatus::Compensating);
                self.set_cause(cause);
                if let Some(saga) = &mut self.saga {
                    saga.recorded.unwind_number += 1;
                    self.error = saga.recorded.cause.as_ref().map(|cause| cause.error.clone());
                }
                // Undos have limits of their own; a saga that had completed has not ended any more.
                (self.deadline_at, self.completed_at) = (None, None);
            }
            Change::UndoResolved { forward, resolution } => {
                if let Some(saga) = &mut self.saga {
                    saga.recorded.resolutions.insert(*forward, resolution.clone());
                }
            }
            Change::Ended { status, result, error, at } => {
                if self.status == ExecutionStatus::Waiting {
                    self.move_to(ExecutionStatus::Running);
                }
                self.move_to(*status);
                self.result.clone_from(result);
                self.error.clone_from(error);
                self.completed_at = Some(*at);
            }
        }
    }

    /// The first cause is the cause.
    fn set_cause(&mut self, cause: &Cause) {
        if let Some(saga) = &mut self.saga {
            saga.recorded.cause.get_or_insert_with(|| cause.clone());
        }
    }

    fn move_to(&mut self, status: ExecutionStatus) {
        debug_assert!(self.status.may_become(status), "{:?} -> {status:?}", self.status);
        self.status = status;
    }

    fn set_step(&mut self, ordinal: i32, status: StepStatus) {
        let state = self.at(ordinal);
        debug_assert!(state.status.may_become(status), "{}: {:?} -> {status:?}", state.key, state.status);
        let takes_room = self.takes_room(state.step, state.layer);
        let was_running = takes_room && state.status == StepStatus::Running;
        self.running =
            self.running + usize::from(takes_room && status == StepStatus::Running) - usize::from(was_running);
        self.at_mut(ordinal).status = status;
    }

    /// Sets when an instance goes on by itself and when it must have ended. The time limits of attempts are kept by
    /// whoever runs them; all others are the machine's.
    pub(crate) fn set_times(
        &mut self,
        ordinal: i32,
        wake_at: Option<DateTime<Utc>>,
        timeout_at: Option<DateTime<Utc>>,
    ) {
        let state = self.at(ordinal);
        let keeps_limit = !self.takes_room(state.step, state.layer);
        let old = [state.wake_at, state.timeout_at.filter(|_| keeps_limit)];
        for at in old.into_iter().flatten() {
            self.timers.remove(&(at, ordinal));
        }
        for at in [wake_at, timeout_at.filter(|_| keeps_limit)].into_iter().flatten() {
            self.timers.insert((at, ordinal));
        }
        let state = self.at_mut(ordinal);
        state.wake_at = wake_at;
        state.timeout_at = timeout_at;
    }
}
