//! Places a person in exactly one unit per row and says how far the access reaches.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// Places a person in exactly one unit per row and says how far the access reaches.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_assignments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub user_id: Uuid,
    pub organization_id: Option<Uuid>,
    pub branch_id: Option<Uuid>,
    pub department_id: Option<Uuid>,
    pub project_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub access_scope: Json,
    pub assigned_by_user_id: Option<Uuid>,
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
        on_delete = "Cascade"
    )]
    User,
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
        on_delete = "Cascade"
    )]
    Branch,
    #[sea_orm(
        belongs_to = "super::departments::Entity",
        from = "Column::DepartmentId",
        to = "super::departments::Column::Id",
        on_delete = "Cascade"
    )]
    Department,
    #[sea_orm(
        belongs_to = "super::projects::Entity",
        from = "Column::ProjectId",
        to = "super::projects::Column::Id",
        on_delete = "Cascade"
    )]
    Project,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::AssignedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    AssignedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .indexes([
                unique(
                    "uq_user_assignments_place",
                    "user_id, coalesce(organization_id, branch_id, department_id, project_id)",
                )
                .serves("once per unit; units of a person"),
                index("idx_user_assignments_tenant_id", "tenant_id, user_id"),
            ])
            .key_indexes(["organization_id", "branch_id", "department_id", "project_id", "assigned_by_user_id"])
            .check(
                "ck_user_assignments_place",
                "(case when organization_id is null then 0 else 1 end) + (case when \
                 branch_id is null then 0 else 1 end) + (case when department_id is \
                 null then 0 else 1 end) + (case when project_id is null then 0 else 1 \
                 end) = 1",
            )
    }
}
