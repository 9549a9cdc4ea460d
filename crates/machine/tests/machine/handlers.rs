//! What runs after the workflow's steps: `on_failure`, then `finally`.

use cogwheel_machine::{CancelRequested, ExecutionStatus};
use serde_json::json;

use crate::rig::{Case, NOTHING, at};

const BOTH: &str = "timeout: 100s\n\
                    outputs: {rows: \"${{ steps.a.outputs.rows }}\"}\n\
                    steps: [{id: a, run: x}]\n\
                    on_failure: [{id: h, run: x, env: {WHY: \"${{ execution.status }}\"}}, {id: h2, run: x}]\n\
                    finally: [{id: f, run: x, env: {HOW: \"${{ execution.status }}\"}}, {id: f2, run: x}]";

#[test]
fn a_good_end_is_followed_by_finally_alone() {
    let (mut case, _) = Case::begun(BOTH);
    assert_eq!(case.complete("a", json!({ "rows": 2 })), ["run f"]);
    assert_eq!(case.status(), ExecutionStatus::Running);
    assert_eq!(case.step("f").input.as_ref().unwrap()["env"]["HOW"], "completed");
    case.complete("f", json!({}));
    assert_eq!(case.complete("f2", json!({})), ["end"]);
    assert_eq!(case.shows(), "a completed, f completed, f2 completed");
    assert_eq!((case.status(), case.execution.result()), (ExecutionStatus::Completed, Some(&json!({ "rows": 2 }))));
}

#[test]
fn a_failure_is_followed_by_both_in_order() {
    let (mut case, _) = Case::begun(BOTH);
    assert_eq!(case.fail("a"), ["run h"]);
    assert_eq!(case.step("h").input.as_ref().unwrap()["env"]["WHY"], "failed");
    case.complete("h", json!({}));
    assert_eq!(case.complete("h2", json!({})), ["run f"]);
    case.complete("f", json!({}));
    assert_eq!(case.complete("f2", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Failed);
    assert_eq!(case.error().step.as_deref(), Some("a"));
}

#[test]
fn each_part_has_the_time_limit_anew() {
    let (mut case, _) = Case::begun(BOTH);
    case.wait(30);
    case.fail("a");
    assert_eq!(case.execution.deadline_at(), Some(at(130)));
    case.wait(40);
    case.complete("h", json!({}));
    case.complete("h2", json!({}));
    assert_eq!(case.execution.deadline_at(), Some(at(170)));
    case.crash(None);
    assert_eq!(case.execution.deadline_at(), Some(at(170)));
    assert_eq!(case.wake(), ["stop f"]);
    assert_eq!(case.stopped("f"), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Failed, "what the steps ended with stays");
}

#[test]
fn a_limit_that_is_renewed_is_recorded_although_something_else_is_due_first() {
    let (mut case, _) = Case::begun(
        "timeout: 100s\n\
         steps: [{id: a, run: x}]\n\
         on_failure: [{id: h, run: x}]\n\
         finally: [{id: f, uses: wait, with: {until: \"2027-01-15T08:01:00Z\"}}]",
    );
    case.fail("a");
    case.wait(10);
    case.complete("h", json!({}));
    assert_eq!(case.execution.next_wake_at(), Some(at(60)));
    case.crash(None);
    assert_eq!(case.execution.deadline_at(), Some(at(110)));
}

#[test]
fn a_failure_to_handle_the_failure_changes_nothing() {
    let (mut case, _) = Case::begun(BOTH);
    case.fail("a");
    assert_eq!(case.fail("h"), ["run f"], "the rest of the part is skipped, the next part runs");
    case.fail("f");
    assert_eq!(case.shows(), "a failed, h failed, h2 skipped, f failed, f2 skipped");
    assert_eq!(case.error().step.as_deref(), Some("a"), "the first cause is the cause");
}

#[test]
fn a_failure_of_finally_undoes_a_good_end() {
    let (mut case, _) = Case::begun(BOTH);
    case.complete("a", json!({ "rows": 2 }));
    assert_eq!(case.fail("f"), ["end"]);
    assert_eq!((case.status(), case.error().step.as_deref()), (ExecutionStatus::Failed, Some("f")));
    assert_eq!(case.execution.result(), None);
}

#[test]
fn a_finally_that_is_out_of_time_or_cancelled_undoes_a_good_end() {
    let (mut case, _) = Case::begun(BOTH);
    case.complete("a", json!({ "rows": 2 }));
    assert_eq!(case.wake(), ["stop f"]);
    assert_eq!(case.stopped("f"), ["end"]);
    assert_eq!((case.status(), case.error().code()), (ExecutionStatus::TimedOut, "timeout"));

    let (mut case, _) = Case::begun(BOTH);
    case.complete("a", json!({ "rows": 2 }));
    assert_eq!(case.cancel(Some("enough")), ["stop f"]);
    assert_eq!(case.stopped("f"), ["end"]);
    assert_eq!((case.status(), case.error().detail.as_deref()), (ExecutionStatus::Cancelled, Some("enough")));
}

#[test]
fn a_cancel_is_followed_by_both() {
    let (mut case, _) = Case::begun(BOTH);
    case.cancel(None);
    assert_eq!(case.stopped("a"), ["run h"]);
    assert_eq!(case.step("h").input.as_ref().unwrap()["env"]["WHY"], "cancelled");
    case.complete("h", json!({}));
    case.complete("h2", json!({}));
    case.complete("f", json!({}));
    assert_eq!(case.complete("f2", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Cancelled);
}

#[test]
fn a_second_cancel_stops_the_part_that_runs() {
    let (mut case, _) = Case::begun(BOTH);
    case.cancel(Some("first"));
    case.stopped("a");
    assert_eq!(case.cancel(Some("second")), ["stop h"]);
    assert_eq!(case.stopped("h"), ["run f"], "the next part is not stopped with it");
    assert_eq!(case.shows(), "a cancelled, h cancelled, h2 cancelled, f running");
    case.complete("f", json!({}));
    case.complete("f2", json!({}));
    assert_eq!(case.error().detail.as_deref(), Some("first"));
}

#[test]
fn a_crash_in_any_part_is_gone_on_from() {
    let (mut case, _) = Case::begun(BOTH);
    assert_eq!(case.crash(None), ["run a"]);
    case.fail("a");
    assert_eq!(case.crash(None), ["run h"]);
    case.complete("h", json!({}));
    assert_eq!(case.crash(None), ["run h2"]);
    assert_eq!(case.complete("h2", json!({})), ["run f"]);
    assert_eq!(case.crash(None), ["run f"]);
    case.complete("f", json!({}));
    assert_eq!(case.complete("f2", json!({})), ["end"]);
    assert_eq!((case.status(), case.error().step.as_deref()), (ExecutionStatus::Failed, Some("a")));

    let (mut case, _) = Case::begun(BOTH);
    case.complete("a", json!({ "rows": 2 }));
    assert_eq!(case.crash(None), ["run f"]);
    case.complete("f", json!({}));
    assert_eq!(case.crash(None), ["run f2"]);
    case.complete("f2", json!({}));
    assert_eq!((case.status(), case.execution.result()), (ExecutionStatus::Completed, Some(&json!({ "rows": 2 }))));
}

#[test]
fn a_crash_between_two_parts_is_gone_on_from() {
    for is_failing in [true, false] {
        let (mut case, _) = Case::begun(BOTH);
        case.execution.set_room(false);
        let next = if is_failing { case.fail("a") } else { case.complete("a", json!({ "rows": 2 })) };
        assert_eq!(next, NOTHING);
        assert_eq!(case.crash(None), [if is_failing { "run h" } else { "run f" }]);
    }
    let (mut case, _) = Case::begun(BOTH);
    case.fail("a");
    case.complete("h", json!({}));
    case.execution.set_room(false);
    assert_eq!(case.complete("h2", json!({})), NOTHING);
    assert_eq!(case.crash(None), ["run f"]);
}

#[test]
fn a_crash_after_a_cancel_does_not_cancel_what_follows_it() {
    let cancel = Some(CancelRequested::default());
    let (mut case, _) = Case::begun(BOTH);
    assert_eq!(case.crash(cancel.clone()), ["run h"]);
    assert_eq!(case.crash(cancel.clone()), ["run h"]);
    case.complete("h", json!({}));
    case.complete("h2", json!({}));
    assert_eq!(case.crash(cancel), ["run f"]);
    case.complete("f", json!({}));
    case.complete("f2", json!({}));
    assert_eq!(case.status(), ExecutionStatus::Cancelled);
}

#[test]
fn a_cancel_that_came_after_the_steps_outlives_a_crash() {
    let cancel = Some(CancelRequested { reason: Some("enough".to_owned()) });
    let (mut case, _) = Case::begun(BOTH);
    case.complete("a", json!({ "rows": 2 }));
    case.cancel(Some("enough"));
    assert_eq!(case.crash(cancel.clone()), ["end"]);
    assert_eq!((case.status(), case.error().detail.as_deref()), (ExecutionStatus::Cancelled, Some("enough")));

    let (mut case, _) = Case::begun(BOTH);
    case.fail("a");
    assert_eq!(case.crash(cancel.clone()), ["run f"], "it was not heard before the crash");
    assert_eq!(case.crash(cancel), ["run f"], "what it was meant for has ended");
    assert_eq!(case.shows(), "a failed, h cancelled, h2 cancelled, f running");
}

#[test]
fn a_crash_while_a_part_is_stopped_does_not_bring_its_steps_back() {
    let cancel = Some(CancelRequested::default());
    let (mut case, _) = Case::begun(BOTH);
    case.cancel(None);
    case.stopped("a");
    case.cancel(None);
    assert_eq!(case.crash(cancel), ["run f"]);
    assert_eq!(case.shows(), "a cancelled, h cancelled, h2 cancelled, f running");
}

#[test]
fn finally_reads_what_was_handled() {
    let (mut case, _) = Case::begun(
        "steps: [{id: a, run: x}]\n\
         on_failure: [{id: h, run: x}]\n\
         finally: [{id: f, uses: set, with: {a: \"${{ steps.a.status }}\", h: \"${{ steps.h.status }}\", \
         code: \"${{ execution.error.code if execution.error else 'none' }}\"}}]",
    );
    let (mut sound, failing) = (
        Case::begun(
            "steps: [{id: a, run: x}]\n\
         on_failure: [{id: h, run: x}]\n\
         finally: [{id: f, uses: set, with: {h: \"${{ steps.h.status }}\"}}]",
        )
        .0,
        &mut case,
    );
    failing.fail("a");
    failing.complete("h", json!({}));
    assert_eq!(failing.step("f").input, Some(json!({ "a": "failed", "h": "completed", "code": "exit.3" })));
    sound.complete("a", json!({}));
    assert_eq!(sound.step_error("f").kind, cogwheel_machine::FailureKind::Expression, "it never ran");
}

#[test]
fn a_queue_that_was_left_too_late_is_followed_by_nothing() {
    let mut case = Case::queued(BOTH);
    assert_eq!(case.cancel(None), ["end"]);
    assert_eq!(case.shows(), "");
}
