//! Whether a step has had an effect, or may have had one.

use cogwheel_definition::Action;

use crate::{Execution, ExecutionId, Failure, FailureKind, Layer, PastAttempt, PastOutcome, StepState, StepStatus};

impl Failure {
    /// Whether the attempt itself said that it did not do what it was for. Of one that was killed, cut off or lost, and
    /// of one that did its work and could not hand on its outputs, that is not known.
    fn is_clean(&self) -> bool {
        let says_so = match self.kind {
            FailureKind::Exit
            | FailureKind::Spawn
            | FailureKind::Expression
            | FailureKind::Input
            | FailureKind::Workflow
            | FailureKind::Event
            | FailureKind::Loop
            | FailureKind::NeedNotMet
            | FailureKind::ConditionFalse => true,
            FailureKind::Http => self.says_no(),
            FailureKind::Signal
            | FailureKind::Memory
            | FailureKind::Output
            | FailureKind::Timeout
            | FailureKind::Lost
            | FailureKind::Cancelled
            | FailureKind::Internal => false,
        };
        says_so && self.not_undone.is_empty()
    }

    /// Whether an HTTP exchange that failed tells that the other side did nothing: it was never asked, or has refused. A
    /// 408 may come from something in between; whoever answers with 5xx, or as nobody expected, may have done it.
    fn says_no(&self) -> bool {
        match self.code().strip_prefix("http.") {
            None | Some("dns" | "connect" | "tls") => true,
            Some(code) => code.parse().is_ok_and(|status: u16| (400..500).contains(&status) && status != 408),
        }
    }
}

impl PastAttempt {
    fn may_have_happened(&self) -> bool {
        self.outcome != PastOutcome::Failed || self.error.as_ref().is_none_or(|error| !error.is_clean())
    }
}

impl StepState {
    /// Whether it did what it was for, or may have: an end that nobody saw counts.
    pub(crate) fn may_have_happened(&self) -> bool {
        self.last_may_have_happened() || self.history.iter().any(PastAttempt::may_have_happened)
    }

    /// The same of its last attempt alone.
    fn last_may_have_happened(&self) -> bool {
        let was_under_way = self.attempt > 0 && self.history.last().is_none_or(|past| past.attempt < self.attempt);
        match self.status {
            StepStatus::Completed => true,
            StepStatus::TimedOut | StepStatus::Cancelled => was_under_way,
            StepStatus::Failed => was_under_way && self.error.as_ref().is_none_or(|error| !error.is_clean()),
            StepStatus::Pending
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Retrying
            | StepStatus::Skipped => false,
        }
    }
}

impl Execution {
    /// The executions that a step started and that may have to undo what they did: those of all attempts but the ones
    /// that are known to have undone everything, or to have left something that cannot be undone any more.
    pub fn children_to_unwind(&self, step: i32) -> Vec<ExecutionId> {
        let Some(state) = self.step(step) else { return Vec::new() };
        let Some(began_at) = state.started_at else { return Vec::new() };
        let is_told = |error: Option<&Failure>| error.is_some_and(|error| !error.not_undone.is_empty());
        let past = state
            .history
            .iter()
            .filter(|past| past.may_have_happened() && !is_told(past.error.as_ref()))
            .map(|past| past.attempt);
        let last = (state.last_may_have_happened() && !is_told(state.error.as_ref())).then_some(state.attempt);
        past.chain(last).map(|attempt| ExecutionId(self.new.id.of_attempt(step, attempt, began_at))).collect()
    }

    /// What executions that a step started could not undo, as they said.
    pub(crate) fn left_by_children(&self, state: &StepState) -> Vec<String> {
        // What lies around such a step has failed with its failure.
        if state.layer != Layer::Action || !matches!(self.definition(state).action, Action::Workflow { .. }) {
            return Vec::new();
        }
        let errors = state.history.iter().filter_map(|past| past.error.as_ref()).chain(&state.error);
        errors.flat_map(|error| error.not_undone.clone()).collect()
    }
}
