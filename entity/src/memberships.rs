//! Who belongs to which tenant, in which role and state.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `memberships.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum MembershipStatus {
    Invited,
    Active,
    Suspended,
    Left,
}

/// Who belongs to which tenant, in which role and state.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub user_id: Uuid,
    /// A role in use cannot be dropped.
    pub role_id: Uuid,
    #[sea_orm(default_value = "invited")]
    pub status: MembershipStatus,
    pub invited_by_user_id: Option<Uuid>,
    pub invited_at: Option<DateTimeUtc>,
    pub joined_at: Option<DateTimeUtc>,
    pub left_at: Option<DateTimeUtc>,
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
        belongs_to = "super::roles::Entity",
        from = "Column::RoleId",
        to = "super::roles::Column::Id",
        on_delete = "Restrict"
    )]
    Role,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::InvitedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    InvitedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<MembershipStatus>(Column::Status)
            .indexes([
                unique("uq_memberships_tenant_id_user_id", "tenant_id, user_id").serves("gate of every request"),
                index("idx_memberships_user_id", "user_id, status").serves("my tenants"),
            ])
            .key_indexes(["role_id", "invited_by_user_id"])
            .reveals("user_id")
    }
}
