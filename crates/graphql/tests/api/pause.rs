//! Pausing and resuming workflows.

use serde_json::{Value, json};

use crate::fake::Fake;

async fn set_enabled(fake: &Fake, workflow: &str, enabled: bool) -> Value {
    let query = format!(
        "mutation {{ setWorkflowEnabled(input: {{workflow: \"{workflow}\", enabled: {enabled}}}) {{
           workflow {{ name isEnabled }} userErrors {{ code path }} }} }}"
    );
    fake.data(&query).await["setWorkflowEnabled"].take()
}

#[tokio::test]
async fn pausing_and_resuming_answer_with_the_workflow() {
    let fake = Fake::with(1, 0);
    for enabled in [false, true] {
        let payload = set_enabled(&fake, "w0", enabled).await;
        assert_eq!(payload, json!({"workflow": {"name": "w0", "isEnabled": enabled}, "userErrors": []}));
    }
}

#[tokio::test]
async fn an_unknown_workflow_is_a_user_error() {
    let payload = set_enabled(&Fake::default(), "nope", false).await;
    let errors = json!([{"code": "UNKNOWN_WORKFLOW", "path": ["workflow"]}]);
    assert_eq!(payload, json!({"workflow": null, "userErrors": errors}));
}
