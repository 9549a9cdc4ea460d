//! What becomes of webhooks, for those who listen and for those who look after the installation: an event, and where somebody
//! did it, a row of the audit log. Both in the transaction of what they tell.

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::StoreError;
use cogwheel_engine::{TenantId, WebhookId};
use cogwheel_entity::audit_log;
use sea_orm::{ActiveValue::Set, DbBackend, EntityTrait, Value};
use serde_json::{Value as Json, json};

use crate::tx::{WriteTx, raw};
use crate::values::{new_id, storable};
use crate::writes::execute;

/// Something that became of a webhook.
pub(super) struct Told {
    /// The webhook's tenant.
    pub(super) tenant: TenantId,
    /// The webhook.
    pub(super) webhook: WebhookId,
    /// The event's type.
    pub(super) event_type: &'static str,
    /// What it says.
    pub(super) data: Json,
    /// When.
    pub(super) at: DateTime<Utc>,
}

/// Appends the event to the stream of the webhook, whose row is locked.
pub(super) async fn tell(tx: &mut dyn WriteTx, told: &Told) -> Result<(), StoreError> {
    const SQLITE: &str = "insert into event_store (id, tenant_id, stream_id, event_type, aggregate_id, event_data,
            event_metadata, created_at, updated_at, aggregate_type, version, position)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8, 'webhook',
            (select coalesce(max(version), 0) + 1 from event_store where stream_id = $3),
            (select coalesce(max(position), 0) + 1 from event_store))";
    const POSTGRES: &str = "insert into event_store (id, tenant_id, stream_id, event_type, aggregate_id, event_data,
            event_metadata, created_at, updated_at, aggregate_type, version)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8, 'webhook',
            (select coalesce(max(version), 0) + 1 from event_store where stream_id = $3))";
    let sql = if tx.backend() == DbBackend::Sqlite { SQLITE } else { POSTGRES };
    let stream = format!("webhook-{}", told.webhook);
    let values = [
        Value::from(new_id(told.at)),
        Value::from(told.tenant.0),
        Value::from(stream.as_str()),
        Value::from(told.event_type),
        Value::from(told.webhook.0),
        Value::from(storable(&json!({ "subject": stream, "data": told.data }))),
        Value::from(json!({ "depth": 0 })),
        Value::from(told.at),
    ];
    tx.execute(raw(tx, sql, values)).await.map(drop)
}

/// The same for what somebody did, with a row of the audit log: by the admin key, the only one there is.
pub(super) async fn tell_and_audit(
    tx: &mut dyn WriteTx,
    told: Told,
    operation: audit_log::AuditOperation,
) -> Result<(), StoreError> {
    tell(tx, &told).await?;
    let row = audit_log::ActiveModel {
        id: Set(new_id(told.at)),
        tenant_id: Set(told.tenant.0),
        category: Set(audit_log::AuditCategory::Administration),
        action: Set(told.event_type.to_owned()),
        table_name: Set(Some("webhooks".to_owned())),
        record_id: Set(Some(told.webhook.to_string())),
        operation: Set(Some(operation)),
        new_data: Set(Some(storable(&told.data))),
        actor_type: Set(audit_log::ActorType::ApiKey),
        created_at: Set(told.at),
        updated_at: Set(told.at),
        ..Default::default()
    };
    execute(tx, audit_log::Entity::insert(row)).await.map(drop)
}
