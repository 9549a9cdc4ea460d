//! Events: their envelope, and reading on from a position.

use chrono::DateTime;
use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{Place, RecordedEvent};
use serde_json::json;
use uuid::Uuid;

use crate::fake::Fake;

fn event(number: u32, event_type: &str) -> RecordedEvent {
    RecordedEvent {
        id: Uuid::from_u128(number.into()),
        tenant: TenantId(Uuid::nil()),
        event_type: event_type.to_owned(),
        schema_version: 1,
        stream: format!("order-{}", number % 2),
        version: i64::from(number.div_ceil(2)),
        place: Place { transaction: 9, position: i64::from(number) * 10 },
        aggregate_type: "order".to_owned(),
        aggregate_id: Some(Uuid::from_u128(7)),
        data: json!({ "subject": "order-7", "data": { "total": 12 } }),
        metadata: json!({ "actor": { "kind": "engine" }, "depth": 2 }),
        correlation_id: Some(Uuid::from_u128(8)),
        causation_id: None,
        hash: "ab".repeat(32),
        at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
    }
}

fn fake() -> Fake {
    let fake = Fake::with(0, 0);
    fake.rows(|rows| {
        rows.events = (1..=4).map(|number| event(number, ["custom.a", "custom.b"][number as usize % 2])).collect();
    });
    fake
}

#[tokio::test]
async fn an_event_shows_its_envelope() {
    let query = format!(
        "{{ event(id: \"{}\") {{ id type schemaVersion stream version position aggregateType aggregateId subject data actor
           depth correlationId causationId hash recordedAt }} }}",
        Uuid::from_u128(1)
    );
    let expected = json!({
        "id": "00000000-0000-0000-0000-000000000001", "type": "custom.b", "schemaVersion": 1, "stream": "order-1",
        "version": 1, "position": 10, "aggregateType": "order", "aggregateId": "00000000-0000-0000-0000-000000000007",
        "subject": "order-7", "data": {"total": 12}, "actor": {"kind": "engine"}, "depth": 2,
        "correlationId": "00000000-0000-0000-0000-000000000008", "causationId": null, "hash": "ab".repeat(32),
        "recordedAt": "2027-01-15T08:00:00Z",
    });
    assert_eq!(fake().data(&query).await["event"], expected);
    let unknown = format!("{{ event(id: \"{}\") {{ id }} }}", Uuid::from_u128(99));
    assert_eq!(fake().data(&unknown).await, json!({ "event": null }));
}

#[tokio::test]
async fn events_are_read_on_from_a_position() {
    let positions = async |arguments: &str| fake().data(&format!("{{ events{arguments} {{ position }} }}")).await;
    let all = json!({ "events": [{"position": 10}, {"position": 20}, {"position": 30}, {"position": 40}] });
    assert_eq!(positions("").await, all);
    assert_eq!(positions("(afterPosition: 20, first: 1)").await, json!({ "events": [{"position": 30}] }));
    assert_eq!(
        positions("(stream: \"order-1\", types: [\"custom.b\"], afterPosition: 10)").await,
        json!({ "events": [{"position": 30}] })
    );
    for first in [0, 101, -1] {
        let query = format!("{{ events(first: {first}) {{ id }} }}");
        let (code, message) = fake().error(&query).await;
        assert!(code == "BAD_USER_INPUT" && message.contains("`first` is from 1 to 100"), "{message}");
    }
}
