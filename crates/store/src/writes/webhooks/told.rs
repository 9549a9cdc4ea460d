//! What becomes of webhooks, for those who listen and for those who look after the installation: an event, and where somebody
//! did it, a row of the audit log. Both in the transaction of what they tell.

use chrono::{DateTime, Utc};
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{Actor, NewEvent, StoreError, Stream};
use cogwheel_engine::{TenantId, WebhookId};
use cogwheel_entity::audit_log;
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::{Value as Json, json};

use crate::events::Event;
use crate::tx::WriteTx;
use crate::values::{new_id, storable};
use crate::writes::execute;

/// Something that became of a webhook.
pub(super) struct Told {
    /// The webhook's tenant.
    pub(super) tenant: TenantId,
    /// The webhook.
    pub(super) webhook: WebhookId,
    /// The event's type.
    pub(super) event_type: EventType,
    /// What it says.
    pub(super) data: Json,
    /// When.
    pub(super) at: DateTime<Utc>,
}

/// Appends the event to the stream of the webhook.
pub(super) async fn tell(tx: &mut dyn WriteTx, told: &Told) -> Result<(), StoreError> {
    append(tx, told, Actor::Engine).await
}

async fn append(tx: &mut dyn WriteTx, told: &Told, actor: Actor) -> Result<(), StoreError> {
    let stream = Stream::of("webhook", told.webhook.0);
    let event = NewEvent {
        id: new_id(told.at),
        event_type: told.event_type.clone(),
        data: json!({ "subject": stream.name(), "data": told.data }),
        actor,
        depth: 0,
        correlation_id: None,
        causation_id: None,
    };
    tx.append(vec![Event::new(told.tenant, &stream, &event, told.at)]).await.map(drop)
}

/// The same for what somebody did, with a row of the audit log: by the admin key, the only one there is.
pub(super) async fn tell_and_audit(
    tx: &mut dyn WriteTx,
    told: Told,
    operation: audit_log::AuditOperation,
) -> Result<(), StoreError> {
    append(tx, &told, Actor::Admin).await?;
    let row = audit_log::ActiveModel {
        id: Set(new_id(told.at)),
        tenant_id: Set(told.tenant.0),
        category: Set(audit_log::AuditCategory::Administration),
        action: Set(told.event_type.as_str().to_owned()),
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
