//! What changed or was attempted, by whom, with which outcome.

use cogwheel_schema::{Shape, TableDef, build::index};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `audit_log.category`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AuditCategory {
    DataChange,
    Authentication,
    Authorization,
    Administration,
    Decision,
    Export,
    ExecutionControl,
    Security,
}

/// Words of `audit_log.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AuditOutcome {
    Success,
    Denied,
    Failed,
}

/// Words of `audit_log.operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AuditOperation {
    Insert,
    Update,
    Delete,
}

/// Words of `audit_log.actor_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ActorType {
    User,
    ApiKey,
    Engine,
    Agent,
    Anonymous,
}

/// Words of `audit_log.risk_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum RiskLevel {
    Low,
    Medium,
    High,
    Critical,
}

/// What changed or was attempted, by whom, with which outcome.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub category: AuditCategory,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub action: String,
    #[sea_orm(default_value = "success")]
    pub outcome: AuditOutcome,
    #[sea_orm(column_type = "String(StringLen::N(63))")]
    pub table_name: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub record_id: Option<String>,
    pub operation: Option<AuditOperation>,
    #[sea_orm(column_type = "JsonBinary")]
    pub old_data: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub new_data: Option<Json>,
    /// Masked before they are written.
    #[sea_orm(column_type = "JsonBinary")]
    pub changed_fields: Option<Json>,
    #[sea_orm(default_value = "engine")]
    pub actor_type: ActorType,
    pub actor_user_id: Option<Uuid>,
    pub impersonator_user_id: Option<Uuid>,
    pub api_key_id: Option<Uuid>,
    #[sea_orm(default_value = false)]
    pub is_sensitive: bool,
    #[sea_orm(default_value = "low")]
    pub risk_level: RiskLevel,
    pub correlation_id: Option<Uuid>,
    pub request_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(45))")]
    pub ip_address: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(512))")]
    pub user_agent: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub reason: Option<String>,
    pub duration_ms: Option<i32>,
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
        belongs_to = "super::users::Entity",
        from = "Column::ActorUserId",
        to = "super::users::Column::Id",
        on_delete = "Restrict"
    )]
    ActorUser,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::ImpersonatorUserId",
        to = "super::users::Column::Id",
        on_delete = "Restrict"
    )]
    ImpersonatorUser,
    #[sea_orm(
        belongs_to = "super::api_keys::Entity",
        from = "Column::ApiKeyId",
        to = "super::api_keys::Column::Id",
        on_delete = "Restrict"
    )]
    ApiKey,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<AuditCategory>(Column::Category)
            .words::<AuditOutcome>(Column::Outcome)
            .words::<AuditOperation>(Column::Operation)
            .words::<ActorType>(Column::ActorType)
            .words::<RiskLevel>(Column::RiskLevel)
            .indexes([
                index("idx_audit_log_tenant_id", "tenant_id, created_at").serves("trail of a tenant, export"),
                index("idx_audit_log_category", "tenant_id, category, created_at").serves("filtered trail"),
                index("idx_audit_log_record_id", "record_id, table_name, created_at")
                    .partial("record_id is not null")
                    .serves("history of one row"),
                index("idx_audit_log_actor_user_id", "actor_user_id, created_at")
                    .partial("actor_user_id is not null")
                    .serves("activity of one person"),
                index("idx_audit_log_api_key_id", "api_key_id, created_at")
                    .partial("api_key_id is not null")
                    .serves("acts of a key"),
                index("idx_audit_log_correlation_id", "correlation_id")
                    .partial("correlation_id is not null")
                    .serves("everything one request did"),
            ])
            .key_indexes(["impersonator_user_id"])
            .check("ck_audit_log_change", "(operation is null) or (table_name is not null and record_id is not null)")
            .immutable()
            .partition_by("id")
    }
}
