//! The named automation; what it does is in its active version.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::{
    declared::{Declared, Words},
    enums::Priority,
};

/// Words of `workflows.workflow_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum WorkflowKind {
    Standard,
    JobFlow,
    AdHoc,
}

/// Words of `workflows.origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum WorkflowOrigin {
    Api,
    Directory,
    Template,
    Import,
}

/// Words of `workflows.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum WorkflowStatus {
    Draft,
    Active,
    Paused,
    Inactive,
}

/// The named automation; what it does is in its active version.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workflows")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub labels: Json,
    /// `job_flow` and `ad_hoc` ones are made by the engine and hidden from lists.
    #[sea_orm(default_value = "standard")]
    pub workflow_kind: WorkflowKind,
    #[sea_orm(default_value = "api")]
    pub origin: WorkflowOrigin,
    #[sea_orm(column_type = "String(StringLen::N(1024))")]
    pub origin_path: Option<String>,
    pub organization_id: Option<Uuid>,
    pub department_id: Option<Uuid>,
    pub project_id: Option<Uuid>,
    pub workflow_template_id: Option<Uuid>,
    pub created_by_user_id: Option<Uuid>,
    #[sea_orm(default_value = "draft")]
    pub status: WorkflowStatus,
    #[sea_orm(default_value = true)]
    pub is_enabled: bool,
    #[sea_orm(default_value = false)]
    pub is_scheduled: bool,
    #[sea_orm(default_value = false)]
    pub trigger_on_file_upload: bool,
    /// Derived from the active version's triggers in the transaction that activates it.
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub trigger_file_extensions: Json,
    #[sea_orm(default_value = 3)]
    pub max_retries: i32,
    #[sea_orm(default_value = 300)]
    pub timeout_seconds: i32,
    #[sea_orm(default_value = "normal")]
    pub default_priority: Priority,
    pub concurrency_limit: Option<i32>,
    pub retention_days: Option<i32>,
    /// Null = tenant default.
    pub retention_count: Option<i32>,
    #[sea_orm(default_value = 0)]
    pub total_executions: i64,
    #[sea_orm(default_value = 0)]
    pub successful_executions: i64,
    #[sea_orm(default_value = 0)]
    pub failed_executions: i64,
    pub last_execution_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = 0)]
    pub purged_executions: i64,
    #[sea_orm(default_value = 0)]
    pub purged_successful_executions: i64,
    #[sea_orm(default_value = 0)]
    pub purged_failed_executions: i64,
    pub deleted_at: Option<DateTimeUtc>,
    /// How many triggers for events the active version has.
    #[sea_orm(default_value = 0)]
    pub event_trigger_count: i32,
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
        belongs_to = "super::organizations::Entity",
        from = "Column::OrganizationId",
        to = "super::organizations::Column::Id",
        on_delete = "SetNull"
    )]
    Organization,
    #[sea_orm(
        belongs_to = "super::departments::Entity",
        from = "Column::DepartmentId",
        to = "super::departments::Column::Id",
        on_delete = "SetNull"
    )]
    Department,
    #[sea_orm(
        belongs_to = "super::projects::Entity",
        from = "Column::ProjectId",
        to = "super::projects::Column::Id",
        on_delete = "SetNull"
    )]
    Project,
    #[sea_orm(
        belongs_to = "super::workflow_templates::Entity",
        from = "Column::WorkflowTemplateId",
        to = "super::workflow_templates::Column::Id",
        on_delete = "SetNull"
    )]
    WorkflowTemplate,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::CreatedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    CreatedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<WorkflowKind>(Column::WorkflowKind)
            .words::<WorkflowOrigin>(Column::Origin)
            .words::<WorkflowStatus>(Column::Status)
            .words::<Priority>(Column::DefaultPriority)
            .indexes([
                unique("uq_workflows_tenant_id_name", "tenant_id, name")
                    .partial("deleted_at is null")
                    .serves("look-up by name"),
                index("idx_workflows_created_at", "tenant_id, created_at, id").serves("default list, newest first"),
                index("idx_workflows_status", "status, tenant_id, created_at").serves("list by status"),
                index("idx_workflows_enabled", "tenant_id, id")
                    .partial("is_enabled = true and status = 'active' and deleted_at is null")
                    .serves("executable workflows; load at start"),
                index("idx_workflows_scheduled", "tenant_id, id")
                    .partial("is_scheduled = true and deleted_at is null")
                    .serves("calendar of scheduled work"),
                index("idx_workflows_file_trigger", "tenant_id, id")
                    .partial("trigger_on_file_upload = true and deleted_at is null")
                    .serves("match an upload"),
            ])
            .key_indexes([
                "organization_id",
                "department_id",
                "project_id",
                "workflow_template_id",
                "created_by_user_id",
            ])
            .check(
                "ck_workflows_limits",
                "max_retries between 0 and 100 and timeout_seconds > 0 and \
                 (concurrency_limit is null or concurrency_limit > 0)",
            )
            .check("ck_workflows_counters", "total_executions >= successful_executions + failed_executions")
            .gin("idx_workflows_labels", "labels")
    }
}
