//! The unit of isolation, quota and billing.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `tenants.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TenantStatus {
    PendingVerification,
    Active,
    Inactive,
    Suspended,
    Purged,
}

/// Words of `tenants.rate_limit_tier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum RateLimitTier {
    Free,
    Standard,
    Professional,
    Enterprise,
}

/// The unit of isolation, quota and billing.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Lower case, also the subdomain.
    #[sea_orm(column_type = "String(StringLen::N(63))")]
    pub slug: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "String(StringLen::N(253))")]
    pub domain: Option<String>,
    #[sea_orm(default_value = "pending_verification")]
    pub status: TenantStatus,
    /// The one built-in tenant; owns platform-level audit, usage, event and template rows.
    #[sea_orm(default_value = false)]
    pub is_system: bool,
    #[sea_orm(column_type = "String(StringLen::N(50))", default_value = "free")]
    pub plan: String,
    #[sea_orm(default_value = "standard")]
    pub rate_limit_tier: RateLimitTier,
    /// Quotas: executions per day, concurrent executions, storage bytes, agent cost per day.
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub limits: Json,
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub settings: Json,
    #[sea_orm(column_type = "String(StringLen::N(64))", default_value = "UTC")]
    pub timezone: String,
    #[sea_orm(column_type = "Char(Some(3))", default_value = "USD")]
    pub currency: String,
    pub trial_ends_at: Option<DateTimeUtc>,
    pub purged_at: Option<DateTimeUtc>,
    #[sea_orm(default_value = "now")]
    pub created_at: DateTimeUtc,
    #[sea_orm(default_value = "now")]
    pub updated_at: DateTimeUtc,
}

/// The rows this one points at.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Global;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<TenantStatus>(Column::Status)
            .words::<RateLimitTier>(Column::RateLimitTier)
            .indexes([
                unique("uq_tenants_slug", "slug").serves("resolve by subdomain or header"),
                unique("uq_tenants_domain", "domain").partial("domain is not null").serves("resolve by custom domain"),
                unique("uq_tenants_is_system", "is_system").partial("is_system = true").serves("at most one"),
                index("idx_tenants_status", "status, created_at").serves("administration list"),
            ])
            .check("ck_tenants_slug", "slug = lower(slug)")
    }
}
