//! One row per migration step run: what ran, how long, and what the schema looked like afterwards.

use cogwheel_schema::{Shape, TableDef, build::index};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `migration_log.direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum MigrationDirection {
    Up,
    Down,
}

/// One row per migration step run: what ran, how long, and what the schema looked like afterwards.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "migration_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub migration_name: String,
    pub direction: MigrationDirection,
    /// SHA-256 of the SQL the step rendered for this database.
    #[sea_orm(column_type = "Char(Some(64))")]
    pub checksum: String,
    /// Of the live schema after the step.
    #[sea_orm(column_type = "Char(Some(64))")]
    pub schema_fingerprint: String,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub engine_version: String,
    pub executed_at: DateTimeUtc,
    pub execution_time_ms: i64,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
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
            .words::<MigrationDirection>(Column::Direction)
            .indexes([index("idx_migration_log_migration_name", "migration_name, executed_at")
                .serves("last run of a step, edited-step check at start")])
            .immutable()
    }
}
