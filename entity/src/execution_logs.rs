//! Lines and engine remarks of an execution, streamed as they are written.

use cogwheel_schema::{Shape, TableDef};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `execution_logs.log_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// Words of `execution_logs.stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum LogStream {
    Engine,
    Stdout,
    Stderr,
}

/// Lines and engine remarks of an execution, streamed as they are written.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "execution_logs")]
pub struct Model {
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub step_ordinal: Option<i32>,
    pub attempt: Option<i32>,
    #[sea_orm(default_value = "info")]
    pub log_level: LogLevel,
    #[sea_orm(default_value = "engine")]
    pub stream: LogStream,
    /// Up to 64 KiB; several lines may share a row.
    #[sea_orm(column_type = "Text")]
    pub message: String,
    #[sea_orm(default_value = 1)]
    pub line_count: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub fields: Option<Json>,
    pub logged_at: DateTimeUtc,
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
    const SHAPE: Shape = Shape::Child;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<LogLevel>(Column::LogLevel)
            .words::<LogStream>(Column::Stream)
            .check("ck_execution_logs_sequence", "sequence >= 0 and line_count >= 1")
            .immutable()
            .partition_by("execution_id")
    }
}
