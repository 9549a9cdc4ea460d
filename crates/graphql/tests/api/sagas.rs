//! Sagas: how they are shown, what is handed to the engine, and how its refusals are told.

use cogwheel_engine::views::{CompensationView, SagaView};
use cogwheel_engine::{CauseKind, ExecutionId, SagaError, SagaStatus, UndoStatus};
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
