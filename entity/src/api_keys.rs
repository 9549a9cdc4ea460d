//! Credentials for programs.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// Credentials for programs.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Owner; a key without an active owner never authenticates.
    pub user_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    /// The first characters of the real value.
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub key_prefix: String,
    /// SHA-256 of the whole value, which is shown once.
    pub key_hash: Vec<u8>,
    /// Subset of the owner's permissions.
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub scopes: Json,
    pub rate_limit_per_minute: Option<i32>,
    #[sea_orm(column_type = "JsonBinary")]
    pub allowed_networks: Option<Json>,
    #[sea_orm(default_value = true)]
    pub is_active: bool,
    pub expires_at: Option<DateTimeUtc>,
    pub last_used_at: Option<DateTimeUtc>,
    pub revoked_at: Option<DateTimeUtc>,
    pub revoked_by_user_id: Option<Uuid>,
    /// Rotation chain.
    pub replaces_api_key_id: Option<Uuid>,
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
        belongs_to = "super::users::Entity",
        from = "Column::RevokedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    RevokedByUser,
    #[sea_orm(belongs_to = "Entity", from = "Column::ReplacesApiKeyId", to = "Column::Id", on_delete = "SetNull")]
    ReplacesApiKey,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .indexes([
                unique("uq_api_keys_key_hash", "key_hash").serves("authenticate a request"),
                unique("uq_api_keys_key_prefix", "key_prefix").serves("recognise a key in a list or a leak report"),
                index("idx_api_keys_tenant_id", "tenant_id, is_active, created_at").serves("list"),
            ])
            .key_indexes(["user_id", "revoked_by_user_id", "replaces_api_key_id"])
            .check("ck_api_keys_revoked", "revoked_at is null or is_active = false")
    }
}
