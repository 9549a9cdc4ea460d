//! One row per time trigger of a workflow; the scheduler's working set.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `schedules.schedule_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ScheduleKind {
    Cron,
    Interval,
    Once,
}

/// Words of `schedules.catch_up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum CatchUp {
    None,
    Last,
    All,
}

/// Words of `schedules.overlap_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum OverlapPolicy {
    Allow,
    Skip,
    Queue,
    Replace,
}

/// Words of `schedules.dst_gap_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DstGapPolicy {
    Skip,
    Shift,
}

/// Words of `schedules.dst_overlap_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DstOverlapPolicy {
    First,
    Last,
    Both,
}

/// One row per time trigger of a workflow; the scheduler's working set.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "schedules")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub workflow_id: Uuid,
    /// The trigger's key in the definition.
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub trigger_key: String,
    #[sea_orm(default_value = "cron")]
    pub schedule_kind: ScheduleKind,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub cron_schedule: Option<String>,
    pub interval_seconds: Option<i64>,
    pub run_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "String(StringLen::N(64))", default_value = "UTC")]
    pub timezone: String,
    /// Excluded dates.
    #[sea_orm(column_type = "JsonBinary")]
    pub calendar: Option<Json>,
    #[sea_orm(default_value = "last")]
    pub catch_up: CatchUp,
    /// Older due instants are skipped.
    pub catch_up_window_seconds: Option<i64>,
    #[sea_orm(default_value = "skip")]
    pub overlap_policy: OverlapPolicy,
    #[sea_orm(default_value = "shift")]
    pub dst_gap_policy: DstGapPolicy,
    #[sea_orm(default_value = "first")]
    pub dst_overlap_policy: DstOverlapPolicy,
    #[sea_orm(default_value = 0)]
    pub jitter_ms: i32,
    pub starts_at: Option<DateTimeUtc>,
    pub ends_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub input_data: Json,
    /// Whether the active version has it.
    #[sea_orm(default_value = true)]
    pub is_enabled: bool,
    /// Identity of the coming firing.
    pub next_due_at: Option<DateTimeUtc>,
    /// `next_due_at` plus this firing's jitter.
    pub next_fire_at: Option<DateTimeUtc>,
    pub last_due_at: Option<DateTimeUtc>,
    pub last_fired_at: Option<DateTimeUtc>,
    /// When somebody switched it off; survives new versions.
    pub paused_at: Option<DateTimeUtc>,
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
        belongs_to = "super::workflows::Entity",
        from = "Column::WorkflowId",
        to = "super::workflows::Column::Id",
        on_delete = "Cascade"
    )]
    Workflow,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<ScheduleKind>(Column::ScheduleKind)
            .words::<CatchUp>(Column::CatchUp)
            .words::<OverlapPolicy>(Column::OverlapPolicy)
            .words::<DstGapPolicy>(Column::DstGapPolicy)
            .words::<DstOverlapPolicy>(Column::DstOverlapPolicy)
            .indexes([
                unique("uq_schedules_workflow_id_trigger_key", "workflow_id, trigger_key")
                    .serves("triggers of a workflow"),
                index("idx_schedules_next_fire_at", "next_fire_at")
                    .partial("is_enabled = true and next_fire_at is not null")
                    .serves("claim what is due"),
                index("idx_schedules_tenant_id", "tenant_id, next_due_at").serves("upcoming list"),
            ])
            .check(
                "ck_schedules_kind",
                "(schedule_kind = 'cron' and cron_schedule is not null) or \
                 (schedule_kind = 'interval' and interval_seconds is not null and \
                 interval_seconds > 0) or (schedule_kind = 'once' and run_at is not \
                 null)",
            )
            .check("ck_schedules_catch_up_rule", "catch_up_window_seconds is null or catch_up_window_seconds > 0")
    }
}
