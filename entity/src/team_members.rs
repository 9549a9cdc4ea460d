//! Pivot of teams and users.

use cogwheel_schema::{Shape, TableDef};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `team_members.role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TeamRole {
    Member,
    Lead,
    Observer,
}

/// Pivot of teams and users.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "team_members")]
pub struct Model {
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub team_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    #[sea_orm(default_value = "member")]
    pub role: TeamRole,
    #[sea_orm(default_value = "now")]
    pub joined_at: DateTimeUtc,
    pub added_by_user_id: Option<Uuid>,
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
        belongs_to = "super::teams::Entity",
        from = "Column::TeamId",
        to = "super::teams::Column::Id",
        on_delete = "Cascade"
    )]
    Team,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::UserId",
        to = "super::users::Column::Id",
        on_delete = "Cascade"
    )]
    User,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::AddedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    AddedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Child;

    fn declare(table: TableDef) -> TableDef {
        table.words::<TeamRole>(Column::Role).key_indexes(["tenant_id", "user_id", "added_by_user_id"])
    }
}
