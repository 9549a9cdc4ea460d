//! One row per step instance (step x iteration x manual re-run) of an execution.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `step_executions.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum StepStatus {
    Pending,
    Running,
    Waiting,
    Retrying,
    Completed,
    Failed,
    Skipped,
    Cancelled,
    TimedOut,
}

/// Words of `step_executions.effect_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum EffectState {
    None,
    Applied,
    Unknown,
}

/// One row per step instance (step x iteration x manual re-run) of an execution.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "step_executions")]
pub struct Model {
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// Order of creation inside the execution.
    #[sea_orm(primary_key, auto_increment = false)]
    pub ordinal: i32,
    /// Key in the definition, with the iteration path: `load[3]`.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub step_key: String,
    /// 2, 3 … for a manual re-run of a finished step.
    #[sea_orm(default_value = 1)]
    pub run_number: i32,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub step_name: String,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub step_type: String,
    /// Enclosing foreach, parallel or switch.
    pub parent_ordinal: Option<i32>,
    #[sea_orm(default_value = "pending")]
    pub status: StepStatus,
    /// What an unwind must assume about outside effects.
    #[sea_orm(default_value = "none")]
    pub effect_state: EffectState,
    #[sea_orm(default_value = 0)]
    pub attempt: i32,
    /// Earlier attempts: times, node, outcome (failed, `timed_out`, lost), error.
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub attempt_history: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub input_data: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub output_data: Option<Json>,
    /// Large output lies in artifacts.
    #[sea_orm(default_value = false)]
    pub is_output_offloaded: bool,
    #[sea_orm(column_type = "JsonBinary")]
    pub error: Option<Json>,
    /// Process or container to find again after a restart.
    #[sea_orm(column_type = "JsonBinary")]
    pub external_handle: Option<Json>,
    /// Epoch of the owner that wrote the row last.
    #[sea_orm(default_value = 0)]
    pub lease_epoch: i64,
    /// Retry, delay or wait until.
    pub wake_at: Option<DateTimeUtc>,
    pub timeout_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub wait_signal_name: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub wait_correlation_key: Option<String>,
    pub started_at: Option<DateTimeUtc>,
    pub completed_at: Option<DateTimeUtc>,
    pub execution_time_ms: Option<i64>,
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
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Child;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<StepStatus>(Column::Status)
            .words::<EffectState>(Column::EffectState)
            .indexes([
                unique("uq_step_executions_step_key", "execution_id, step_key, run_number")
                    .serves("find an instance by its key"),
                index("idx_step_executions_waiting", "tenant_id, wait_signal_name, wait_correlation_key")
                    .partial("status = 'waiting' and wait_signal_name is not null")
                    .serves("match a signal"),
            ])
            .check(
                "ck_step_executions_terminal",
                "(status in ('completed', 'failed', 'skipped', 'cancelled', \
                 'timed_out')) = (completed_at is not null)",
            )
            .check("ck_step_executions_ordinal", "ordinal >= 0 and attempt >= 0 and run_number >= 1")
    }
}
