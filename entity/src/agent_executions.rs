//! One call of an agent inside a workflow execution; lease, timers and logs are the execution's.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `agent_executions.triggered_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TriggeredBy {
    User,
    ApiKey,
    Schedule,
    JobFlow,
    Workflow,
    Event,
}

/// Words of `agent_executions.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AgentExecutionStatus {
    Pending,
    Running,
    Waiting,
    Completed,
    Failed,
    Cancelled,
    TimedOut,
}

/// Words of `agent_executions.hitl_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum HitlStatus {
    NotRequired,
    Pending,
    Approved,
    Rejected,
    Escalated,
    Expired,
}

/// One call of an agent inside a workflow execution; lease, timers and logs are the execution's.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent_executions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub agent_id: Uuid,
    pub job_flow_id: Option<Uuid>,
    pub workflow_execution_id: Uuid,
    pub step_ordinal: i32,
    #[sea_orm(default_value = 1)]
    pub attempt: i32,
    #[sea_orm(default_value = "workflow")]
    pub triggered_by: TriggeredBy,
    pub triggered_by_user_id: Option<Uuid>,
    #[sea_orm(default_value = "pending")]
    pub status: AgentExecutionStatus,
    #[sea_orm(default_value = "not_required")]
    pub hitl_status: HitlStatus,
    #[sea_orm(column_type = "JsonBinary")]
    pub input_data: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub output_data: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub error: Option<Json>,
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub external_run_id: Option<String>,
    pub callback_token_hash: Option<Vec<u8>>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub model_used: Option<String>,
    #[sea_orm(default_value = 0)]
    pub input_tokens: i64,
    #[sea_orm(default_value = 0)]
    pub output_tokens: i64,
    #[sea_orm(column_type = "Decimal(Some((19, 4)))")]
    pub cost: Option<Decimal>,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub currency: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub rubric_scores: Option<Json>,
    #[sea_orm(column_type = "Decimal(Some((5, 2)))")]
    pub rubric_score: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((5, 4)))")]
    pub ai_confidence: Option<Decimal>,
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
        belongs_to = "super::agents::Entity",
        from = "Column::AgentId",
        to = "super::agents::Column::Id",
        on_delete = "Restrict"
    )]
    Agent,
    #[sea_orm(
        belongs_to = "super::job_flows::Entity",
        from = "Column::JobFlowId",
        to = "super::job_flows::Column::Id",
        on_delete = "SetNull"
    )]
    JobFlow,
    #[sea_orm(
        belongs_to = "super::workflow_executions::Entity",
        from = "Column::WorkflowExecutionId",
        to = "super::workflow_executions::Column::Id",
        on_delete = "Cascade"
    )]
    WorkflowExecution,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::TriggeredByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    TriggeredByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<TriggeredBy>(Column::TriggeredBy)
            .words::<AgentExecutionStatus>(Column::Status)
            .words::<HitlStatus>(Column::HitlStatus)
            .indexes([
                unique("uq_agent_executions_step", "workflow_execution_id, step_ordinal, attempt")
                    .serves("one per attempt; runs of an execution"),
                unique("uq_agent_executions_callback_token_hash", "callback_token_hash")
                    .partial("callback_token_hash is not null")
                    .serves("authenticate a callback"),
                index("idx_agent_executions_tenant_id_agent_id_status", "tenant_id, agent_id, status")
                    .serves("runs of an agent by state"),
                index("idx_agent_executions_agent_id", "agent_id, created_at").serves("history of an agent"),
                index("idx_agent_executions_job_flow_id_status", "job_flow_id, status")
                    .partial("job_flow_id is not null")
                    .serves("runs of a job flow by state"),
            ])
            .key_indexes(["triggered_by_user_id"])
            .check(
                "ck_agent_executions_terminal",
                "(status in ('completed', 'failed', 'cancelled', 'timed_out')) = \
                 (completed_at is not null)",
            )
            .check("ck_agent_executions_cost_currency", "(cost is null) = (currency is null)")
    }
}
