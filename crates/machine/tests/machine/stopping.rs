//! Ends that are asked for: by people, by the time limit, by the node.

use cogwheel_machine::{CancelRequested, ExecutionStatus, Input, NewExecution, Rejected};
use serde_json::json;

use crate::rig::{Case, NOTHING, at, new};

#[test]
fn the_deadline_stops_what_runs_and_cancels_the_rest() {
    let (mut case, _) = Case::begun("timeout: 10s\nsteps: [{id: a, run: x}, {id: b, run: x}]");
    assert_eq!(case.execution.deadline_at(), Some(at(10)));
    assert_eq!(case.wake(), ["stop a"]);
    assert_eq!(case.execution.next_wake_at(), None, "it is looked at once");
    assert_eq!(case.status(), ExecutionStatus::Running, "its process may still be there");
    case.wait(1);
    assert_eq!(case.stopped("a"), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::TimedOut);
    assert_eq!(case.shows(), "a cancelled, b cancelled");
}

#[test]
fn a_cancel_stops_what_runs_and_begins_nothing_more() {
    let (mut case, _) = Case::begun(
        "steps: [{id: a, run: x}, {id: b, run: x, needs: [], retry: 3}, {id: c, run: x, needs: [a], if: \"always()\"}]",
    );
    case.fail("b");
    assert_eq!(case.cancel(Some("no longer wanted")), ["stop a"]);
    assert_eq!(case.shows(), "a running, b cancelled, c cancelled");
    assert_eq!(case.cancel(Some("too late to count")), NOTHING, "asked twice, stopped once");
    assert_eq!(case.stopped("a"), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Cancelled);
    assert_eq!(case.error().detail.as_deref(), Some("no longer wanted"));
    assert_eq!(case.try_tell(Input::Cancel(CancelRequested::default())), Err(Rejected::NotRunning));
}

#[test]
fn what_completes_while_it_is_stopped_has_completed() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, retry: 3}, {id: b, run: x}]");
    case.cancel(None);
    assert_eq!(case.complete("a", json!({ "rows": 1 })), ["end"]);
    assert_eq!(case.shows(), "a completed, b cancelled");
    assert_eq!(case.status(), ExecutionStatus::Cancelled, "the request counts all the same");

    let (mut case, _) = Case::begun("steps: [{id: a, run: x, retry: 3}]");
    case.cancel(None);
    assert_eq!(case.fail("a"), ["end"]);
    assert_eq!(case.shows(), "a failed", "it is not tried again");
}

#[test]
fn what_is_cancelled_in_the_queue_never_runs() {
    let mut case = Case::queued("steps: [{id: a, run: x}]");
    assert_eq!(case.cancel(None), ["end"]);
    assert_eq!((case.status(), case.shows().as_str()), (ExecutionStatus::Cancelled, ""));
    assert_eq!(case.try_tell(Input::Claimed), Err(Rejected::NotQueued));
}

fn with_queue_deadline() -> NewExecution {
    NewExecution { queue_deadline_at: Some(at(10)), ..new("queue_timeout: 10s\nsteps: [{id: a, run: x}]") }
}

#[test]
fn what_waits_too_long_in_the_queue_never_runs() {
    let mut case = Case::of(with_queue_deadline());
    assert_eq!(case.execution.next_wake_at(), Some(at(10)));
    case.wait(9);
    assert_eq!(case.tell(Input::Woken), NOTHING);
    assert_eq!(case.wake(), ["end"]);
    assert_eq!((case.status(), case.error().code()), (ExecutionStatus::TimedOut, "timeout.queue"));

    let mut late = Case::of(with_queue_deadline());
    late.wait(10);
    assert_eq!(late.tell(Input::Claimed), ["end"], "room that comes too late is not taken");
    assert_eq!(late.status(), ExecutionStatus::TimedOut);

    let mut punctual = Case::of(with_queue_deadline());
    punctual.wait(9);
    assert_eq!(punctual.tell(Input::Claimed), ["run a"]);
    assert_eq!(punctual.execution.next_wake_at(), Some(at(9 + 300)), "the limit of the queue is over");
}

#[test]
fn draining_lets_steps_end_and_begins_nothing() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x}, {id: b, run: x}]");
    assert_eq!(case.tell(Input::Drain), NOTHING);
    assert_eq!(case.complete("a", json!({})), ["release"]);
    assert_eq!(case.shows(), "a completed");
    assert_eq!(case.crash(None), ["run b"], "another node goes on");
}

#[test]
fn draining_lets_go_at_once_of_what_only_waits() {
    let (mut case, _) = Case::begun("steps: [{id: a, uses: wait, with: {for: 10s}}, {id: b, run: x}]");
    assert_eq!(case.tell(Input::Drain), ["release"]);
    case.crash(None);
    assert_eq!(case.wake(), ["run b"]);
}

#[test]
fn draining_an_execution_that_ends_leaves_nothing_to_go_on_with() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x}]");
    case.tell(Input::Drain);
    assert_eq!(case.complete("a", json!({})), ["end"]);
}

#[test]
fn without_room_everything_is_taken_in_and_nothing_begins() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, retry: 2}, {id: b, uses: wait, with: {for: 5s}}]");
    case.fail("a");
    case.execution.set_room(false);
    assert!(!case.execution.has_work());
    assert_eq!(case.wake(), NOTHING);
    assert!(case.execution.has_work());
    assert_eq!(case.status(), ExecutionStatus::Running, "it could go on, and asks for room");
    case.execution.set_room(true);
    assert_eq!(case.tell(Input::Woken), ["run a"]);
    assert_eq!(case.complete("a", json!({})), NOTHING);
    case.execution.set_room(false);
    assert_eq!(case.wake(), ["end"], "what needs no room to end ends");
}

#[test]
fn without_room_a_cancel_counts_and_asks_for_none() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, retry: 2}, {id: b, run: x}]");
    case.fail("a");
    case.execution.set_room(false);
    case.wake();
    assert_eq!(case.cancel(None), ["end"]);
    assert_eq!(case.shows(), "a cancelled, b cancelled");
}
