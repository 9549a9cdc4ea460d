//! The step after which nothing is undone any more.

use cogwheel_machine::{ExecutionStatus, Rejected, RerunError, SagaStatus};
use serde_json::json;

use super::undoable;
use crate::rig::{Case, NOTHING};

fn with_pivot() -> Case {
    let (mut case, _) = Case::begun(&format!(
        "steps: [{}, {{id: pay, run: x, pivot: true}}, {{id: tell, run: x}}, {{id: log, run: x, retry: 1}}]",
        undoable("a", "")
    ));
    case.complete("a", json!({}));
    case
}

fn past() -> Case {
    let mut case = with_pivot();
    case.complete("pay", json!({}));
    case
}

#[test]
fn before_it_everything_is_undone() {
    let mut case = with_pivot();
    assert_eq!(case.fail("pay"), ["run a.compensate"]);
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Compensated);
}

#[test]
fn a_pivot_that_may_have_happened_is_left_and_named() {
    let mut case = with_pivot();
    assert_eq!(case.time_out("pay"), ["run a.compensate"]);
    assert_eq!(case.crash(None), ["run a.compensate"]);
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Failed);
    assert_eq!(case.error().not_undone, ["pay"]);
}

#[test]
fn after_it_steps_are_tried_again_and_again() {
    let mut case = past();
    for _ in 0..200 {
        assert_eq!(case.fail("tell"), NOTHING);
        let pause = case.execution.next_wake_at().expect("it is tried again") - case.now();
        assert!(pause.num_minutes() <= 5);
        if case.execution.deadline_at().is_some_and(|deadline| deadline <= case.now() + pause) {
            break;
        }
        assert_eq!(case.wake(), ["run tell"]);
    }
    case.wake();
    assert_eq!(case.status(), ExecutionStatus::TimedOut, "the time of the execution bounds it");
    assert_eq!(case.error().not_undone, ["a"]);
}

#[test]
fn after_it_a_failure_undoes_nothing_and_says_what_stands() {
    let mut case = past();
    case.complete("tell", json!({}));
    assert_eq!(case.fail("log"), ["end"]);
    assert_eq!((case.status(), case.error().not_undone.as_slice()), (ExecutionStatus::Failed, &["a".to_owned()][..]));
    assert_eq!(case.execution.saga().unwrap().status, SagaStatus::Failed);
    let again = case.rerun(None).unwrap();
    assert_eq!(again.shows(), "a completed, pay completed, tell completed", "the way goes on forward");
    let kept = RerunError::Undoable("a".to_owned());
    assert_eq!(case.rerun(Some("pay")).err(), Some(kept), "with another pivot it could be undone under this one");
    assert!(case.rerun(Some("a")).is_ok() && case.rerun(Some("tell")).is_ok());
}

#[test]
fn after_it_a_cancellation_undoes_nothing() {
    let mut case = past();
    assert!(!case.execution.heeds_unwind());
    assert_eq!(case.cancel(None), ["stop tell"]);
    assert_eq!(case.stopped("tell"), ["end"]);
    assert_eq!(
        (case.status(), case.error().not_undone.as_slice()),
        (ExecutionStatus::Cancelled, &["a".to_owned()][..])
    );
    assert_eq!(past().unwind(), Err(Rejected::PastPivot));
    let mut done = past();
    done.complete("tell", json!({}));
    done.complete("log", json!({}));
    assert_eq!((done.status(), done.unwind()), (ExecutionStatus::Completed, Err(Rejected::PastPivot)));
}

#[test]
fn a_pivot_that_completes_while_it_is_stopped_has_completed() {
    let mut case = with_pivot();
    assert_eq!(case.unwind().unwrap(), ["stop pay"]);
    assert_eq!(case.complete("pay", json!({})), ["end"]);
    assert_eq!(
        (case.status(), case.error().not_undone.as_slice()),
        (ExecutionStatus::Cancelled, &["a".to_owned()][..])
    );
}
