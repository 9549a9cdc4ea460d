//! Sign-ins of people, including impersonated ones.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `user_sessions.session_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SessionType {
    Web,
    Mobile,
    Api,
    Cli,
}

/// Words of `user_sessions.end_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SessionEnd {
    SignedOut,
    Expired,
    Terminated,
    SessionLimit,
    PasswordChanged,
    Deactivated,
}

/// Sign-ins of people, including impersonated ones.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    /// SHA-256 of the session token.
    pub token_hash: Vec<u8>,
    #[sea_orm(default_value = "web")]
    pub session_type: SessionType,
    pub current_tenant_id: Option<Uuid>,
    #[sea_orm(column_type = "String(StringLen::N(45))")]
    pub ip_address: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(512))")]
    pub user_agent: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub device_label: Option<String>,
    pub started_at: DateTimeUtc,
    pub last_activity_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    pub ended_at: Option<DateTimeUtc>,
    pub end_reason: Option<SessionEnd>,
    /// Audit fact.
    pub impersonator_user_id: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub impersonation_reason: Option<String>,
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
    #[sea_orm(
        belongs_to = "super::tenants::Entity",
        from = "Column::CurrentTenantId",
        to = "super::tenants::Column::Id",
        on_delete = "Restrict"
    )]
    CurrentTenant,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::ImpersonatorUserId",
        to = "super::users::Column::Id",
        on_delete = "Restrict"
    )]
    ImpersonatorUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Global;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<SessionType>(Column::SessionType)
            .words::<SessionEnd>(Column::EndReason)
            .indexes([
                unique("uq_user_sessions_token_hash", "token_hash").serves("authenticate a request"),
                index("idx_user_sessions_user_id", "user_id, last_activity_at")
                    .serves("list mine; enforce the limit per user"),
                index("idx_user_sessions_expires_at", "expires_at").partial("ended_at is null").serves("expiry sweep"),
            ])
            .key_indexes(["current_tenant_id", "impersonator_user_id"])
            .check("ck_user_sessions_impersonation", "(impersonator_user_id is null) = (impersonation_reason is null)")
            .check("ck_user_sessions_end", "(ended_at is null) = (end_reason is null)")
    }
}
