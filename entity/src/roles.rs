//! Named permission sets of a tenant; the built-in ones are created with the tenant.

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// Named permission sets of a tenant; the built-in ones are created with the tenant.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "roles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub role_key: String,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    /// Set of `area:verb` from the closed permission list.
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub permissions: Json,
    #[sea_orm(default_value = false)]
    pub is_builtin: bool,
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
        table.indexes([unique("uq_roles_tenant_id_role_key", "tenant_id, role_key").serves("look-up by key; list")])
    }
}
