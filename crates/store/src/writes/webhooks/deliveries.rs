//! Recording deliveries: of events together with how far their reader got, of tests, and anew.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_engine::ports::{ClaimedDelivery, Consumer, NewDelivery, Redelivery, StoreError, TestDelivery};
use cogwheel_engine::{DeliveryId, TenantId, WebhookId};
use cogwheel_entity::webhook_deliveries::{self, DeliveryStatus};
use sea_orm::{ActiveEnum as _, ActiveValue::Set, EntityTrait, Value};
use uuid::Uuid;

use super::claim::{LEASE_MARGIN, target};
use crate::tx::{Row, WriteTx, any_of, ids, locked, raw};
use crate::values::storable_text;
use crate::writes::{events, execute};

/// Keeps a row from being changed by others, without keeping them from referring to it.
pub(super) const FOR_CHANGE: &str = " for no key update";

const RECORD: &str = "insert into webhook_deliveries (id, tenant_id, webhook_id, event_id, event_type, replay_number,
        request_body, next_attempt_at, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8)
    on conflict (webhook_id, event_id, replay_number) where event_id is not null do nothing";

const TRIGGERED: &str = "update webhooks set last_triggered_at = $1, updated_at = $1 where id = $2";

/// See [`cogwheel_engine::ports::WebhookStore::queue_deliveries`].
pub(crate) async fn queue(
    tx: &mut dyn WriteTx,
    consumer: Consumer,
    deliveries: Vec<NewDelivery>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut by_webhook: HashMap<Uuid, Vec<NewDelivery>> = HashMap::new();
    for delivery in deliveries {
        by_webhook.entry(delivery.webhook.0).or_default().push(delivery);
    }
    if !by_webhook.is_empty() {
        let active = format!(
            "select id from webhooks where id in {} and is_active = true order by id{}",
            any_of(tx.backend(), 1),
            locked(tx, FOR_CHANGE)
        );
        let asked = ids(tx, by_webhook.keys().copied());
        for row in tx.query(raw(tx, &active, [asked])).await? {
            let webhook: Uuid = row.get("id")?;
            let mut are_new = false;
            for delivery in by_webhook.remove(&webhook).into_iter().flatten() {
                let values = [
                    Value::from(delivery.id.0),
                    Value::from(delivery.tenant.0),
                    Value::from(webhook),
                    Value::from(delivery.event),
                    Value::from(storable_text(&delivery.event_type)),
                    Value::from(0),
                    Value::from(delivery.body),
                    Value::from(at),
                ];
                are_new |= tx.execute(raw(tx, RECORD, values)).await? > 0;
            }
            if are_new {
                tx.execute(raw(tx, TRIGGERED, [Value::from(at), Value::from(webhook)])).await?;
            }
        }
    }
    // Where its events were handed out again meanwhile, it stays: what is recorded of them is recorded once.
    events::advance(tx, consumer, at).await.map(drop)
}

/// See [`cogwheel_engine::ports::WebhookStore::begin_test`].
pub(crate) async fn begin_test(
    tx: &mut dyn WriteTx,
    test: TestDelivery,
) -> Result<Option<ClaimedDelivery>, StoreError> {
    let Some(target) = target(tx, test.webhook, Some(test.tenant)).await? else { return Ok(None) };
    let lease = test.at + LEASE_MARGIN + TimeDelta::seconds(i64::from(target.timeout_seconds));
    let row = webhook_deliveries::ActiveModel {
        id: Set(test.id.0),
        tenant_id: Set(test.tenant.0),
        webhook_id: Set(test.webhook.0),
        event_type: Set(test.event_type),
        request_body: Set(test.body.clone()),
        status: Set(DeliveryStatus::Delivering),
        attempt_count: Set(1),
        lease_epoch: Set(1),
        lease_expires_at: Set(Some(lease)),
        is_test: Set(true),
        created_at: Set(test.at),
        updated_at: Set(test.at),
        ..Default::default()
    };
    execute(tx, webhook_deliveries::Entity::insert(row)).await?;
    tx.execute(raw(tx, TRIGGERED, [Value::from(test.at), Value::from(test.webhook.0)])).await?;
    Ok(Some(ClaimedDelivery { max_retries: 0, ..target.claimed(test.id, 1, 1, test.body) }))
}

/// See [`cogwheel_engine::ports::WebhookStore::redeliver`].
pub(crate) async fn redeliver(
    tx: &mut dyn WriteTx,
    tenant: TenantId,
    delivery: DeliveryId,
    id: DeliveryId,
    at: DateTime<Utc>,
) -> Result<Redelivery, StoreError> {
    const WHOSE: &str = "select webhook_id from webhook_deliveries where id = $1 and tenant_id = $2";
    const FIND: &str = "select d.event_id, d.event_type, d.request_body, d.status, d.is_test, w.is_active,
            (select coalesce(max(o.replay_number), d.replay_number) + 1 from webhook_deliveries o
                where o.webhook_id = d.webhook_id and o.event_id = d.event_id) as replay_number
        from webhook_deliveries d join webhooks w on w.id = d.webhook_id where d.id = $1";
    let found = tx.query(raw(tx, WHOSE, [Value::from(delivery.0), Value::from(tenant.0)])).await?;
    let Some(row) = found.first() else { return Ok(Redelivery::Unknown) };
    let webhook: Uuid = row.get("webhook_id")?;
    lock(tx, WebhookId(webhook)).await?;
    let found = tx.query(raw(tx, FIND, [Value::from(delivery.0)])).await?;
    let Some(row) = found.first() else { return Ok(Redelivery::Unknown) };
    let status: String = row.get("status")?;
    if row.get("is_test")? {
        return Ok(Redelivery::IsTest);
    }
    let has_ended = [DeliveryStatus::Delivered, DeliveryStatus::Dead, DeliveryStatus::Cancelled];
    if !has_ended.iter().any(|ended| ended.to_value() == status) {
        return Ok(Redelivery::NotEnded);
    }
    if !row.get("is_active")? {
        return Ok(Redelivery::Disabled);
    }
    let values = [
        Value::from(id.0),
        Value::from(tenant.0),
        Value::from(webhook),
        Value::from(row.get::<Option<Uuid>>("event_id")?),
        Value::from(row.get::<String>("event_type")?),
        Value::from(row.get::<i32>("replay_number")?),
        Value::from(row.get::<String>("request_body")?),
        Value::from(at),
    ];
    tx.execute(raw(tx, RECORD, values)).await?;
    tx.execute(raw(tx, TRIGGERED, [Value::from(at), Value::from(webhook)])).await?;
    Ok(Redelivery::Queued(id))
}

/// Locks a webhook's row: what is decided about it and its deliveries is decided one after the other.
pub(super) async fn lock(tx: &mut dyn WriteTx, webhook: WebhookId) -> Result<Option<Row>, StoreError> {
    let sql = format!(
        "select tenant_id, name, is_active, consecutive_failures, circuit_open_until from webhooks where id = $1{}",
        locked(tx, FOR_CHANGE)
    );
    Ok(tx.query(raw(tx, &sql, [Value::from(webhook.0)])).await?.into_iter().next())
}
