//! Which steps run, in which order, and what they see of each other.

use cogwheel_machine::{ExecutionStatus, FailureKind};
use serde_json::json;

use crate::rig::{Case, NOTHING};

#[test]
fn a_list_without_needs_runs_top_to_bottom() {
    let (mut case, first) = Case::begun("steps: [{id: a, run: x}, {id: b, run: x}]");
    assert_eq!(first, ["run a"]);
    assert_eq!(case.shows(), "a running", "nothing is recorded of what has not begun");
    case.wait(1);
    assert_eq!(case.complete("a", json!({})), ["run b"]);
    assert_eq!(case.complete("b", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Completed);
    assert_eq!(case.step("a").duration_ms(), Some(1000));
    assert_eq!(case.execution.step_key(1), "00000000-0000-0000-0000-000000000007/1");
}

#[test]
fn a_graph_runs_side_by_side_and_joins() {
    let (mut case, first) = Case::begun("steps: [{id: a, run: x}, {id: b, run: x}, {id: c, needs: [a, b], run: x}]");
    assert_eq!(first, ["run a", "run b"]);
    assert_eq!(case.complete("b", json!({})), NOTHING);
    assert_eq!(case.complete("a", json!({})), ["run c"]);
}

#[test]
fn as_many_steps_run_at_once_as_may_and_the_others_follow_in_order() {
    let steps: Vec<_> = (0..6).map(|step| format!("{{id: s{step}, needs: [], run: x}}")).collect();
    let (mut case, first) = Case::begun(&format!("steps: [{}]", steps.join(", ")));
    assert_eq!(first, ["run s0", "run s1", "run s2", "run s3"]);
    assert!(case.execution.has_work());
    assert_eq!(case.complete("s2", json!({})), ["run s4"]);
    assert_eq!(case.fail("s0"), ["run s5"]);
    assert!(!case.execution.has_work());
}

#[test]
fn a_failure_skips_what_needs_it_and_is_the_cause() {
    let (mut case, _) = Case::begun(
        "steps: [{id: a, run: x}, {id: b, needs: a, run: x}, {id: c, needs: b, run: x}, {id: d, needs: [], run: x}]",
    );
    assert_eq!(case.fail("a"), NOTHING);
    assert_eq!(case.shows(), "a failed, d running, b skipped, c skipped");
    assert_eq!(case.status(), ExecutionStatus::Running, "an independent branch goes on");
    assert_eq!(case.complete("d", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Failed);
    assert_eq!(case.error().step.as_deref(), Some("a"));
    assert_eq!(case.step_error("c").title, "needs `b`, which ended skipped");
}

#[test]
fn outputs_of_needs_reach_expressions_and_the_result() {
    let (mut case, _) = Case::begun(
        "outputs: {greeting: \"${{ steps.b.outputs.text }}\"}\n\
         steps:\n\
         - {id: a, run: x}\n\
         - {id: b, uses: set, with: {text: \"hello ${{ inputs.who }}, ${{ steps.a.outputs.rows + 1 }} rows\"}}",
    );
    assert_eq!(case.complete("a", json!({ "rows": 2 })), ["run b"]);
    let input = case.step("b").input.clone().unwrap();
    assert_eq!(input, json!({ "text": "hello world, 3 rows" }));
    assert_eq!(case.complete("b", input), ["end"]);
    assert_eq!(case.execution.result(), Some(&json!({ "greeting": "hello world, 3 rows" })));
}

#[test]
fn an_expression_that_cannot_be_evaluated_fails_its_step() {
    let (mut case, _) =
        Case::begun("steps: [{id: a, run: x}, {id: b, uses: set, with: {n: \"${{ steps.a.outputs.missing }}\"}}]");
    assert_eq!(case.complete("a", json!({})), ["end"]);
    assert_eq!(case.step_error("b").kind, FailureKind::Expression);
    assert_eq!(case.status(), ExecutionStatus::Failed);
}

#[test]
fn a_result_that_cannot_be_evaluated_fails_the_execution() {
    let (mut case, _) = Case::begun("outputs: {n: \"${{ steps.a.outputs.missing }}\"}\nsteps: [{id: a, run: x}]");
    assert_eq!(case.complete("a", json!({})), ["end"]);
    assert_eq!((case.status(), case.error().kind), (ExecutionStatus::Failed, FailureKind::Expression));
    assert!(case.error().title.starts_with("outputs: "));
}

#[test]
fn a_value_that_no_database_stores_fails_its_step() {
    let (mut case, _) =
        Case::begun("steps: [{id: a, run: x}, {id: b, uses: set, with: {n: \"${{ steps.a.outputs.text }}\"}}]");
    case.complete("a", json!({ "text": "a\0b" }));
    assert!(case.error().title.contains("U+0000"));
}

#[test]
fn declared_outputs_are_checked_when_the_step_completes() {
    let text = "steps: [{id: a, run: x, outputs: {rows: {type: integer}}}]";
    let (mut good, _) = Case::begun(text);
    good.complete("a", json!({ "rows": 3, "more": "comes with it" }));
    assert_eq!(good.step("a").output, Some(json!({ "rows": 3, "more": "comes with it" })));
    assert_eq!(good.status(), ExecutionStatus::Completed);

    let (mut bad, _) = Case::begun(text);
    bad.complete("a", json!({ "rows": "three" }));
    assert_eq!(bad.step_error("a").code(), "output.schema");
    assert!(bad.step_error("a").detail.as_deref().unwrap().contains("rows"), "{:?}", bad.step_error("a"));
    assert_eq!(bad.step("a").output, Some(json!({ "rows": "three" })), "what it put out can be looked at");
}

#[test]
fn outputs_that_are_not_as_declared_can_be_tried_again() {
    let (mut case, _) = Case::begun(
        "steps: [{id: a, run: x, outputs: {rows: {type: integer}}, retry: {attempts: 2, on: output, jitter: false}}]",
    );
    assert_eq!(case.complete("a", json!({})), NOTHING);
    assert_eq!(case.shows(), "a retrying");
    assert_eq!(case.wake(), ["run a"]);
    assert_eq!(case.complete("a", json!({ "rows": 1 })), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Completed);
}

#[test]
fn a_false_if_skips_the_step_and_what_needs_it() {
    let (mut case, first) = Case::begun(
        "steps:\n\
         - {id: a, if: \"inputs.who == 'nobody'\", run: x}\n\
         - {id: b, run: x}\n\
         - {id: c, if: \"always()\", run: x}",
    );
    assert_eq!(first, ["run c"]);
    assert_eq!(case.shows(), "a skipped, b skipped, c running");
    assert_eq!(case.step_error("a").kind, FailureKind::ConditionFalse);
    case.complete("c", json!({}));
    assert_eq!(case.status(), ExecutionStatus::Completed, "a branch that was not taken is no failure");
}

#[test]
fn an_if_that_is_no_truth_value_fails_the_step() {
    let (case, first) = Case::begun("steps: [{id: a, if: \"inputs.who\", run: x}]");
    assert_eq!(first, ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Failed);
    assert!(case.error().title.contains("must give true or false"));
}

#[test]
fn a_handler_runs_only_after_a_failure() {
    let text = "steps: [{id: a, run: x}, {id: b, run: x}, {id: handle, if: \"failure()\", run: x}]";
    let (mut failing, _) = Case::begun(text);
    assert_eq!(failing.fail("a"), ["run handle"], "the failure is upstream, though not a direct need");
    failing.complete("handle", json!({}));
    assert_eq!(failing.status(), ExecutionStatus::Failed, "handling a failure does not undo it");

    let (mut sound, _) = Case::begun(text);
    sound.complete("a", json!({}));
    sound.complete("b", json!({}));
    assert_eq!(sound.shows(), "a completed, b completed, handle skipped");
    assert_eq!(sound.status(), ExecutionStatus::Completed);
}

#[test]
fn an_error_that_is_tolerated_holds_nothing_up() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, continue_on_error: true}, {id: b, run: x}]");
    assert_eq!(case.fail("a"), ["run b"]);
    assert_eq!(case.complete("b", json!({})), ["end"]);
    assert_eq!(case.shows(), "a failed, b completed");
    assert_eq!(case.status(), ExecutionStatus::Completed);
}
