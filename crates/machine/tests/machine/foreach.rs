//! Steps that run once for each value of a list.

use cogwheel_machine::{ExecutionStatus, FailureKind, StepStatus};
use serde_json::{Value, json};

use crate::rig::{Case, NOTHING};

#[test]
fn each_value_is_a_step_of_its_own() {
    let (mut case, first) = Case::begun(
        "steps:\n\
         - {id: each, foreach: \"${{ inputs.list }}\", uses: set, with: {n: \"${{ item * 10 + index }}\"}}\n\
         - {id: sum, uses: set, with: {n: \"${{ steps.each.outputs | map(attribute='n') | sum }}\"}}",
    );
    assert_eq!(first, ["run each[0]", "run each[1]", "run each[2]"]);
    assert_eq!(case.step("each").input, Some(json!({ "items": [1, 2, 3] })));
    for value in [1, 0, 2] {
        let key = format!("each[{value}]");
        let input = case.step(&key).input.clone().unwrap();
        case.complete(&key, input);
    }
    assert_eq!(case.step("each").output, Some(json!([{ "n": 10 }, { "n": 21 }, { "n": 32 }])), "in order");
    assert_eq!(case.step("sum").input, Some(json!({ "n": 63 })));
}

#[test]
fn no_more_values_are_under_way_than_may_be() {
    let (mut case, first) = Case::begun("steps: [{id: each, foreach: [1, 2, 3, 4], max_parallel: 2, run: x}]");
    assert_eq!(first, ["run each[0]", "run each[1]"]);
    assert!(!case.execution.has_work(), "the others are not waiting for room");
    assert_eq!(case.complete("each[1]", json!({})), ["run each[2]"]);
    assert_eq!(case.complete("each[2]", json!({})), ["run each[3]"]);
    assert_eq!(case.complete("each[3]", json!({})), NOTHING);
    assert_eq!(case.complete("each[0]", json!({})), ["end"]);
}

#[test]
fn a_value_that_pauses_counts_as_under_way() {
    let (mut case, _) = Case::begun("steps: [{id: each, foreach: [1, 2], max_parallel: 1, run: x, retry: 2}]");
    assert_eq!(case.fail("each[0]"), NOTHING);
    assert_eq!(case.wake(), ["run each[0]"]);
    assert_eq!(case.complete("each[0]", json!({})), ["run each[1]"]);
}

#[test]
fn without_a_limit_the_room_of_the_execution_is_it() {
    let (mut case, first) =
        Case::begun("steps: [{id: each, needs: [], foreach: [1, 2, 3, 4, 5], run: x}, {id: b, needs: [], run: x}]");
    assert_eq!(first, ["run b", "run each[0]", "run each[1]", "run each[2]"]);
    assert_eq!(case.complete("each[1]", json!({})), ["run each[3]"]);
    assert_eq!(case.complete("b", json!({})), ["run each[4]"]);
}

#[test]
fn an_empty_list_completes_at_once() {
    let (mut case, first) = Case::begun("steps: [{id: each, foreach: [], run: x}, {id: after, run: x}]");
    assert_eq!(first, ["run after"]);
    assert_eq!(case.step("each").output, Some(json!([])));
    case.complete("after", json!({}));
    assert_eq!(case.status(), ExecutionStatus::Completed);
}

#[test]
fn only_lists_have_values() {
    for (value, described) in [("inputs.who", "text"), ("inputs", "a mapping"), ("none", "null"), ("1", "a number")] {
        let (case, first) = Case::begun(&format!("steps: [{{id: each, foreach: \"${{{{ {value} }}}}\", run: x}}]"));
        assert_eq!(first, ["end"]);
        assert_eq!(case.error().title, format!("`foreach` needs a list, not {described}"));
        assert_eq!(case.error().kind, FailureKind::Expression);
        assert_eq!(case.shows(), "each failed");
    }
}

#[test]
fn a_list_that_is_too_long_is_refused_as_a_whole() {
    let text = "steps: [{id: a, run: x}, {id: each, foreach: \"${{ steps.a.outputs.list }}\", run: x}]";
    let list = |count: usize| json!({ "list": vec![Value::Null; count] });
    let (mut case, _) = Case::begun(text);
    assert_eq!(case.complete("a", list(100_001)), ["end"]);
    assert_eq!(case.error().title, "`foreach` takes at most 100000 values, and there are 100001");
    let (mut case, _) = Case::begun(text);
    assert_eq!(case.complete("a", list(100_000)).len(), 4);
}

#[test]
fn all_values_are_done_though_some_fail() {
    let (mut case, _) = Case::begun("steps: [{id: each, foreach: [1, 2, 3], max_parallel: 2, run: x}]");
    assert_eq!(case.fail("each[1]"), ["run each[2]"]);
    case.wait(1);
    case.fail("each[0]");
    assert_eq!(case.complete("each[2]", json!({ "rows": 1 })), ["end"]);
    assert_eq!(case.step("each").output, Some(json!([null, null, { "rows": 1 }])));
    let error = case.error();
    assert_eq!(error.title, "2 of 3 values failed; the first was each[1]: exit code 3");
    assert_eq!((error.code(), error.step.as_deref()), ("exit.3", Some("each[1]")));
}

#[test]
fn a_foreach_whose_failures_are_tolerated_lets_others_go_on() {
    let (mut case, _) =
        Case::begun("steps: [{id: each, foreach: [1, 2], continue_on_error: true, run: x}, {id: after, run: x}]");
    case.fail("each[0]");
    assert_eq!(case.complete("each[1]", json!({})), ["run after"]);
    assert_eq!(case.step("each").status, StepStatus::Failed);
    assert_eq!(case.complete("after", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Completed);
}

#[test]
fn its_if_is_asked_once_before_the_list() {
    let (case, first) = Case::begun("steps: [{id: each, if: false, foreach: \"${{ inputs.who }}\", run: x}]");
    assert_eq!((first, case.shows()), (vec!["end".to_owned()], "each skipped".to_owned()));
}

#[test]
fn values_whose_steps_are_evaluated_in_vain_fail_one_by_one() {
    let (mut case, first) =
        Case::begun("steps: [{id: each, foreach: [{n: 1}, {}, {n: 3}], uses: set, with: {n: \"${{ item.n }}\"}}]");
    assert_eq!(first, ["run each[0]", "run each[2]"]);
    case.complete("each[0]", json!({}));
    assert_eq!(case.complete("each[2]", json!({})), ["end"]);
    assert_eq!(case.shows(), "each failed, each[0] completed, each[1] failed, each[2] completed");
}

#[test]
fn a_cancel_stops_every_value_and_begins_no_other() {
    let (mut case, _) = Case::begun("steps: [{id: each, foreach: [1, 2, 3], max_parallel: 2, run: x}]");
    assert_eq!(case.cancel(None), ["stop each[0]", "stop each[1]"]);
    assert_eq!(case.stopped("each[0]"), NOTHING);
    assert_eq!(case.stopped("each[1]"), ["end"]);
    assert_eq!(case.shows(), "each cancelled, each[0] cancelled, each[1] cancelled");
}
