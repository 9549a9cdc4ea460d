//! The one table of accounts, shared by all tenants; what a person may do in a tenant is in
//! `memberships`.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// The one table of accounts, shared by all tenants; what a person may do in a tenant is in
/// `memberships`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Lower case.
    #[sea_orm(column_type = "String(StringLen::N(320))")]
    pub email: String,
    /// Argon2id string; null = cannot sign in by password.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub password_hash: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub display_name: String,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub first_name: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub last_name: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(32))")]
    pub phone: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(2048))")]
    pub avatar_url: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", default_value = "UTC")]
    pub timezone: String,
    #[sea_orm(column_type = "String(StringLen::N(35))", default_value = "en")]
    pub locale: String,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub preferences: Json,
    /// Where a sign-in lands.
    pub default_tenant_id: Option<Uuid>,
    #[sea_orm(default_value = true)]
    pub is_active: bool,
    #[sea_orm(default_value = false)]
    pub is_system_admin: bool,
    pub email_verified_at: Option<DateTimeUtc>,
    pub last_login_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = 0)]
    pub failed_login_attempts: i32,
    pub locked_until: Option<DateTimeUtc>,
    pub password_changed_at: Option<DateTimeUtc>,
    pub deactivated_at: Option<DateTimeUtc>,
    pub erased_at: Option<DateTimeUtc>,
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
        from = "Column::DefaultTenantId",
        to = "super::tenants::Column::Id",
        on_delete = "SetNull"
    )]
    DefaultTenant,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Global;

    fn declare(table: TableDef) -> TableDef {
        table
            .indexes([
                unique("uq_users_email", "email").serves("sign-in"),
                index("idx_users_is_active", "display_name, id")
                    .partial("is_active = true")
                    .serves("list and pick active people"),
            ])
            .key_indexes(["default_tenant_id"])
            .check("ck_users_email", "email = lower(email)")
    }
}
