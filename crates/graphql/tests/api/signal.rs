//! Sending signals: what is handed to the engine, and how its refusals are told.

use cogwheel_engine::{ExecutionStatus, SentSignal, SignalError};
use serde_json::{Value, json};

use crate::fake::Fake;

async fn signal(fake: &Fake, input: &str) -> Value {
    let query = format!(
        "mutation {{ signalExecution(input: {{{input}}}) {{ isNew wokenExecutions userErrors {{ code path }} }} }}"
    );
    fake.data(&query).await["signalExecution"].take()
}

#[tokio::test]
async fn a_signal_answers_with_what_became_of_it() {
    let fake = Fake::with(1, 1);
    let id = fake.rows(|rows| rows.executions[0].id);
    let payload =
        signal(&fake, &format!("id: \"{id}\", name: \"approved\", payload: {{by: \"Ada\"}}, idempotencyKey: \"k\""))
            .await;
    assert_eq!(payload, json!({"isNew": true, "wokenExecutions": 1, "userErrors": []}));
    let asked = fake.rows(|rows| rows.signalled.remove(0));
    assert_eq!((asked.execution, asked.name.as_str(), asked.correlation), (Some(id), "approved", None));
    assert_eq!((asked.payload, asked.idempotency_key.as_deref()), (json!({"by": "Ada"}), Some("k")));

    fake.rows(|rows| rows.signal = Some(Ok(SentSignal { is_new: false, woken: 0 })));
    let payload = signal(&fake, "name: \"paid\", correlation: \"order-7\"").await;
    assert_eq!(payload, json!({"isNew": false, "wokenExecutions": 0, "userErrors": []}));
    let asked = fake.rows(|rows| rows.signalled.remove(0));
    assert_eq!((asked.execution, asked.correlation.as_deref()), (None, Some("order-7")));
    assert_eq!(asked.payload, json!(null));
}

#[tokio::test]
async fn refusals_are_user_errors_with_a_code_and_a_path() {
    let fake = Fake::with(1, 1);
    let id = fake.rows(|rows| rows.executions[0].id);
    let invalid = |field| SignalError::Invalid { field, why: "is empty" };
    for (refused, code, path) in [
        (invalid("name"), "INVALID_INPUT", "name"),
        (invalid("correlation"), "INVALID_INPUT", "correlation"),
        (invalid("payload"), "INVALID_INPUT", "payload"),
        (invalid("idempotencyKey"), "INVALID_IDEMPOTENCY_KEY", "idempotencyKey"),
        (SignalError::UnknownExecution { id }, "UNKNOWN_EXECUTION", "id"),
        (SignalError::Ended { status: ExecutionStatus::Failed }, "ALREADY_ENDED", "id"),
    ] {
        fake.rows(|rows| rows.signal = Some(Err(refused)));
        let payload = signal(&fake, "name: \"n\"").await;
        let errors = json!([{"code": code, "path": [path]}]);
        assert_eq!(payload, json!({"isNew": null, "wokenExecutions": null, "userErrors": errors}));
    }
}
