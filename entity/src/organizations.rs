//! A company inside a tenant.

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// A company inside a tenant.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organizations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub short_name: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub industry: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub company_size: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(2))")]
    pub country: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))", default_value = "UTC")]
    pub timezone: String,
    #[sea_orm(column_type = "String(StringLen::N(2048))")]
    pub logo_url: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub settings: Json,
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
        table.indexes([unique("uq_organizations_tenant_id_name", "tenant_id, name").serves("list by name")])
    }
}
