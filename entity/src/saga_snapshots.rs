//! Versioned, checksummed state, so that a rebuild is snapshot plus later events.

use cogwheel_schema::{Shape, TableDef, build::unique};
use sea_orm::entity::prelude::*;

use crate::{
    declared::{Declared, Words},
    enums::SagaStatus,
};

/// Versioned, checksummed state, so that a rebuild is snapshot plus later events.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saga_snapshots")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub saga_id: Uuid,
    pub version: i64,
    /// Last event contained.
    pub stream_version: i64,
    pub status: SagaStatus,
    pub current_step: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub snapshot_data: Json,
    #[sea_orm(column_type = "Char(Some(64))")]
    pub checksum: String,
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
        belongs_to = "super::saga_instances::Entity",
        from = "Column::SagaId",
        to = "super::saga_instances::Column::Id",
        on_delete = "Cascade"
    )]
    Saga,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Hot;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<SagaStatus>(Column::Status)
            .indexes([unique("idx_saga_snapshots_version", "saga_id, version")
                .serves("latest snapshot; unique index under its fixed name")])
            .check("ck_saga_snapshots_version", "version >= 1")
            .immutable()
    }
}
