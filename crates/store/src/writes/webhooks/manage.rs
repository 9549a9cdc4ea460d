//! Making, changing, switching and deleting webhooks, and their secrets.

use chrono::{DateTime, Utc};
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{
    ChangeWebhook, NewWebhook, OUTGOING_WEBHOOKS, Place, SealedSecrets, StoreError, Subscription, SwitchWebhook,
    WebhookRow, WrappedKey,
};
use cogwheel_engine::{TenantId, WebhookId};
use cogwheel_entity::audit_log::AuditOperation;
use cogwheel_entity::webhooks::{self, DisabledReason};
use sea_orm::{ActiveEnum as _, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::told::{Told, tell, tell_and_audit};
use crate::tx::{Ask, FOR_CHANGE, Row, WriteTx, locked, raw};
use crate::values::storable_text;
use crate::writes::{events, execute};

/// See [`cogwheel_engine::ports::WebhookStore::create_webhook`].
pub(crate) async fn create(tx: &mut dyn WriteTx, new: NewWebhook) -> Result<(), StoreError> {
    let since = begin_reading(tx, new.at).await?;
    let data = described(new.id, &new.settings);
    let row = webhooks::ActiveModel {
        id: Set(new.id.0),
        tenant_id: Set(new.tenant.0),
        secret_ciphertext: Set(new.secret),
        encryption_key_id: Set(new.key),
        is_active: Set(true),
        since_recorded_xid: Set(since.transaction),
        since_position: Set(since.position),
        created_at: Set(new.at),
        updated_at: Set(new.at),
        ..columns(new.settings)
    };
    execute(tx, webhooks::Entity::insert(row)).await?;
    let told = Told { tenant: new.tenant, webhook: new.id, event_type: EventType::WebhookCreated, data, at: new.at };
    tell_and_audit(tx, told, AuditOperation::Insert).await
}

/// See [`cogwheel_engine::ports::WebhookStore::change_webhook`].
pub(crate) async fn change(tx: &mut dyn WriteTx, change: ChangeWebhook) -> Result<bool, StoreError> {
    let ChangeWebhook { id, tenant, settings, at } = change;
    let data = described(id, &settings);
    let update = webhooks::Entity::update_many()
        .set(webhooks::ActiveModel { updated_at: Set(at), ..columns(settings) })
        .filter(webhooks::Column::Id.eq(id.0))
        .filter(webhooks::Column::TenantId.eq(tenant.0));
    if execute(tx, update).await? == 0 {
        return Ok(false);
    }
    let told = Told { tenant, webhook: id, event_type: EventType::WebhookUpdated, data, at };
    tell_and_audit(tx, told, AuditOperation::Update).await?;
    Ok(true)
}

/// See [`cogwheel_engine::ports::WebhookStore::delete_webhook`].
pub(crate) async fn delete(
    tx: &mut dyn WriteTx,
    tenant: TenantId,
    id: WebhookId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Some(before) = lock(tx, tenant, id).await? else { return Ok(false) };
    let gone = webhooks::Entity::delete_many().filter(webhooks::Column::Id.eq(id.0));
    execute(tx, gone).await?;
    let data = json!({ "webhook_id": id.to_string(), "name": before.name });
    let told = Told { tenant, webhook: id, event_type: EventType::WebhookDeleted, data, at };
    tell_and_audit(tx, told, AuditOperation::Delete).await?;
    Ok(true)
}

/// See [`cogwheel_engine::ports::WebhookStore::switch_webhook`].
pub(crate) async fn switch(tx: &mut dyn WriteTx, switch: SwitchWebhook) -> Result<bool, StoreError> {
    let SwitchWebhook { id, tenant, is_active, at } = switch;
    // Whoever has both locks takes the reader's first.
    let since = if is_active { Some(begin_reading(tx, at).await?) } else { None };
    let Some(before) = lock(tx, tenant, id).await? else { return Ok(false) };
    if before.is_active == is_active {
        return Ok(true);
    }
    let Some(since) = since else {
        switch_off(tx, id, DisabledReason::User, at).await?;
        let data = json!({ "webhook_id": id.to_string(), "name": before.name, "reason": "user" });
        let told = Told { tenant, webhook: id, event_type: EventType::WebhookDisabled, data, at };
        tell_and_audit(tx, told, AuditOperation::Update).await?;
        return Ok(true);
    };
    let data = json!({ "webhook_id": id.to_string(), "name": before.name, "is_active": true });
    let update = webhooks::Entity::update_many()
        .set(webhooks::ActiveModel {
            is_active: Set(true),
            since_recorded_xid: Set(since.transaction),
            since_position: Set(since.position),
            disabled_reason: Set(None),
            disabled_at: Set(None),
            consecutive_failures: Set(0),
            circuit_open_until: Set(None),
            updated_at: Set(at),
            ..Default::default()
        })
        .filter(webhooks::Column::Id.eq(id.0));
    execute(tx, update).await?;
    let told = Told { tenant, webhook: id, event_type: EventType::WebhookUpdated, data, at };
    tell_and_audit(tx, told, AuditOperation::Update).await?;
    Ok(true)
}

/// Switches a webhook off, whose row is locked, and cancels what waits to be sent to it.
pub(super) async fn switch_off(
    tx: &mut dyn WriteTx,
    id: WebhookId,
    reason: DisabledReason,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    const CANCEL: &str = "update webhook_deliveries set status = 'cancelled', next_attempt_at = null, updated_at = $1
        where webhook_id = $2 and status in ('pending', 'retrying')";
    let update = webhooks::Entity::update_many()
        .set(webhooks::ActiveModel {
            is_active: Set(false),
            disabled_reason: Set(Some(reason)),
            disabled_at: Set(Some(at)),
            circuit_open_until: Set(None),
            updated_at: Set(at),
            ..Default::default()
        })
        .filter(webhooks::Column::Id.eq(id.0));
    execute(tx, update).await?;
    tx.execute(raw(tx, CANCEL, [Value::from(at), Value::from(id.0)])).await.map(drop)
}

/// Tells that a webhook was switched off by what its receiver did.
pub(super) async fn tell_of_disabling(
    tx: &mut dyn WriteTx,
    (tenant, webhook, name): (TenantId, WebhookId, &str),
    reason: DisabledReason,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let data = json!({ "webhook_id": webhook.to_string(), "name": name, "reason": reason.to_value() });
    tell(tx, &Told { tenant, webhook, event_type: EventType::WebhookDisabled, data, at }).await
}

/// See [`cogwheel_engine::ports::WebhookStore::webhook_secrets`].
pub(crate) async fn secrets(
    ask: &mut dyn Ask,
    tenant: TenantId,
    id: WebhookId,
) -> Result<Option<SealedSecrets>, StoreError> {
    const SECRETS: &str = "select w.secret_ciphertext, w.previous_secret_ciphertext, k.wrapped_key, k.master_key_ref
        from webhooks w join encryption_keys k on k.id = w.encryption_key_id where w.id = $1 and w.tenant_id = $2";
    let found = ask.query(raw(ask, SECRETS, [Value::from(id.0), Value::from(tenant.0)])).await?;
    found.first().map(sealed).transpose()
}

/// What a row has of what its webhook signs with.
pub(super) fn sealed(row: &Row) -> Result<SealedSecrets, StoreError> {
    Ok(SealedSecrets {
        current: row.get("secret_ciphertext")?,
        previous: row.get("previous_secret_ciphertext")?,
        key: WrappedKey { bytes: row.get("wrapped_key")?, master_key: row.get("master_key_ref")? },
    })
}

/// See [`cogwheel_engine::ports::WebhookStore::replace_webhook_secrets`].
pub(crate) async fn replace_secrets(
    tx: &mut dyn WriteTx,
    id: WebhookId,
    replaces: Vec<u8>,
    (current, previous, key): (Vec<u8>, Option<Vec<u8>>, Uuid),
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    const WHOSE: &str = "select tenant_id, name from webhooks where id = $1";
    let update = webhooks::Entity::update_many()
        .set(webhooks::ActiveModel {
            secret_ciphertext: Set(current),
            previous_secret_ciphertext: Set(previous),
            encryption_key_id: Set(key),
            updated_at: Set(at),
            ..Default::default()
        })
        .filter(webhooks::Column::Id.eq(id.0))
        .filter(webhooks::Column::SecretCiphertext.eq(replaces));
    if execute(tx, update).await? == 0 {
        return Err(StoreError::Conflict("the webhook's secret was replaced meanwhile".to_owned()));
    }
    let found = tx.query(raw(tx, WHOSE, [Value::from(id.0)])).await?;
    let row = found.first().ok_or_else(|| StoreError::Bug("a row that was changed is not there".to_owned()))?;
    let (tenant, name): (Uuid, String) = (row.get("tenant_id")?, row.get("name")?);
    let data = json!({ "webhook_id": id.to_string(), "name": name, "secret": "replaced" });
    let told = Told { tenant: TenantId(tenant), webhook: id, event_type: EventType::WebhookUpdated, data, at };
    tell_and_audit(tx, told, AuditOperation::Update).await
}

const SUBSCRIPTIONS: &str = "select id, tenant_id, name, events, event_filter, since_recorded_xid, since_position
    from webhooks where is_active = true order by id";

/// See [`cogwheel_engine::ports::WebhookStore::subscriptions`].
pub(crate) async fn subscriptions(ask: &mut dyn Ask) -> Result<Vec<Subscription>, StoreError> {
    let read = |row: &Row| {
        Ok(Subscription {
            webhook: WebhookId(row.get("id")?),
            tenant: TenantId(row.get("tenant_id")?),
            name: row.get("name")?,
            events: texts(&row.get("events")?),
            filter: filter_of(row.get::<Option<Json>>("event_filter")?.as_ref()),
            since: Place { transaction: row.get("since_recorded_xid")?, position: row.get("since_position")? },
        })
    };
    ask.query(raw(ask, SUBSCRIPTIONS, [])).await?.iter().map(read).collect()
}

/// The texts of a stored list.
pub(crate) fn texts(list: &Json) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The expression of a stored filter.
pub(crate) fn filter_of(stored: Option<&Json>) -> Option<String> {
    stored?["if"].as_str().map(str::to_owned)
}

/// Lets events be read for a webhook that is switched on, and answers from where on they are its business: the reading may
/// lag, or go on for others.
async fn begin_reading(tx: &mut dyn WriteTx, at: DateTime<Utc>) -> Result<Place, StoreError> {
    const LISTENERS: &str = "select 1 as found from webhooks where is_active = true limit 1";
    let listeners = raw(tx, LISTENERS, []);
    events::listen(tx, OUTGOING_WEBHOOKS, listeners, at).await?;
    events::end(tx).await
}

/// A webhook that is locked.
struct Before {
    name: String,
    is_active: bool,
}

async fn lock(tx: &mut dyn WriteTx, tenant: TenantId, id: WebhookId) -> Result<Option<Before>, StoreError> {
    let sql =
        format!("select name, is_active from webhooks where id = $1 and tenant_id = $2{}", locked(tx, FOR_CHANGE));
    let found = tx.query(raw(tx, &sql, [Value::from(id.0), Value::from(tenant.0)])).await?;
    found.first().map(|row| Ok(Before { name: row.get("name")?, is_active: row.get("is_active")? })).transpose()
}

/// The columns that people set.
fn columns(settings: WebhookRow) -> webhooks::ActiveModel {
    webhooks::ActiveModel {
        name: Set(storable_text(&settings.name)),
        url: Set(settings.url),
        events: Set(json!(settings.events)),
        event_filter: Set(settings.filter.map(|filter| json!({ "if": storable_text(&filter) }))),
        headers: Set(settings.headers),
        max_retries: Set(settings.max_retries),
        timeout_seconds: Set(settings.timeout_seconds),
        ..Default::default()
    }
}

/// What is told of what people set. An address may hold a token in its path or query, so only its host is.
fn described(id: WebhookId, settings: &WebhookRow) -> Json {
    let host = settings.url.split_once("://").map_or(settings.url.as_str(), |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    json!({
        "webhook_id": id.to_string(),
        "name": settings.name,
        "host": host,
        "events": settings.events,
        "filter": settings.filter,
        "headers": settings.headers.as_object().map(|headers| headers.keys().collect::<Vec<_>>()),
        "max_retries": settings.max_retries,
        "timeout_seconds": settings.timeout_seconds,
    })
}
