//! Data keys per tenant, wrapped by the installation's master key.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `encryption_keys.algorithm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum KeyAlgorithm {
    #[sea_orm(string_value = "xchacha20_poly1305")]
    Xchacha20Poly1305,
    #[sea_orm(string_value = "aes_256_gcm")]
    Aes256Gcm,
}

/// Words of `encryption_keys.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum KeyStatus {
    Active,
    Retiring,
    Retired,
}

/// Data keys per tenant, wrapped by the installation's master key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "encryption_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(default_value = "xchacha20_poly1305")]
    pub algorithm: KeyAlgorithm,
    pub wrapped_key: Vec<u8>,
    /// Which master key wrapped it.
    #[sea_orm(column_type = "String(StringLen::N(200))")]
    pub master_key_ref: String,
    #[sea_orm(default_value = "active")]
    pub status: KeyStatus,
    pub activated_at: DateTimeUtc,
    pub retired_at: Option<DateTimeUtc>,
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
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table.words::<KeyAlgorithm>(Column::Algorithm).words::<KeyStatus>(Column::Status).indexes([
            unique("uq_encryption_keys_active", "tenant_id")
                .partial("status = 'active'")
                .serves("key for new ciphertext"),
            index("idx_encryption_keys_tenant_id", "tenant_id, created_at").serves("rotation list"),
        ])
    }
}
