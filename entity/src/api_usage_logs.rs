//! One row per API request and per model or connector call.

use cogwheel_schema::{Shape, TableDef, build::index};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// One row per API request and per model or connector call.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_usage_logs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub service_name: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub endpoint: String,
    #[sea_orm(column_type = "String(StringLen::N(10))")]
    pub method: String,
    pub user_id: Option<Uuid>,
    pub api_key_id: Option<Uuid>,
    pub status_code: Option<i32>,
    #[sea_orm(default_value = true)]
    pub success: bool,
    pub response_time_ms: Option<i32>,
    #[sea_orm(column_type = "Text")]
    pub error_message: Option<String>,
    pub correlation_id: Option<Uuid>,
    #[sea_orm(default_value = 0)]
    pub input_tokens: i64,
    #[sea_orm(default_value = 0)]
    pub output_tokens: i64,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub model_used: Option<String>,
    #[sea_orm(column_type = "Decimal(Some((19, 4)))")]
    pub cost: Option<Decimal>,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub currency: Option<String>,
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
        from = "Column::UserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    User,
    #[sea_orm(
        belongs_to = "super::api_keys::Entity",
        from = "Column::ApiKeyId",
        to = "super::api_keys::Column::Id",
        on_delete = "SetNull"
    )]
    ApiKey,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .indexes([
                index("idx_api_usage_logs_tenant_id", "tenant_id, created_at").serves("hourly and daily aggregates"),
                index("idx_api_usage_logs_service_name", "tenant_id, service_name, created_at")
                    .serves("trend of one service"),
                index("idx_api_usage_logs_user_id", "user_id, created_at")
                    .partial("user_id is not null")
                    .serves("usage of one person"),
                index("idx_api_usage_logs_api_key_id", "api_key_id, created_at")
                    .partial("api_key_id is not null")
                    .serves("usage of a key"),
                index("idx_api_usage_logs_correlation_id", "correlation_id")
                    .partial("correlation_id is not null")
                    .serves("trace"),
            ])
            .check("ck_api_usage_logs_cost_currency", "(cost is null) = (currency is null)")
            .partition_by("id")
    }
}
