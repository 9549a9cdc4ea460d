//! A configured worker: prompt, model, tools, schemas, budget.

use cogwheel_schema::{Shape, TableDef, build::index};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `agents.agent_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AgentType {
    Custom,
    Marketplace,
    Template,
}

/// Words of `agents.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AgentStatus {
    Draft,
    Active,
    Inactive,
    Archived,
}

/// Words of `agents.runtime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AgentRuntime {
    Internal,
    External,
}

/// A configured worker: prompt, model, tools, schemas, budget.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub created_by_user_id: Option<Uuid>,
    pub organization_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    #[sea_orm(default_value = "custom")]
    pub agent_type: AgentType,
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub engines_used: Json,
    /// Prompt, model, temperature, tools, priority.
    #[sea_orm(column_type = "JsonBinary")]
    pub config: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub input_schema: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub output_schema: Option<Json>,
    pub engine_rubric_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary")]
    pub rubric_config: Option<Json>,
    #[sea_orm(default_value = "draft")]
    pub status: AgentStatus,
    #[sea_orm(default_value = false)]
    pub is_published: bool,
    #[sea_orm(default_value = 1)]
    pub version: i32,
    /// Cloned from.
    pub source_agent_id: Option<Uuid>,
    #[sea_orm(default_value = "internal")]
    pub runtime: AgentRuntime,
    #[sea_orm(column_type = "String(StringLen::N(2048))")]
    pub endpoint_url: Option<String>,
    pub callback_secret_id: Option<Uuid>,
    #[sea_orm(default_value = 300)]
    pub timeout_seconds: i32,
    pub max_tokens_per_execution: Option<i64>,
    #[sea_orm(column_type = "Decimal(Some((19, 4)))")]
    pub max_cost_per_execution: Option<Decimal>,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub cost_currency: Option<String>,
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
        from = "Column::CreatedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    CreatedByUser,
    #[sea_orm(
        belongs_to = "super::organizations::Entity",
        from = "Column::OrganizationId",
        to = "super::organizations::Column::Id",
        on_delete = "SetNull"
    )]
    Organization,
    #[sea_orm(
        belongs_to = "super::engine_rubrics::Entity",
        from = "Column::EngineRubricId",
        to = "super::engine_rubrics::Column::Id",
        on_delete = "SetNull"
    )]
    EngineRubric,
    #[sea_orm(belongs_to = "Entity", from = "Column::SourceAgentId", to = "Column::Id", on_delete = "SetNull")]
    SourceAgent,
    #[sea_orm(
        belongs_to = "super::secrets::Entity",
        from = "Column::CallbackSecretId",
        to = "super::secrets::Column::Id",
        on_delete = "Restrict"
    )]
    CallbackSecret,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<AgentType>(Column::AgentType)
            .words::<AgentStatus>(Column::Status)
            .words::<AgentRuntime>(Column::Runtime)
            .indexes([index("idx_agents_tenant_id", "tenant_id, status, created_at").serves("list")])
            .key_indexes([
                "created_by_user_id",
                "organization_id",
                "engine_rubric_id",
                "source_agent_id",
                "callback_secret_id",
            ])
            .check(
                "ck_agents_runtime_rule",
                "runtime = 'internal' or (endpoint_url is not null and \
                 callback_secret_id is not null)",
            )
            .check("ck_agents_cost_currency", "(max_cost_per_execution is null) = (cost_currency is null)")
            .gin("idx_agents_engines_used", "engines_used")
    }
}
