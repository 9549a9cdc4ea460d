//! Outputs kept as bytes: named artifacts, offloaded step output, archived logs.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `artifacts.artifact_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ArtifactKind {
    Artifact,
    StepOutput,
    LogArchive,
}

/// Outputs kept as bytes: named artifacts, offloaded step output, archived logs.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "artifacts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub execution_id: Uuid,
    pub step_ordinal: Option<i32>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(default_value = "artifact")]
    pub artifact_kind: ArtifactKind,
    #[sea_orm(column_type = "String(StringLen::N(1024))")]
    pub storage_key: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub mime_type: String,
    pub file_size: i64,
    #[sea_orm(column_type = "Char(Some(64))")]
    pub file_hash: String,
    pub expires_at: Option<DateTimeUtc>,
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
        belongs_to = "super::workflow_executions::Entity",
        from = "Column::ExecutionId",
        to = "super::workflow_executions::Column::Id",
        on_delete = "Cascade"
    )]
    Execution,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<ArtifactKind>(Column::ArtifactKind)
            .indexes([
                unique("uq_artifacts_execution_id_name", "execution_id, name"),
                index("idx_artifacts_tenant_id", "tenant_id, created_at").serves("storage per tenant"),
                index("idx_artifacts_storage_key", "storage_key").serves("are these bytes still referenced"),
                index("idx_artifacts_expires_at", "expires_at").partial("expires_at is not null").serves("sweep"),
            ])
            .check("ck_artifacts_size", "file_size >= 0")
    }
}
