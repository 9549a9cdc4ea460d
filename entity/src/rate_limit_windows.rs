//! Shared counters, so that a limit holds across nodes; nodes draw tokens in blocks, not one write
//! per request.

use cogwheel_schema::{Shape, TableDef, build::index};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// Shared counters, so that a limit holds across nodes; nodes draw tokens in blocks, not one write
/// per request.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rate_limit_windows")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    /// Tier, key or user plus the operation group.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(150))")]
    pub bucket_key: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub window_start_at: DateTimeUtc,
    #[sea_orm(default_value = 60)]
    pub window_seconds: i32,
    pub token_limit: i32,
    #[sea_orm(default_value = 0)]
    pub tokens_drawn: i32,
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
    const SHAPE: Shape = Shape::Child;

    fn declare(table: TableDef) -> TableDef {
        table
            .indexes([index("idx_rate_limit_windows_window_start_at", "window_start_at").serves("sweep")])
            .check("ck_rate_limit_windows_tokens", "tokens_drawn <= token_limit")
    }
}
