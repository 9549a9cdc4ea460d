//! Durable readers of the global order (triggers, webhooks, notifications, projections).

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `event_consumers.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ConsumerStatus {
    Active,
    Paused,
    Failed,
}

/// Durable readers of the global order (triggers, webhooks, notifications, projections).
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_consumers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub consumer_name: String,
    #[sea_orm(default_value = 0)]
    pub last_position: i64,
    #[sea_orm(default_value = 0)]
    pub last_recorded_xid: i64,
    #[sea_orm(default_value = "active")]
    pub status: ConsumerStatus,
    #[sea_orm(default_value = 0)]
    pub failure_count: i32,
    pub next_attempt_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "Text")]
    pub last_error: Option<String>,
    pub owner_node_id: Option<Uuid>,
    #[sea_orm(default_value = 0)]
    pub lease_epoch: i64,
    pub lease_expires_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = "now")]
    pub created_at: DateTimeUtc,
    #[sea_orm(default_value = "now")]
    pub updated_at: DateTimeUtc,
}

/// The rows this one points at.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::nodes::Entity",
        from = "Column::OwnerNodeId",
        to = "super::nodes::Column::Id",
        on_delete = "SetNull"
    )]
    OwnerNode,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Global;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<ConsumerStatus>(Column::Status)
            .indexes([unique("uq_event_consumers_consumer_name", "consumer_name")])
            .key_indexes(["owner_node_id"])
    }
}
