//! Turns declared tables into a live schema by building them in a scratch place.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, TransactionTrait};

use crate::{Backend, LiveSchema, TableDef, ddl, live};

const SCHEMA: &str = "cogwheel_declared";

/// The declared tables as the given database would hold and spell them.
///
/// SQLite builds them in memory; PostgreSQL in a schema of one transaction that is rolled back, for
/// which the role needs the right to create schemas.
///
/// # Errors
/// When a rendered statement fails or the catalogue cannot be read.
pub async fn declared(db: &DatabaseConnection, tables: &[TableDef]) -> Result<LiveSchema, DbErr> {
    if db.get_database_backend() == sea_orm::DbBackend::Sqlite {
        let mut options = ConnectOptions::new("sqlite::memory:");
        options.max_connections(1).sqlx_logging(false);
        let memory = Database::connect(options).await?;
        create(&memory, tables, Backend::Sqlite).await?;
        let schema = live::read(&memory, Backend::Sqlite).await;
        memory.close().await?;
        return schema;
    }
    let transaction = db.begin().await?;
    transaction.execute_unprepared(&format!("create schema {SCHEMA}; set local search_path = {SCHEMA}")).await?;
    create(&transaction, tables, Backend::Postgres).await?;
    let schema = live::read_schema(&transaction, SCHEMA).await;
    transaction.rollback().await?;
    schema
}

async fn create(conn: &impl ConnectionTrait, tables: &[TableDef], backend: Backend) -> Result<(), DbErr> {
    conn.execute_unprepared(&ddl::create_schema(tables, backend).join(";\n")).await?;
    Ok(())
}
