//! What the attempts did to the world, as far as the world knows, held against what is undone.

use std::collections::HashSet;

use cogwheel_machine::{Change, Execution, ExecutionStatus, Input, Layer, Outcome, StepState, StepStatus, UndoStatus};

use crate::rows::{is_attempt, is_undo};

/// Effects by the ordinal of the step that had them.
#[derive(Default)]
pub(crate) struct Effects {
    /// They happened.
    done: HashSet<i32>,
    /// They may have happened: nobody saw the end of an attempt.
    unknown: HashSet<i32>,
    /// Executions that they started left something that can be undone no more.
    left: HashSet<i32>,
}

impl Effects {
    /// An input was taken in.
    pub(crate) fn told(&mut self, before: &Execution, input: &Input) {
        match input {
            Input::Finished { step, outcome, .. } => match outcome {
                Outcome::Completed { .. } => drop(self.done.insert(*step)),
                Outcome::TimedOut { .. } | Outcome::Stopped => drop(self.unknown.insert(*step)),
                Outcome::Failed { .. } => {}
            },
            Input::ChildEnded { step, status, error, .. } => {
                if *status == ExecutionStatus::Completed {
                    self.done.insert(*step);
                }
                let is_forward = before.step(*step).is_some_and(|state| !is_undo(before, state));
                if is_forward && error.as_ref().is_some_and(|error| !error.not_undone.is_empty()) {
                    self.left.insert(*step);
                }
            }
            // Those that run are lost, though it be said twice.
            Input::Recovered { .. } => self.lost(before),
            _ => {}
        }
    }

    /// The node died.
    fn lost(&mut self, execution: &Execution) {
        let running = execution.steps().iter().filter(|state| is_attempt(execution, state));
        self.unknown.extend(running.map(|state| state.ordinal));
    }

    /// No undo begins before those of all that needed its step have ended, and ended well unless somebody let them.
    pub(crate) fn check_order(execution: &Execution, changes: &[Change]) {
        let Some(saga) = execution.saga() else { return };
        let mut began: Vec<i32> = Vec::new();
        for change in changes {
            if let Change::StepStarted { step, .. } = change {
                began.push(*step);
            }
        }
        let lets_go_on = saga.on_undo_failure.as_str() == "fail";
        for undo in saga.undos.iter().filter(|undo| undo.undo.is_some_and(|undo| began.contains(&undo))) {
            for other in saga.undos.iter().filter(|other| is_needed_by(execution, undo.step, other.step)) {
                let is_over = match other.status {
                    UndoStatus::Completed | UndoStatus::Skipped => true,
                    UndoStatus::Failed => lets_go_on,
                    UndoStatus::Pending | UndoStatus::Running => false,
                };
                assert!(is_over, "{} is undone before {}", undo.step_key, other.step_key);
                assert!(other.unwind_order < undo.unwind_order, "{} has the wrong place", undo.step_key);
            }
        }
    }

    /// An undo begins once, and once more each time that somebody lets it be tried again.
    pub(crate) fn check_tries(execution: &Execution) {
        let Some(saga) = execution.saga() else { return };
        for undo in &saga.undos {
            let begun = execution.steps().iter().filter(|state| {
                state.parent == Some(undo.step) && is_slot(execution, state) && is_undo(execution, state)
            });
            let retries = undo.resolution.map_or(0, |resolution| resolution.retries as usize);
            assert!(begun.count() <= 1 + retries, "{} is undone too often", undo.step_key);
        }
    }

    /// What pauses is named, and nothing else is left to do.
    pub(crate) fn check_paused(execution: &Execution) {
        assert_eq!(execution.status(), ExecutionStatus::Compensating);
        let saga = execution.saga().expect("a saga");
        let failed: Vec<i32> =
            saga.undos.iter().filter(|undo| undo.status == UndoStatus::Failed).map(|undo| undo.step).collect();
        assert_eq!(execution.paused_undos().len(), failed.len());
        assert!(execution.paused_undos().iter().all(|undo| failed.contains(undo)));
        for undo in saga.undos.iter().filter(|undo| undo.status == UndoStatus::Pending) {
            let is_held_up = failed.iter().any(|&failed| {
                is_needed_by(execution, undo.step, failed) || lane(execution, undo.step) == lane(execution, failed)
            });
            assert!(is_held_up, "{} waits for nothing", undo.step_key);
        }
    }

    /// Exactly what was done is undone, or named.
    pub(crate) fn check_end(&self, execution: &Execution) {
        let Some(saga) = execution.saga() else { return };
        let status = execution.status();
        let workflow = execution.workflow();
        let named = execution.error().map(|error| error.not_undone.clone()).unwrap_or_default();
        let pivot = workflow.steps.iter().position(|step| step.pivot);
        let is_past_pivot = execution
            .steps()
            .iter()
            .any(|state| state.parent.is_none() && Some(state.step) == pivot && state.status == StepStatus::Completed);
        let undone: HashSet<i32> =
            saga.undos.iter().filter(|undo| undo.status == UndoStatus::Completed).map(|undo| undo.step).collect();
        if status == ExecutionStatus::Completed || is_past_pivot {
            assert!(saga.undos.is_empty(), "nothing is undone");
        }
        if status == ExecutionStatus::Completed {
            return;
        }
        assert_eq!(status == ExecutionStatus::Compensated, saga.unwind_number == 1 && named.is_empty());
        if saga.unwind_number == 1 {
            assert!(matches!(status, ExecutionStatus::Compensated | ExecutionStatus::Failed));
        }
        for state in execution.steps().iter().filter(|state| is_forward(execution, state)) {
            let may_be = self.done.contains(&state.ordinal) || self.unknown.contains(&state.ordinal);
            let definition = execution.definition(state);
            let is_planned = saga.undos.iter().any(|undo| undo.step == state.ordinal);
            if definition.action.is_run() && definition.compensate.is_some() {
                assert!(may_be || !is_planned, "{} did nothing and is undone", state.key);
            }
            let around = || std::iter::successors(Some(state), |inner| execution.step(inner.parent?));
            let is_accounted_for = around().any(|outer| undone.contains(&outer.ordinal) || named.contains(&outer.key));
            if may_be && definition.compensate.is_some() && state.layer == Layer::Action {
                assert!(is_accounted_for, "{} was done, and is neither undone nor named: {named:?}", state.key);
            }
            if self.left.contains(&state.ordinal) {
                let is_told = named.iter().any(|name| name.starts_with(&state.key));
                assert!(is_told || is_accounted_for, "{} left something, which nobody tells", state.key);
            }
        }
        for undo in saga.undos.iter().filter(|undo| undo.status != UndoStatus::Completed) {
            assert!(named.iter().any(|name| name == undo.step_key), "{} is not named", undo.step_key);
        }
    }
}

/// Whether a step instance is one of the workflow's own steps, or inside of one.
fn is_forward(execution: &Execution, state: &StepState) -> bool {
    let workflow = execution.workflow();
    let mut block = execution.definition(state).block;
    while let Some(owner) = workflow.blocks[block].owner {
        block = workflow.steps[owner].block;
    }
    block == cogwheel_definition::MAIN_BLOCK && !is_undo(execution, state)
}

/// The outermost layer of a step, of which an instance is a part.
fn is_slot(execution: &Execution, state: &StepState) -> bool {
    state.parent.and_then(|parent| execution.step(parent)).is_none_or(|parent| parent.step != state.step)
}

/// The instances around one, itself included.
fn around(execution: &Execution, of: i32) -> impl Iterator<Item = &StepState> {
    std::iter::successors(execution.step(of), |inner| execution.step(inner.parent?))
}

/// Whether `later` came after `earlier` and built on it: it needed it, or what lies around it did; or it was a later
/// round of the same loop.
fn is_needed_by(execution: &Execution, earlier: i32, later: i32) -> bool {
    let workflow = execution.workflow();
    around(execution, earlier).any(|one| {
        around(execution, later).filter(|other| other.parent == one.parent && other.ordinal != one.ordinal).any(
            |other| {
                if is_slot(execution, one) {
                    let mut open = workflow.steps[other.step].needs.clone();
                    let mut seen = HashSet::new();
                    while let Some(need) = open.pop() {
                        if seen.insert(need) {
                            open.extend(&workflow.steps[need].needs);
                        }
                    }
                    return is_slot(execution, other) && seen.contains(&one.step);
                }
                let parent = one.parent.and_then(|parent| execution.step(parent));
                parent.is_some_and(|parent| parent.layer == Layer::Loop) && other.ordinal > one.ordinal
            },
        )
    })
}

/// The outermost `foreach` with few places around an instance: one that waits for a place waits for nothing else.
fn lane(execution: &Execution, of: i32) -> Option<i32> {
    around(execution, of)
        .filter(|state| {
            let foreach = execution.definition(state).foreach.as_ref();
            state.layer == Layer::Foreach && foreach.is_some_and(|foreach| foreach.max_parallel.is_some())
        })
        .last()
        .map(|state| state.ordinal)
        .or(Some(-1 - of))
}
