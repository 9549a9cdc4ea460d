//! Recording deliveries: of events together with how far their reader got, of tests, and anew.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_engine::ports::{ClaimedDelivery, Consumer, NewDelivery, Redelivery, StoreError, TestDelivery};
use cogwheel_engine::{DeliveryId, TenantId, WebhookId};
use cogwheel_entity::webhook_deliveries::{self, DeliveryStatus};
use sea_orm::{ActiveEnum as _, ActiveValue::Set, DbBackend, EntityTrait, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::claim::{LEASE_MARGIN, target};
use crate::tx::{FOR_CHANGE, Row, WriteTx, any_of, ids, locked, raw};
use crate::values::storable_text;
use crate::writes::{events, execute};

const RECORD: &str = "insert into webhook_deliveries (id, tenant_id, webhook_id, event_id, event_type, replay_number,
        request_body, next_attempt_at, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8)
    on conflict (webhook_id, event_id, replay_number) where event_id is not null do nothing";

/// The same of many at once; the webhooks that have new ones.
const RECORD_ALL: &str = "with recorded as (
      insert into webhook_deliveries (id, tenant_id, webhook_id, event_id, event_type, request_body, next_attempt_at,
        created_at, updated_at)
      select id, tenant_id, webhook_id, event_id, event_type, request_body, $1::timestamptz, $1, $1
      from jsonb_to_recordset($2::jsonb) as r(id uuid, tenant_id uuid, webhook_id uuid, event_id uuid, event_type text,
        request_body text)
      on conflict (webhook_id, event_id, replay_number) where event_id is not null do nothing returning webhook_id)
    select distinct webhook_id from recorded order by webhook_id";

/// Instants come from the clocks of several servers.
const TRIGGERED: &str = "update webhooks set updated_at = $1,
    last_triggered_at = case when last_triggered_at > $1 then last_triggered_at else $1 end where id = $2";

/// See [`cogwheel_engine::ports::WebhookStore::queue_deliveries`].
pub(crate) async fn queue(
    tx: &mut dyn WriteTx,
    consumer: Consumer,
    mut deliveries: Vec<NewDelivery>,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    // Whoever was put to another place meanwhile may have read what is nobody's business any more.
    if !events::advance(tx, consumer, at).await? {
        return Ok(false);
    }
    if deliveries.is_empty() {
        return Ok(true);
    }
    let asked: HashSet<Uuid> = deliveries.iter().map(|delivery| delivery.webhook.0).collect();
    let active = format!(
        "select id from webhooks where id in {} and is_active = true order by id{}",
        any_of(tx.backend(), 1),
        locked(tx, FOR_CHANGE)
    );
    let asked = ids(tx, asked);
    let active = tx.query(raw(tx, &active, [asked])).await?;
    let active = active.iter().map(|row| row.get("id")).collect::<Result<HashSet<Uuid>, _>>()?;
    deliveries.retain(|delivery| active.contains(&delivery.webhook.0));
    let triggered = if tx.backend() == DbBackend::Sqlite {
        record(tx, deliveries, at).await?
    } else {
        record_all(tx, &deliveries, at).await?
    };
    for webhook in triggered {
        tx.execute(raw(tx, TRIGGERED, [Value::from(at), Value::from(webhook)])).await?;
    }
    Ok(true)
}

/// Records deliveries one by one; the webhooks of those that are new.
async fn record(
    tx: &mut dyn WriteTx,
    deliveries: Vec<NewDelivery>,
    at: DateTime<Utc>,
) -> Result<BTreeSet<Uuid>, StoreError> {
    let mut triggered = BTreeSet::new();
    for delivery in deliveries {
        let values = [
            Value::from(delivery.id.0),
            Value::from(delivery.tenant.0),
            Value::from(delivery.webhook.0),
            Value::from(delivery.event),
            Value::from(storable_text(&delivery.event_type)),
            Value::from(0),
            Value::from(delivery.body),
            Value::from(at),
        ];
        if tx.execute(raw(tx, RECORD, values)).await? > 0 {
            triggered.insert(delivery.webhook.0);
        }
    }
    Ok(triggered)
}

/// The same in one statement.
async fn record_all(
    tx: &mut dyn WriteTx,
    deliveries: &[NewDelivery],
    at: DateTime<Utc>,
) -> Result<BTreeSet<Uuid>, StoreError> {
    let row = |delivery: &NewDelivery| {
        json!({
            "id": delivery.id.0,
            "tenant_id": delivery.tenant.0,
            "webhook_id": delivery.webhook.0,
            "event_id": delivery.event,
            "event_type": storable_text(&delivery.event_type),
            "request_body": delivery.body,
        })
    };
    let rows: Vec<Json> = deliveries.iter().map(row).collect();
    let recorded = raw(tx, RECORD_ALL, [Value::from(at), Value::from(Json::Array(rows).to_string())]);
    tx.query(recorded).await?.iter().map(|row| row.get("webhook_id")).collect()
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
