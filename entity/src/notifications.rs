//! Messages to people with delivery state; the in-app list.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::{
    declared::{Declared, Words},
    enums::Urgency,
};

/// Words of `notifications.channel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Channel {
    InApp,
    Email,
    Sms,
    Push,
    Webhook,
}

/// Words of `notifications.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum NotificationStatus {
    Pending,
    Sent,
    Failed,
    Suppressed,
}

/// Messages to people with delivery state; the in-app list.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub user_id: Option<Uuid>,
    /// Address, or the user id for `in_app`.
    #[sea_orm(column_type = "String(StringLen::N(320))")]
    pub recipient: String,
    #[sea_orm(default_value = "in_app")]
    pub channel: Channel,
    pub event_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub template_key: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub subject: String,
    #[sea_orm(column_type = "Text")]
    pub body: String,
    #[sea_orm(column_type = "String(StringLen::N(2048))")]
    pub link: Option<String>,
    #[sea_orm(default_value = "normal")]
    pub priority: Urgency,
    pub priority_rank: i16,
    #[sea_orm(default_value = "pending")]
    pub status: NotificationStatus,
    #[sea_orm(default_value = 0)]
    pub attempt_count: i32,
    pub next_attempt_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "Text")]
    pub error: Option<String>,
    pub sent_at: Option<DateTimeUtc>,
    pub read_at: Option<DateTimeUtc>,
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
        on_delete = "Cascade"
    )]
    User,
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
            .words::<Channel>(Column::Channel)
            .words::<Urgency>(Column::Priority)
            .rank(Column::PriorityRank, Column::Priority)
            .words::<NotificationStatus>(Column::Status)
            .indexes([
                unique("uq_notifications_event", "event_id, channel, recipient")
                    .partial("event_id is not null")
                    .serves("once per event, channel and recipient"),
                index("idx_notifications_user_id", "user_id, created_at")
                    .partial("user_id is not null")
                    .serves("my list"),
                index("idx_notifications_tenant_id", "tenant_id, status, created_at").serves("delivery report"),
                index("idx_notifications_due", "priority_rank desc, next_attempt_at")
                    .partial("status = 'pending'")
                    .serves("send next"),
            ])
            .check("ck_notifications_target", "channel <> 'in_app' or user_id is not null")
            .check("ck_notifications_sent", "(status = 'sent') = (sent_at is not null)")
    }
}
