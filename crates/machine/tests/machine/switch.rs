//! One of several groups.

use cogwheel_machine::ExecutionStatus;
use serde_json::json;

use crate::rig::Case;

/// What runs first when `a` puts out `value`.
fn chosen(value: &serde_json::Value) -> (Case, Vec<String>) {
    let (mut case, _) = Case::begun(
        "steps:\n\
         - {id: a, run: x}\n\
         - id: s\n  \
           switch: ${{ steps.a.outputs.value }}\n  \
           cases:\n  \
           - {when: 1, steps: [{id: number, run: x}]}\n  \
           - {when: \"1\", steps: [{id: text, run: x}]}\n  \
           - {when: [true, null, [1, 2], \"${{ inputs.who }}\"], steps: [{id: listed, run: x}]}\n  \
           - {when: {a: 1}, steps: [{id: mapping, run: x}]}\n  \
           default: [{id: other, run: x}]\n\
         - {id: after, run: x}",
    );
    let effects = case.complete("a", json!({ "value": value }));
    (case, effects)
}

#[test]
fn the_first_case_that_equals_the_value_runs() {
    for (value, step) in [
        (json!(1), "number"),
        (json!(1.0), "number"),
        (json!("1"), "text"),
        (json!(true), "listed"),
        (json!(null), "listed"),
        (json!("world"), "listed"),
        (json!({ "a": 1 }), "mapping"),
        (json!(2), "other"),
        (json!("true"), "other"),
        (json!(""), "other"),
        (json!([1, 2]), "listed"),
        (json!({}), "other"),
    ] {
        let (_, effects) = chosen(&value);
        assert_eq!(effects, [format!("run s.{step}")], "{value}");
    }
}

#[test]
fn a_choice_is_recorded_and_outlives_a_crash() {
    let (mut case, _) = chosen(&json!("1"));
    assert_eq!(case.step("s").input, Some(json!({ "on": "1", "case": 1 })));
    assert_eq!(case.crash(None), ["run s.text"]);
    assert_eq!(case.complete("s.text", json!({ "rows": 1 })), ["run after"]);
    assert_eq!(case.step("s").output, Some(json!({ "text": { "rows": 1 } })), "those of the group that ran");

    let (mut case, _) = chosen(&json!("none of them"));
    assert_eq!(case.crash(None), ["run s.other"]);
}

#[test]
fn without_a_default_nothing_has_to_match() {
    let (case, first) = Case::begun("steps: [{id: s, switch: 3, cases: [{when: 1, steps: [{id: a, run: x}]}]}]");
    assert_eq!(first, ["end"]);
    assert_eq!((case.status(), case.shows().as_str()), (ExecutionStatus::Completed, "s completed"));
    assert_eq!(case.step("s").output, Some(json!({})));
}

#[test]
fn a_value_that_cannot_be_evaluated_fails_the_step() {
    let (case, first) = Case::begun(
        "steps: [{id: s, switch: \"${{ inputs.list[9] }}\", cases: [{when: 1, steps: [{id: a, run: x}]}], \
         default: [{id: b, run: x}]}]",
    );
    assert_eq!((first, case.shows()), (vec!["end".to_owned()], "s failed".to_owned()));
}

#[test]
fn a_failure_inside_of_a_case_is_the_steps() {
    let (mut case, _) = chosen(&json!(1));
    assert_eq!(case.fail("s.number"), ["end"]);
    assert_eq!(
        (case.shows().as_str(), case.error().step.as_deref()),
        ("a completed, s failed, s.number failed, after skipped", Some("s.number"))
    );
}
