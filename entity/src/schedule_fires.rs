//! The ledger: one row per due instant with its single outcome.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `schedule_fires.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum FireOutcome {
    Fired,
    Skipped,
}

/// Words of `schedule_fires.skip_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SkipReason {
    Overlap,
    Concurrency,
    CatchUpNone,
    CatchUpSuperseded,
    OutsideWindow,
    DstGap,
    DstOverlap,
    Calendar,
    Disabled,
    WorkflowNotExecutable,
    Quota,
}

/// The ledger: one row per due instant with its single outcome.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "schedule_fires")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub schedule_id: Uuid,
    /// Cut to whole seconds.
    pub due_at: DateTimeUtc,
    pub outcome: FireOutcome,
    pub skip_reason: Option<SkipReason>,
    #[sea_orm(default_value = false)]
    pub is_catch_up: bool,
    pub fired_at: Option<DateTimeUtc>,
    pub lateness_ms: Option<i64>,
    /// The ledger outlives the run.
    pub execution_id: Option<Uuid>,
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
        belongs_to = "super::schedules::Entity",
        from = "Column::ScheduleId",
        to = "super::schedules::Column::Id",
        on_delete = "Cascade"
    )]
    Schedule,
    #[sea_orm(
        belongs_to = "super::workflow_executions::Entity",
        from = "Column::ExecutionId",
        to = "super::workflow_executions::Column::Id",
        on_delete = "SetNull"
    )]
    Execution,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<FireOutcome>(Column::Outcome)
            .words::<SkipReason>(Column::SkipReason)
            .indexes([
                unique("uq_schedule_fires_schedule_id_due_at", "schedule_id, due_at")
                    .serves("exactly one outcome per due instant"),
                index("idx_schedule_fires_tenant_id", "tenant_id, due_at").serves("calendar, lateness statistics"),
            ])
            .key_indexes(["execution_id"])
            .check(
                "ck_schedule_fires_outcome_rule",
                "(outcome = 'fired' and fired_at is not null and skip_reason is null) \
                 or (outcome = 'skipped' and skip_reason is not null and fired_at is \
                 null)",
            )
    }
}
