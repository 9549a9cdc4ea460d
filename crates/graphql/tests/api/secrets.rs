//! Secrets: what comes in is handed on, and no value ever goes out.

use std::time::Duration;

use cogwheel_engine::SecretError;
use cogwheel_engine::ports::VaultError;
use serde_json::{Value, json};

use crate::fake::{Fake, only_error};

async fn set(fake: &Fake, input: &str) -> Value {
    let query = format!(
        "mutation {{ setSecret(input: {{{input}}}) {{ secret {{ name isSet version }} userErrors {{ code path }} }} }}"
    );
    fake.data(&query).await["setSecret"].take()
}

#[tokio::test]
async fn a_secret_is_set_listed_and_deleted() {
    let fake = Fake::with(0, 0);
    let payload = set(&fake, "name: \"HMAC\", value: \"s3cret\", description: \"orders\"").await;
    assert_eq!(payload, json!({"secret": {"name": "HMAC", "isSet": true, "version": 1}, "userErrors": []}));
    let given = fake.rows(|rows| rows.set_secrets.remove(0));
    assert_eq!((given.value.as_str(), given.overlap), ("s3cret", Duration::from_hours(24)));
    set(&fake, "name: \"B\", value: \"x\", overlapMs: 5000").await;
    assert_eq!(fake.rows(|rows| rows.set_secrets.remove(0)).overlap, Duration::from_secs(5));

    let listed = fake.data("{ secrets { name description isSet version rotatedAt createdAt } }").await;
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains("s3cret"));

    let delete = "mutation { deleteSecret(input: {name: \"HMAC\"}) { name userErrors { code path } } }";
    assert_eq!(fake.data(delete).await["deleteSecret"], json!({"name": "HMAC", "userErrors": []}));
    let unknown = json!({"name": null, "userErrors": [{"code": "UNKNOWN_SECRET", "path": ["name"]}]});
    assert_eq!(fake.data(delete).await["deleteSecret"], unknown);
}

#[tokio::test]
async fn refusals_are_user_errors_and_a_broken_vault_is_not() {
    let fake = Fake::with(0, 0);
    let invalid = |field| SecretError::Invalid { field, why: "is empty" };
    for (refused, code, path) in [
        (invalid("name"), "INVALID_INPUT", "name"),
        (invalid("value"), "INVALID_INPUT", "value"),
        (invalid("overlap"), "INVALID_INPUT", "overlapMs"),
        (SecretError::InUse { name: "S".to_owned() }, "IN_USE", "name"),
    ] {
        fake.rows(|rows| rows.secret = Some(refused));
        let payload = set(&fake, "name: \"S\", value: \"x\"").await;
        assert_eq!(payload, json!({"secret": null, "userErrors": [{"code": code, "path": [path]}]}));
    }
    let payload = set(&fake, "name: \"S\", value: \"x\", overlapMs: -1").await;
    assert_eq!(payload["userErrors"], json!([{"code": "INVALID_INPUT", "path": ["overlapMs"]}]));

    fake.rows(|rows| rows.secret = Some(VaultError("locked with another key".to_owned()).into()));
    let response = fake.ask("mutation { setSecret(input: {name: \"S\", value: \"x\"}) { userErrors { code } } }").await;
    let (code, message) = only_error(&response);
    assert!(code == "INTERNAL" && !message.contains("another key"), "{message}");
}
