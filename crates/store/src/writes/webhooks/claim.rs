//! Taking deliveries that are due, and finding tries that nobody will end any more.

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_engine::ports::{ClaimedDelivery, DueDeliveries, LostDelivery, SealedSecrets, StoreError};
use cogwheel_engine::{DeliveryId, TenantId, WebhookId};
use sea_orm::Value;
use serde_json::Value as Json;
use uuid::Uuid;

use super::manage::sealed;
use crate::tx::{Ask, Row, WriteTx, locked, raw};

/// How long a try may go on beyond its time limit before it is taken for lost.
pub(super) const LEASE_MARGIN: TimeDelta = TimeDelta::seconds(10);

/// How many tries of one webhook are under way at once, over all servers: a slow receiver takes no more.
const MOST_OF_ONE: i64 = 4;

/// How many webhooks one claim looks at.
const MOST_WEBHOOKS: i64 = 64;

/// How many lost tries are looked for at once.
const MOST_LOST: i64 = 256;

/// The webhooks that have something to send and may: those that have waited longest first.
const READY: &str = "select w.id, w.consecutive_failures from webhooks w
    where w.is_active = true and (w.circuit_open_until is null or w.circuit_open_until <= $1)
        and exists (select 1 from webhook_deliveries d where d.webhook_id = w.id
            and d.status in ('pending', 'retrying') and d.next_attempt_at <= $1)
    order by (select d.next_attempt_at from webhook_deliveries d where d.webhook_id = w.id
        and d.status in ('pending', 'retrying') order by d.next_attempt_at, d.id limit 1)
    limit $2";

/// Other servers take those that are left out.
const READY_LOCK: &str = " for no key update of w skip locked";

/// What one webhook is to be sent next.
pub(crate) const DUE: &str = "select id, attempt_count, lease_epoch, request_body from webhook_deliveries
    where webhook_id = $1 and status in ('pending', 'retrying') and next_attempt_at <= $2
    order by next_attempt_at, id limit $3";

const UNDER_WAY: &str = "select count(*) as tries from webhook_deliveries
    where webhook_id = $1 and status = 'delivering' and is_test = false";

const BEGIN: &str = "update webhook_deliveries set status = 'delivering', attempt_count = $1, lease_epoch = $2,
    lease_expires_at = $3, next_attempt_at = null, updated_at = $4 where id = $5";

/// When the next of what waits may be sent.
const NEXT: &str = "select min(case when t.opens_at > t.due_at then t.opens_at else t.due_at end) as due_at from
    (select w.circuit_open_until as opens_at,
        (select d.next_attempt_at from webhook_deliveries d where d.webhook_id = w.id
            and d.status in ('pending', 'retrying') order by d.next_attempt_at, d.id limit 1) as due_at
    from webhooks w where w.is_active = true) t";

pub(crate) const LOST: &str = "select id, lease_epoch, is_test from webhook_deliveries
    where status = 'delivering' and lease_expires_at <= $1 order by lease_expires_at limit $2";

/// See [`cogwheel_engine::ports::WebhookStore::claim_deliveries`].
pub(crate) async fn claim(tx: &mut dyn WriteTx, room: usize, at: DateTime<Utc>) -> Result<DueDeliveries, StoreError> {
    let sql = format!("{READY}{}", locked(tx, READY_LOCK));
    let ready = tx.query(raw(tx, &sql, [Value::from(at), Value::from(MOST_WEBHOOKS)])).await?;
    let mut deliveries = Vec::new();
    for row in ready {
        let room = i64::try_from(room - deliveries.len()).unwrap_or(i64::MAX);
        if room == 0 {
            break;
        }
        let webhook = WebhookId(row.get("id")?);
        // Counted once the row is locked: no other server begins one meanwhile.
        let under_way = tx.query(raw(tx, UNDER_WAY, [Value::from(webhook.0)])).await?;
        let under_way: i64 = under_way.first().map(|row| row.get("tries")).transpose()?.unwrap_or(0);
        // A receiver that failed is tried with one message before it is sent more.
        let most = if row.get::<i32>("consecutive_failures")? > 0 { 1 } else { MOST_OF_ONE };
        let most = (most - under_way).min(room);
        if most <= 0 {
            continue;
        }
        let due = [Value::from(webhook.0), Value::from(at), Value::from(most)];
        let due = tx.query(raw(tx, DUE, due)).await?;
        let Some(target) = target(tx, webhook, None).await? else { continue };
        for row in due {
            deliveries.push(begin(tx, &target, &row, at).await?);
        }
    }
    let next = tx.query(raw(tx, NEXT, [])).await?;
    let next_due_at = next.first().map(|row| row.get("due_at")).transpose()?.flatten();
    Ok(DueDeliveries { deliveries, next_due_at })
}

async fn begin(
    tx: &mut dyn WriteTx,
    target: &Target,
    row: &Row,
    at: DateTime<Utc>,
) -> Result<ClaimedDelivery, StoreError> {
    let id: Uuid = row.get("id")?;
    let (attempt, epoch) = (row.get::<i32>("attempt_count")? + 1, row.get::<i64>("lease_epoch")? + 1);
    let lease = at + TimeDelta::seconds(i64::from(target.timeout_seconds)) + LEASE_MARGIN;
    let values = [Value::from(attempt), Value::from(epoch), Value::from(lease), Value::from(at), Value::from(id)];
    tx.execute(raw(tx, BEGIN, values)).await?;
    Ok(target.claimed(DeliveryId(id), epoch, attempt, row.get("request_body")?))
}

/// Where the deliveries of a webhook go.
pub(super) struct Target {
    webhook: WebhookId,
    tenant: TenantId,
    url: String,
    headers: Json,
    max_retries: i32,
    pub(super) timeout_seconds: i32,
    secrets: SealedSecrets,
}

impl Target {
    pub(super) fn claimed(&self, id: DeliveryId, epoch: i64, attempt: i32, body: String) -> ClaimedDelivery {
        ClaimedDelivery {
            id,
            webhook: self.webhook,
            tenant: self.tenant,
            epoch,
            attempt,
            max_retries: self.max_retries,
            timeout_seconds: self.timeout_seconds,
            url: self.url.clone(),
            headers: self.headers.clone(),
            secrets: self.secrets.clone(),
            body,
        }
    }
}

/// A webhook's address and what it signs with; only one of the tenant, if one is named.
pub(super) async fn target(
    tx: &mut dyn WriteTx,
    webhook: WebhookId,
    tenant: Option<TenantId>,
) -> Result<Option<Target>, StoreError> {
    const TARGET: &str = "select w.tenant_id, w.url, w.headers, w.max_retries, w.timeout_seconds, w.secret_ciphertext,
            w.previous_secret_ciphertext, k.wrapped_key, k.master_key_ref
        from webhooks w join encryption_keys k on k.id = w.encryption_key_id where w.id = $1";
    let found = tx.query(raw(tx, TARGET, [Value::from(webhook.0)])).await?;
    let read = |row: &Row| -> Result<Target, StoreError> {
        Ok(Target {
            webhook,
            tenant: TenantId(row.get("tenant_id")?),
            url: row.get("url")?,
            headers: row.get("headers")?,
            max_retries: row.get("max_retries")?,
            timeout_seconds: row.get("timeout_seconds")?,
            secrets: sealed(row)?,
        })
    };
    let target = found.first().map(read).transpose()?;
    Ok(target.filter(|target| tenant.is_none_or(|tenant| tenant == target.tenant)))
}

/// See [`cogwheel_engine::ports::WebhookStore::lost_deliveries`].
pub(crate) async fn lost(ask: &mut dyn Ask, at: DateTime<Utc>) -> Result<Vec<LostDelivery>, StoreError> {
    let read = |row: &Row| {
        Ok(LostDelivery {
            id: DeliveryId(row.get("id")?),
            epoch: row.get("lease_epoch")?,
            is_test: row.get("is_test")?,
        })
    };
    ask.query(raw(ask, LOST, [Value::from(at), Value::from(MOST_LOST)])).await?.iter().map(read).collect()
}
