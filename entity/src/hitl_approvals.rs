//! One question with one decision; an escalation closes the row and opens the next.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::{
    declared::{Declared, Words},
    enums::Urgency,
};

/// Words of `hitl_approvals.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ApprovalStatus {
    Pending,
    Approved,
    Rejected,
    Escalated,
    Expired,
    Cancelled,
}

/// Words of `hitl_approvals.expiry_action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ExpiryAction {
    Reject,
    Approve,
    Escalate,
}

/// One question with one decision; an escalation closes the row and opens the next.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "hitl_approvals")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub workflow_execution_id: Uuid,
    pub step_ordinal: i32,
    /// The agent call under review, if any.
    pub execution_id: Option<Uuid>,
    pub agent_id: Option<Uuid>,
    pub job_flow_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub title: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub task_data: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub form_schema: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub ai_decision: Option<Json>,
    #[sea_orm(column_type = "Decimal(Some((5, 4)))")]
    pub ai_confidence: Option<Decimal>,
    #[sea_orm(column_type = "Decimal(Some((5, 2)))")]
    pub rubric_score: Option<Decimal>,
    #[sea_orm(default_value = "pending")]
    pub status: ApprovalStatus,
    #[sea_orm(default_value = "normal")]
    pub priority: Urgency,
    pub priority_rank: i16,
    /// A leaver's items fall to the team or the tenant's owners.
    pub assigned_to_user_id: Option<Uuid>,
    pub assigned_team_id: Option<Uuid>,
    #[sea_orm(default_value = 1)]
    pub required_approvals: i32,
    #[sea_orm(default_value = false)]
    pub exclude_starter: bool,
    /// Decision; with several votes, the one that completed it.
    pub reviewed_by_user_id: Option<Uuid>,
    pub reviewed_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "Text")]
    pub reviewer_comments: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub modified_output: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub corrections: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub decision_data: Option<Json>,
    pub expires_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = "reject")]
    pub expiry_action: ExpiryAction,
    pub escalate_to_user_id: Option<Uuid>,
    pub escalated_from_approval_id: Option<Uuid>,
    #[sea_orm(default_value = 0)]
    pub escalation_level: i32,
    #[sea_orm(column_type = "Text")]
    pub escalation_reason: Option<String>,
    pub reminded_at: Option<DateTimeUtc>,
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
        from = "Column::WorkflowExecutionId",
        to = "super::workflow_executions::Column::Id",
        on_delete = "Cascade"
    )]
    WorkflowExecution,
    #[sea_orm(
        belongs_to = "super::agent_executions::Entity",
        from = "Column::ExecutionId",
        to = "super::agent_executions::Column::Id",
        on_delete = "Cascade"
    )]
    Execution,
    #[sea_orm(
        belongs_to = "super::agents::Entity",
        from = "Column::AgentId",
        to = "super::agents::Column::Id",
        on_delete = "SetNull"
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
        belongs_to = "super::users::Entity",
        from = "Column::AssignedToUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    AssignedToUser,
    #[sea_orm(
        belongs_to = "super::teams::Entity",
        from = "Column::AssignedTeamId",
        to = "super::teams::Column::Id",
        on_delete = "SetNull"
    )]
    AssignedTeam,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::ReviewedByUserId",
        to = "super::users::Column::Id",
        on_delete = "Restrict"
    )]
    ReviewedByUser,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::EscalateToUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    EscalateToUser,
    #[sea_orm(
        belongs_to = "Entity",
        from = "Column::EscalatedFromApprovalId",
        to = "Column::Id",
        on_delete = "SetNull"
    )]
    EscalatedFromApproval,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<ApprovalStatus>(Column::Status)
            .words::<Urgency>(Column::Priority)
            .rank(Column::PriorityRank, Column::Priority)
            .words::<ExpiryAction>(Column::ExpiryAction)
            .indexes([
                unique("uq_hitl_approvals_open", "workflow_execution_id, step_ordinal")
                    .partial("status = 'pending'")
                    .serves("one open question per step"),
                index(
                    "idx_hitl_approvals_tenant_id_status_assigned_to_user_id",
                    "tenant_id, status, assigned_to_user_id",
                )
                .serves("inbox by state"),
                index(
                    "idx_hitl_approvals_assigned_to_user_id",
                    "assigned_to_user_id, status, priority_rank desc, created_at",
                )
                .partial("assigned_to_user_id is not null")
                .serves("my pending list in true priority order"),
                index(
                    "idx_hitl_approvals_assigned_team_id",
                    "assigned_team_id, status, priority_rank desc, created_at",
                )
                .partial("assigned_team_id is not null")
                .serves("my team's list"),
                index("idx_hitl_approvals_expires_at", "expires_at")
                    .partial("status = 'pending' and expires_at is not null")
                    .serves("deadlines"),
                index("idx_hitl_approvals_job_flow_id", "job_flow_id, status")
                    .partial("job_flow_id is not null")
                    .serves("approvals of a job flow"),
                index("idx_hitl_approvals_reviewed_by_user_id", "reviewed_by_user_id, reviewed_at")
                    .partial("reviewed_by_user_id is not null")
                    .serves("decisions of a person"),
            ])
            .key_indexes([
                "workflow_execution_id",
                "execution_id",
                "agent_id",
                "escalate_to_user_id",
                "escalated_from_approval_id",
            ])
            .check(
                "ck_hitl_approvals_decided",
                "status not in ('approved', 'rejected') or (reviewed_by_user_id is not \
                 null and reviewed_at is not null)",
            )
            .check("ck_hitl_approvals_rejected", "status <> 'rejected' or reviewer_comments is not null")
            .check("ck_hitl_approvals_escalated", "status <> 'escalated' or escalation_reason is not null")
            .check("ck_hitl_approvals_required", "required_approvals >= 1")
    }
}
