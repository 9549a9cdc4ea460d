//! Does an ended execution over again, and keeps what need not be done anew.

use crate::scope::{Inside, Place};
use crate::{Execution, ExecutionStatus, Limits, NewExecution, RecordedHead, StepState, StepStatus};

/// Why an execution cannot be done over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RerunError {
    /// It is still under way.
    #[error("the execution has not ended")]
    NotEnded,
    /// Nothing of it is left to do.
    #[error("every step of the execution completed; name the step to go on from")]
    NothingFailed,
    /// No such step, in what is recorded or in the definition.
    #[error("the execution has no step `{0}`")]
    UnknownStep(String),
    /// The step never began, or belongs to what runs after the workflow's steps.
    #[error("the execution cannot go on from the step `{0}`: only steps of the main part that have ended count")]
    NotAStart(String),
}

impl Execution {
    /// A new execution, queued, that does this one over: from the step of the key `from` on, with all that needs it;
    /// without one, whatever did not complete. What is kept is copied with new ordinals; of a `foreach` or a group that
    /// did not complete, its completed parts are.
    ///
    /// # Errors
    ///
    /// Why it cannot be done over.
    pub fn rerun(&self, new: NewExecution, limits: Limits, from: Option<&str>) -> Result<Self, RerunError> {
        if !self.status.is_terminal() {
            return Err(RerunError::NotEnded);
        }
        let again = match from {
            Some(key) => self.steps_from(key)?,
            None => vec![false; self.new.workflow.steps.len()],
        };
        if from.is_none() && self.status == ExecutionStatus::Completed {
            return Err(RerunError::NothingFailed);
        }
        let mut copy = Kept { execution: self, again: &again, steps: Vec::new() };
        let main = self.phases[0].unwrap_or_default();
        copy.keep_scope(main, None);
        let head = RecordedHead {
            status: ExecutionStatus::Queued,
            started_at: None,
            deadline_at: None,
            result: None,
            error: None,
        };
        let steps = copy.steps;
        Self::restored(new, limits, head, steps).map_err(RerunError::UnknownStep)
    }

    /// The ordinal of the step of this key, if it is recorded.
    pub fn ordinal_of(&self, key: &str) -> Option<i32> {
        self.steps.iter().find(|state| state.key == key).map(|state| state.ordinal)
    }

    /// Which steps are done anew, by index in the definition: `key`'s outermost step and all that needs it.
    fn steps_from(&self, key: &str) -> Result<Vec<bool>, RerunError> {
        let workflow = &self.new.workflow;
        let mut ordinal = self.ordinal_of(key).ok_or_else(|| RerunError::UnknownStep(key.to_owned()))?;
        while let Some(parent) = self.at(ordinal).parent {
            ordinal = parent;
        }
        let step = self.at(ordinal).step;
        if workflow.steps[step].block != cogwheel_definition::MAIN_BLOCK {
            return Err(RerunError::NotAStart(key.to_owned()));
        }
        let mut again = vec![false; workflow.steps.len()];
        let mut open = vec![step];
        while let Some(step) = open.pop() {
            if !std::mem::replace(&mut again[step], true) {
                open.extend(&self.graph.dependents[step]);
            }
        }
        Ok(again)
    }
}

/// Copies what is kept.
struct Kept<'e> {
    execution: &'e Execution,
    again: &'e [bool],
    steps: Vec<StepState>,
}

impl Kept<'_> {
    fn keep_scope(&mut self, scope: usize, parent: Option<i32>) {
        for slot in &self.execution.scopes[scope].slots {
            if let Some(ordinal) = slot.ordinal {
                self.keep(ordinal, parent);
            }
        }
    }

    fn keep(&mut self, ordinal: i32, parent: Option<i32>) {
        let state = self.execution.at(ordinal);
        if self.again[state.step] && self.execution.instance(ordinal).place == Place::Slot {
            return;
        }
        let instance = self.execution.instance(ordinal);
        let is_whole = self.execution.counts_as_completed(state);
        let can_be_opened = matches!(instance.inside, Inside::Items(_) | Inside::Scope(_)) && state.attempt > 0;
        if !is_whole && !can_be_opened {
            return;
        }
        let new = i32::try_from(self.steps.len()).unwrap_or(i32::MAX);
        let mut copy = StepState { ordinal: new, parent, ..state.clone() };
        if !is_whole {
            copy.status = StepStatus::Running;
            (copy.output, copy.error, copy.completed_at, copy.timeout_at, copy.wake_at) =
                (None, None, None, None, None);
        }
        self.steps.push(copy);
        match &instance.inside {
            Inside::Nothing => {}
            Inside::Items(items) => {
                for value in items.begun.iter().flatten() {
                    self.keep(*value, Some(new));
                }
            }
            Inside::Rounds { .. } => {
                let rounds = self.execution.steps.iter().filter(|round| round.parent == Some(ordinal));
                for round in rounds.map(|round| round.ordinal).collect::<Vec<_>>() {
                    self.keep(round, Some(new));
                }
            }
            Inside::Scope(scope) => self.keep_scope(*scope, Some(new)),
        }
    }
}
