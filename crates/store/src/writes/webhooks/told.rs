//! What becomes of webhooks, for those who listen and for those who look after the installation: an event, and where somebody
//! did it, a row of the audit log. Both in the transaction of what they tell.

use chrono::{DateTime, Utc};
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{Actor, NewEvent, StoreError, Stream};
use cogwheel_engine::{TenantId, WebhookId};
use cogwheel_entity::audit_log::{AuditCategory, AuditOperation};
use serde_json::{Value as Json, json};

use crate::events::Event;
use crate::tx::WriteTx;
use crate::values::new_id;
use crate::writes::audit::{self, Act};

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

/// The same for what somebody did, with a row of the audit log: whoever has the admin key, since nobody else can.
pub(super) async fn tell_and_audit(
    tx: &mut dyn WriteTx,
    told: Told,
    operation: AuditOperation,
) -> Result<(), StoreError> {
    append(tx, &told, Actor::Admin).await?;
    let admin = audit::admin(tx, told.at).await?;
    let act = Act {
        tenant: told.tenant,
        action: told.event_type.as_str(),
        table: "webhooks",
        record: told.webhook.to_string(),
        reason: None,
        change: told.data,
        at: told.at,
    };
    audit::write_of(tx, admin, (AuditCategory::Administration, operation), act).await
}
