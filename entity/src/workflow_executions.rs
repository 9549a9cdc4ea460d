//! One run of one version.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::{
    declared::{Declared, Words},
    enums::Priority,
};

/// Words of `workflow_executions.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ExecutionStatus {
    Queued,
    Running,
    Waiting,
    Completed,
    Failed,
    Cancelled,
    TimedOut,
    Compensating,
    Compensated,
}

/// Words of `workflow_executions.trigger_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TriggerType {
    Manual,
    Schedule,
    File,
    Webhook,
    Event,
    Workflow,
    JobFlow,
}

/// One run of one version. Holds status, ownership and the next wake-up; it is the queue.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workflow_executions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Audit-bearing; retention removes executions first.
    pub workflow_id: Uuid,
    /// Pinned.
    pub workflow_version_id: Uuid,
    #[sea_orm(default_value = "queued")]
    pub status: ExecutionStatus,
    pub trigger_type: TriggerType,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub trigger_key: Option<String>,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub trigger_data: Json,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub input_data: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub result_data: Option<Json>,
    /// Kind, title, detail, step, retriable.
    #[sea_orm(column_type = "JsonBinary")]
    pub error: Option<Json>,
    #[sea_orm(default_value = "normal")]
    pub priority: Priority,
    pub priority_rank: i16,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub concurrency_key: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub idempotency_key: Option<String>,
    pub correlation_id: Uuid,
    pub triggered_by_user_id: Option<Uuid>,
    pub parent_execution_id: Option<Uuid>,
    pub parent_step_ordinal: Option<i32>,
    pub rerun_of_execution_id: Option<Uuid>,
    pub rerun_from_ordinal: Option<i32>,
    #[sea_orm(default_value = 0)]
    pub retry_count: i32,
    pub owner_node_id: Option<Uuid>,
    /// Fencing: grows with each change of owner, named by every write.
    #[sea_orm(default_value = 0)]
    pub lease_epoch: i64,
    /// Null while the owner's node lease covers it.
    pub lease_expires_at: Option<DateTimeUtc>,
    /// Earliest of all timers, retries, deadlines of this execution.
    pub next_wake_at: Option<DateTimeUtc>,
    pub deadline_at: Option<DateTimeUtc>,
    pub started_at: Option<DateTimeUtc>,
    pub completed_at: Option<DateTimeUtc>,
    pub execution_time_ms: Option<i64>,
    pub cancel_requested_at: Option<DateTimeUtc>,
    pub cancel_requested_by_user_id: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub cancel_reason: Option<String>,
    /// How many of its key could be live at once when it was started.
    pub concurrency_limit: Option<i32>,
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
        on_delete = "Restrict"
    )]
    Workflow,
    #[sea_orm(
        belongs_to = "super::workflow_versions::Entity",
        from = "Column::WorkflowVersionId",
        to = "super::workflow_versions::Column::Id",
        on_delete = "Restrict"
    )]
    WorkflowVersion,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::TriggeredByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    TriggeredByUser,
    #[sea_orm(belongs_to = "Entity", from = "Column::ParentExecutionId", to = "Column::Id", on_delete = "SetNull")]
    ParentExecution,
    #[sea_orm(belongs_to = "Entity", from = "Column::RerunOfExecutionId", to = "Column::Id", on_delete = "SetNull")]
    RerunOfExecution,
    #[sea_orm(
        belongs_to = "super::nodes::Entity",
        from = "Column::OwnerNodeId",
        to = "super::nodes::Column::Id",
        on_delete = "SetNull"
    )]
    OwnerNode,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::CancelRequestedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    CancelRequestedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<ExecutionStatus>(Column::Status)
            .words::<TriggerType>(Column::TriggerType)
            .words::<Priority>(Column::Priority)
            .rank(Column::PriorityRank, Column::Priority)
            .indexes([
                unique("uq_workflow_executions_idempotency_key", "tenant_id, workflow_id, idempotency_key")
                    .partial("idempotency_key is not null")
                    .serves("same key, same run"),
                index("idx_workflow_executions_lease_expires_at", "lease_expires_at")
                    .partial("lease_expires_at is not null")
                    .serves("shorter grants that ended"),
                index("idx_workflow_executions_workflow_id", "workflow_id, created_at, id")
                    .serves("history of a workflow; retention"),
                index("idx_workflow_executions_live", "workflow_id, concurrency_key")
                    .partial("status in ('running', 'waiting', 'compensating')")
                    .serves("slots in use = live rows"),
                index("idx_workflow_executions_tenant_id", "tenant_id, created_at, id")
                    .serves("default list; last 24 hours"),
                index("idx_workflow_executions_status", "tenant_id, status, created_at")
                    .serves("list by status; statistics"),
                index("idx_workflow_executions_triggered_by_user_id", "triggered_by_user_id, created_at")
                    .partial("triggered_by_user_id is not null")
                    .serves("my runs"),
                index("idx_workflow_executions_correlation_id", "correlation_id").serves("trace"),
            ])
            .key_indexes([
                "owner_node_id",
                "workflow_version_id",
                "parent_execution_id",
                "rerun_of_execution_id",
                "cancel_requested_by_user_id",
            ])
            .indexes([
                index("idx_workflow_executions_queue", "priority_rank desc, id")
                    .partial("owner_node_id is null and status = 'queued' and concurrency_key is null")
                    .serves("take the next"),
                index("idx_workflow_executions_keyed_queue", "tenant_id, concurrency_key, priority_rank desc, id")
                    .partial("owner_node_id is null and status = 'queued' and concurrency_key is not null")
                    .serves("take the next of each key"),
                index("idx_workflow_executions_slots", "tenant_id, concurrency_key")
                    .partial(
                        "concurrency_key is not null and completed_at is null and \
                         (owner_node_id is not null or status <> 'queued')",
                    )
                    .serves("slots of a key in use"),
                index("idx_workflow_executions_due", "next_wake_at")
                    .partial("owner_node_id is null and next_wake_at is not null and status = 'waiting'")
                    .serves("what nobody owns and is due"),
                index("idx_workflow_executions_queue_deadline", "next_wake_at")
                    .partial("owner_node_id is null and next_wake_at is not null and status = 'queued'")
                    .serves("what was queued for too long"),
                index("idx_workflow_executions_adrift", "priority_rank desc, id")
                    .partial("owner_node_id is null and status in ('running', 'compensating')")
                    .serves("what nobody owns and can go on at once"),
                index("idx_workflow_executions_scheduled", "workflow_id, trigger_key")
                    .partial("trigger_type = 'schedule' and completed_at is null")
                    .serves("live executions of a schedule"),
            ])
            .check(
                "ck_workflow_executions_terminal",
                "(status in ('completed', 'failed', 'cancelled', 'timed_out', \
                 'compensated')) = (completed_at is not null)",
            )
            .check(
                "ck_workflow_executions_idle",
                "status not in ('completed', 'failed', 'cancelled', 'timed_out', \
                 'compensated') or (owner_node_id is null and next_wake_at is null and \
                 lease_expires_at is null)",
            )
            .refuse_update(
                "final",
                "old.status in ('completed', 'failed', 'cancelled', 'timed_out', \
                 'compensated') and not (old.status = 'completed' and \
                 new.status = 'compensating') and (new.status is distinct from old.status or \
                 new.result_data is distinct from old.result_data or new.error is \
                 distinct from old.error or new.started_at is distinct from \
                 old.started_at or new.completed_at is distinct from old.completed_at \
                 or new.execution_time_ms is distinct from old.execution_time_ms)",
            )
    }
}
