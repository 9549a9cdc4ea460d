//! Doing executions over: what is handed to the engine, and how its refusals are told.

use cogwheel_engine::ports::StoreError;
use cogwheel_engine::{RerunError, RetryError, StartError};
use serde_json::{Value, json};

use crate::fake::Fake;

fn mutation(fake: &Fake, rest: &str) -> String {
    let id = fake.rows(|rows| rows.executions[0].id);
    format!(
        "mutation {{ retryExecution(input: {{id: \"{id}\"{rest}}}) {{ execution {{ status }} userErrors {{ code path }} }} }}"
    )
}

async fn retry(fake: &Fake, rest: &str) -> Value {
    fake.data(&mutation(fake, rest)).await["retryExecution"].take()
}

#[tokio::test]
async fn a_retry_answers_with_the_new_execution() {
    let fake = Fake::with(1, 1);
    let payload = retry(&fake, ", fromStep: \"load[3]\", inputs: {region: \"us\"}").await;
    assert_eq!(payload, json!({"execution": {"status": "COMPLETED"}, "userErrors": []}));
    let (asked, id) = fake.rows(|rows| (rows.retried.remove(0), rows.executions[0].id));
    assert_eq!((asked.execution, asked.from_step.as_deref()), (id, Some("load[3]")));
    assert_eq!(Value::Object(asked.inputs), json!({"region": "us"}));
}

#[tokio::test]
async fn refusals_are_user_errors_with_a_code_and_a_path() {
    let fake = Fake::with(1, 1);
    let id = fake.rows(|rows| rows.executions[0].id);
    let step = || "load".to_owned();
    let paused = StartError::NotExecutable { name: "w0".to_owned(), reason: "it is paused".to_owned() };
    for (refused, code, path) in [
        (RetryError::Unknown { id }, "UNKNOWN_EXECUTION", json!(["id"])),
        (RerunError::NotEnded.into(), "NOT_ENDED", json!(["id"])),
        (RerunError::NothingFailed.into(), "NOTHING_TO_RETRY", json!(["fromStep"])),
        (RerunError::UnknownStep(step()).into(), "UNKNOWN_STEP", json!(["fromStep"])),
        (RerunError::NotAStart(step()).into(), "STEP_NOT_RETRIABLE", json!(["fromStep"])),
        (RetryError::Unusable("its source".to_owned()), "UNUSABLE_RECORD", json!(["id"])),
        (StartError::UnknownWorkflow { name: "w0".to_owned() }.into(), "UNKNOWN_WORKFLOW", json!(["id"])),
        (paused.into(), "NOT_EXECUTABLE", json!(["id"])),
        (StartError::Draining.into(), "SERVER_STOPPING", json!([])),
    ] {
        fake.rows(|rows| rows.retry = Some(Err(refused)));
        let payload = retry(&fake, "").await;
        assert_eq!(payload, json!({"execution": null, "userErrors": [{"code": code, "path": path}]}));
    }
}

#[tokio::test]
async fn inputs_that_are_no_object_do_not_reach_the_engine() {
    let fake = Fake::with(1, 1);
    let payload = retry(&fake, ", inputs: [1]").await;
    assert_eq!(payload["userErrors"], json!([{"code": "INVALID_INPUT", "path": ["inputs"]}]));
    assert!(fake.rows(|rows| rows.retried.is_empty()));
}

#[tokio::test]
async fn a_failing_store_is_no_user_error() {
    let fake = Fake::with(1, 1);
    fake.rows(|rows| rows.retry = Some(Err(StoreError::Unavailable("locked".to_owned()).into())));
    let (code, message) = fake.error(&mutation(&fake, "")).await;
    assert_eq!(code, "INTERNAL");
    assert!(!message.contains("locked"), "{message}");
}
