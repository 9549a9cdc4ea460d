//! An agent employed in a position, with a schedule, an input source and an output destination;
//! compiled into a workflow of kind `job_flow`, whose schedule rows do the firing.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `job_flows.employment_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "kebab-case")]
pub enum EmploymentType {
    FullTime,
    PartTime,
    OnDemand,
}

/// Words of `job_flows.schedule_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "kebab-case")]
pub enum ScheduleType {
    OneTime,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Quarterly,
    HalfYearly,
    Yearly,
    Custom,
}

/// Words of `job_flows.hitl_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "kebab-case")]
pub enum HitlMode {
    FullyAi,
    Hitl,
    Standby,
    InCharge,
    Hybrid,
}

/// Words of `job_flows.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum JobFlowStatus {
    Active,
    Inactive,
    Paused,
}

/// An agent employed in a position, with a schedule, an input source and an output destination;
/// compiled into a workflow of kind `job_flow`, whose schedule rows do the firing.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_flows")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub agent_id: Uuid,
    /// The compiled workflow.
    pub workflow_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub job_title: String,
    #[sea_orm(column_type = "Text")]
    pub job_description: Option<String>,
    pub organization_id: Option<Uuid>,
    pub branch_id: Option<Uuid>,
    pub department_id: Option<Uuid>,
    pub project_id: Option<Uuid>,
    pub reporting_manager_id: Option<Uuid>,
    #[sea_orm(default_value = "full-time")]
    pub employment_type: EmploymentType,
    pub schedule_type: ScheduleType,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub schedule_config: Json,
    #[sea_orm(column_type = "String(StringLen::N(64))", default_value = "UTC")]
    pub timezone: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub input_source: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub output_destination: Json,
    #[sea_orm(default_value = "fully-ai")]
    pub hitl_mode: HitlMode,
    pub hitl_supervisor_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary")]
    pub hitl_rules: Option<Json>,
    #[sea_orm(default_value = "active")]
    pub status: JobFlowStatus,
    pub last_run_at: Option<DateTimeUtc>,
    /// Copy of the schedule's `next_due_at`.
    pub next_run_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = 0)]
    pub total_runs: i64,
    #[sea_orm(default_value = 0)]
    pub successful_runs: i64,
    #[sea_orm(default_value = 0)]
    pub failed_runs: i64,
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
        belongs_to = "super::agents::Entity",
        from = "Column::AgentId",
        to = "super::agents::Column::Id",
        on_delete = "Restrict"
    )]
    Agent,
    #[sea_orm(
        belongs_to = "super::workflows::Entity",
        from = "Column::WorkflowId",
        to = "super::workflows::Column::Id",
        on_delete = "Restrict"
    )]
    Workflow,
    #[sea_orm(
        belongs_to = "super::organizations::Entity",
        from = "Column::OrganizationId",
        to = "super::organizations::Column::Id",
        on_delete = "SetNull"
    )]
    Organization,
    #[sea_orm(
        belongs_to = "super::branches::Entity",
        from = "Column::BranchId",
        to = "super::branches::Column::Id",
        on_delete = "SetNull"
    )]
    Branch,
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
        belongs_to = "super::users::Entity",
        from = "Column::ReportingManagerId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    ReportingManager,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::HitlSupervisorId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    HitlSupervisor,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<EmploymentType>(Column::EmploymentType)
            .words::<ScheduleType>(Column::ScheduleType)
            .words::<HitlMode>(Column::HitlMode)
            .words::<JobFlowStatus>(Column::Status)
            .indexes([
                unique("uq_job_flows_workflow_id", "workflow_id"),
                index("idx_job_flows_next_run_at", "next_run_at, status").serves("upcoming runs"),
                index("idx_job_flows_tenant_id", "tenant_id, status, created_at").serves("list"),
            ])
            .key_indexes([
                "agent_id",
                "organization_id",
                "branch_id",
                "department_id",
                "project_id",
                "reporting_manager_id",
                "hitl_supervisor_id",
            ])
            .check("ck_job_flows_counters", "total_runs >= successful_runs + failed_runs")
            .check("ck_job_flows_rules", "hitl_mode <> 'hybrid' or hitl_rules is not null")
    }
}
