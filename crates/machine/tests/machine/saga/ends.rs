//! How a saga ends, and what cannot end it early.

use cogwheel_machine::{CancelRequested, CauseKind, ExecutionStatus, RerunError, SagaStatus};
use serde_json::json;

use super::undoable;
use crate::rig::{Case, NOTHING, at};

fn two(more: &str) -> String {
    format!("{more}\nsteps: [{}, {}, {{id: z, run: x}}]", undoable("a", ""), undoable("b", ""))
}

fn failed(more: &str) -> Case {
    let (mut case, _) = Case::begun(&two(more));
    case.complete("a", json!({}));
    case.complete("b", json!({}));
    case.fail("z");
    case
}

#[test]
fn with_fail_the_others_are_undone_and_what_is_left_is_named() {
    let mut case = failed("saga: {on_undo_failure: fail}");
    assert_eq!(case.fail("b.compensate"), ["run a.compensate"], "what it held up goes on");
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Failed);
    assert_eq!((case.error().step.as_deref(), case.error().not_undone.as_slice()), (Some("z"), &["b".to_owned()][..]));
    assert_eq!(case.execution.saga().unwrap().status, SagaStatus::Failed);
}

#[test]
fn an_undo_has_retries_of_its_own() {
    let (mut case, _) = Case::begun(
        "steps: [{id: a, run: x, compensate: {run: u, retry: {attempts: 2, delay: 5s, jitter: false}}}, {id: z, run: x}]",
    );
    case.complete("a", json!({}));
    case.fail("z");
    assert_eq!(case.fail("a.compensate"), NOTHING);
    assert_eq!(case.undos(), "a 0 pending");
    assert_eq!(case.status(), ExecutionStatus::Compensating);
    assert_eq!(case.crash(None), NOTHING);
    assert_eq!(case.wake(), ["run a.compensate"]);
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!(case.execution.saga().unwrap().undos[0].tries, 2);
}

#[test]
fn the_deadline_of_a_saga_undoes_it() {
    let (mut case, _) = Case::begun(&two("saga: {deadline: 1m}"));
    case.complete("a", json!({}));
    assert_eq!(case.execution.deadline_at(), Some(at(60)));
    assert_eq!(case.wake(), ["stop b"]);
    assert_eq!(case.stopped("b"), ["run b.compensate"], "it may have happened");
    assert_eq!(case.execution.deadline_at(), None);
    assert_eq!(case.complete("b.compensate", json!({})), ["run a.compensate"]);
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!((case.status(), case.error().code()), (ExecutionStatus::Compensated, "timeout.saga"));
    assert_eq!(case.execution.saga().unwrap().cause.unwrap().kind, CauseKind::TimedOut);
}

#[test]
fn a_deadline_that_passed_while_nobody_looked_counts_at_the_next_start() {
    let (mut case, _) = Case::begun(&two("saga: {deadline: 1m}"));
    case.complete("a", json!({}));
    case.wait(61);
    assert_eq!(case.crash(None), ["run b.compensate"]);
    assert_eq!(case.execution.saga().unwrap().cause.unwrap().kind, CauseKind::TimedOut);
    case.wait(100_000);
    assert_eq!(case.crash(None), ["run b.compensate"], "the time of the execution does not cut the unwinding short");
}

#[test]
fn nothing_cuts_the_unwinding_short() {
    let mut case = failed("timeout: 1m");
    assert_eq!(case.execution.next_wake_at(), None);
    case.wait(1000);
    assert_eq!(case.cancel(Some("late")), NOTHING, "it is acknowledged");
    assert_eq!(case.tell(cogwheel_machine::Input::Woken), NOTHING);
    assert_eq!(case.crash(Some(CancelRequested::default())), ["run b.compensate"]);
    case.complete("b.compensate", json!({}));
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!((case.status(), case.error().step.as_deref()), (ExecutionStatus::Compensated, Some("z")));
}

#[test]
fn what_follows_a_bad_end_comes_after_the_unwinding() {
    let handlers = "on_failure: [{id: h, run: x, env: {S: \"${{ execution.status }}\"}}]\nfinally: [{id: f, run: x}]";
    let mut case = failed(handlers);
    case.complete("b.compensate", json!({}));
    assert_eq!(case.complete("a.compensate", json!({})), ["run h"]);
    assert_eq!(case.status(), ExecutionStatus::Compensating);
    assert_eq!(case.step("h").input.as_ref().unwrap()["env"]["S"], "compensated");
    assert_eq!(case.execution.deadline_at(), Some(at(300)));
    assert_eq!(case.crash(Some(CancelRequested::default())), ["run h"], "the cancellation was heard before");
    assert_eq!(case.fail("h"), ["run f"]);
    assert_eq!(case.crash(None), ["run f"]);
    assert_eq!(case.fail("f"), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Compensated, "what was undone is undone");
}

#[test]
fn a_finally_that_fails_after_good_steps_undoes_nothing_and_says_what_stands() {
    let (mut case, _) = Case::begun(&format!("steps: [{}]\nfinally: [{{id: f, run: x}}]", undoable("a", "")));
    case.complete("a", json!({}));
    assert_eq!(case.fail("f"), ["end"]);
    assert_eq!((case.status(), case.error().not_undone.as_slice()), (ExecutionStatus::Failed, &["a".to_owned()][..]));
}

#[test]
fn what_was_undone_is_done_over_from_the_start() {
    let mut case = failed("");
    assert_eq!(case.rerun(None).err(), Some(RerunError::NotEnded));
    case.complete("b.compensate", json!({}));
    case.complete("a.compensate", json!({}));
    assert_eq!(case.rerun(Some("z")).err(), Some(RerunError::Undone));
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.shows(), "");
    assert_eq!(again.tell(cogwheel_machine::Input::Claimed), ["run a"]);
    again.complete("a", json!({}));
    assert_eq!(again.fail("b"), ["run a.compensate"]);
}

#[test]
fn what_a_saga_did_is_not_kept_by_another_one() {
    let (mut case, _) = Case::begun(&two(""));
    for step in ["a", "b", "z"] {
        case.complete(step, json!({}));
    }
    assert_eq!(case.rerun(Some("z")).err(), Some(RerunError::Undoable("a".to_owned())));
    assert_eq!(case.rerun(Some("a")).unwrap().shows(), "");
    let (mut case, _) = Case::begun(&format!("steps: [{{id: y, run: x}}, {}, {{id: z, run: x}}]", undoable("a", "")));
    case.complete("y", json!({}));
    case.fail("a");
    assert_eq!(case.rerun(None).unwrap().shows(), "y completed", "where nothing was undone, the rest is done anew");
}

#[test]
fn rows_without_the_facts_of_an_unwinding_are_refused() {
    let case = failed("");
    let head = cogwheel_machine::RecordedHead {
        status: ExecutionStatus::Compensating,
        started_at: Some(at(0)),
        deadline_at: None,
        result: None,
        error: case.execution.error().cloned(),
        saga: None,
    };
    let new = crate::rig::new(&two(""));
    let steps = case.execution.steps().to_vec();
    let restored = cogwheel_machine::Execution::restored(new, crate::rig::LIMITS, head, steps);
    assert!(restored.unwrap_err().contains("no unwinding is recorded"));
}

#[test]
fn what_is_left_of_one_that_nobody_can_go_on_with_is_known() {
    let (mut case, _) = Case::begun(&two(""));
    assert!(case.execution.left_behind() == ["a"], "it runs, and may have happened");
    case.complete("a", json!({}));
    assert_eq!(case.execution.left_behind(), ["a", "b"]);
    case.complete("b", json!({}));
    case.fail("z");
    case.complete("b.compensate", json!({}));
    assert_eq!(case.execution.left_behind(), ["a"]);
    case.complete("a.compensate", json!({}));
    assert!(case.execution.left_behind().is_empty());
    assert!(Case::begun("steps: [{run: x}]").0.execution.left_behind().is_empty(), "it is no saga");
}
