//! The order of undos: that of the steps, backwards.

use cogwheel_machine::{ExecutionStatus, StepStatus};
use serde_json::json;

use super::undoable;
use crate::rig::{Case, NOTHING};

#[test]
fn a_chain_is_undone_from_its_end() {
    let (mut case, _) = Case::begun(&format!(
        "steps: [{}, {}, {}, {{id: d, run: x}}]",
        undoable("a", ""),
        undoable("b", ""),
        undoable("c", "")
    ));
    for step in ["a", "b", "c"] {
        case.complete(step, json!({ "of": step }));
    }
    assert_eq!(case.fail("d"), ["run c.compensate"]);
    assert_eq!(case.status(), ExecutionStatus::Compensating);
    assert_eq!(case.undos(), "c 0 running, b 1 pending, a 2 pending");
    assert_eq!(case.step("c.compensate").parent, Some(case.step("c").ordinal));
    assert_eq!(case.complete("c.compensate", json!({})), ["run b.compensate"]);
    assert_eq!(case.complete("b.compensate", json!({})), ["run a.compensate"]);
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Compensated);
    assert_eq!((case.error().step.as_deref(), case.error().code()), (Some("d"), "exit.3"), "the cause is kept");
    assert_eq!(case.step("a").status, StepStatus::Completed, "an undo does not change the step that it undoes");
}

#[test]
fn branches_are_undone_side_by_side() {
    let (mut case, _) = Case::begun(&format!(
        "steps: [{}, {}, {}, {{id: d, needs: [b, c], run: x}}]",
        undoable("a", ""),
        undoable("b", ", needs: a"),
        undoable("c", ", needs: a")
    ));
    for step in ["a", "b", "c"] {
        case.complete(step, json!({}));
    }
    assert_eq!(case.fail("d"), ["run b.compensate", "run c.compensate"]);
    assert_eq!(case.undos(), "b 0 running, c 0 running, a 1 pending");
    assert_eq!(case.complete("c.compensate", json!({})), NOTHING, "b is not undone yet, and needed a");
    assert_eq!(case.complete("b.compensate", json!({})), ["run a.compensate"]);
}

#[test]
fn order_reaches_over_steps_that_are_not_undone() {
    let (mut case, _) = Case::begun(&format!(
        "steps: [{}, {{id: m, run: x}}, {}, {{id: d, run: x}}]",
        undoable("a", ""),
        undoable("c", "")
    ));
    for step in ["a", "m", "c"] {
        case.complete(step, json!({}));
    }
    assert_eq!(case.fail("d"), ["run c.compensate"]);
    assert_eq!(case.complete("c.compensate", json!({})), ["run a.compensate"]);
}

#[test]
fn order_reaches_across_groups() {
    let (mut case, _) = Case::begun(&format!(
        "steps:\n- {}\n- {{id: g, steps: [{}, {}]}}\n- {}\n- {{id: z, run: x}}",
        undoable("a", ""),
        undoable("p", ""),
        undoable("q", ""),
        undoable("c", "")
    ));
    for step in ["a", "g.p", "g.q", "c"] {
        case.complete(step, json!({}));
    }
    let first = case.fail("z");
    assert_eq!(case.undos(), "c 0 running, g.q 1 pending, g.p 2 pending, a 3 pending");
    assert_eq!(case.run_out(first), ["c.compensate", "g.q.compensate", "g.p.compensate", "a.compensate"]);
    assert_eq!(case.status(), ExecutionStatus::Compensated);
}

#[test]
fn every_value_and_every_round_is_undone_the_last_round_first() {
    let (mut case, _) = Case::begun(&format!(
        "steps:\n- {}\n- {}\n- {{id: z, run: x}}",
        undoable("each", ", foreach: [a, b]"),
        undoable("poll", ", until: steps.poll.outputs.ok")
    ));
    case.complete("each[0]", json!({}));
    case.complete("each[1]", json!({}));
    case.complete("poll[0]", json!({ "ok": false }));
    case.complete("poll[1]", json!({ "ok": true }));
    assert_eq!(case.fail("z"), ["run poll[1].compensate"]);
    assert_eq!(case.complete("poll[1].compensate", json!({})), ["run poll[0].compensate"]);
    let next = case.complete("poll[0].compensate", json!({}));
    assert_eq!(next, ["run each[0].compensate", "run each[1].compensate"]);
    case.run_out(next);
    assert_eq!(case.status(), ExecutionStatus::Compensated);
}

#[test]
fn as_many_values_are_undone_at_once_as_were_done() {
    let (mut case, first) = Case::begun(&format!(
        "steps: [{}, {{id: z, run: x}}]",
        undoable("each", ", foreach: [1, 2, 3, 4, 5], max_parallel: 2")
    ));
    let mut ran = first;
    for value in 0..5 {
        ran.extend(case.complete(&format!("each[{value}]"), json!({})));
    }
    assert_eq!(case.fail("z"), ["run each[3].compensate", "run each[4].compensate"]);
    assert_eq!(case.complete("each[3].compensate", json!({})), ["run each[1].compensate"]);
    assert_eq!(case.crash(None), ["run each[4].compensate", "run each[1].compensate"]);
    assert_eq!(case.fail("each[4].compensate"), ["run each[2].compensate"], "a value that pauses takes up no place");
    assert_eq!(case.complete("each[1].compensate", json!({})), NOTHING);
    assert_eq!(case.complete("each[2].compensate", json!({})), ["run each[0].compensate"]);
}

#[test]
fn there_is_as_much_room_as_for_steps() {
    let steps: Vec<_> = (0..6).map(|step| undoable(&format!("s{step}"), ", needs: []")).collect();
    let all: Vec<String> = (0..6).map(|step| format!("s{step}")).collect();
    let (mut case, _) =
        Case::begun(&format!("steps: [{}, {{id: z, needs: [{}], run: x}}]", steps.join(", "), all.join(", ")));
    for step in &all {
        case.complete(step, json!({}));
    }
    assert_eq!(case.fail("z").len(), 4);
    assert_eq!(case.complete("s0.compensate", json!({})), ["run s4.compensate"]);
    case.execution.set_room(false);
    assert_eq!(case.complete("s1.compensate", json!({})), NOTHING);
    assert!(case.execution.has_work());
    let again = case.crash(None);
    assert_eq!(again.len(), 4, "what was under way, and what had found no room");
}

#[test]
fn what_an_undo_sees() {
    let (mut case, _) = Case::begun(
        "steps:\n\
         - {id: a, run: x}\n\
         - id: each\n  foreach: [x, y]\n  run: x\n  \
           compensate:\n    uses: set\n    with:\n      \
             own: \"${{ steps.each.outputs.n }}\"\n      status: \"${{ steps.each.status }}\"\n      \
             item: \"${{ item }}\"\n      before: \"${{ steps.a.outputs.n }}\"\n      \
             why: \"${{ saga.cause.kind }}: ${{ saga.cause.step }}, ${{ saga.cause.message }}\"\n\
         - {id: z, run: x}",
    );
    case.complete("a", json!({ "n": 1 }));
    case.complete("each[0]", json!({ "n": 2 }));
    case.complete("each[1]", json!({ "n": 3 }));
    case.fail("z");
    let why = "step_failed: z, exit code 3";
    let expected = json!({ "own": 3, "status": "completed", "item": "y", "before": 1, "why": why });
    assert_eq!(case.step("each[1].compensate").input, Some(expected));
}
