//! Steps that run again until something holds.

use cogwheel_machine::{ExecutionStatus, FailureKind};
use serde_json::json;

use crate::rig::{Case, NOTHING, at};

const POLL: &str = "steps:\n\
                    - {id: poll, until: steps.poll.outputs.ready, every: 10s, max_attempts: 3, run: x}\n\
                    - {id: after, run: x}";

#[test]
fn a_step_is_repeated_until_it_holds() {
    let (mut case, first) = Case::begun(POLL);
    assert_eq!(first, ["run poll[0]"]);
    assert_eq!(case.complete("poll[0]", json!({ "ready": false })), NOTHING);
    assert_eq!(case.shows(), "poll waiting, poll[0] completed");
    assert_eq!((case.status(), case.execution.next_wake_at()), (ExecutionStatus::Waiting, Some(at(10))));
    assert_eq!(case.wake(), ["run poll[1]"]);
    assert_eq!(case.complete("poll[1]", json!({ "ready": true, "rows": 4 })), ["run after"]);
    assert_eq!(case.step("poll").output, Some(json!({ "ready": true, "rows": 4 })), "those of the last round");
}

#[test]
fn a_step_that_never_holds_has_failed() {
    let (mut case, _) = Case::begun(POLL);
    for round in 0..2 {
        assert_eq!(case.complete(&format!("poll[{round}]"), json!({ "ready": false })), NOTHING);
        case.wake();
    }
    assert_eq!(case.complete("poll[2]", json!({ "ready": false })), ["end"]);
    assert_eq!((case.error().code(), case.error().kind), ("loop.exhausted", FailureKind::Loop));
    assert_eq!(case.error().title, "`until` did not hold after 3 rounds");
    assert_eq!(case.step("poll").output, Some(json!({ "ready": false })));
}

#[test]
fn a_round_that_fails_fails_the_loop() {
    let (mut case, _) = Case::begun(POLL);
    case.complete("poll[0]", json!({ "ready": false }));
    case.wake();
    assert_eq!(case.fail("poll[1]"), ["end"]);
    assert_eq!(case.shows(), "poll failed, poll[0] completed, poll[1] failed, after skipped");
    assert_eq!((case.error().code(), case.error().step.as_deref()), ("exit.3", Some("poll[1]")));
}

#[test]
fn a_round_is_tried_again_on_its_own() {
    let (mut case, _) =
        Case::begun("steps: [{id: poll, until: steps.poll.outputs.ready, run: x, retry: {attempts: 2, delay: 3s}}]");
    case.fail("poll[0]");
    assert_eq!(case.wake(), ["run poll[0]"]);
    assert_eq!(case.complete("poll[0]", json!({ "ready": false })), ["run poll[1]"], "without `every`, at once");
    case.fail("poll[1]");
    case.wake();
    assert_eq!(case.fail("poll[1]"), ["end"]);
}

#[test]
fn a_condition_that_is_no_truth_value_fails_the_loop() {
    for (output, why) in [(json!({ "ready": 1 }), "it must give true or false, not 1"), (json!({}), "no `ready`")] {
        let (mut case, _) = Case::begun(POLL);
        assert_eq!(case.complete("poll[0]", output), ["end"]);
        assert!(case.error().title.starts_with("`until`: ") && case.error().title.contains(why), "{:?}", case.error());
        assert_eq!(case.step("poll[0]").status.as_str(), "completed");
    }
}

#[test]
fn a_group_is_repeated_as_a_whole() {
    let (mut case, _) =
        Case::begun("steps: [{id: g, until: steps.g.outputs.b.ready, steps: [{id: a, run: x}, {id: b, run: x}]}]");
    case.complete("g[0].a", json!({}));
    assert_eq!(case.complete("g[0].b", json!({ "ready": false })), ["run g[1].a"]);
    case.complete("g[1].a", json!({}));
    assert_eq!(case.complete("g[1].b", json!({ "ready": true })), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Completed);
}

#[test]
fn each_value_has_rounds_of_its_own() {
    let (mut case, first) =
        Case::begun("steps: [{id: each, foreach: [1, 2], until: steps.each.outputs.n == item, run: x, every: 10s}]");
    assert_eq!(first, ["run each[0][0]", "run each[1][0]"]);
    case.complete("each[0][0]", json!({ "n": 1 }));
    assert_eq!(case.complete("each[1][0]", json!({ "n": 1 })), NOTHING);
    assert_eq!(
        case.shows(),
        "each running, each[0] completed, each[1] waiting, each[0][0] completed, each[1][0] completed"
    );
    case.wake();
    assert_eq!(case.complete("each[1][1]", json!({ "n": 2 })), ["end"]);
}

#[test]
fn a_cancel_ends_a_pause() {
    let (mut case, _) = Case::begun(POLL);
    case.complete("poll[0]", json!({ "ready": false }));
    assert_eq!(case.cancel(None), ["end"]);
    assert_eq!(case.shows(), "poll cancelled, poll[0] completed, after cancelled");
}

#[test]
fn very_many_rounds_do_not_pile_up() {
    let (mut case, _) = Case::begun(
        "steps: [{id: g, until: inputs.who == 'nobody', max_attempts: 2000, \
         steps: [{id: s, switch: 1, cases: [{when: 2, steps: [{run: x}]}]}]}]",
    );
    assert_eq!(case.error().code(), "loop.exhausted");
    assert_eq!(case.execution.steps().len(), 1 + 2 * 2000);
    assert_eq!(case.try_tell(cogwheel_machine::Input::Woken), Err(cogwheel_machine::Rejected::NotRunning));
}
