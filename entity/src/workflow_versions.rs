//! Every saved text of a workflow, as written and as compiled; immutable.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `workflow_versions.source_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum SourceFormat {
    Yaml,
    Json,
}

/// Every saved text of a workflow, as written and as compiled; immutable.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workflow_versions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub workflow_id: Uuid,
    pub version: i32,
    #[sea_orm(default_value = "yaml")]
    pub source_format: SourceFormat,
    #[sea_orm(column_type = "Text")]
    pub source_text: String,
    /// Compiled graph: nodes, edges, config, triggers, inputs.
    #[sea_orm(column_type = "JsonBinary")]
    pub definition: Json,
    /// SHA-256 of `source_text`.
    #[sea_orm(column_type = "Char(Some(64))")]
    pub checksum: String,
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub language_version: String,
    pub step_count: i32,
    #[sea_orm(default_value = false)]
    pub has_compensation: bool,
    #[sea_orm(default_value = false)]
    pub is_active: bool,
    pub activated_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "Text")]
    pub change_note: Option<String>,
    pub created_by_user_id: Option<Uuid>,
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
        belongs_to = "super::workflows::Entity",
        from = "Column::WorkflowId",
        to = "super::workflows::Column::Id",
        on_delete = "Cascade"
    )]
    Workflow,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::CreatedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    CreatedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<SourceFormat>(Column::SourceFormat)
            .indexes([
                unique("uq_workflow_versions_workflow_id_version", "workflow_id, version").serves("history; pick one"),
                unique("uq_workflow_versions_active", "workflow_id")
                    .partial("is_active = true")
                    .serves("at most one active; load for a start"),
                index("idx_workflow_versions_tenant_id", "tenant_id, created_at"),
            ])
            .key_indexes(["created_by_user_id"])
            .check("ck_workflow_versions_version", "version >= 1")
            .frozen_except(["is_active", "activated_at", "updated_at"], ["created_by_user_id"])
    }
}
