//! What people do by hand, in the transaction of what they do.

use chrono::{DateTime, Utc};
use cogwheel_engine::TenantId;
use cogwheel_engine::ports::StoreError;
use cogwheel_entity::audit_log::{AuditCategory, AuditOperation};
use sea_orm::{ActiveEnum as _, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::tx::{WriteTx, raw};
use crate::values::{new_id, storable, storable_text};

/// The account that stands for whoever holds the admin key. Nobody can sign in as it.
const ADMIN: &str = "admin-key@cogwheel.invalid";

const FIND_ADMIN: &str = "select id from users where email = $1";
const ADD_ADMIN: &str = "insert into users (id, email, display_name, is_system_admin, created_at, updated_at)
    values ($1, $2, 'Administrator (admin key)', $3, $4, $4) on conflict (email) do nothing";
const INSERT: &str =
    "insert into audit_log (id, tenant_id, category, action, table_name, record_id, operation, new_data,
        actor_type, actor_user_id, reason, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, 'user', $9, $10, $11, $11)";

/// Something that was done by hand.
pub(super) struct Act<'a> {
    pub(super) tenant: TenantId,
    /// What was done: `saga.retry`.
    pub(super) action: &'a str,
    /// The table and the row that changed.
    pub(super) table: &'static str,
    pub(super) record: String,
    /// Why, in the words of whoever did it.
    pub(super) reason: Option<&'a str>,
    /// What is new in the row.
    pub(super) change: Json,
    pub(super) at: DateTime<Utc>,
}

/// The account of whoever holds the admin key; it is made when it is first needed.
pub(super) async fn admin(tx: &mut dyn WriteTx, at: DateTime<Utc>) -> Result<Uuid, StoreError> {
    let email = Value::from(ADMIN);
    for is_made in [false, true] {
        if let Some(row) = tx.query(raw(tx, FIND_ADMIN, [email.clone()])).await?.first() {
            return row.get("id");
        }
        if !is_made {
            let values = [Value::from(new_id(at)), email.clone(), Value::from(true), Value::from(at)];
            tx.execute(raw(tx, ADD_ADMIN, values)).await?;
        }
    }
    Err(StoreError::Bug("the account of the admin key could not be made".to_owned()))
}

/// Writes what somebody did about an execution to the audit log.
pub(super) async fn write(tx: &mut dyn WriteTx, actor: Uuid, act: Act<'_>) -> Result<(), StoreError> {
    write_of(tx, actor, (AuditCategory::ExecutionControl, AuditOperation::Update), act).await
}

/// Writes what somebody did to the audit log.
pub(super) async fn write_of(
    tx: &mut dyn WriteTx,
    actor: Uuid,
    (category, operation): (AuditCategory, AuditOperation),
    act: Act<'_>,
) -> Result<(), StoreError> {
    let values = [
        Value::from(new_id(act.at)),
        Value::from(act.tenant.0),
        Value::from(category.to_value()),
        Value::from(act.action),
        Value::from(act.table),
        Value::from(act.record),
        Value::from(operation.to_value()),
        Value::from(storable(&act.change)),
        Value::from(actor),
        Value::from(act.reason.map(storable_text)),
        Value::from(act.at),
    ];
    tx.execute(raw(tx, INSERT, values)).await.map(drop)
}
