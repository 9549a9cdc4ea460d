//! One row per file trigger of a workflow: where to look, what to take, how it is doing.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `file_watches.watch_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum WatchSource {
    Directory,
    Upload,
}

/// Words of `file_watches.fire_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum FireOn {
    Ready,
    Processed,
}

/// Words of `file_watches.observe_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ObserveMode {
    Auto,
    Events,
    Poll,
}

/// Words of `file_watches.active_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ActiveMode {
    Events,
    Poll,
}

/// Words of `file_watches.after_success` and `file_watches.after_failure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AfterAction {
    Keep,
    Move,
    Delete,
}

/// Words of `file_watches.health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum WatchHealth {
    Starting,
    Healthy,
    Degraded,
    Failed,
}

/// One row per file trigger of a workflow: where to look, what to take, how it is doing.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "file_watches")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub workflow_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub trigger_key: String,
    #[sea_orm(default_value = "directory")]
    pub watch_source: WatchSource,
    #[sea_orm(column_type = "String(StringLen::N(4096))")]
    pub location: Option<String>,
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub include_patterns: Json,
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub exclude_patterns: Json,
    #[sea_orm(default_value = false)]
    pub is_recursive: bool,
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub file_extensions: Json,
    /// Sets; empty = any; compared whole and case-folded.
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub mime_types: Json,
    #[sea_orm(column_type = "JsonBinary", default_value = "[\"created\", \"modified\"]")]
    pub watch_events: Json,
    pub min_size: Option<i64>,
    pub max_size: Option<i64>,
    #[sea_orm(default_value = "ready")]
    pub fire_on: FireOn,
    #[sea_orm(default_value = "auto")]
    pub observe_mode: ObserveMode,
    pub active_mode: Option<ActiveMode>,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub filesystem_type: Option<String>,
    #[sea_orm(default_value = 1000)]
    pub settle_ms: i32,
    #[sea_orm(default_value = 60)]
    pub scan_interval_seconds: i32,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub done_marker: Option<String>,
    #[sea_orm(default_value = 1)]
    pub batch_max_files: i32,
    #[sea_orm(default_value = 0)]
    pub batch_window_ms: i32,
    #[sea_orm(default_value = "keep")]
    pub after_success: AfterAction,
    #[sea_orm(column_type = "String(StringLen::N(4096))")]
    pub after_success_target: Option<String>,
    #[sea_orm(default_value = "keep")]
    pub after_failure: AfterAction,
    #[sea_orm(column_type = "String(StringLen::N(4096))")]
    pub after_failure_target: Option<String>,
    #[sea_orm(default_value = true)]
    pub is_enabled: bool,
    #[sea_orm(default_value = "starting")]
    pub health: WatchHealth,
    #[sea_orm(column_type = "JsonBinary")]
    pub health_detail: Option<Json>,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub node_selector: Json,
    pub owner_node_id: Option<Uuid>,
    #[sea_orm(default_value = 0)]
    pub lease_epoch: i64,
    pub lease_expires_at: Option<DateTimeUtc>,
    pub next_scan_at: Option<DateTimeUtc>,
    pub last_scan_at: Option<DateTimeUtc>,
    pub last_event_at: Option<DateTimeUtc>,
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
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<WatchSource>(Column::WatchSource)
            .words::<FireOn>(Column::FireOn)
            .words::<ObserveMode>(Column::ObserveMode)
            .words::<ActiveMode>(Column::ActiveMode)
            .words::<AfterAction>(Column::AfterSuccess)
            .words::<AfterAction>(Column::AfterFailure)
            .words::<WatchHealth>(Column::Health)
            .indexes([
                unique("uq_file_watches_workflow_id_trigger_key", "workflow_id, trigger_key"),
                index("idx_file_watches_tenant_id", "tenant_id, health").serves("watches that need attention"),
                index("idx_file_watches_next_scan_at", "next_scan_at")
                    .partial("is_enabled = true and next_scan_at is not null")
                    .serves("scans due"),
            ])
            .key_indexes(["owner_node_id"])
            .check("ck_file_watches_location", "watch_source = 'upload' or location is not null")
            .check(
                "ck_file_watches_after",
                "(after_success <> 'move' or after_success_target is not null) and \
                 (after_failure <> 'move' or after_failure_target is not null)",
            )
            .check("ck_file_watches_batch", "batch_max_files >= 1 and settle_ms >= 0 and scan_interval_seconds >= 1")
    }
}
