//! Outgoing subscriptions to the event catalogue.

use cogwheel_schema::{Shape, TableDef, build::index};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `webhooks.disabled_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DisabledReason {
    User,
    ConsecutiveFailures,
    Gone,
}

/// Outgoing subscriptions to the event catalogue.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Who made it.
    pub user_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "String(StringLen::N(2048))")]
    pub url: String,
    /// Non-empty set of event types.
    #[sea_orm(column_type = "JsonBinary")]
    pub events: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub event_filter: Option<Json>,
    /// Values may name secrets, never contain them.
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub headers: Json,
    pub secret_ciphertext: Vec<u8>,
    pub previous_secret_ciphertext: Option<Vec<u8>>,
    pub encryption_key_id: Uuid,
    #[sea_orm(default_value = 8)]
    pub max_retries: i32,
    #[sea_orm(default_value = 15)]
    pub timeout_seconds: i32,
    #[sea_orm(default_value = true)]
    pub is_active: bool,
    pub disabled_reason: Option<DisabledReason>,
    pub disabled_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = 0)]
    pub consecutive_failures: i32,
    pub circuit_open_until: Option<DateTimeUtc>,
    #[sea_orm(default_value = 0)]
    pub total_calls: i64,
    #[sea_orm(default_value = 0)]
    pub failed_calls: i64,
    pub last_triggered_at: Option<DateTimeUtc>,
    pub last_success_at: Option<DateTimeUtc>,
    pub last_failure_at: Option<DateTimeUtc>,
    /// The place in the events where it was switched on last, by `event_store.recorded_xid` and `position`.
    #[sea_orm(default_value = 0)]
    pub since_recorded_xid: i64,
    #[sea_orm(default_value = 0)]
    pub since_position: i64,
    #[sea_orm(default_value = "now")]
    pub created_at: DateTimeUtc,
    #[sea_orm(default_value = "now")]
    pub updated_at: DateTimeUtc,
}

/// The rows this one points at.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::tenants::Entity",
        from = "Column::TenantId",
        to = "super::tenants::Column::Id",
        on_delete = "Restrict"
    )]
    Tenant,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::UserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    User,
    #[sea_orm(
        belongs_to = "super::encryption_keys::Entity",
        from = "Column::EncryptionKeyId",
        to = "super::encryption_keys::Column::Id",
        on_delete = "Restrict"
    )]
    EncryptionKey,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<DisabledReason>(Column::DisabledReason)
            .indexes([index("idx_webhooks_tenant_id", "tenant_id, is_active, created_at")
                .serves("list; subscriptions to match")])
            .key_indexes(["user_id", "encryption_key_id"])
            .check("ck_webhooks_disabled", "is_active = true or disabled_reason is not null")
            .check("ck_webhooks_counters", "total_calls >= failed_calls")
            .gin("idx_webhooks_events", "events")
    }
}
