//! Does an ended execution over again, and keeps what need not be done anew.

use crate::scope::{Inside, Place};
use crate::state::Phase;
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
    /// No such step.
    #[error("the execution has no step `{0}`")]
    UnknownStep(String),
    /// The step never began, or belongs to what runs after the workflow's steps.
    #[error("the execution cannot go on from the step `{0}`: only steps of the main part that have ended count")]
    NotAStart(String),
    /// What its steps did was undone, or is being.
    #[error("what the steps of the execution did was undone; do it over from the start")]
    Undone,
    /// A step would be kept that can be undone, by this execution or by the new one, while the other relies on it.
    #[error("the step `{0}` would be kept although it can still be undone; do it over from the start")]
    Undoable(String),
    /// What it has recorded cannot be kept.
    #[error("what the execution has recorded cannot be kept: {0}")]
    Unfit(String),
}

impl Execution {
    /// A new execution, queued, that does this one over: from the step of the key `from` on, with all that needs it;
    /// without one, whatever did not complete. What is kept is copied with new ordinals; of a `foreach` or a group that
    /// did not complete, its completed parts are. Of a saga that was undone nothing is kept.
    ///
    /// # Errors
    ///
    /// Why it cannot be done over.
    pub fn rerun(&self, new: NewExecution, limits: Limits, from: Option<&str>) -> Result<Self, RerunError> {
        if !self.status.is_terminal() {
            return Err(RerunError::NotEnded);
        }
        let was_undone = self.recorded_saga().is_some_and(|saga| saga.unwind_number > 0);
        let again = match from {
            Some(_) if was_undone => return Err(RerunError::Undone),
            Some(key) => self.steps_from(key)?,
            None => vec![was_undone; self.new.workflow.steps.len()],
        };
        if from.is_none() && self.status == ExecutionStatus::Completed {
            return Err(RerunError::NothingFailed);
        }
        let steps = Kept::of(self, &again).steps;
        // Past the pivot nothing is undone: what is kept with it stays done, whichever execution did it.
        let keeps_pivot = steps.iter().any(|state| self.definition(state).pivot) && self.is_past_pivot();
        if self.saga.is_some() && !keeps_pivot {
            let undoable = |state: &&StepState| self.definition(state).compensate.is_some();
            if let Some(kept) = steps.iter().find(undoable) {
                return Err(RerunError::Undoable(kept.key.clone()));
            }
        }
        let head = RecordedHead {
            status: ExecutionStatus::Queued,
            started_at: None,
            deadline_at: None,
            result: None,
            error: None,
            saga: None,
        };
        Self::restored(new, limits, head, steps).map_err(RerunError::Unfit)
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
    /// What each instance encloses, by ordinal.
    parts: Vec<Vec<i32>>,
    steps: Vec<StepState>,
}

impl<'e> Kept<'e> {
    fn of(execution: &'e Execution, again: &'e [bool]) -> Self {
        let mut parts = vec![Vec::new(); execution.steps.len()];
        for state in execution.steps.iter().filter(|state| !execution.is_undo(state.ordinal)) {
            if let Some(parts) = state.parent.and_then(|parent| parts.get_mut(usize::try_from(parent).ok()?)) {
                parts.push(state.ordinal);
            }
        }
        let mut kept = Self { execution, again, parts, steps: Vec::new() };
        let main = execution.phases[Phase::Main as usize].into_iter().flat_map(|main| &execution.scopes[main].slots);
        for ordinal in main.filter_map(|slot| slot.ordinal) {
            kept.keep(ordinal, None, false);
        }
        kept
    }

    fn keep(&mut self, ordinal: i32, parent: Option<i32>, is_inside_of_whole: bool) {
        let state = self.execution.at(ordinal);
        if self.again[state.step] && self.execution.instance(ordinal).place == Place::Slot {
            return;
        }
        let is_whole = is_inside_of_whole || self.is_whole(ordinal);
        if !is_whole && !self.is_left_open(ordinal) {
            return;
        }
        let new = i32::try_from(self.steps.len()).unwrap_or(i32::MAX);
        let mut copy = StepState { ordinal: new, parent, ..state.clone() };
        if !is_whole {
            // It waits for the new execution to begin.
            copy.status = StepStatus::Waiting;
            (copy.output, copy.error, copy.completed_at) = (None, None, None);
        }
        self.steps.push(copy);
        for part in self.parts(ordinal).to_vec() {
            self.keep(part, Some(new), is_whole);
        }
    }

    fn parts(&self, ordinal: i32) -> &[i32] {
        usize::try_from(ordinal).ok().and_then(|ordinal| self.parts.get(ordinal)).map_or(&[], Vec::as_slice)
    }

    /// Whether nothing of it has to be done anew.
    fn is_whole(&self, ordinal: i32) -> bool {
        let state = self.execution.at(ordinal);
        match self.execution.instance(ordinal).place {
            // A value that failed is missing in what the `foreach` puts out, though it be tolerated.
            Place::Item(_) => state.status == StepStatus::Completed,
            Place::Slot | Place::Round(_) => self.execution.counts_as_completed(state),
        }
    }

    /// Whether some of what an instance encloses began, and some of it did not complete: it can be gone on with.
    fn is_left_open(&self, ordinal: i32) -> bool {
        let parts = self.parts(ordinal);
        let all = match &self.execution.instance(ordinal).inside {
            Inside::Nothing | Inside::Rounds { .. } => return false,
            Inside::Items(items) => items.begun.len(),
            Inside::Scope(_) => parts.len(),
        };
        !parts.is_empty() && parts.iter().filter(|&&part| self.is_whole(part)).count() < all
    }
}
