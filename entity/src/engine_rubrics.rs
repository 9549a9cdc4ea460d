//! A tenant's criteria for judging outputs of one engine (engines are a registry in the binary, not
//! a table).

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// A tenant's criteria for judging outputs of one engine (engines are a registry in the binary, not
/// a table).
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "engine_rubrics")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub engine_key: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub criteria: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub weights: Json,
    #[sea_orm(column_type = "Decimal(Some((5, 2)))")]
    pub threshold: Decimal,
    #[sea_orm(default_value = false)]
    pub is_default: bool,
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
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .indexes([
                unique("uq_engine_rubrics_name", "tenant_id, engine_key, name"),
                unique("uq_engine_rubrics_default", "tenant_id, engine_key")
                    .partial("is_default = true")
                    .serves("at most one default"),
            ])
            .check("ck_engine_rubrics_threshold", "threshold >= 0 and threshold <= 100")
    }
}
