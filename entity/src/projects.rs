//! Bounded work with a manager, dates and a budget.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `projects.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ProjectStatus {
    Planning,
    Active,
    Completed,
    Cancelled,
}

/// Bounded work with a manager, dates and a budget.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "projects")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub organization_id: Uuid,
    pub department_id: Option<Uuid>,
    pub project_manager_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    pub start_date: Option<Date>,
    pub end_date: Option<Date>,
    #[sea_orm(column_type = "Decimal(Some((19, 4)))")]
    pub budget: Option<Decimal>,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub budget_currency: Option<String>,
    #[sea_orm(default_value = "planning")]
    pub status: ProjectStatus,
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
        belongs_to = "super::departments::Entity",
        from = "Column::DepartmentId",
        to = "super::departments::Column::Id",
        on_delete = "SetNull"
    )]
    Department,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::ProjectManagerId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    ProjectManager,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<ProjectStatus>(Column::Status)
            .indexes([
                unique("uq_projects_organization_id_name", "organization_id, name"),
                index("idx_projects_tenant_id", "tenant_id, status"),
            ])
            .key_indexes(["department_id", "project_manager_id"])
            .check("ck_projects_dates", "start_date is null or end_date is null or end_date >= start_date")
            .check("ck_projects_budget_pair", "(budget is null) = (budget_currency is null)")
    }
}
