//! What operators may do, and when.

use cogwheel_machine::{CauseKind, ExecutionStatus, Input, Rejected, UndoDecision, UndoStatus, UnwoundBy};
use serde_json::json;

use super::undoable;
use crate::rig::{Case, NOTHING};

fn three() -> Case {
    let (mut case, _) = Case::begun(&format!(
        "steps: [{}, {}, {}, {{id: z, needs: [b, c], run: x}}]",
        undoable("a", ""),
        undoable("b", ", needs: a"),
        undoable("c", ", needs: a")
    ));
    for step in ["a", "b", "c"] {
        case.complete(step, json!({}));
    }
    case.fail("z");
    case
}

fn paused() -> Case {
    let mut case = three();
    assert_eq!(case.fail("b.compensate"), NOTHING);
    assert_eq!(case.complete("c.compensate", json!({})), NOTHING, "the others go on; what b holds up does not");
    assert_eq!(case.undos(), "b 0 failed, c 0 completed, a 1 pending");
    assert_eq!(case.execution.paused_undos(), [case.step("b").ordinal]);
    assert_eq!((case.status(), case.execution.next_wake_at()), (ExecutionStatus::Compensating, None));
    assert_eq!(case.crash(None), NOTHING, "it stays paused");
    case
}

#[test]
fn a_failed_undo_is_tried_again_with_all_of_its_attempts() {
    let mut case = paused();
    assert_eq!(case.decide("b", UndoDecision::Retry).unwrap(), ["run b.compensate[1]"]);
    assert_eq!(case.undo_status("b"), UndoStatus::Running);
    assert!(case.execution.paused_undos().is_empty());
    assert_eq!(case.crash(None), ["run b.compensate[1]"]);
    assert_eq!(case.fail("b.compensate[1]"), NOTHING);
    assert_eq!(case.execution.paused_undos().len(), 1);
    case.crash(None);
    assert_eq!(case.decide("b", UndoDecision::Retry).unwrap(), ["run b.compensate[2]"]);
    assert_eq!(case.complete("b.compensate[2]", json!({})), ["run a.compensate"]);
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Compensated);
    let undo = case.execution.saga().unwrap().undos[1].clone();
    assert_eq!((undo.tries, undo.resolution.unwrap().retries), (4, 2), "one of them was lost");
}

#[test]
fn a_retry_that_found_no_room_is_begun_after_a_crash() {
    let mut case = paused();
    case.execution.set_room(false);
    assert_eq!(case.decide("b", UndoDecision::Retry).unwrap(), NOTHING);
    assert_eq!(case.undo_status("b"), UndoStatus::Pending);
    assert_eq!(case.crash(None), ["run b.compensate[1]"]);
}

#[test]
fn a_skipped_undo_makes_the_end_failed() {
    let mut case = paused();
    assert_eq!(case.decide("b", UndoDecision::Skip).unwrap(), ["run a.compensate"]);
    assert_eq!(case.crash(None), ["run a.compensate"]);
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!((case.status(), case.error().not_undone.as_slice()), (ExecutionStatus::Failed, &["b".to_owned()][..]));
    assert_eq!(case.undos(), "b 0 skipped, c 0 completed, a 1 completed");
}

#[test]
fn a_forced_undo_counts_as_done() {
    let mut case = paused();
    assert_eq!(case.decide("b", UndoDecision::Force).unwrap(), ["run a.compensate"]);
    case.crash(None);
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Compensated);
    assert_eq!(case.undos(), "b 0 completed, c 0 completed, a 1 completed");
}

/// Two values one after the other, of which both undos have had their turn: the first one has failed and is tried again.
fn lanes() -> Case {
    let each = undoable("each", ", foreach: [1, 2], max_parallel: 1");
    let (mut case, _) = Case::begun(&format!("steps: [{each}, {{id: z, run: x}}]"));
    case.complete("each[0]", json!({}));
    case.complete("each[1]", json!({}));
    assert_eq!(case.fail("z"), ["run each[1].compensate"]);
    case
}

#[test]
fn what_gave_way_to_another_value_does_not_let_it_begin_twice() {
    let mut case = lanes();
    assert_eq!(case.fail("each[1].compensate"), ["run each[0].compensate"], "a failed one holds up no other");
    assert_eq!(case.decide("each[1]", UndoDecision::Retry).unwrap(), ["run each[1].compensate[1]"]);
    assert_eq!(case.crash(None), ["run each[0].compensate", "run each[1].compensate[1]"]);
    assert_eq!(case.complete("each[1].compensate[1]", json!({})), NOTHING, "the other one is under way");
    assert_eq!(case.complete("each[0].compensate", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Compensated);

    let mut case = lanes();
    case.fail("each[1].compensate");
    case.fail("each[0].compensate");
    case.decide("each[1]", UndoDecision::Retry).unwrap();
    case.crash(None);
    assert_eq!(case.complete("each[1].compensate[1]", json!({})), NOTHING, "the other one waits for its own decision");
    assert_eq!(case.decide("each[0]", UndoDecision::Skip).unwrap(), ["end"]);
}

#[test]
fn what_another_value_gave_way_to_and_found_no_room_is_begun_after_a_crash() {
    let mut case = lanes();
    case.execution.set_room(false);
    assert_eq!(case.fail("each[1].compensate"), NOTHING);
    assert_eq!(case.decide("each[1]", UndoDecision::Retry).unwrap(), NOTHING);
    let mut begun = case.crash(None);
    begun.sort();
    assert_eq!(begun, ["run each[0].compensate", "run each[1].compensate[1]"]);
}

#[test]
fn there_is_nothing_to_decide_about_an_undo_that_has_not_failed() {
    let mut case = three();
    for decision in [UndoDecision::Retry, UndoDecision::Skip, UndoDecision::Force] {
        assert_eq!(case.decide("b", decision), Err(Rejected::NotFailed), "it runs");
        assert_eq!(case.decide("z", decision), Err(Rejected::NotAwaited), "it is not undone");
        assert_eq!(case.decide("a", decision), Err(Rejected::NotFailed), "its turn has not come");
    }
    case.complete("b.compensate", json!({}));
    assert_eq!(case.decide("b", UndoDecision::Retry), Err(Rejected::NotFailed), "it is undone");
}

#[test]
fn a_running_saga_is_undone_on_request_also_after_a_crash() {
    for crashes in [false, true] {
        let (mut case, _) = Case::begun(&format!("steps: [{}, {}]", undoable("a", ""), undoable("b", "")));
        case.complete("a", json!({}));
        assert!(case.execution.heeds_unwind());
        assert_eq!(case.unwind().unwrap(), ["stop b"]);
        assert!(!case.execution.heeds_unwind(), "it was taken in");
        let next = if crashes { case.crash(None) } else { case.stopped("b") };
        assert_eq!(next, ["run b.compensate"]);
        case.complete("b.compensate", json!({}));
        assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
        let saga = case.execution.saga().unwrap();
        let why = saga.cause.unwrap();
        assert_eq!((why.kind, why.error.detail.as_deref()), (CauseKind::Operator, Some("wrong customer")));
        assert_eq!(case.status(), ExecutionStatus::Compensated);
    }
}

#[test]
fn a_completed_saga_is_undone_on_request() {
    let more = "on_failure: [{id: h, run: x}]\nfinally: [{id: f, run: x}]\noutputs: {n: \"${{ inputs.who }}\"}";
    let (mut case, _) = Case::begun(&format!("{more}\nsteps: [{}, {}]", undoable("a", ""), undoable("b", "")));
    for step in ["a", "b"] {
        case.complete(step, json!({}));
    }
    assert_eq!(case.complete("f", json!({})), ["end"]);
    case.reload();
    let by_parent = Input::Unwind { by: UnwoundBy::Parent, reason: None };
    assert_eq!(case.tell(by_parent), ["run b.compensate"]);
    assert_eq!((case.status(), case.execution.completed_at()), (ExecutionStatus::Compensating, None));
    assert_eq!(case.unwind().unwrap(), NOTHING, "asked twice, undone once");
    assert_eq!(case.crash(None), ["run b.compensate"]);
    case.complete("b.compensate", json!({}));
    assert_eq!(case.complete("a.compensate", json!({})), ["end"], "what comes last has had its turn");
    assert_eq!(case.status(), ExecutionStatus::Compensated);
    assert_eq!(case.execution.saga().unwrap().cause.unwrap().kind, CauseKind::Parent, "the first cause is the cause");
    assert_eq!(case.unwind(), Err(Rejected::NotRunning));
}

/// What it is called, and what comes of asking for everything to be undone, and of a decision.
type State = (&'static str, Case, Result<(), Rejected>, Result<(), Rejected>);

#[test]
fn the_new_inputs_in_every_state() {
    let saga = format!("steps: [{}]\nfinally: [{{id: f, run: x}}]", undoable("a", ""));
    let queued = || Case::queued(&saga);
    let begun = || Case::begun(&saga).0;
    let after = |end: fn(&mut Case)| {
        let mut case = begun();
        end(&mut case);
        case
    };
    let states: Vec<State> = vec![
        ("queued", queued(), Err(Rejected::NothingToUndo), Err(Rejected::NotRunning)),
        ("running", begun(), Ok(()), Err(Rejected::NotRunning)),
        (
            "finally",
            after(|case| drop(case.complete("a", json!({})))),
            Err(Rejected::Ending),
            Err(Rejected::NotRunning),
        ),
        ("undoing", after(|case| drop(case.time_out("a"))), Ok(()), Err(Rejected::NotFailed)),
        (
            "paused",
            after(|case| {
                case.time_out("a");
                case.fail("a.compensate");
            }),
            Ok(()),
            Ok(()),
        ),
        (
            "after the unwinding",
            after(|case| {
                case.time_out("a");
                case.complete("a.compensate", json!({}));
            }),
            Ok(()),
            Err(Rejected::NotRunning),
        ),
        (
            "compensated",
            after(|case| {
                case.time_out("a");
                case.complete("a.compensate", json!({}));
                case.complete("f", json!({}));
            }),
            Err(Rejected::NotRunning),
            Err(Rejected::NotRunning),
        ),
        (
            "completed",
            after(|case| {
                case.complete("a", json!({}));
                case.complete("f", json!({}));
            }),
            Ok(()),
            Err(Rejected::NotRunning),
        ),
        (
            "failed",
            after(|case| {
                case.fail("a");
                case.complete("f", json!({}));
            }),
            Err(Rejected::NotRunning),
            Err(Rejected::NotRunning),
        ),
    ];
    for (what, mut case, unwind, undo) in states {
        assert_eq!(case.execution.heeds_unwind(), what == "running", "{what}: only then does a request change it");
        let decision = UndoDecision::Retry;
        let decided = Input::Undo { step: 0, decision, reason: "because".to_owned(), by: None };
        let mut other = case.execution.clone();
        assert_eq!(other.handle(decided, case.now()).map(drop), undo, "{what}");
        assert_eq!(case.unwind().map(drop), unwind, "{what}");
    }
    let (mut plain, _) = Case::begun("steps: [{id: a, run: x}]");
    assert_eq!((plain.execution.heeds_unwind(), plain.unwind()), (false, Err(Rejected::NoSaga)));
    let (mut empty, _) = Case::begun(&format!("steps: [{}]", undoable("a", ", if: \"false\"")));
    assert_eq!((empty.status(), empty.unwind()), (ExecutionStatus::Completed, Err(Rejected::NothingToUndo)));
    assert_eq!(empty.tell_child_undone(), Err(Rejected::NotRunning));
}

impl Case {
    fn tell_child_undone(&mut self) -> Result<Vec<String>, Rejected> {
        let child = self.execution.id();
        self.try_tell(Input::ChildUndone { step: 0, child, outcome: cogwheel_machine::Unwound::Undone })
    }
}
