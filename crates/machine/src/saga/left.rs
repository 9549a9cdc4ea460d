//! What is left of an execution that ends as it stands, because nobody can go on with it.

use cogwheel_definition::UNDO;

use crate::{Execution, RecordedSaga, StepState, StepStatus, UndoDecision};

impl Execution {
    /// What is left of what its steps did if it ends as it stands, by their keys: what would be undone, and what runs,
    /// since it may have done what it is for. Nothing where it is no saga.
    pub fn left_behind(&self) -> Vec<String> {
        if self.saga.is_none() {
            return Vec::new();
        }
        if self.unwinding().is_some() {
            return self.left_of_unwinding();
        }
        let mut left = self.keys_to_undo(&self.plan());
        let may_happen = |state: &&StepState| {
            let encloses = !self.definition(state).action.blocks().is_empty();
            is_under_way(state) && !encloses && self.undoing(state).is_some()
        };
        for state in self.steps.iter().filter(may_happen) {
            if !left.contains(&state.key) {
                left.push(state.key.clone());
            }
        }
        left
    }
}

/// What may be left of a saga's recorded steps if nobody can tell any more how they would be undone: all that may have
/// happened, by their keys, but for what was undone. `steps` are all of them, by ordinal.
pub fn left_of_record(saga: &RecordedSaga, steps: &[StepState]) -> Vec<String> {
    // What is recorded may be broken: what encloses a step counts only if it comes before it.
    let parent =
        |place: usize| steps[place].parent.and_then(|parent| usize::try_from(parent).ok()).filter(|&p| p < place);
    let is_undo = |place| parent(place).is_some_and(|outer| undoes(&steps[outer].key, &steps[place].key));
    let mut encloses = vec![false; steps.len()];
    let mut is_undone: Vec<bool> = steps.iter().map(|state| was_forced(saga, state)).collect();
    for (place, state) in steps.iter().enumerate() {
        let Some(outer) = parent(place) else { continue };
        if is_undo(place) {
            is_undone[outer] |= state.status == StepStatus::Completed;
        } else {
            encloses[outer] = true;
        }
    }
    let mut left = Vec::new();
    for (place, state) in steps.iter().enumerate() {
        // Nor is anything left of what belongs to an undo, or to a step that was undone as a whole.
        is_undone[place] |= is_undo(place) || parent(place).is_some_and(|outer| is_undone[outer]);
        if !is_undone[place] && !encloses[place] && (state.may_have_happened() || is_under_way(state)) {
            left.push(state.key.clone());
        }
    }
    left
}

/// Whether somebody said that a step was undone by hand.
fn was_forced(saga: &RecordedSaga, state: &StepState) -> bool {
    saga.resolutions.get(&state.ordinal).is_some_and(|resolution| resolution.decision == UndoDecision::Force)
}

/// Whether an attempt has begun whose end was not seen.
fn is_under_way(state: &StepState) -> bool {
    state.attempt > 0 && matches!(state.status, StepStatus::Running | StepStatus::Waiting)
}

/// Whether `key` is the key of what undoes the step of the key `forward`.
fn undoes(forward: &str, key: &str) -> bool {
    let id = key.strip_prefix(forward).and_then(|below| below.strip_prefix('.')?.strip_prefix(UNDO));
    id.is_some_and(|more| more.is_empty() || more.starts_with('['))
}

#[cfg(test)]
mod tests {
    use crate::{Failure, FailureKind, Layer, Resolution};

    use super::*;

    fn step(ordinal: i32, key: &str, parent: Option<i32>, status: StepStatus) -> StepState {
        let error = (status == StepStatus::Failed).then(|| Failure::permanent(FailureKind::Exit, "exit code 1"));
        let attempt = i32::from(status != StepStatus::Skipped);
        StepState { status, attempt, error, ..StepState::pending(ordinal, key.to_owned(), parent, 0, Layer::Action) }
    }

    #[test]
    fn whatever_may_have_happened_and_is_not_undone_is_left() {
        let steps = [
            step(0, "a", None, StepStatus::Completed),
            step(1, "g", None, StepStatus::Running),
            step(2, "g.compensate-later", Some(1), StepStatus::Completed),
            step(3, "g.b", Some(1), StepStatus::Running),
            step(4, "c", None, StepStatus::Failed),
            step(5, "d", None, StepStatus::Skipped),
            step(6, "e", None, StepStatus::Completed),
            step(7, "a.compensate", Some(0), StepStatus::Failed),
            step(8, "a.compensate[1]", Some(0), StepStatus::Completed),
            step(9, "f", None, StepStatus::Completed),
            step(10, "f.compensate", Some(9), StepStatus::Running),
            step(11, "f.compensate.ask", Some(10), StepStatus::Completed),
        ];
        let saga = RecordedSaga::default();
        assert_eq!(left_of_record(&saga, &steps), ["g.compensate-later", "g.b", "e", "f"]);
        let decided = Resolution {
            decision: UndoDecision::Force,
            reason: "by hand".to_owned(),
            by: None,
            at: chrono::DateTime::UNIX_EPOCH,
            retries: 0,
        };
        let saga = RecordedSaga { resolutions: [(6, decided)].into(), ..saga };
        assert_eq!(left_of_record(&saga, &steps), ["g.compensate-later", "g.b", "f"]);
        assert!(left_of_record(&saga, &[]).is_empty());
    }
}
