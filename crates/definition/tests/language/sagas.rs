//! What can be undone, and what cannot: how it is read, what undoing steps may read, and what is refused.

use std::time::Duration;

use cogwheel_definition::{Action, MAIN_BLOCK, OnUndoFailure, UNDO};
use serde_json::json;

use super::{good, one};

const ORDER: &str = r#"
timeout: 2h
saga: {deadline: 1h, on_undo_failure: fail}
inputs: {rooms: {type: array, default: [1, 2]}}
steps:
  - id: flight
    run: ./book.sh
    outputs: {ref: {type: string}}
    compensate: {run: "./cancel.sh", env: {REF: "${{ steps.flight.outputs.ref }}", WHY: "${{ saga.cause.kind }}"}}
  - id: rooms
    foreach: ${{ inputs.rooms }}
    uses: set
    with: {room: "${{ item }}"}
    compensate:
      name: Give the room back
      timeout: 1d
      steps:
        - {uses: emit, with: {type: custom.room.free, data: "${{ steps.rooms.outputs.room }} ${{ item }} ${{ steps.flight.outputs.ref }}"}}
        - {id: freed, uses: wait, with: {signal: freed, correlation: "${{ execution.id }}"}}
  - {id: ship, uses: workflow, with: {name: ship}}
  - {id: pay, run: ./pay.sh, pivot: true}
  - {id: tell, uses: http, with: {url: "https://example.com"}}
  - {id: log, run: ./log.sh, retry: 2}
  - id: last
    steps: [{id: in, run: x}]
"#;

#[test]
fn what_undoes_a_step_is_a_step_of_its_own_list() {
    let workflow = good(ORDER);
    let saga = workflow.saga.clone().expect("a saga");
    assert_eq!((saga.deadline, saga.on_undo_failure), (Some(Duration::from_hours(1)), OnUndoFailure::Fail));
    for (id, step_type) in [("flight", "shell"), ("rooms", "group"), ("ship", "unwind")] {
        let at = workflow.steps.iter().position(|step| step.path == id).expect("the step");
        let block = workflow.steps[at].compensate.expect("an undo");
        assert_eq!(workflow.blocks[block].owner, Some(at));
        let [undo] = workflow.blocks[block].steps[..] else { panic!("one step undoes another") };
        let undo = &workflow.steps[undo];
        assert_eq!((undo.id.as_str(), undo.block, undo.action.step_type()), (UNDO, block, step_type));
        assert_eq!(undo.path, format!("{id}.{UNDO}"));
    }
    assert!(workflow.blocks[MAIN_BLOCK].steps.iter().all(|&step| workflow.steps[step].id != UNDO));
    let compiled = workflow.to_json();
    assert_eq!(compiled["saga"], json!({ "deadline_ms": 3_600_000, "on_undo_failure": "fail" }));
    assert_eq!(compiled["nodes"][0]["compensate"], json!(["flight.compensate"]));
    assert_eq!(good("steps: [{run: x}]").to_json().get("saga"), None, "what is no saga says nothing of it");
}

#[test]
fn every_undo_has_retries_and_a_limit() {
    let workflow = good(ORDER);
    let of = |path: &str| workflow.steps.iter().find(|step| step.path == path).expect(path);
    assert_eq!(of("flight.compensate").retry.as_ref().map(|retry| retry.attempts), Some(3));
    assert_eq!(of("flight.compensate").timeout, Some(Duration::from_mins(5)));
    assert_eq!(of("rooms.compensate").timeout, Some(Duration::from_hours(24)));
    assert_eq!(of("rooms.compensate.step-1").retry.as_ref().map(|retry| retry.attempts), Some(3));
    let own = good("defaults: {retry: 7, timeout: 1m}\nsteps: [{run: x, compensate: {run: y}}]");
    assert_eq!(own.steps[1].retry.as_ref().map(|retry| retry.attempts), Some(7));
    let own = good("steps: [{run: x, compensate: {run: y, retry: 1, timeout: 1s}}]");
    assert_eq!(own.steps[1].retry.as_ref().map(|retry| retry.attempts), Some(1));
    assert_eq!(own.steps[1].timeout, Some(Duration::from_secs(1)));
}

#[test]
fn after_the_pivot_steps_are_tried_until_they_succeed() {
    let workflow = good(ORDER);
    let attempts = |path: &str| {
        let step = workflow.steps.iter().find(|step| step.path == path).expect(path);
        step.retry.as_ref().map(|retry| retry.attempts)
    };
    assert_eq!((attempts("flight"), attempts("pay")), (None, None));
    assert_eq!((attempts("tell"), attempts("last.in")), (Some(u32::MAX), Some(u32::MAX)));
    assert_eq!(attempts("log"), Some(2), "its own retry counts");
    let early = good("steps: [{run: x, retriable: true, compensate: {run: y}}]");
    let retry = early.steps[0].retry.as_ref().expect("it is tried again");
    assert_eq!((retry.attempts, retry.max_delay), (u32::MAX, Duration::from_mins(5)));
}

#[test]
fn a_deadline_gives_the_steps_their_time() {
    let with = |rest: &str| good(&format!("{rest}\nsteps: [{{run: x, compensate: {{run: y}}}}]")).timeout;
    assert_eq!(with("saga: {deadline: 1h}"), Duration::from_hours(1));
    assert_eq!(with("saga: {deadline: 1m}"), Duration::from_mins(5));
    one(
        "timeout: 10m\nsaga: {deadline: ¦1h}\nsteps: [{run: x, compensate: {run: y}}]",
        "COG0108",
        "the deadline is never reached: the whole execution may take 10m",
    );
}

#[test]
fn an_undo_has_no_other_keys() {
    for key in [
        "id: a",
        "needs: [a]",
        "if: 'true'",
        "foreach: [1]",
        "until: 'true'",
        "switch: 1",
        "compensate: {run: x}",
        "continue_on_error: true",
        "pivot: true",
        "retriable: true",
        "on_lost: fail",
    ] {
        let word = key.split(':').next().expect("a key");
        let text = format!("steps:\n- run: x\n  compensate:\n    run: y\n    ¦{key}\n");
        one(&text, "COG0101", &format!("`compensate` has no `{word}`"));
    }
    one("steps: [{run: x, compensate: ¦{name: y}}]", "COG0105", "a step needs `run` or `uses`");
    one("steps: [{run: x, compensate: ¦y}]", "COG0104", "must be a mapping");
    one("steps: [{run: x, compensate: {¦runs: y}}]", "COG0101", "did you mean `run`?");
}

#[test]
fn what_an_undo_may_read() {
    one(
        "steps: [{id: a, uses: set, with: {n: 1}, compensate: {run: y, env: {A: \"${{ steps.a.outputs.¦m }}\"}}}]",
        "COG0131",
        "sets no `m`",
    );
    one(
        "steps:\n- {id: a, run: x, compensate: {run: y, env: {A: \"${{ steps.¦b.status }}\"}}}\n- {id: b, run: x}",
        "COG0132",
        "need not have run by then",
    );
    one(
        "steps: [{id: a, run: x, env: {W: \"${{ ¦saga.cause.kind }}\"}, compensate: {run: y}}]",
        "COG0131",
        "`saga` is only there in `compensate`",
    );
    one("steps: [{run: x, env: {W: \"${{ ¦saga.cause }}\"}}]", "COG0131", "there is no name `saga`");
    one(
        "steps: [{id: a, run: x, compensate: {run: y, env: {A: \"${{ saga.cause.¦why }}\"}}}]",
        "COG0131",
        "`saga.cause` has no `why`",
    );
    // A group's undo reads its steps through it; a step that happens to have the id of undoes is read as ever.
    good(
        "steps:\n- {id: compensate, uses: set, with: {n: 1}}\n\
         - id: g\n  steps: [{id: a, uses: set, with: {n: 1}}]\n  \
           compensate: {uses: log, with: {message: \"${{ steps.g.outputs.a.n }} ${{ steps.compensate.outputs.n }}\"}}",
    );
}

#[test]
fn where_undoing_means_nothing_it_is_refused() {
    for part in ["on_failure", "finally"] {
        one(
            &format!("steps: [{{run: x, compensate: {{run: y}}}}]\n{part}: [{{run: x, ¦compensate: {{run: y}}}}]"),
            "COG0113",
            &format!("the steps of `{part}` run after everything was undone"),
        );
    }
    one("¦saga: {deadline: 1m}\nsteps: [{run: x}]", "COG0113", "no step can be undone");
    one("steps: [{run: x, ¦pivot: true}]", "COG0113", "no step can be undone");
    good("saga: {deadline: 1m}\nsteps: [{uses: ./other}]");
    one(
        "steps: [{run: x, compensate: {steps: [{run: y, compensate: ¦{run: z}}]}}]",
        "COG0113",
        "a step that undoes another cannot be undone itself",
    );
    one(
        "steps: [{id: g, compensate: {run: y}, steps: [{id: ¦compensate, run: x}]}]",
        "COG0110",
        "stands for what undoes `g`",
    );
    one("steps: [{run: x, retriable: true, ¦retry: 3, compensate: {run: y}}]", "COG0113", "has no `retry`");
    one(
        "steps: [{id: g, ¦retriable: true, compensate: {run: y}, steps: [{run: x}]}]",
        "COG0106",
        "so `retriable` would apply to nothing",
    );
}

#[test]
fn there_is_one_pivot_with_everything_before_or_after_it() {
    let with = |rest: &str| format!("steps:\n- {{id: a, run: x, compensate: {{run: y}}}}\n{rest}");
    for (rest, message) in [
        ("- {run: x, pivot: true}\n- {id: b, run: x, ¦pivot: true}", "`b` is a pivot, and so is `step-2`"),
        ("- {run: x, pivot: true}\n- {id: b, run: x, ¦compensate: {run: y}}", "runs after the pivot `step-2`"),
        ("- {run: x, ¦pivot: true, compensate: {run: y}}", "a pivot is not undone"),
        ("- {steps: [{run: x, ¦pivot: true}]}", "cannot stand inside of another step"),
        ("- {run: x, foreach: [1], ¦pivot: true}", "it would be reached in part"),
        ("- {run: x, continue_on_error: true, ¦pivot: true}", "whether it was reached must be certain"),
        ("finally: [{run: x, ¦pivot: true}]", "one of the workflow's `steps`"),
    ] {
        one(&with(rest), "COG0113", message);
    }
    one(
        "steps:\n- {id: a, run: x, ¦compensate: {run: y}}\n- {id: p, needs: [], run: x, pivot: true}",
        "COG0113",
        "`a` may be under way when the pivot `p` completes",
    );
    one(
        "steps:\n- {id: a, run: x, compensate: {run: y}}\n- {id: p, run: x, pivot: true}\n\
         - {id: g, steps: [{run: x, ¦compensate: {run: y}}]}",
        "COG0113",
        "runs after the pivot `p`",
    );
    let workflow = good(&with("- {id: g, pivot: true, steps: [{id: b, run: x, compensate: {run: y}}]}"));
    assert!(workflow.steps.iter().any(|step| step.pivot && matches!(step.action, Action::Group { .. })));
}
