//! What a database would hold of an execution: rows that are only ever written whole, and only where they changed.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use cogwheel_machine::{
    Change, Decision, Effect, Execution, ExecutionStatus, Layer, NewExecution, RecordedHead, StepState, StepStatus,
};

use crate::rig::LIMITS;

#[derive(Clone)]
pub(crate) struct Rows {
    head: RecordedHead,
    next_wake_at: Option<DateTime<Utc>>,
    steps: Vec<StepState>,
    /// What was asked to stop since the execution was last rebuilt: that is not recorded.
    asked_to_stop: HashSet<i32>,
}

impl Rows {
    /// What is recorded of a new execution.
    pub(crate) fn of(execution: &Execution) -> Self {
        Self {
            head: head(execution),
            next_wake_at: execution.next_wake_at(),
            steps: execution.steps().to_vec(),
            asked_to_stop: HashSet::new(),
        }
    }

    /// Writes what changed, and checks that nothing final does.
    pub(crate) fn write(&mut self, execution: &Execution, decision: &Decision) {
        let changes = &decision.changes;
        for effect in &decision.effects {
            if let Effect::Stop { step } | Effect::CancelChild { step } = effect {
                self.asked_to_stop.insert(*step);
            }
        }
        for step in changes.iter().filter_map(Change::step) {
            let state = execution.step(step).expect("what changed is there").clone();
            let place = usize::try_from(step).expect("ordinals are not negative");
            match self.steps.get_mut(place) {
                Some(before) => {
                    check_move(before, &state);
                    *before = state;
                }
                None => self.steps.push(state),
            }
        }
        // As the runner does it: the head is written with its own changes, and when the time to wake up moved.
        let is_due_otherwise = !changes.is_empty() && execution.next_wake_at() != self.next_wake_at;
        if is_due_otherwise || changes.iter().any(|change| change.step().is_none()) {
            let is_undone = changes.iter().any(|change| matches!(change, Change::UnwindStarted { .. }));
            assert!(!self.head.status.is_terminal() || is_undone, "an ended execution changed");
            self.head = head(execution);
            self.next_wake_at = execution.next_wake_at();
        }
    }

    /// The execution that another node goes on with.
    pub(crate) fn taken_over(&mut self, new: &NewExecution) -> Execution {
        self.asked_to_stop.clear();
        self.restored(new)
    }

    pub(crate) fn restored(&self, new: &NewExecution) -> Execution {
        Execution::restored(new.clone(), LIMITS, self.head.clone(), self.steps.clone()).expect("the rows fit")
    }

    pub(crate) fn status(&self) -> ExecutionStatus {
        self.head.status
    }

    pub(crate) fn steps(&self) -> &[StepState] {
        &self.steps
    }

    /// Whether something was asked to stop and has not ended.
    pub(crate) fn is_stopping(&self, live: &Execution) -> bool {
        let is_live = |step: i32| live.step(step).is_some_and(|state| !state.status.is_terminal());
        self.asked_to_stop.iter().any(|&step| is_live(step))
    }

    /// Checks that the rows tell the same as memory does.
    pub(crate) fn agree_with(&self, live: &Execution, new: &NewExecution) {
        let restored = self.restored(new);
        assert_eq!(restored.status(), live.status());
        assert_eq!(restored.started_at(), live.started_at());
        assert_eq!(restored.deadline_at(), live.deadline_at());
        assert_eq!(restored.result(), live.result());
        assert_eq!(restored.error(), live.error());
        assert_eq!(restored.has_running_steps(), live.has_running_steps());
        let mut is_ahead = false;
        assert_eq!(restored.steps().len(), live.steps().len(), "a step is not recorded");
        for (row, state) in restored.steps().iter().zip(live.steps()) {
            // What became due and found no room is queued in memory, and still due in its row.
            let is_queued = state.wake_at.is_none() && row.wake_at.is_some();
            is_ahead |= is_queued;
            let row = StepState { wake_at: if is_queued { None } else { row.wake_at }, ..row.clone() };
            assert_eq!(row, *state);
        }
        let is_stopping = self.is_stopping(live);
        match (restored.next_wake_at(), live.next_wake_at()) {
            // What is being stopped is asked to stop again.
            (Some(restored), live) if is_stopping => assert!(live.is_none_or(|live| restored <= live)),
            (restored, live) => {
                assert!(is_ahead || restored == live, "it would sleep until {restored:?}, not {live:?}");
            }
        }
        let children = |execution: &Execution| execution.awaiting_children().collect::<Vec<_>>();
        assert!(is_stopping || children(&restored) == children(live));
        let signals = |execution: &Execution| execution.awaiting_signals().map(|s| s.ordinal).collect::<Vec<_>>();
        assert_eq!(signals(&restored), signals(live));
        assert_eq!(restored.saga(), live.saga(), "the saga is another one");
        assert_eq!(restored.paused_undos(), live.paused_undos());
        let asked = |execution: &Execution| execution.awaiting_unwindings().collect::<Vec<_>>();
        assert_eq!(asked(&restored), asked(live));
        check_all(live);
    }
}

fn head(execution: &Execution) -> RecordedHead {
    RecordedHead {
        status: execution.status(),
        started_at: execution.started_at(),
        deadline_at: execution.deadline_at(),
        result: execution.result().cloned(),
        error: execution.error().cloned(),
        saga: execution.recorded_saga().cloned(),
    }
}

/// What may become of a row.
fn check_move(before: &StepState, after: &StepState) {
    assert!(!before.status.is_terminal() || before == after, "the final step {} changed", before.key);
    assert_eq!((&before.key, before.parent), (&after.key, after.parent), "a step is another one now");
    assert!(before.attempt <= after.attempt, "{}: attempts are counted up", after.key);
    assert!(after.history.starts_with(&before.history), "{}: what was is not changed", after.key);
}

/// What holds of an execution at any time.
fn check_all(execution: &Execution) {
    let steps = execution.steps();
    let keys: HashSet<_> = steps.iter().map(|state| &state.key).collect();
    assert_eq!(keys.len(), steps.len(), "keys are unique");
    for (place, state) in steps.iter().enumerate() {
        assert_eq!(usize::try_from(state.ordinal), Ok(place), "ordinals are contiguous");
        assert_ne!(state.status, StepStatus::Pending, "{} is recorded before anything happened to it", state.key);
        let parent = state.parent.map(|parent| execution.step(parent).expect("what encloses a step is recorded"));
        if let Some(parent) = parent {
            assert!(parent.ordinal < state.ordinal && state.key.starts_with(&parent.key));
            assert!(
                !parent.status.is_terminal() || state.status.is_terminal() || is_undo(execution, state),
                "{} outlives {}",
                state.key,
                parent.key
            );
        }
        assert!(
            !execution.status().is_terminal() || state.status.is_terminal(),
            "{} outlives its execution",
            state.key
        );
        assert_eq!(state.completed_at.is_some(), state.status.is_terminal());
        if state.status.is_terminal() {
            assert_eq!((state.wake_at, state.timeout_at, &state.signal), (None, None, &None));
            assert_eq!(state.error.is_none(), state.status == StepStatus::Completed, "{}", state.key);
        }
    }
    let running = steps.iter().filter(|state| is_attempt(execution, state)).count();
    assert!(running <= LIMITS.parallel_steps, "{running} attempts at once");
    assert_eq!(running > 0, execution.has_running_steps());
    for all in steps.iter().filter(|state| state.layer == Layer::Foreach) {
        let most = execution.definition(all).foreach.as_ref().and_then(|foreach| foreach.max_parallel);
        let is_under_way = |state: &&StepState| {
            let encloses = !execution.definition(state).action.blocks().is_empty() && state.layer == Layer::Action;
            // Kept of another execution and not gone on with yet.
            let is_kept = encloses && state.status == StepStatus::Waiting;
            state.parent == Some(all.ordinal) && !state.status.is_terminal() && !is_kept
        };
        let values = steps.iter().filter(is_under_way);
        assert!(values.count() <= most.unwrap_or(LIMITS.parallel_steps), "{} has too many under way", all.key);
    }
    if execution.status().is_terminal() {
        assert_eq!(execution.error().is_none(), execution.status() == ExecutionStatus::Completed);
        assert_eq!(execution.next_wake_at(), None);
    }
}

/// Whether it undoes the step around it, or belongs to what does.
pub(crate) fn is_undo(execution: &Execution, state: &StepState) -> bool {
    let workflow = execution.workflow();
    let mut block = execution.definition(state).block;
    while let Some(owner) = workflow.blocks[block].owner {
        if workflow.steps[owner].compensate == Some(block) {
            return true;
        }
        block = workflow.steps[owner].block;
    }
    false
}

/// Whether a step type runs it at this moment.
pub(crate) fn is_attempt(execution: &Execution, state: &StepState) -> bool {
    state.status == StepStatus::Running && state.layer == Layer::Action && execution.definition(state).action.is_run()
}
