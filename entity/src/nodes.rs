//! Processes that run or recently ran work.

use cogwheel_schema::{Shape, TableDef, build::index};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `nodes.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum NodeStatus {
    Starting,
    Active,
    Draining,
    Stopped,
    Lost,
}

/// Processes that run or recently ran work.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "nodes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub node_name: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub address: Option<String>,
    /// Words `api`, `triggers`, `worker`.
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub node_roles: Json,
    /// Where a step may run.
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub labels: Json,
    #[sea_orm(default_value = "starting")]
    pub status: NodeStatus,
    #[sea_orm(default_value = 0)]
    pub capacity: i32,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub engine_version: String,
    #[sea_orm(column_type = "Char(Some(64))")]
    pub schema_fingerprint: String,
    /// Raised by whoever finds the lease lapsed; a write of the node names the generation it
    /// knows.
    #[sea_orm(default_value = 1)]
    pub generation: i64,
    /// Null: the only node, needs no heartbeat.
    pub lease_expires_at: Option<DateTimeUtc>,
    pub last_heartbeat_at: Option<DateTimeUtc>,
    pub started_at: DateTimeUtc,
    pub stopped_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = "now")]
    pub created_at: DateTimeUtc,
    #[sea_orm(default_value = "now")]
    pub updated_at: DateTimeUtc,
}

/// The rows this one points at.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Global;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<NodeStatus>(Column::Status)
            .indexes([index("idx_nodes_status", "status, lease_expires_at").serves("find lapsed nodes; divide work")])
    }
}
