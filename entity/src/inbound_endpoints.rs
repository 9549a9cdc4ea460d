//! Addresses at which the outside may start a workflow.

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `inbound_endpoints.signature_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SignatureMode {
    StandardWebhooks,
    #[sea_orm(string_value = "hub_sha256")]
    HubSha256,
    Bearer,
    None,
}

/// Words of `inbound_endpoints.response_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ResponseMode {
    Accepted,
    Reply,
}

/// Addresses at which the outside may start a workflow.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inbound_endpoints")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub workflow_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub trigger_key: String,
    /// Last part of the address, after the tenant's slug.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub endpoint_path: String,
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub http_methods: Json,
    #[sea_orm(default_value = "standard_webhooks")]
    pub signature_mode: SignatureMode,
    pub secret_id: Option<Uuid>,
    #[sea_orm(default_value = 300)]
    pub tolerance_seconds: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub allowed_networks: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub request_filter: Option<Json>,
    #[sea_orm(default_value = "accepted")]
    pub response_mode: ResponseMode,
    #[sea_orm(default_value = true)]
    pub is_enabled: bool,
    #[sea_orm(default_value = 0)]
    pub total_calls: i64,
    #[sea_orm(default_value = 0)]
    pub rejected_calls: i64,
    pub last_called_at: Option<DateTimeUtc>,
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
        belongs_to = "super::secrets::Entity",
        from = "Column::SecretId",
        to = "super::secrets::Column::Id",
        on_delete = "Restrict"
    )]
    Secret,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<SignatureMode>(Column::SignatureMode)
            .words::<ResponseMode>(Column::ResponseMode)
            .indexes([
                unique("uq_inbound_endpoints_tenant_id_endpoint_path", "tenant_id, endpoint_path")
                    .serves("route a call"),
                unique("uq_inbound_endpoints_workflow_id_trigger_key", "workflow_id, trigger_key"),
            ])
            .key_indexes(["secret_id"])
            .check("ck_inbound_endpoints_signature", "signature_mode = 'none' or secret_id is not null")
    }
}
