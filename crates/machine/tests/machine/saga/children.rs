//! Steps that ran other workflows: those undo what they did as a whole.

use cogwheel_machine::{ExecutionId, ExecutionStatus, Failure, Input, Rejected, Unwound};
use serde_json::json;

use crate::rig::{Case, NOTHING, exit};

const SHIP: &str = "saga: {}\nsteps: [{id: ship, uses: workflow, with: {name: ship}}, {id: z, run: x}]";

impl Case {
    fn child_undone(&mut self, key: &str, child: ExecutionId, outcome: Unwound) -> Result<Vec<String>, Rejected> {
        let step = self.step(key).ordinal;
        self.try_tell(Input::ChildUndone { step, child, outcome })
    }
}

fn left(what: &str) -> Failure {
    Failure { not_undone: vec![what.to_owned()], ..exit(3) }
}

#[test]
fn a_child_that_completed_is_asked_to_undo_what_it_did() {
    for outcome in [Unwound::Undone, Unwound::Nothing] {
        let (mut case, _) = Case::begun(SHIP);
        let child = case.execution.child_id(0).unwrap();
        case.child_ended("ship", ExecutionStatus::Completed);
        assert_eq!(case.fail("z"), ["unwind ship.compensate"]);
        assert_eq!(case.crash(None), ["unwind ship.compensate"], "asked again, it answers again");
        assert_eq!(
            case.child_undone("ship.compensate", case.execution.id(), Unwound::Undone),
            Err(Rejected::NotAwaited)
        );
        assert_eq!(case.child_undone("ship.compensate", child, outcome), Ok(vec!["end".to_owned()]));
        assert_eq!(case.status(), ExecutionStatus::Compensated);
    }
}

#[test]
fn a_child_that_cannot_undo_everything_pauses_its_parent() {
    let (mut case, _) = Case::begun(SHIP);
    let child = case.execution.child_id(0).unwrap();
    case.child_ended("ship", ExecutionStatus::Completed);
    case.fail("z");
    let failed = Unwound::Failed(left("truck"));
    assert_eq!(case.child_undone("ship.compensate", child, failed), Ok(Vec::new()));
    assert_eq!(case.execution.paused_undos(), [0]);
    assert_eq!(case.decide("ship", cogwheel_machine::UndoDecision::Skip), Ok(vec!["end".to_owned()]));
    assert_eq!(case.error().not_undone, ["ship"]);
}

#[test]
fn the_own_undo_of_a_step_wins() {
    let (mut case, _) =
        Case::begun("steps: [{id: ship, uses: workflow, with: {name: ship}, compensate: {run: u}}, {id: z, run: x}]");
    case.child_ended("ship", ExecutionStatus::Completed);
    assert_eq!(case.fail("z"), ["run ship.compensate"]);
}

#[test]
fn a_child_that_failed_has_undone_itself_or_says_what_is_left() {
    let (mut case, _) = Case::begun(SHIP);
    assert_eq!(case.child_ended("ship", ExecutionStatus::Compensated), ["end"]);
    assert_eq!((case.status(), case.error().not_undone.len()), (ExecutionStatus::Failed, 0));

    let (mut case, _) = Case::begun(SHIP);
    let child = case.execution.child_id(0).unwrap();
    let error = Some(left("truck"));
    case.tell(Input::ChildEnded { step: 0, child, status: ExecutionStatus::Failed, result: None, error });
    assert_eq!(
        (case.status(), case.error().not_undone.as_slice()),
        (ExecutionStatus::Failed, &["ship/truck".to_owned()][..])
    );
}

#[test]
fn a_child_that_is_cancelled_is_asked_too_since_it_may_have_completed() {
    let (mut case, _) = Case::begun(SHIP);
    let child = case.execution.child_id(0).unwrap();
    assert_eq!(case.cancel(None), ["cancel ship"]);
    assert_eq!(case.child_ended("ship", ExecutionStatus::Completed), ["unwind ship.compensate"]);
    assert_eq!(case.child_undone("ship.compensate", child, Unwound::Undone), Ok(vec!["end".to_owned()]));

    let (mut case, _) = Case::begun(SHIP);
    let child = case.execution.child_id(0).unwrap();
    case.cancel(None);
    let error = Some(left("truck"));
    let ended = Input::ChildEnded { step: 0, child, status: ExecutionStatus::Failed, result: None, error };
    assert_eq!(case.tell(ended), ["end"], "it has ended, and nothing more comes of it");
    assert_eq!(
        (case.status(), case.error().not_undone.as_slice()),
        (ExecutionStatus::Cancelled, &["ship/truck".to_owned()][..])
    );
}

#[test]
fn the_children_of_all_attempts_are_asked() {
    let (mut case, _) = Case::begun(
        "saga: {}\nsteps: [{id: ship, uses: workflow, timeout: 10s, with: {name: ship}, \
         retry: {attempts: 3, on: [timeout, workflow], delay: 5s, jitter: false}}, {id: z, run: x}]",
    );
    let first = case.execution.child_id(0).unwrap();
    case.wake();
    case.child_ended("ship", ExecutionStatus::Completed);
    case.wake();
    assert_eq!(case.child_ended("ship", ExecutionStatus::Failed), NOTHING);
    case.wake();
    let third = case.execution.child_id(0).unwrap();
    case.child_ended("ship", ExecutionStatus::Completed);
    assert_eq!(case.fail("z"), ["unwind ship.compensate", "unwind ship.compensate"]);
    assert_eq!(case.execution.children_to_unwind(0), [first, third]);
    let undo = case.step("ship.compensate").ordinal;
    assert!(case.execution.unanswered().eq([(undo, 0, first), (undo, 0, third)]));
    assert_eq!(case.child_undone("ship.compensate", third, Unwound::Undone), Ok(Vec::new()));
    assert_eq!(case.child_undone("ship.compensate", third, Unwound::Undone), Err(Rejected::NotAwaited));
    assert!(case.execution.unanswered().eq([(undo, 0, first)]));
    assert_eq!(case.child_undone("ship.compensate", first, Unwound::Nothing), Ok(vec!["end".to_owned()]));
    assert_eq!(case.step("ship.compensate").output, Some(json!({})));
}
