//! Cancelling executions: what is handed to the engine, and how its refusals are told.

use cogwheel_engine::{CancelError, ExecutionStatus};
use serde_json::{Value, json};

use crate::fake::Fake;

async fn cancel(fake: &Fake, rest: &str) -> Value {
    let id = fake.rows(|rows| rows.executions[0].id);
    let query = format!(
        "mutation {{ cancelExecution(input: {{id: \"{id}\"{rest}}}) {{ execution {{ status }} userErrors {{ code path }} }} }}"
    );
    fake.data(&query).await["cancelExecution"].take()
}

#[tokio::test]
async fn a_request_answers_with_the_execution() {
    let fake = Fake::with(1, 1);
    let payload = cancel(&fake, ", reason: \"enough\"").await;
    assert_eq!(payload["userErrors"], json!([]));
    assert!(payload["execution"]["status"].is_string());
    let (asked, id) = fake.rows(|rows| (rows.cancelled.clone(), rows.executions[0].id));
    assert_eq!(asked, [(id, Some("enough".to_owned()))]);
}

#[tokio::test]
async fn refusals_are_user_errors_with_a_code_and_a_path() {
    let fake = Fake::with(1, 1);
    let id = fake.rows(|rows| rows.executions[0].id);
    for (refused, code) in [
        (CancelError::Unknown { id }, "UNKNOWN_EXECUTION"),
        (CancelError::Ended { status: ExecutionStatus::Completed }, "ALREADY_ENDED"),
    ] {
        fake.rows(|rows| rows.cancel = Some(Err(refused)));
        assert_eq!(cancel(&fake, "").await["userErrors"], json!([{"code": code, "path": ["id"]}]));
    }
}

#[tokio::test]
async fn a_reason_that_cannot_be_kept_is_refused() {
    let fake = Fake::with(1, 1);
    for reason in ["a\\u0000b".to_owned(), "x".repeat(1001)] {
        let payload = cancel(&fake, &format!(", reason: \"{reason}\"")).await;
        assert_eq!(payload["userErrors"], json!([{"code": "INVALID_INPUT", "path": ["reason"]}]));
    }
    assert!(fake.rows(|rows| rows.cancelled.is_empty()));
}
