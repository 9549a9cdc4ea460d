//! Sagas: how they are shown, what is handed to the engine, and how its refusals are told.

use std::collections::BTreeMap;

use cogwheel_engine::history::{ExecutionState, StepAt};
use cogwheel_engine::views::{CompensationView, SagaView};
use cogwheel_engine::{CauseKind, ExecutionId, ExecutionStatus, SagaError, SagaStatus, StepStatus, UndoStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{Fake, at};

fn saga(execution: ExecutionId) -> SagaView {
    SagaView {
        execution,
        workflow: "onboard".to_owned(),
        status: SagaStatus::Compensating,
        pauses: true,
        cause: Some(CauseKind::StepFailed),
        cause_detail: Some(json!({ "title": "exit code 3" })),
        current_step: 2,
        total_steps: 3,
        steps: json!([{ "id": "account", "class": "compensatable" }]),
        unwind_number: 1,
        correlation_id: Uuid::nil(),
        parent: None,
        timeout_at: None,
        started_at: Some(at(0)),
        completed_at: None,
        created_at: at(0),
    }
}

fn undo(execution: ExecutionId, step: &str, status: UndoStatus) -> CompensationView {
    CompensationView {
        execution,
        step_key: step.to_owned(),
        step_ordinal: 0,
        unwind_order: 0,
        command: json!({ "uses": "shell" }),
        status,
        retry_count: 2,
        max_retries: 2,
        next_attempt_at: None,
        started_at: Some(at(1)),
        completed_at: None,
        error: None,
        resolution: None,
        resolution_reason: None,
        resolved_at: None,
    }
}

fn fake() -> (Fake, ExecutionId) {
    let fake = Fake::with(1, 2);
    let id = fake.rows(|rows| rows.executions[0].id);
    fake.rows(|rows| {
        rows.sagas = vec![saga(id)];
        rows.compensations = vec![undo(id, "mailbox", UndoStatus::Failed), undo(id, "account", UndoStatus::Completed)];
    });
    (fake, id)
}

#[tokio::test]
async fn a_saga_says_where_it_is_paused() {
    let (fake, id) = fake();
    let query = format!(
        "{{ saga(id: \"{id}\") {{ status pausedAt cause causeDetail execution {{ id }} \
         compensations {{ stepKey status retryCount }} }} }}"
    );
    let shown = fake.data(&query).await["saga"].take();
    assert_eq!(shown["pausedAt"], json!(["mailbox"]));
    assert_eq!((&shown["status"], &shown["cause"]), (&json!("COMPENSATING"), &json!("STEP_FAILED")));
    assert_eq!(shown["compensations"][1], json!({ "stepKey": "account", "status": "COMPLETED", "retryCount": 2 }));
    let other = fake.rows(|rows| rows.executions[1].id);
    assert_eq!(fake.data(&format!("{{ saga(id: \"{other}\") {{ status }} }}")).await["saga"], Value::Null);
    let listed = fake.data("{ sagas(filter: {status: [COMPENSATING]}) { totalCount nodes { workflow } } }").await;
    assert_eq!(listed["sagas"], json!({ "totalCount": 1, "nodes": [{ "workflow": "onboard" }] }));
}

#[tokio::test]
async fn what_is_asked_reaches_the_engine() {
    let (fake, id) = fake();
    let about = format!("id: \"{id}\", reason: \"because\"");
    for (mutation, asked) in [
        (format!("compensateSaga(input: {{{about}}})"), "compensate: because"),
        (format!("cancelSaga(input: {{{about}}})"), "cancel: because"),
        (
            format!("resolveCompensation(input: {{{about}, stepKey: \"mailbox\", decision: SKIP}})"),
            "Skip mailbox: because",
        ),
    ] {
        let answer =
            fake.data(&format!("mutation {{ {mutation} {{ saga {{ workflow }} userErrors {{ code }} }} }}")).await;
        let payload = answer.as_object().and_then(|fields| fields.values().next()).unwrap();
        assert_eq!(*payload, json!({ "saga": { "workflow": "onboard" }, "userErrors": [] }));
        assert_eq!(fake.rows(|rows| rows.asked_of_sagas.pop()), Some((id, asked.to_owned())));
    }
}

#[tokio::test]
async fn refusals_are_user_errors_with_a_code_and_a_path() {
    let (fake, id) = fake();
    let step = "mailbox".to_owned();
    for (refused, code, path) in [
        (SagaError::Unknown { id }, "UNKNOWN_EXECUTION", "id"),
        (SagaError::NoSaga, "NOT_A_SAGA", "id"),
        (SagaError::NotPaused, "NOTHING_TO_DECIDE", "id"),
        (SagaError::NoSuchUndo { step: step.clone() }, "UNKNOWN_STEP", "stepKey"),
        (SagaError::NotFailed { step, status: UndoStatus::Running }, "NOTHING_TO_DECIDE", "stepKey"),
        (SagaError::Reason { why: "is empty" }, "INVALID_INPUT", "reason"),
    ] {
        fake.rows(|rows| rows.saga = Some(refused));
        let query = format!(
            "mutation {{ resolveCompensation(input: {{id: \"{id}\", stepKey: \"mailbox\", decision: RETRY, reason: \"x\"}}) \
             {{ userErrors {{ code path }} }} }}"
        );
        let payload = fake.data(&query).await["resolveCompensation"].take();
        assert_eq!(payload["userErrors"], json!([{ "code": code, "path": [path] }]));
    }
}

#[tokio::test]
async fn an_execution_is_shown_as_it_stood() {
    let (fake, id) = fake();
    let step = |key: &str, status| StepAt {
        key: key.to_owned(),
        parent: None,
        step_type: "http".to_owned(),
        status,
        attempt: 1,
        started_at: Some(at(1)),
        completed_at: None,
        error: None,
    };
    let steps = BTreeMap::from([
        (0, step("flight", StepStatus::Completed)),
        (1, step("hotel", StepStatus::Running)),
        (2, step("car", StepStatus::Running)),
    ]);
    let status = Some(ExecutionStatus::Running);
    let state = ExecutionState { version: 4, at: Some(at(2)), is_whole: true, status, steps, ..Default::default() };
    fake.rows(|rows| rows.states = [(id, state.clone())].into());
    let ask = |version: &str, part: &str| {
        format!(
            "{{ executionState(id: \"{id}\"{version}) {{ version recordedAt status stepCount saga {{ status }} {part} }} }}"
        )
    };
    let shown =
        fake.data(&ask(", version: 4", "steps(first: 1, afterOrdinal: 0) { ordinal stepKey status attempt }")).await;
    assert_eq!(
        shown["executionState"],
        json!({
            "version": 4, "recordedAt": "2027-01-15T08:00:02Z", "status": "RUNNING", "stepCount": 3, "saga": null,
            "steps": [{ "ordinal": 1, "stepKey": "hotel", "status": "RUNNING", "attempt": 1 }],
        })
    );
    let (code, message) = fake.error(&ask(", version: 9", "steps { ordinal }")).await;
    assert_eq!(message, "the execution has the events 1 to 4: there is no event 9");
    assert_eq!(code, "BAD_USER_INPUT");
    let (_, message) = fake.error(&ask("", "steps(first: 0) { ordinal }")).await;
    assert_eq!(message, "`first` is from 1 to 100, not 0");
    fake.rows(|rows| rows.states = [(id, ExecutionState { is_whole: false, ..state.clone() })].into());
    let (_, message) = fake.error(&ask("", "steps { ordinal }")).await;
    assert!(message.contains("`history: full`"), "{message}");
    fake.rows(|rows| rows.states.clear());
    assert_eq!(fake.data(&ask("", "steps { ordinal }")).await["executionState"], Value::Null);
}
