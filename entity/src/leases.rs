//! Named single-owner duties (retention, partition upkeep, byte removal, event order).

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// Named single-owner duties (retention, partition upkeep, byte removal, event order).
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "leases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub lease_name: String,
    pub owner_node_id: Option<Uuid>,
    /// Grows with every change of owner; fencing token.
    #[sea_orm(default_value = 0)]
    pub lease_epoch: i64,
    pub expires_at: Option<DateTimeUtc>,
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
            .indexes([unique("uq_leases_lease_name", "lease_name").serves("conditional take-over")])
            .key_indexes(["owner_node_id"])
    }
}
