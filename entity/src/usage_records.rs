//! Daily totals per tenant for quotas and invoices.

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// Daily totals per tenant for quotas and invoices.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_records")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub record_date: Date,
    #[sea_orm(default_value = 0)]
    pub workflow_executions: i64,
    #[sea_orm(default_value = 0)]
    pub agent_executions: i64,
    #[sea_orm(default_value = 0)]
    pub api_calls: i64,
    #[sea_orm(default_value = 0)]
    pub webhook_deliveries: i64,
    #[sea_orm(default_value = 0)]
    pub input_tokens: i64,
    #[sea_orm(default_value = 0)]
    pub output_tokens: i64,
    #[sea_orm(default_value = 0)]
    pub storage_bytes: i64,
    #[sea_orm(column_type = "Decimal(Some((19, 4)))", default_value = 0)]
    pub cost: Decimal,
    #[sea_orm(column_type = "Char(Some(3))", default_value = "USD")]
    pub currency: String,
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
        table.indexes([unique("uq_usage_records_tenant_id_record_date", "tenant_id, record_date")
            .serves("upsert of the day; range read; quota check")])
    }
}
