//! Steps inside of steps.

use cogwheel_machine::{ExecutionStatus, FailureKind};
use serde_json::json;

use crate::rig::{Case, NOTHING, at};

#[test]
fn a_group_ends_with_its_steps_and_puts_out_theirs() {
    let (mut case, first) = Case::begun(
        "outputs: {rows: \"${{ steps.g.outputs.b.rows }}\"}\n\
         steps: [{id: g, steps: [{id: a, run: x}, {id: b, run: x}]}, {id: after, run: x}]",
    );
    assert_eq!(first, ["run g.a"]);
    assert_eq!(case.shows(), "g running, g.a running");
    assert_eq!(case.step("g.a").parent, Some(0));
    assert_eq!(case.complete("g.a", json!({})), ["run g.b"]);
    assert_eq!(case.complete("g.b", json!({ "rows": 2 })), ["run after"]);
    assert_eq!(case.step("g").output, Some(json!({ "a": {}, "b": { "rows": 2 } })));
    case.complete("after", json!({}));
    assert_eq!(case.execution.result(), Some(&json!({ "rows": 2 })));
}

#[test]
fn a_failing_step_lets_its_siblings_go_on_and_fails_the_group() {
    let (mut case, _) = Case::begun(
        "steps:\n\
         - id: g\n  \
           steps: [{id: a, needs: [], run: x}, {id: b, needs: [], run: x}, {id: c, needs: a, run: x}]\n\
         - {id: after, run: x}",
    );
    assert_eq!(case.fail("g.a"), NOTHING);
    assert_eq!(case.shows(), "g running, g.a failed, g.b running, g.c skipped");
    case.wait(1);
    assert_eq!(case.fail("g.b"), ["end"]);
    assert_eq!(case.shows(), "g failed, g.a failed, g.b failed, g.c skipped, after skipped");
    let error = case.step_error("g").clone();
    assert_eq!((error.code(), error.step.as_deref()), ("exit.3", Some("g.a")), "the first failure is the cause");
    assert_eq!(case.error(), &error);
    assert_eq!(case.step("g").output, Some(json!({ "a": null, "b": null, "c": null })));
}

#[test]
fn the_cause_is_named_by_the_innermost_step() {
    let (mut case, _) =
        Case::begun("steps: [{id: load, foreach: [1, 2, 3, 4], steps: [{id: check, run: x}, {id: send, run: x}]}]");
    for value in 0..4 {
        case.complete(&format!("load[{value}].check"), json!({}));
    }
    for value in 0..3 {
        case.complete(&format!("load[{value}].send"), json!({}));
    }
    assert_eq!(case.fail("load[3].send"), ["end"]);
    assert_eq!(case.error().step.as_deref(), Some("load[3].send"));
    assert_eq!(case.step_error("load[3]").step.as_deref(), Some("load[3].send"));
    assert_eq!(case.error().title, "1 of 4 values failed; the first was load[3]: exit code 3");
    let outputs = json!([{ "check": {}, "send": {} }, { "check": {}, "send": {} }, { "check": {}, "send": {} }, null]);
    assert_eq!(case.step("load").output, Some(outputs));
}

#[test]
fn a_failure_that_is_tolerated_inside_does_not_fail_the_group() {
    let (mut case, _) = Case::begun(
        "steps: [{id: g, steps: [{id: a, run: x, continue_on_error: true}, {id: b, run: x}]}, {id: after, run: x}]",
    );
    assert_eq!(case.fail("g.a"), ["run g.b"]);
    assert_eq!(case.complete("g.b", json!({})), ["run after"]);
}

#[test]
fn a_group_that_is_tolerated_holds_nothing_up() {
    let (mut case, _) =
        Case::begun("steps: [{id: g, continue_on_error: true, steps: [{id: a, run: x}]}, {id: after, run: x}]");
    assert_eq!(case.fail("g.a"), ["run after"]);
    assert_eq!(case.complete("after", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Completed);
}

#[test]
fn inner_steps_read_those_around_them_and_the_nearest_value() {
    let (mut case, _) = Case::begun(
        "env: {REGION: \"${{ inputs.who }}\"}\n\
         steps:\n\
         - {id: first, run: x}\n\
         - id: outer\n  \
           foreach: [a, b]\n  \
           max_parallel: 1\n  \
           steps:\n  \
           - {id: own, uses: set, with: {letter: \"${{ item }}\", index: \"${{ index }}\"}}\n  \
           - id: inner\n    \
             foreach: [1, 2]\n    \
             max_parallel: 1\n    \
             steps:\n    \
             - id: deep\n      \
               uses: set\n      \
               with:\n        \
                 all: \"${{ env.REGION }} ${{ steps.first.outputs.rows }} ${{ steps.own.outputs.letter }} \
                        ${{ item }} ${{ index }}\"",
    );
    case.complete("first", json!({ "rows": 7 }));
    for (value, letter) in [(0, "a"), (1, "b")] {
        let own = format!("outer[{value}].own");
        assert_eq!(case.step(&own).input, Some(json!({ "letter": letter, "index": value })));
        case.complete(&own, json!({ "letter": letter }));
        for number in 0..2 {
            let deep = format!("outer[{value}].inner[{number}].deep");
            let all = format!("world 7 {letter} {} {number}", number + 1);
            assert_eq!(case.step(&deep).input, Some(json!({ "all": all })));
            case.complete(&deep, json!({}));
        }
    }
    assert_eq!(case.status(), ExecutionStatus::Completed);
}

#[test]
fn a_group_that_is_out_of_time_stops_what_it_encloses() {
    let (mut case, _) = Case::begun(
        "steps:\n\
         - id: g\n  \
           timeout: 10s\n  \
           steps: [{id: a, needs: [], run: x, retry: 3}, {id: b, needs: a, run: x}, \
                   {id: t, needs: [], uses: wait, with: {for: 1m}}]\n\
         - {id: after, if: failure(), run: x}",
    );
    assert_eq!(case.execution.next_wake_at(), Some(at(10)));
    assert_eq!(case.wake(), ["stop g.a"]);
    assert_eq!(case.shows(), "g running, g.t cancelled, g.a running, g.b cancelled");
    assert_eq!(case.stopped("g.a"), ["run after"]);
    assert_eq!((case.step("g").status.as_str(), case.step_error("g").kind), ("timed_out", FailureKind::Timeout));
    assert_eq!(case.step_error("g.b").title, "the step around it ended first");
    case.complete("after", json!({}));
    assert_eq!((case.status(), case.error().step.as_deref()), (ExecutionStatus::Failed, Some("g")));
}

#[test]
fn a_group_is_skipped_as_a_whole() {
    let (case, first) = Case::begun("steps: [{id: g, if: false, steps: [{id: a, run: x}]}]");
    assert_eq!(first, ["end"]);
    assert_eq!(case.shows(), "g skipped");
}

#[test]
fn declared_outputs_of_a_group_are_checked() {
    let (mut case, _) =
        Case::begun("steps: [{id: g, outputs: {a: {type: object, required: [rows]}}, steps: [{id: a, run: x}]}]");
    case.complete("g.a", json!({}));
    assert_eq!(case.error().code(), "output.schema");
    assert_eq!(case.shows(), "g failed, g.a completed");
}
