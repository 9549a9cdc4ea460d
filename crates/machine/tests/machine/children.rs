//! Steps that run other workflows.

use cogwheel_machine::{ExecutionId, ExecutionStatus, FailureKind, Input, Outcome, Rejected};
use serde_json::json;
use uuid::Uuid;

use crate::rig::{Case, NOTHING, at, exit};

const CHILD: &str = "steps:\n\
                     - {id: child, uses: workflow, with: {name: \"other-${{ inputs.who }}\", inputs: {n: \"${{ 1 + 1 }}\"}}}\n\
                     - {id: after, run: x}";

#[test]
fn a_child_hands_back_its_result() {
    let (mut case, first) = Case::begun(CHILD);
    assert_eq!(first, ["start child"]);
    assert_eq!((case.shows().as_str(), case.status()), ("child waiting", ExecutionStatus::Waiting));
    let input = json!({ "name": "other-world", "inputs": { "n": 2 }, "wait": true });
    assert_eq!(case.step("child").input, Some(input));
    assert_eq!(case.child_ended("child", ExecutionStatus::Completed), ["run after"]);
    assert_eq!(case.step("child").output, Some(json!({ "rows": 3 })));
}

#[test]
fn a_child_that_does_not_complete_fails_its_step() {
    for status in ExecutionStatus::ALL.into_iter().filter(|status| status.is_terminal()) {
        let (mut case, _) = Case::begun(CHILD);
        let child = case.execution.child_id(0).unwrap();
        let effects = case.child_ended("child", status);
        if status == ExecutionStatus::Completed {
            continue;
        }
        assert_eq!(effects, ["end"]);
        let error = case.error();
        assert_eq!(
            (error.kind, error.code()),
            (FailureKind::Workflow, format!("workflow.{}", status.as_str()).as_str())
        );
        assert_eq!(error.title, format!("the execution {child} ended {}", status.as_str()));
        assert_eq!(error.detail.as_deref(), Some("inner: exit code 4"));
        assert_eq!(error.step.as_deref(), Some("child"));
    }
}

#[test]
fn only_the_execution_that_the_current_attempt_started_counts() {
    let (mut case, _) = Case::begun(CHILD);
    let ended =
        |child| Input::ChildEnded { step: 0, child, status: ExecutionStatus::Completed, result: None, error: None };
    let child = case.execution.child_id(0).unwrap();
    assert_eq!(case.try_tell(ended(ExecutionId(Uuid::from_u128(1)))), Err(Rejected::NotAwaited));
    assert_eq!(case.tell(ended(child)), ["run after"]);
    assert_eq!(case.step("child").output, Some(json!({})), "a result that is not there is empty");
    assert_eq!(case.try_tell(ended(child)), Err(Rejected::NotAwaited));
}

#[test]
fn each_attempt_starts_an_execution_of_its_own() {
    let (mut case, _) = Case::begun(
        "steps: [{id: child, uses: workflow, with: {name: other}, retry: {attempts: 2, delay: 5s, jitter: false}}]",
    );
    let first = case.execution.child_id(0).unwrap();
    assert_eq!(case.child_ended("child", ExecutionStatus::Failed), NOTHING);
    assert_eq!(case.shows(), "child retrying");
    assert_eq!(case.execution.awaiting_children().count(), 0);
    assert_eq!(case.wake(), ["start child"]);
    let second = case.execution.child_id(0).unwrap();
    assert_ne!(first, second);
    let late =
        Input::ChildEnded { step: 0, child: first, status: ExecutionStatus::Completed, result: None, error: None };
    assert_eq!(case.try_tell(late), Err(Rejected::NotAwaited));
    assert_eq!(case.child_ended("child", ExecutionStatus::Completed), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Completed);
}

#[test]
fn the_id_of_a_child_follows_from_its_step_and_sorts_by_time() {
    let parent = ExecutionId(Uuid::from_u128(7));
    let id = parent.of_attempt(1, 2, at(3));
    assert_eq!(id, parent.of_attempt(1, 2, at(3)));
    for other in [
        parent.of_attempt(2, 2, at(3)),
        parent.of_attempt(1, 1, at(3)),
        ExecutionId(Uuid::from_u128(8)).of_attempt(1, 2, at(3)),
    ] {
        assert_ne!(id, other);
        assert_eq!(id.get_timestamp(), other.get_timestamp());
    }
    assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
    let began = id.get_timestamp().unwrap().to_unix();
    assert_eq!((i64::try_from(began.0).unwrap(), began.1), (at(3).timestamp(), 0));
    assert!(id < parent.of_attempt(0, 1, at(4)));
}

#[test]
fn a_cancel_cancels_the_child_and_waits_for_its_end() {
    let (mut case, _) = Case::begun(CHILD);
    assert_eq!(case.cancel(None), ["cancel child"]);
    assert_eq!(case.shows(), "child waiting, after cancelled");
    assert_eq!(case.child_ended("child", ExecutionStatus::Cancelled), ["end"]);
    assert_eq!(
        (case.shows().as_str(), case.status()),
        ("child cancelled, after cancelled", ExecutionStatus::Cancelled)
    );
}

#[test]
fn a_cancel_that_finds_no_child_ends_the_step() {
    let (mut case, _) = Case::begun(CHILD);
    case.cancel(None);
    assert_eq!(case.stopped("child"), ["end"]);
    assert_eq!(case.step("child").status.as_str(), "cancelled");
}

#[test]
fn a_child_that_takes_too_long_is_cancelled() {
    let (mut case, _) = Case::begun(
        "steps: [{id: child, uses: workflow, timeout: 10s, with: {name: other}, \
         retry: {attempts: 2, on: timeout, delay: 5s, jitter: false}}]",
    );
    assert_eq!(case.execution.next_wake_at(), Some(at(10)));
    assert_eq!(case.wake(), ["cancel child"]);
    assert_eq!(case.shows(), "child waiting");
    assert_eq!(case.child_ended("child", ExecutionStatus::Cancelled), NOTHING);
    assert_eq!(case.shows(), "child retrying");
    assert_eq!(case.wake(), ["start child"]);
    assert_eq!(case.wake(), ["cancel child"]);
    assert_eq!(case.child_ended("child", ExecutionStatus::Completed), ["end"]);
    assert_eq!((case.shows().as_str(), case.error().code()), ("child timed_out", "timeout"));
}

#[test]
fn a_child_that_cannot_be_started_fails_its_step() {
    let (mut case, _) = Case::begun(CHILD);
    let report = case.ended("child", Outcome::Failed { failure: exit(1), output: None });
    assert_eq!(case.tell(report), ["end"]);
    assert_eq!(case.shows(), "child failed, after skipped");
}

#[test]
fn without_waiting_the_step_ends_once_the_child_is_started() {
    let (mut case, first) =
        Case::begun("steps: [{id: child, uses: workflow, with: {name: other, wait: false}}, {id: after, run: x}]");
    assert_eq!(first, ["start child"]);
    assert_eq!(case.execution.awaiting_children().count(), 0, "its end is nobody's concern");
    let child = case.execution.child_id(0).unwrap();
    let ended = Input::ChildEnded { step: 0, child, status: ExecutionStatus::Failed, result: None, error: None };
    assert_eq!(case.try_tell(ended), Err(Rejected::NotAwaited), "it may end before its start is known here");
    assert_eq!(case.complete("child", json!({ "execution_id": child.to_string() })), ["run after"]);
}

#[test]
fn an_execution_whose_name_cannot_be_evaluated_is_not_started() {
    let (case, first) = Case::begun("steps: [{id: child, uses: workflow, with: {name: \"${{ inputs.list[9] }}\"}}]");
    assert_eq!((first, case.shows()), (vec!["end".to_owned()], "child failed".to_owned()));
}

#[test]
fn each_value_has_a_child_of_its_own() {
    let (mut case, first) = Case::begun(
        "steps: [{id: each, foreach: [1, 2], uses: workflow, with: {name: other, inputs: {n: \"${{ item }}\"}}}]",
    );
    assert_eq!(first, ["start each[0]", "start each[1]"]);
    assert_ne!(case.execution.child_id(1), case.execution.child_id(2));
    case.child_ended("each[1]", ExecutionStatus::Completed);
    assert_eq!(case.child_ended("each[0]", ExecutionStatus::Completed), ["end"]);
    assert_eq!(case.step("each").output, Some(json!([{ "rows": 3 }, { "rows": 3 }])));
}
