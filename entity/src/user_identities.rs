//! Accounts of outside identity providers (OIDC) that sign in as a user.

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// Accounts of outside identity providers (OIDC) that sign in as a user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_identities")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub issuer: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub subject: String,
    #[sea_orm(column_type = "String(StringLen::N(320))")]
    pub email: Option<String>,
    pub last_used_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = "now")]
    pub created_at: DateTimeUtc,
    #[sea_orm(default_value = "now")]
    pub updated_at: DateTimeUtc,
}

/// The rows this one points at.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::UserId",
        to = "super::users::Column::Id",
        on_delete = "Cascade"
    )]
    User,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Global;

    fn declare(table: TableDef) -> TableDef {
        table
            .indexes([unique("uq_user_identities_issuer_subject", "issuer, subject").serves("sign-in")])
            .key_indexes(["user_id"])
    }
}
