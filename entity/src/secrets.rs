//! Named confidential values, or references to where one lives.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `secrets.provider`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SecretProvider {
    Internal,
    Environment,
    File,
    Vault,
}

/// Named confidential values, or references to where one lives.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "secrets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub workflow_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    #[sea_orm(default_value = "internal")]
    pub provider: SecretProvider,
    #[sea_orm(column_type = "String(StringLen::N(500))")]
    pub external_ref: Option<String>,
    pub ciphertext: Option<Vec<u8>>,
    pub encryption_key_id: Option<Uuid>,
    #[sea_orm(default_value = 1)]
    pub secret_version: i32,
    pub rotated_at: Option<DateTimeUtc>,
    pub last_used_at: Option<DateTimeUtc>,
    pub expires_at: Option<DateTimeUtc>,
    pub created_by_user_id: Option<Uuid>,
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
        belongs_to = "super::encryption_keys::Entity",
        from = "Column::EncryptionKeyId",
        to = "super::encryption_keys::Column::Id",
        on_delete = "Restrict"
    )]
    EncryptionKey,
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
            .words::<SecretProvider>(Column::Provider)
            .indexes([
                unique("uq_secrets_tenant_id_name", "tenant_id, name").partial("workflow_id is null"),
                unique("uq_secrets_workflow_id_name", "workflow_id, name").partial("workflow_id is not null"),
                index("idx_secrets_tenant_id", "tenant_id, updated_at"),
            ])
            .key_indexes(["encryption_key_id", "created_by_user_id"])
            .check(
                "ck_secrets_value",
                "(provider = 'internal' and ciphertext is not null and \
                 encryption_key_id is not null) or (provider <> 'internal' and \
                 external_ref is not null and ciphertext is null)",
            )
    }
}
