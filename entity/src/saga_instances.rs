//! The unwind state of an execution whose version declares compensations.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::{
    declared::{Declared, Words},
    enums::SagaStatus,
};

/// Words of `saga_instances.pattern`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SagaPattern {
    Orchestration,
    Choreography,
}

/// Words of `saga_instances.cause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SagaCause {
    StepFailed,
    TimedOut,
    Cancelled,
    Operator,
    Parent,
}

/// Words of `saga_instances.on_undo_failure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum OnUndoFailure {
    Pause,
    Fail,
}

/// The unwind state of an execution whose version declares compensations. One to one with the
/// execution, which owns lease, timers and logs; a saga started by explicit steps gets an `ad_hoc`
/// workflow.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saga_instances")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub execution_id: Uuid,
    /// Workflow name or a registered type.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub saga_type: String,
    #[sea_orm(default_value = "orchestration")]
    pub pattern: SagaPattern,
    #[sea_orm(default_value = "pending")]
    pub status: SagaStatus,
    /// Why the unwind began; kept for ever.
    pub cause: Option<SagaCause>,
    #[sea_orm(column_type = "JsonBinary")]
    pub cause_detail: Option<Json>,
    #[sea_orm(default_value = "pause")]
    pub on_undo_failure: OnUndoFailure,
    #[sea_orm(default_value = 0)]
    pub current_step: i32,
    pub total_steps: i32,
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub steps: Json,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub input_data: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub output_data: Option<Json>,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub context: Json,
    /// State version, conditional updates.
    #[sea_orm(default_value = 1)]
    pub version: i64,
    #[sea_orm(default_value = 0)]
    pub unwind_number: i32,
    pub correlation_id: Uuid,
    pub parent_saga_id: Option<Uuid>,
    pub timeout_at: Option<DateTimeUtc>,
    pub started_at: Option<DateTimeUtc>,
    pub completed_at: Option<DateTimeUtc>,
    /// When it was first asked that everything be undone.
    pub unwind_requested_at: Option<DateTimeUtc>,
    /// What asked: the cause that the unwind then has.
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub unwind_requested_as: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub unwind_reason: Option<String>,
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
        belongs_to = "super::workflow_executions::Entity",
        from = "Column::ExecutionId",
        to = "super::workflow_executions::Column::Id",
        on_delete = "Cascade"
    )]
    Execution,
    #[sea_orm(belongs_to = "Entity", from = "Column::ParentSagaId", to = "Column::Id", on_delete = "SetNull")]
    ParentSaga,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<SagaPattern>(Column::Pattern)
            .words::<SagaStatus>(Column::Status)
            .words::<SagaCause>(Column::Cause)
            .words::<OnUndoFailure>(Column::OnUndoFailure)
            .indexes([
                unique("uq_saga_instances_execution_id", "execution_id"),
                index("idx_saga_instances_status", "status, tenant_id, created_at")
                    .serves("list by state; concurrency cap"),
                index("idx_saga_instances_type", "saga_type, tenant_id, created_at").serves("list by type; statistics"),
                index("idx_saga_instances_tenant_id", "tenant_id, created_at, id").serves("default list"),
                index("idx_saga_instances_correlation_id", "correlation_id").serves("trace; find by the caller's id"),
            ])
            .key_indexes(["parent_saga_id"])
            .check("ck_saga_instances_cause_rule", "status not in ('compensating', 'compensated') or cause is not null")
            .check(
                "ck_saga_instances_terminal",
                "(status in ('completed', 'compensated', 'failed')) = (completed_at is \
                 not null)",
            )
            .refuse_update("cause", "old.cause is not null and new.cause is distinct from old.cause")
    }
}
