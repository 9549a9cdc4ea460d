//! Outgoing webhooks: what comes in is handed on, secrets are shown once, and lists are lists.

use std::time::Duration;

use cogwheel_engine::ports::VaultError;
use cogwheel_engine::{DeliveryId, WebhookError, WebhookId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{Fake, only_error};

#[tokio::test]
async fn a_webhook_is_made_and_changed_as_asked() {
    let fake = Fake::default();
    let id = fake.add_webhook("shop").0;
    let create = "mutation { createWebhook(input: {name: \"shop\", url: \"https://a.example/\", events: [\"custom.**\"],
        filter: \"event.data.n > 1\", headers: [{name: \"X-Team\", value: \"data\"}], maxRetries: 3, timeoutMs: 1500})
        { secret webhook { name url events headers { name value } maxRetries timeoutMs isEnabled totalCalls } userErrors { code } } }";
    let made = fake.data(create).await["createWebhook"].take();
    assert_eq!((&made["secret"], &made["userErrors"]), (&json!("whsec_x"), &json!([])));
    assert_eq!(made["webhook"]["headers"], json!([{"name": "x-team", "value": "data"}]));
    assert_eq!((&made["webhook"]["timeoutMs"], &made["webhook"]["totalCalls"]), (&json!(15_000), &json!(1)));
    let given = fake.rows(|rows| rows.webhooks.given.remove(0));
    assert_eq!((given.max_retries, given.timeout), (Some(3), Some(Duration::from_millis(1500))));
    assert_eq!(given.headers, Some(vec![("X-Team".to_owned(), "data".to_owned())]));

    let update = format!(
        "mutation {{ updateWebhook(input: {{id: \"{id}\", name: \"till\"}}) {{ webhook {{ id }} userErrors {{ code }} }} }}"
    );
    assert_eq!(fake.data(&update).await["updateWebhook"]["userErrors"], json!([]));
    let given = fake.rows(|rows| rows.webhooks.given.remove(0));
    assert_eq!((given.name.as_deref(), given.url, given.filter), (Some("till"), None, None), "the rest stays");

    let rotate = |rest: &str| {
        format!(
            "mutation {{ rotateWebhookSecret(input: {{id: \"{id}\"{rest}}}) {{ secret userErrors {{ code path }} }} }}"
        )
    };
    assert_eq!(fake.data(&rotate("")).await["rotateWebhookSecret"]["secret"], "whsec_y");
    fake.data(&rotate(", overlapMs: 0")).await;
    assert_eq!(fake.rows(|rows| rows.webhooks.overlaps.clone()), [Duration::from_hours(24), Duration::ZERO]);
    let negative = fake.data(&rotate(", overlapMs: -1")).await["rotateWebhookSecret"].take();
    assert_eq!(negative["userErrors"], json!([{"code": "INVALID_INPUT", "path": ["overlapMs"]}]));
}

#[tokio::test]
async fn webhooks_and_deliveries_are_listed_and_found() {
    let fake = Fake::default();
    let first = fake.add_webhook("a").0;
    fake.add_webhook("b");
    let list = fake.data("{ webhooks(first: 1) { totalCount pageInfo { hasNextPage } nodes { name } } }").await;
    assert_eq!(list["webhooks"], json!({"totalCount": 2, "pageInfo": {"hasNextPage": true}, "nodes": [{"name": "b"}]}));
    let query = format!(
        "{{ webhookDeliveries(first: 5, filter: {{webhook: \"{first}\", status: DEAD}}) {{ totalCount nodes {{ id messageId webhook {{ name }} }} }} }}"
    );
    let found = fake.data(&query).await["webhookDeliveries"].take();
    assert_eq!((&found["totalCount"], &found["nodes"][0]["messageId"]), (&json!(1), &json!("evt_1")));
    assert_eq!(found["nodes"][0]["webhook"]["name"], "a");
    let id = found["nodes"][0]["id"].as_str().unwrap().to_owned();
    let node =
        fake.data(&format!("{{ node(id: \"{id}\") {{ ... on WebhookDelivery {{ eventType attempts }} }} }}")).await;
    assert_eq!(node["node"]["eventType"], "custom.a");
    let one = fake
        .data(&format!("{{ webhookDelivery(id: \"{id}\") {{ status }} webhook(id: \"{}\") {{ name }} }}", Uuid::nil()))
        .await;
    assert_eq!(one, json!({"webhookDelivery": {"status": "DEAD"}, "webhook": null}));
    let (code, _) = only_error(&fake.ask("{ webhookDeliveries(first: 5, filter: {}) { totalCount } }").await);
    assert_eq!(code, "BAD_USER_INPUT", "a list of everything has no index");
}

#[tokio::test]
async fn refusals_are_user_errors_and_a_broken_vault_is_not() {
    let fake = Fake::default();
    let id = fake.add_webhook("a");
    let delivery = DeliveryId(Uuid::from_u128(0x70_0000));
    let refused = |error: WebhookError, mutation: String| {
        let fake = fake.clone();
        async move {
            fake.rows(|rows| rows.webhooks.refusal = Some(error));
            fake.data(&mutation).await
        }
    };
    let toggle = format!(
        "mutation {{ setWebhookEnabled(input: {{id: \"{}\", enabled: true}}) {{ webhook {{ id }} userErrors {{ code path }} }} }}",
        id.0
    );
    let again = format!(
        "mutation {{ redeliverWebhookDelivery(input: {{id: \"{}\"}}) {{ delivery {{ id }} userErrors {{ code path }} }} }}",
        delivery.0
    );
    let expected = |code: &str, path: &str| json!([{ "code": code, "path": [path] }]);
    let unknown = WebhookError::UnknownWebhook(WebhookId(Uuid::nil()));
    let answer = refused(unknown, toggle.clone()).await;
    assert_eq!(answer["setWebhookEnabled"], json!({"webhook": null, "userErrors": expected("UNKNOWN_WEBHOOK", "id")}));
    for (error, code) in [
        (WebhookError::UnknownDelivery(delivery), "UNKNOWN_DELIVERY"),
        (WebhookError::IsTest(delivery), "UNKNOWN_DELIVERY"),
        (WebhookError::NotEnded(delivery), "NOT_ENDED"),
        (WebhookError::Disabled(delivery), "WEBHOOK_DISABLED"),
    ] {
        let answer: Value = refused(error, again.clone()).await;
        assert_eq!(answer["redeliverWebhookDelivery"]["userErrors"], expected(code, "id"));
    }
    fake.rows(|rows| rows.webhooks.refusal = Some(VaultError("locked with another key".to_owned()).into()));
    let (code, message) = only_error(&fake.ask(&toggle).await);
    assert!(code == "INTERNAL" && !message.contains("another key"), "{message}");
    fake.rows(|rows| rows.webhooks.refusal = None);
    let delete = format!("mutation {{ deleteWebhook(input: {{id: \"{}\"}}) {{ userErrors {{ code }} }} }}", id.0);
    assert_eq!(fake.data(&delete).await["deleteWebhook"]["userErrors"], json!([]));
    let test = format!(
        "mutation {{ testWebhook(input: {{id: \"{}\"}}) {{ delivery {{ status }} userErrors {{ code }} }} }}",
        id.0
    );
    assert_eq!(fake.data(&test).await["testWebhook"]["delivery"]["status"], "DEAD");
}
