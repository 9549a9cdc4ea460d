//! One event to one subscription: exact body, tries, outcome.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `webhook_deliveries.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DeliveryStatus {
    Pending,
    Delivering,
    Delivered,
    Retrying,
    Dead,
    Cancelled,
}

/// One event to one subscription: exact body, tries, outcome.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub webhook_id: Uuid,
    pub event_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub event_type: String,
    #[sea_orm(default_value = 0)]
    pub replay_number: i32,
    /// The exact text that is signed and sent.
    #[sea_orm(column_type = "Text")]
    pub request_body: String,
    #[sea_orm(default_value = "pending")]
    pub status: DeliveryStatus,
    #[sea_orm(default_value = 0)]
    pub attempt_count: i32,
    /// Per try: at, status, duration, error.
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub attempts: Json,
    pub next_attempt_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = 0)]
    pub lease_epoch: i64,
    pub lease_expires_at: Option<DateTimeUtc>,
    pub last_status_code: Option<i32>,
    /// First 4 KiB.
    #[sea_orm(column_type = "Text")]
    pub response_body: Option<String>,
    pub delivered_at: Option<DateTimeUtc>,
    pub dead_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = false)]
    pub is_test: bool,
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
        belongs_to = "super::webhooks::Entity",
        from = "Column::WebhookId",
        to = "super::webhooks::Column::Id",
        on_delete = "Cascade"
    )]
    Webhook,
    #[sea_orm(
        belongs_to = "super::event_store::Entity",
        from = "Column::EventId",
        to = "super::event_store::Column::Id",
        on_delete = "SetNull"
    )]
    Event,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<DeliveryStatus>(Column::Status)
            .indexes([
                unique("uq_webhook_deliveries_event", "webhook_id, event_id, replay_number")
                    .partial("event_id is not null")
                    .serves("once per event"),
                index("idx_webhook_deliveries_webhook_id", "webhook_id, created_at").serves("log of a webhook"),
                index("idx_webhook_deliveries_tenant_id", "tenant_id, status, created_at").serves("dead letters"),
                index("idx_webhook_deliveries_lease_expires_at", "lease_expires_at")
                    .partial("status = 'delivering'")
                    .serves("abandoned tries"),
            ])
            .key_indexes(["event_id"])
            .indexes([index("idx_webhook_deliveries_waiting", "webhook_id, next_attempt_at, id")
                .partial("status in ('pending', 'retrying')")
                .serves("send next")])
            .check("ck_webhook_deliveries_end", "(status = 'delivered') = (delivered_at is not null)")
    }
}
