//! Executions that do an ended one over.

use cogwheel_machine::{ExecutionStatus, Input, RerunError};
use serde_json::json;

use crate::rig::{Case, NOTHING};

const CHAIN: &str = "steps: [{id: a, run: x}, {id: b, run: x}, {id: c, run: x}]";

fn failed_at_b() -> Case {
    let (mut case, _) = Case::begun(CHAIN);
    case.complete("a", json!({ "rows": 1 }));
    case.fail("b");
    case
}

#[test]
fn what_completed_is_kept_and_the_rest_is_done_anew() {
    let mut again = failed_at_b().rerun(None).unwrap();
    assert_eq!((again.shows().as_str(), again.status()), ("a completed", ExecutionStatus::Queued));
    assert_eq!(again.tell(Input::Claimed), ["run b"]);
    assert_eq!(again.step("b").attempt, 1);
    again.complete("b", json!({}));
    again.complete("c", json!({}));
    assert_eq!(again.status(), ExecutionStatus::Completed);
    assert_eq!(again.step("a").output, Some(json!({ "rows": 1 })));
}

#[test]
fn from_a_step_on_all_that_needs_it_is_done_anew() {
    let (mut case, _) = Case::begun(
        "steps: [{id: a, run: x}, {id: b, needs: a, run: x}, {id: c, needs: b, run: x}, {id: d, needs: a, run: x}]",
    );
    for step in ["a", "b", "c", "d"] {
        case.complete(step, json!({}));
    }
    let mut again = case.rerun(Some("b")).unwrap();
    assert_eq!(again.shows(), "a completed, d completed");
    assert_eq!(again.tell(Input::Claimed), ["run b"]);
    assert_eq!(again.complete("b", json!({})), ["run c"]);
    assert_eq!(again.complete("c", json!({})), ["end"]);
}

#[test]
fn what_cannot_be_done_over_is_refused() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x}, {id: b, run: x}]\nfinally: [{id: f, run: x}]");
    assert_eq!(case.rerun(None).err(), Some(RerunError::NotEnded));
    case.complete("a", json!({}));
    case.complete("b", json!({}));
    case.complete("f", json!({}));
    assert_eq!(case.rerun(None).err(), Some(RerunError::NothingFailed));
    assert_eq!(case.rerun(Some("nope")).err(), Some(RerunError::UnknownStep("nope".to_owned())));
    assert_eq!(case.rerun(Some("f")).err(), Some(RerunError::NotAStart("f".to_owned())));
    assert!(case.rerun(Some("a")).is_ok());
}

#[test]
fn a_failed_foreach_keeps_the_values_that_completed() {
    let (mut case, _) = Case::begun("steps: [{id: each, foreach: [1, 2, 3], run: x}]");
    case.complete("each[0]", json!({ "n": 1 }));
    case.fail("each[1]");
    case.complete("each[2]", json!({ "n": 3 }));
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.shows(), "each waiting, each[0] completed, each[2] completed");
    assert_eq!(again.tell(Input::Claimed), ["run each[1]"]);
    assert_eq!(again.crash(None), ["run each[1]"]);
    assert_eq!(again.complete("each[1]", json!({ "n": 2 })), ["end"]);
    assert_eq!(again.step("each").output, Some(json!([{ "n": 1 }, { "n": 2 }, { "n": 3 }])));

    let mut anew = case.rerun(Some("each[1]")).unwrap();
    assert_eq!(anew.shows(), "", "a step that is named is done anew as a whole");
    assert_eq!(anew.tell(Input::Claimed).len(), 3);
}

#[test]
fn a_failed_group_keeps_the_steps_that_completed() {
    let (mut case, _) = Case::begun(
        "steps: [{id: g, foreach: [1, 2], steps: [{id: a, run: x}, {id: b, run: x}, {id: c, if: always(), run: x}]}]",
    );
    for value in ["g[0]", "g[1]"] {
        case.complete(&format!("{value}.a"), json!({}));
    }
    case.complete("g[0].b", json!({}));
    case.fail("g[1].b");
    case.complete("g[0].c", json!({}));
    case.complete("g[1].c", json!({}));
    let mut again = case.rerun(None).unwrap();
    assert_eq!(
        again.shows(),
        "g waiting, g[0] completed, g[0].a completed, g[0].b completed, g[0].c completed, \
         g[1] waiting, g[1].a completed, g[1].c completed"
    );
    assert_eq!(again.tell(Input::Claimed), ["run g[1].b"]);
    assert_eq!(again.complete("g[1].b", json!({})), ["end"]);
    assert_eq!(again.status(), ExecutionStatus::Completed);
}

#[test]
fn a_group_that_failed_with_all_its_steps_completed_is_done_anew() {
    let (mut case, _) =
        Case::begun("steps: [{id: g, outputs: {a: {type: object, required: [rows]}}, steps: [{id: a, run: x}]}]");
    case.complete("g.a", json!({}));
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.tell(Input::Claimed), ["run g.a"]);
    again.complete("g.a", json!({ "rows": 1 }));
    assert_eq!(again.status(), ExecutionStatus::Completed);
}

#[test]
fn what_failed_before_it_ran_is_evaluated_anew() {
    let (mut case, _) = Case::begun(
        "steps:\n\
         - {id: a, run: x}\n\
         - {id: g, needs: a, if: \"steps.a.outputs.go\", steps: [{id: x, run: x}]}\n\
         - {id: s, needs: a, switch: \"${{ steps.a.outputs.go }}\", cases: [{when: 1, steps: [{id: y, run: x}]}], \
            default: [{id: z, run: x}]}",
    );
    assert_eq!(case.complete("a", json!({})), ["end"]);
    case.reload();
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.shows(), "a completed");
    assert_eq!(again.tell(Input::Claimed), ["end"]);
    assert_eq!(again.shows(), "a completed, g failed, s failed");
}

#[test]
fn a_loop_that_failed_begins_again_with_its_first_round() {
    let (mut case, _) = Case::begun("steps: [{id: p, until: steps.p.outputs.ok, max_attempts: 2, run: x}]");
    case.complete("p[0]", json!({ "ok": false }));
    case.complete("p[1]", json!({ "ok": false }));
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.tell(Input::Claimed), ["run p[0]"]);
}

#[test]
fn when_only_what_came_after_the_steps_failed_that_is_done_anew() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x}]\nfinally: [{id: f, run: x}]");
    case.complete("a", json!({}));
    case.fail("f");
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.shows(), "a completed");
    assert_eq!(again.tell(Input::Claimed), ["run f"]);
    assert_eq!(again.complete("f", json!({})), ["end"]);
    assert_eq!(again.status(), ExecutionStatus::Completed);
}

#[test]
fn when_only_the_result_failed_that_is_evaluated_anew() {
    let (mut case, _) = Case::begun("outputs: {n: \"${{ steps.a.outputs.n }}\"}\nsteps: [{id: a, run: x}]");
    case.complete("a", json!({}));
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.tell(Input::Claimed), ["end"]);
    assert_eq!(again.status(), ExecutionStatus::Failed);
}

#[test]
fn the_end_of_a_cancelled_or_late_execution_can_be_done_over() {
    let (mut case, _) = Case::begun("timeout: 10s\nsteps: [{id: a, run: x}, {id: each, foreach: [1, 2], run: x}]");
    case.complete("a", json!({}));
    case.complete("each[1]", json!({}));
    case.wake();
    case.stopped("each[0]");
    assert_eq!(case.status(), ExecutionStatus::TimedOut);
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.tell(Input::Claimed), ["run each[0]"]);
    assert_eq!(again.complete("each[0]", json!({})), ["end"]);

    let mut never_ran = Case::queued("steps: [{id: a, run: x}]");
    never_ran.cancel(None);
    assert_eq!(never_ran.rerun(None).unwrap().tell(Input::Claimed), ["run a"]);
}

#[test]
fn a_group_that_goes_on_has_its_time_limit_anew() {
    let (mut case, _) = Case::begun("steps: [{id: g, timeout: 10s, steps: [{id: a, run: x}, {id: b, run: x}]}]");
    case.complete("g.a", json!({}));
    case.wake();
    case.stopped("g.b");
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.tell(Input::Claimed), ["run g.b"]);
    assert_eq!(again.execution.next_wake_at(), Some(crate::rig::at(20)));
    assert_eq!(again.wake(), ["stop g.b"]);
}

#[test]
fn what_is_cancelled_in_the_queue_leaves_nothing_under_way() {
    let (mut case, _) = Case::begun("steps: [{id: each, foreach: [1, 2], run: x}]");
    case.complete("each[0]", json!({}));
    case.fail("each[1]");
    let mut again = case.rerun(None).unwrap();
    assert_eq!(again.cancel(None), ["end"]);
    assert_eq!(again.shows(), "each cancelled, each[0] completed");
}

#[test]
fn a_rerun_that_failed_can_be_done_over_too() {
    let mut again = failed_at_b().rerun(None).unwrap();
    again.tell(Input::Claimed);
    again.complete("b", json!({}));
    assert_eq!(again.fail("c"), ["end"]);
    let mut third = again.rerun(None).unwrap();
    assert_eq!(third.shows(), "a completed, b completed");
    assert_eq!(third.tell(Input::Claimed), ["run c"]);
    assert_eq!(third.tell(Input::Woken), NOTHING);
}
