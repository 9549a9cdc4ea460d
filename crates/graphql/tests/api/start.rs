//! Starting workflows: what is handed to the engine, and how its refusals are told.

use cogwheel_engine::ports::StoreError;
use cogwheel_engine::{StartError, StartedExecution};
use serde_json::{Value, json};

use crate::fake::Fake;

async fn start(fake: &Fake, input: &str) -> Value {
    let query = format!(
        "mutation {{ startWorkflow(input: {input}) {{ execution {{ status }} userErrors {{ code message path line column }} }} }}"
    );
    fake.data(&query).await["startWorkflow"].take()
}

#[tokio::test]
async fn a_start_answers_with_the_execution() {
    let fake = Fake::with(1, 1);
    fake.rows(|rows| {
        rows.start = Some(Ok(StartedExecution { id: rows.executions[0].id, is_new: true }));
    });
    let payload = start(&fake, "{workflow: \"w0\", inputs: {region: \"eu\", n: 3}, idempotencyKey: \"k1\"}").await;
    assert_eq!(payload, json!({"execution": {"status": "COMPLETED"}, "userErrors": []}));
    let request = fake.rows(|rows| rows.started.remove(0));
    assert_eq!(Value::Object(request.inputs), json!({"region": "eu", "n": 3}));
    assert_eq!(request.idempotency_key.as_deref(), Some("k1"));
}

#[tokio::test]
async fn refusals_are_user_errors_with_a_code_and_a_path() {
    let unknown = StartError::UnknownWorkflow { name: "nope".to_owned() };
    let off = StartError::NotExecutable { name: "w0".to_owned(), reason: "it is switched off".to_owned() };
    for (refused, code, path) in [
        (unknown, "UNKNOWN_WORKFLOW", json!(["workflow"])),
        (off, "NOT_EXECUTABLE", json!(["workflow"])),
        (StartError::AlreadyRecorded, "ALREADY_RECORDED", json!(["idempotencyKey"])),
        (StartError::InvalidIdempotencyKey("it is empty"), "INVALID_IDEMPOTENCY_KEY", json!(["idempotencyKey"])),
        (StartError::Draining, "SERVER_STOPPING", json!([])),
    ] {
        let fake = Fake::default();
        let message = refused.to_string();
        fake.rows(|rows| rows.start = Some(Err(refused)));
        let payload = start(&fake, "{workflow: \"w0\"}").await;
        assert_eq!(
            payload,
            json!({"execution": null, "userErrors": [{"code": code, "message": message, "path": path, "line": null, "column": null}]})
        );
    }
}

#[tokio::test]
async fn inputs_that_are_no_object_do_not_reach_the_engine() {
    let fake = Fake::default();
    for inputs in ["[1]", "1", "\"x\""] {
        let payload = start(&fake, &format!("{{workflow: \"w0\", inputs: {inputs}}}")).await;
        assert_eq!(payload["userErrors"][0]["code"], "INVALID_INPUT");
        assert_eq!(payload["userErrors"][0]["path"], json!(["inputs"]));
    }
    assert!(fake.rows(|rows| rows.started.is_empty()));
}

#[tokio::test]
async fn a_failing_store_is_no_user_error() {
    let fake = Fake::default();
    fake.rows(|rows| rows.start = Some(Err(StoreError::Unavailable("locked".to_owned()).into())));
    let (code, message) =
        fake.error("mutation { startWorkflow(input: {workflow: \"w0\"}) { userErrors { code } } }").await;
    assert_eq!(code, "INTERNAL");
    assert!(!message.contains("locked"), "{message}");
}
