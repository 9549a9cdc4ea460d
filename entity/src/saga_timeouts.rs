//! Stored deadlines of a saga and its steps, processed in time order.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `saga_timeouts.timeout_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TimeoutType {
    Saga,
    Step,
    Compensation,
}

/// Words of `saga_timeouts.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TimeoutStatus {
    Pending,
    Fired,
    Cancelled,
}

/// Stored deadlines of a saga and its steps, processed in time order.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saga_timeouts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub saga_id: Uuid,
    /// Null = the whole saga.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub step_id: Option<String>,
    #[sea_orm(default_value = "saga")]
    pub timeout_type: TimeoutType,
    pub timeout_at: DateTimeUtc,
    #[sea_orm(default_value = "pending")]
    pub status: TimeoutStatus,
    pub fired_at: Option<DateTimeUtc>,
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
        belongs_to = "super::saga_instances::Entity",
        from = "Column::SagaId",
        to = "super::saga_instances::Column::Id",
        on_delete = "Cascade"
    )]
    Saga,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Hot;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<TimeoutType>(Column::TimeoutType)
            .words::<TimeoutStatus>(Column::Status)
            .indexes([
                unique("uq_saga_timeouts_saga_id_step_id", "saga_id, coalesce(step_id, ''), timeout_type")
                    .partial("status = 'pending'"),
                index("idx_saga_timeouts_timeout_at", "timeout_at")
                    .partial("status = 'pending'")
                    .serves("next deadlines"),
            ])
            .key_indexes(["saga_id"])
            .check("ck_saga_timeouts_fired", "(status = 'fired') = (fired_at is not null)")
    }
}
