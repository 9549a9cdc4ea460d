//! A place of an organization.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::{
    declared::{Declared, Words},
    enums::UnitStatus,
};

/// A place of an organization.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "branches")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub organization_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub branch_code: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub location: Option<String>,
    pub branch_manager_id: Option<Uuid>,
    #[sea_orm(default_value = "active")]
    pub status: UnitStatus,
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
        belongs_to = "super::organizations::Entity",
        from = "Column::OrganizationId",
        to = "super::organizations::Column::Id",
        on_delete = "Cascade"
    )]
    Organization,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::BranchManagerId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    BranchManager,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<UnitStatus>(Column::Status)
            .indexes([
                unique("uq_branches_organization_id_name", "organization_id, name"),
                unique("uq_branches_organization_id_branch_code", "organization_id, branch_code")
                    .partial("branch_code is not null"),
                index("idx_branches_tenant_id", "tenant_id, status"),
            ])
            .key_indexes(["branch_manager_id"])
    }
}
