//! The end of a try: what it makes of the delivery, of its webhook, and of the counters, in one transaction.

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{
    DeliveryEnd, DeliveryStatus, DisabledReason, EndedTry, FinishDelivery, FinishedDelivery, StoreError,
};
use cogwheel_engine::{DeliveryId, TenantId, WebhookId};
use sea_orm::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::deliveries::lock;
use super::manage::{switch_off, tell_of_disabling};
use super::told::{Told, tell};
use crate::rows::Stored as _;
use crate::tx::{Row, WriteTx, raw};
use crate::values::storable_text;

const FIND: &str = "select webhook_id, event_id, event_type, attempts, attempt_count, is_test from webhook_deliveries
    where id = $1 and lease_epoch = $2 and status = 'delivering'";

const END: &str = "update webhook_deliveries set status = $1, attempts = $2, next_attempt_at = $3,
        lease_expires_at = null, last_status_code = coalesce($4, last_status_code),
        response_body = coalesce($5, response_body), delivered_at = $6, dead_at = $7, updated_at = $8
    where id = $9 and lease_epoch = $10 and status = 'delivering'";

/// A delivery counts when it ends.
const COUNT: &str = "update webhooks set total_calls = total_calls + $1, failed_calls = failed_calls + $2,
        consecutive_failures = $3, circuit_open_until = $4, last_success_at = coalesce($5, last_success_at),
        last_failure_at = coalesce($6, last_failure_at), updated_at = $7 where id = $8";

/// A delivery as it is before the end of its try.
struct Before {
    webhook: WebhookId,
    event: Option<Uuid>,
    event_type: String,
    attempts: Vec<Json>,
    attempt: i32,
    is_test: bool,
}

/// Its webhook, whose row is locked.
struct Owner {
    tenant: TenantId,
    name: String,
    is_active: bool,
    failures: i32,
    open_until: Option<DateTime<Utc>>,
}

/// See [`cogwheel_engine::ports::WebhookStore::finish_delivery`].
pub(crate) async fn finish(
    tx: &mut dyn WriteTx,
    finish: FinishDelivery,
) -> Result<Option<FinishedDelivery>, StoreError> {
    let at = finish.at;
    let Some(known) = find(tx, &finish).await? else { return Ok(None) };
    let Some(owner) = lock(tx, known.webhook).await? else { return Ok(None) };
    let owner = Owner {
        tenant: TenantId(owner.get("tenant_id")?),
        name: owner.get("name")?,
        is_active: owner.get("is_active")?,
        failures: owner.get("consecutive_failures")?,
        open_until: owner.get("circuit_open_until")?,
    };
    // Whoever had the lock may have ended it.
    let Some(before) = find(tx, &finish).await? else { return Ok(None) };
    let status = match finish.end {
        DeliveryEnd::Delivered => DeliveryStatus::Delivered,
        DeliveryEnd::Retry(_) if owner.is_active => DeliveryStatus::Retrying,
        DeliveryEnd::Retry(_) => DeliveryStatus::Cancelled,
        DeliveryEnd::Dead | DeliveryEnd::Gone => DeliveryStatus::Dead,
    };
    write(tx, &finish, &before, status).await?;
    let mut disabled = count(tx, &finish, &before, &owner, status).await?;
    if finish.end == DeliveryEnd::Gone {
        disabled = Some(DisabledReason::Gone);
    }
    let disabled = disabled.filter(|_| owner.is_active && !before.is_test);
    if let Some(reason) = disabled {
        switch_off(tx, before.webhook, reason.stored(), at).await?;
        tell_of_disabling(tx, (owner.tenant, before.webhook, &owner.name), reason.stored(), at).await?;
    }
    let is_dead_letter = status == DeliveryStatus::Dead && !before.is_test;
    if is_dead_letter {
        tell_of_death(tx, finish.id, &before, &owner, at).await?;
    }
    Ok(Some(FinishedDelivery { status, disabled, has_events: disabled.is_some() || is_dead_letter }))
}

async fn find(tx: &mut dyn WriteTx, finish: &FinishDelivery) -> Result<Option<Before>, StoreError> {
    let found = tx.query(raw(tx, FIND, [Value::from(finish.id.0), Value::from(finish.epoch)])).await?;
    let read = |row: &Row| {
        Ok(Before {
            webhook: WebhookId(row.get("webhook_id")?),
            event: row.get("event_id")?,
            event_type: row.get("event_type")?,
            attempts: match row.get("attempts")? {
                Json::Array(attempts) => attempts,
                _ => Vec::new(),
            },
            attempt: row.get("attempt_count")?,
            is_test: row.get("is_test")?,
        })
    };
    found.first().map(read).transpose()
}

async fn write(
    tx: &mut dyn WriteTx,
    finish: &FinishDelivery,
    before: &Before,
    status: DeliveryStatus,
) -> Result<(), StoreError> {
    let at = finish.at;
    let mut attempts = before.attempts.clone();
    attempts.push(recorded(&finish.record, before.attempt, at));
    let (code, body) = match &finish.record {
        EndedTry::Made(made) => (made.status.map(i32::from), made.body.as_deref().map(storable_text)),
        EndedTry::Lost => (None, None),
    };
    let next = match finish.end {
        DeliveryEnd::Retry(next) if status == DeliveryStatus::Retrying => Some(next),
        _ => None,
    };
    let when = |is_it: bool| Value::from(is_it.then_some(at));
    let values = [
        Value::from(status.word()),
        Value::from(Json::Array(attempts)),
        Value::from(next),
        Value::from(code),
        Value::from(body),
        when(status == DeliveryStatus::Delivered),
        when(status == DeliveryStatus::Dead),
        Value::from(at),
        Value::from(finish.id.0),
        Value::from(finish.epoch),
    ];
    tx.execute(raw(tx, END, values)).await.map(drop)
}

/// Counts what ended, and what failures in a row make of the webhook.
async fn count(
    tx: &mut dyn WriteTx,
    finish: &FinishDelivery,
    before: &Before,
    owner: &Owner,
    status: DeliveryStatus,
) -> Result<Option<DisabledReason>, StoreError> {
    let at = finish.at;
    let is_dead = status == DeliveryStatus::Dead;
    let has_ended = is_dead || status == DeliveryStatus::Delivered;
    let has_failed = status != DeliveryStatus::Delivered;
    let is_blamed = has_failed && finish.record != EndedTry::Lost;
    // Neither a test nor a server that died says how the receiver is doing.
    let (failures, open_until) = match (before.is_test, has_failed, is_blamed) {
        (true, ..) | (false, true, false) => (owner.failures, owner.open_until),
        (false, false, _) => (0, None),
        (false, true, true) => {
            let failures = owner.failures.saturating_add(1);
            let pause = finish.breaker.pause_after(failures).and_then(|pause| TimeDelta::from_std(pause).ok());
            (failures, pause.map(|pause| at + pause))
        }
    };
    let values = [
        Value::from(i64::from(has_ended)),
        Value::from(i64::from(is_dead)),
        Value::from(failures),
        Value::from(open_until),
        Value::from((!has_failed).then_some(at)),
        Value::from(is_blamed.then_some(at)),
        Value::from(at),
        Value::from(before.webhook.0),
    ];
    tx.execute(raw(tx, COUNT, values)).await?;
    Ok((is_blamed && !before.is_test && finish.breaker.disables(failures))
        .then_some(DisabledReason::ConsecutiveFailures))
}

async fn tell_of_death(
    tx: &mut dyn WriteTx,
    id: DeliveryId,
    before: &Before,
    owner: &Owner,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let data = json!({
        "webhook_id": before.webhook.to_string(),
        "name": owner.name,
        "delivery_id": id.to_string(),
        "event_id": before.event,
        "event_type": before.event_type,
        "attempts": before.attempt,
    });
    tell(
        tx,
        &Told { tenant: owner.tenant, webhook: before.webhook, event_type: EventType::WebhookDeliveryDied, data, at },
    )
    .await
}

/// A try as the log of its delivery has it.
fn recorded(record: &EndedTry, attempt: i32, at: DateTime<Utc>) -> Json {
    match record {
        EndedTry::Made(made) => json!({
            "attempt": attempt,
            "at": made.at,
            "status": made.status,
            "duration_ms": u64::try_from(made.took.as_millis()).unwrap_or(u64::MAX),
            "error": made.error.as_deref().map(storable_text),
        }),
        EndedTry::Lost => json!({
            "attempt": attempt,
            "at": at,
            "status": null,
            "duration_ms": null,
            "error": "the server died; whether the receiver got it, nobody knows",
        }),
    }
}
