//! One row per step to undo in one unwind: command, tries, outcome.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `saga_compensations.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum CompensationStatus {
    Pending,
    Running,
    Completed,
    Failed,
    Skipped,
}

/// Words of `saga_compensations.resolution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum CompensationResolution {
    Retried,
    Skipped,
    Forced,
}

/// One row per step to undo in one unwind: command, tries, outcome.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saga_compensations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub saga_id: Uuid,
    #[sea_orm(default_value = 1)]
    pub unwind_number: i32,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub step_id: String,
    /// The forward step.
    pub step_ordinal: i32,
    /// 0 first; equal numbers may run in parallel.
    pub unwind_order: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub command: Json,
    #[sea_orm(default_value = "pending")]
    pub status: CompensationStatus,
    #[sea_orm(default_value = 0)]
    pub retry_count: i32,
    #[sea_orm(default_value = 3)]
    pub max_retries: i32,
    pub next_attempt_at: Option<DateTimeUtc>,
    pub started_at: Option<DateTimeUtc>,
    pub completed_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary")]
    pub error: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub result: Option<Json>,
    pub correlation_id: Option<Uuid>,
    pub resolution: Option<CompensationResolution>,
    #[sea_orm(column_type = "Text")]
    pub resolution_reason: Option<String>,
    /// Decision.
    pub resolved_by_user_id: Option<Uuid>,
    pub resolved_at: Option<DateTimeUtc>,
    /// How often it was to be tried again on somebody's word.
    #[sea_orm(default_value = 0)]
    pub operator_retries: i32,
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
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::ResolvedByUserId",
        to = "super::users::Column::Id",
        on_delete = "Restrict"
    )]
    ResolvedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Hot;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<CompensationStatus>(Column::Status)
            .words::<CompensationResolution>(Column::Resolution)
            .indexes([
                unique("uq_saga_compensations_saga_id_step_id", "saga_id, unwind_number, step_id")
                    .serves("once per step and unwind"),
                index("idx_saga_compensations_saga_id", "saga_id, unwind_number, unwind_order")
                    .serves("the unwind in order"),
                index("idx_saga_compensations_status", "status, next_attempt_at")
                    .partial("status in ('pending', 'running', 'failed')")
                    .serves("open and stuck undos"),
            ])
            .key_indexes(["resolved_by_user_id"])
            .check(
                "ck_saga_compensations_resolution_rule",
                "(resolution is null) or (resolution_reason is not null and \
                 resolved_by_user_id is not null)",
            )
            .check("ck_saga_compensations_skipped", "status <> 'skipped' or resolution is not null")
    }
}
