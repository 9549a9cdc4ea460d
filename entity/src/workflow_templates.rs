//! Reusable definitions with parameters.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `workflow_templates.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TemplateStatus {
    Draft,
    Published,
    Archived,
}

/// Reusable definitions with parameters.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workflow_templates")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub name: String,
    #[sea_orm(default_value = 1)]
    pub template_version: i32,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub category: String,
    #[sea_orm(column_type = "JsonBinary", default_value = "[]")]
    pub tags: Json,
    #[sea_orm(column_type = "Text")]
    pub source_text: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub definition: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub parameters_schema: Option<Json>,
    #[sea_orm(default_value = "draft")]
    pub status: TemplateStatus,
    #[sea_orm(default_value = false)]
    pub is_public: bool,
    #[sea_orm(default_value = 0)]
    pub usage_count: i64,
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
            .words::<TemplateStatus>(Column::Status)
            .indexes([
                unique("uq_workflow_templates_name", "tenant_id, name, template_version"),
                index("idx_workflow_templates_category", "category, name")
                    .partial("is_public = true")
                    .serves("public gallery"),
            ])
            .key_indexes(["created_by_user_id"])
            .public_read("is_public = true and status = 'published'")
    }
}
