//! What follows when the node dies: the rows are all that is left.

use cogwheel_machine::{CancelRequested, ExecutionStatus, FailureKind, Input, Rejected};
use serde_json::json;

use crate::rig::{Case, LIMITS, NOTHING, at};

#[test]
fn a_late_report_of_an_earlier_attempt_changes_nothing() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x}]");
    let late = case.ended("a", cogwheel_machine::Outcome::Completed { output: json!({}) });
    assert_eq!(case.crash(None), ["run a"]);
    assert_eq!(case.step("a").attempt, 2);
    assert_eq!(case.try_tell(late), Err(Rejected::Superseded { got: 1, current: 2 }));
    assert_eq!(case.shows(), "a running");
}

#[test]
fn a_step_that_is_lost_again_and_again_fails() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x}]");
    for lost in 1..=LIMITS.lost_retries {
        assert_eq!(case.crash(None), ["run a"]);
        assert_eq!(case.step("a").history.len(), lost as usize);
    }
    assert_eq!(case.crash(None), ["end"]);
    assert_eq!((case.status(), case.error().kind), (ExecutionStatus::Failed, FailureKind::Lost));
}

#[test]
fn a_lost_attempt_is_a_failure_where_the_step_says_so() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, on_lost: fail}]");
    assert_eq!(case.crash(None), ["end"]);
    assert_eq!((case.status(), case.error().kind), (ExecutionStatus::Failed, FailureKind::Lost));
}

#[test]
fn a_lost_attempt_uses_up_none_of_the_retries() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, retry: {attempts: 2, jitter: false}}]");
    case.crash(None);
    assert_eq!(case.fail("a"), NOTHING);
    assert_eq!(case.wake(), ["run a"]);
    assert_eq!(case.fail("a"), ["end"]);
}

#[test]
fn a_pause_goes_on_over_a_crash() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, retry: {delay: 7s, jitter: false}}]");
    case.fail("a");
    assert_eq!(case.crash(None), NOTHING);
    assert_eq!(case.execution.next_wake_at(), Some(at(7)));
    assert_eq!(case.wake(), ["run a"]);
}

#[test]
fn a_crash_while_stopping_does_not_bring_a_step_back() {
    let (mut case, _) = Case::begun("timeout: 10s\nsteps: [{id: a, run: x}, {id: b, run: x}]");
    case.wake();
    assert_eq!(case.crash(None), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::TimedOut);
}

#[test]
fn a_crash_while_stopping_does_not_bring_a_step_back_although_the_clock_does() {
    let (mut case, _) = Case::begun("timeout: 10s\nsteps: [{id: a, run: x}, {id: b, run: x}]");
    case.wake();
    case.wait(-5);
    assert_eq!(case.crash(None), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::TimedOut);
}

#[test]
fn what_is_cancelled_before_it_is_taken_up_again_begins_nothing() {
    let (mut case, _) = Case::begun(
        "steps: [{id: a, run: x, needs: [], retry: 3}, {id: b, run: x, needs: []}, {id: c, needs: [b], run: x}]",
    );
    case.fail("a");
    case.wait(100);
    assert_eq!(case.crash(Some(CancelRequested::default())), ["end"]);
    assert_eq!(case.shows(), "a cancelled, b cancelled, c cancelled");
    assert_eq!(case.status(), ExecutionStatus::Cancelled);
}

#[test]
fn what_waits_asks_again_for_what_it_waits_for() {
    let (mut case, first) = Case::begun(
        "steps:\n\
         - {id: signal, needs: [], uses: wait, with: {signal: go}}\n\
         - {id: child, needs: [], uses: workflow, with: {name: other}}\n\
         - {id: time, needs: [], uses: wait, with: {for: 10s}}\n\
         - {id: after, needs: [signal, child, time], run: x}",
    );
    assert_eq!(first, ["await signal", "start child"]);
    let child = case.execution.child_id(1);
    assert_eq!(case.crash(None), ["await signal", "start child"]);
    assert_eq!(case.execution.child_id(1), child, "it is started once");
    assert_eq!((case.status(), case.execution.next_wake_at()), (ExecutionStatus::Waiting, Some(at(10))));
    case.child_ended("child", ExecutionStatus::Completed);
    assert_eq!(case.crash(None), ["await signal"]);
    case.signal("signal", json!(1));
    assert_eq!(case.crash(None), NOTHING);
    assert_eq!(case.wake(), ["run after"]);
}

#[test]
fn what_is_cancelled_before_it_is_taken_up_again_starts_no_other_execution() {
    let (mut case, _) = Case::begun("steps: [{id: child, uses: workflow, with: {name: other}}]");
    assert_eq!(case.crash(Some(CancelRequested::default())), ["cancel child"]);
    assert_eq!(case.stopped("child"), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Cancelled);
}

#[test]
fn nested_steps_go_on_where_they_were() {
    let (mut case, first) = Case::begun(
        "steps:\n\
         - id: each\n  \
           foreach: [a, b, c]\n  \
           max_parallel: 2\n  \
           until: steps.each.outputs.one.done\n  \
           every: 5s\n  \
           steps: [{id: one, run: x, env: {ITEM: \"${{ item }}\"}}, {id: two, run: x}]",
    );
    assert_eq!(first, ["run each[0][0].one", "run each[1][0].one"]);
    case.complete("each[0][0].one", json!({ "done": false }));
    assert_eq!(case.crash(None), ["run each[1][0].one", "run each[0][0].two"]);
    case.complete("each[0][0].two", json!({}));
    assert_eq!(case.step("each[0]").wake_at, Some(at(5)));
    assert_eq!(case.crash(None), ["run each[1][0].one"]);
    assert_eq!(case.wake(), ["run each[0][1].one"]);
    assert_eq!(case.step("each[0][1].one").input.as_ref().unwrap()["env"]["ITEM"], "a");
    case.complete("each[0][1].one", json!({ "done": true }));
    assert_eq!(case.complete("each[0][1].two", json!({})), ["run each[2][0].one"]);
    case.crash(None);
    for value in ["each[1][0]", "each[2][0]"] {
        case.complete(&format!("{value}.one"), json!({ "done": true }));
        case.complete(&format!("{value}.two"), json!({}));
    }
    assert_eq!(case.status(), ExecutionStatus::Completed);
    assert_eq!(case.step("each").output.as_ref().unwrap().as_array().unwrap().len(), 3);
}

#[test]
fn a_group_that_was_out_of_time_does_not_go_on_after_a_crash() {
    let (mut case, _) =
        Case::begun("steps: [{id: g, timeout: 10s, steps: [{id: a, run: x, retry: 3}, {id: b, run: x}]}]");
    assert_eq!(case.wake(), ["stop g.a"]);
    assert_eq!(case.crash(None), ["end"]);
    assert_eq!(case.shows(), "g timed_out, g.a cancelled, g.b cancelled");
}

#[test]
fn rows_that_do_not_fit_are_named() {
    let (case, _) = Case::begun("steps: [{id: g, steps: [{id: a, run: x}]}]");
    let restored = |change: &dyn Fn(&mut Vec<cogwheel_machine::StepState>)| {
        let mut steps = case.execution.steps().to_vec();
        change(&mut steps);
        let head = cogwheel_machine::RecordedHead {
            status: case.status(),
            started_at: None,
            deadline_at: None,
            result: None,
            error: None,
            saga: None,
        };
        let new = crate::rig::new("steps: [{id: g, steps: [{id: a, run: x}]}]");
        cogwheel_machine::Execution::restored(new, LIMITS, head, steps).map(|_| ()).unwrap_err()
    };
    assert_eq!(restored(&|steps| drop(steps.remove(0))), "step 0 is not recorded, but later ones are");
    assert_eq!(restored(&|steps| steps[1].key = "g.b".to_owned()), "step `g.b` is recorded but not defined");
    assert_eq!(restored(&|steps| steps[1].key = "h.a".to_owned()), "step `h.a` is recorded but not defined");
    assert_eq!(restored(&|steps| steps[0].key = "h".to_owned()), "step `h` is recorded but not defined");
    let why = "step `g.a` is recorded inside of a step that is not recorded before it";
    assert_eq!(restored(&|steps| steps[1].parent = Some(1)), why);
    assert_eq!(restored(&|steps| steps[1].parent = Some(-1)), why);
}

#[test]
fn only_what_is_under_way_is_taken_up_again() {
    let mut case = Case::queued("steps: [{id: a, run: x}]");
    assert_eq!(case.try_tell(Input::Recovered { cancel: None }), Err(Rejected::NotRunning));
}
