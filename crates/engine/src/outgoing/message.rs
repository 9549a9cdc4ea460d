//! What is sent: one JSON object per event, signed as Standard Webhooks say.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::DeliveryId;
use crate::events::{EVENT_TYPES, EventType};
use crate::ports::RecordedEvent;
use crate::triggers::standard_signature;

/// What is never sent, by the first part of its type: what happens to webhooks themselves would set off itself, and the
/// others are the installation's own business.
const KEPT: [&str; 4] = ["webhook", "event", "node", "secret"];

/// The type of a test.
pub(super) const TEST_TYPE: &str = "test.sent";

/// Whether events of this type may be sent at all.
pub(super) fn may_be_sent(event_type: &str) -> bool {
    !KEPT.contains(&event_type.split('.').next().unwrap_or_default())
}

/// The types of the catalogue that may be sent.
pub(super) fn sendable_types() -> impl Iterator<Item = &'static str> {
    EVENT_TYPES.iter().map(EventType::as_str).filter(|name| may_be_sent(name))
}

/// The text that tells of an event.
pub(super) fn of_event(event: &RecordedEvent) -> String {
    json!({
        "id": format!("evt_{}", event.id.simple()),
        "type": event.event_type,
        "timestamp": instant(event.at),
        "subject": event.data["subject"],
        "correlation_id": event.correlation_id,
        "data": event.data["data"],
    })
    .to_string()
}

/// The text of a test.
pub(super) fn of_test(delivery: DeliveryId, webhook: &str, at: DateTime<Utc>) -> String {
    json!({
        "id": format!("msg_{}", delivery.0.simple()),
        "type": TEST_TYPE,
        "timestamp": instant(at),
        "subject": webhook,
        "correlation_id": null,
        "data": { "webhook": webhook },
    })
    .to_string()
}

/// The id in a message: the same for every try and for every replay, which is what receivers tell repetitions by.
pub fn id_of(body: &str) -> String {
    #[derive(Deserialize)]
    struct Head {
        id: String,
    }
    serde_json::from_str::<Head>(body).map(|head| head.id).unwrap_or_default()
}

/// The headers that say what a message is and who sent it. Each secret signs, so that receivers which know either one
/// believe it.
pub(super) fn signed(body: &str, secrets: &[String], now: DateTime<Utc>) -> Vec<(String, String)> {
    let (id, timestamp) = (id_of(body), now.timestamp());
    let signatures = secrets.iter().map(|secret| standard_signature(secret, &id, timestamp, body.as_bytes()));
    let signatures = signatures.collect::<Vec<_>>().join(" ");
    let named = [("webhook-id", id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signatures)];
    named.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn instant(at: DateTime<Utc>) -> Value {
    at.to_rfc3339_opts(SecondsFormat::Micros, true).into()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::TenantId;
    use crate::ports::Place;

    #[test]
    fn a_message_tells_of_its_event_and_is_the_same_each_time() {
        let event = RecordedEvent {
            id: Uuid::from_u128(7),
            tenant: TenantId(Uuid::from_u128(1)),
            event_type: "custom.order.paid".to_owned(),
            stream: "execution-x".to_owned(),
            place: Place::default(),
            data: json!({"subject": "order-7", "data": {"total": 12}}),
            schema_version: 1,
            version: 1,
            aggregate_type: "execution".to_owned(),
            aggregate_id: None,
            metadata: Value::Null,
            correlation_id: None,
            causation_id: None,
            hash: String::new(),
            at: DateTime::UNIX_EPOCH,
        };
        let body = of_event(&event);
        assert_eq!(body, of_event(&event));
        let said: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(said["id"], "evt_00000000000000000000000000000007");
        assert_eq!((&said["type"], &said["subject"]), (&json!("custom.order.paid"), &json!("order-7")));
        assert_eq!((&said["data"], &said["timestamp"]), (&json!({"total": 12}), &json!("1970-01-01T00:00:00.000000Z")));
        assert_eq!(id_of(&body), "evt_00000000000000000000000000000007");
        assert_eq!(id_of("nonsense"), "");
    }

    #[test]
    fn every_secret_signs() {
        // The example of the Standard Webhooks documents.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let body = r#"{"test": 2432232314}"#;
        let known = standard_signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body.as_bytes());
        assert_eq!(known, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let at = DateTime::from_timestamp(1_614_265_330, 500).unwrap();
        let headers = signed(r#"{"id":"m"}"#, &[secret, "other".to_owned()], at);
        assert_eq!(headers[0], ("webhook-id".to_owned(), "m".to_owned()));
        assert_eq!(headers[1], ("webhook-timestamp".to_owned(), "1614265330".to_owned()));
        assert_eq!(headers[2].1.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
    }

    #[test]
    fn what_concerns_webhooks_and_the_installation_is_not_sent() {
        for kept in ["webhook.disabled", "event.dead_lettered", "node.lost", "secret.rotated"] {
            assert!(!may_be_sent(kept), "{kept}");
        }
        assert!(["workflow.failed", "custom.a", "webhooks.x", "nodes"].iter().all(|word| may_be_sent(word)));
    }
}
