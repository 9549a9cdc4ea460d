//! Outside facts for executions that wait, kept until taken.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `signals.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SignalStatus {
    Pending,
    Consumed,
    Expired,
}

/// Outside facts for executions that wait, kept until taken.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signals")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub signal_name: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub correlation_key: Option<String>,
    pub execution_id: Option<Uuid>,
    #[sea_orm(default_value = "pending")]
    pub status: SignalStatus,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub payload: Json,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub idempotency_key: Option<String>,
    pub received_at: DateTimeUtc,
    pub expires_at: Option<DateTimeUtc>,
    pub consumed_at: Option<DateTimeUtc>,
    pub step_ordinal: Option<i32>,
    pub sent_by_user_id: Option<Uuid>,
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
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::SentByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    SentByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Hot;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<SignalStatus>(Column::Status)
            .indexes([
                unique("uq_signals_idempotency_key", "tenant_id, signal_name, idempotency_key")
                    .partial("idempotency_key is not null"),
                index("idx_signals_pending", "tenant_id, signal_name, correlation_key")
                    .partial("status = 'pending'")
                    .serves("a wait begins: is it here already"),
                index("idx_signals_execution_id", "execution_id, signal_name")
                    .partial("execution_id is not null")
                    .serves("signals of a run"),
                index("idx_signals_expires_at", "expires_at")
                    .partial("status = 'pending' and expires_at is not null")
                    .serves("expiry sweep"),
            ])
            .key_indexes(["sent_by_user_id"])
            .check("ck_signals_target", "execution_id is not null or correlation_key is not null")
    }
}
