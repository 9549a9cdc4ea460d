//! A tree of units with heads and budgets.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::{
    declared::{Declared, Words},
    enums::UnitStatus,
};

/// A tree of units with heads and budgets.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "departments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub organization_id: Uuid,
    pub branch_id: Option<Uuid>,
    pub parent_department_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    pub department_head_id: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    #[sea_orm(column_type = "Decimal(Some((19, 4)))")]
    pub budget: Option<Decimal>,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub budget_currency: Option<String>,
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
        belongs_to = "super::branches::Entity",
        from = "Column::BranchId",
        to = "super::branches::Column::Id",
        on_delete = "SetNull"
    )]
    Branch,
    #[sea_orm(belongs_to = "Entity", from = "Column::ParentDepartmentId", to = "Column::Id", on_delete = "SetNull")]
    ParentDepartment,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::DepartmentHeadId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    DepartmentHead,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<UnitStatus>(Column::Status)
            .indexes([
                unique(
                    "uq_departments_siblings_name",
                    "coalesce(parent_department_id, branch_id, organization_id), name",
                )
                .serves("one name among siblings"),
                index("idx_departments_tenant_id", "tenant_id, status"),
            ])
            .key_indexes(["organization_id", "branch_id", "parent_department_id", "department_head_id"])
            .check("ck_departments_parent", "parent_department_id is null or parent_department_id <> id")
            .check("ck_departments_budget_pair", "(budget is null) = (budget_currency is null)")
    }
}
