//! Checks rows: what no constraint can say, and what constraints said while they were switched off.

mod checksums;
mod facts;
mod generic;
mod sagas;

use cogwheel_schema::{Backend, LiveSchema, TableDef};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use super::report::{Figures, Finding, Part};
use super::{VerifyError, sea_backend, while_doing};

/// Rows that one check reports by id; of more, only the number is told.
const REPORTED: u64 = 20;

/// A query that selects `row_id` and `detail` of each row that breaks a rule.
pub(super) struct Check {
    kind: &'static str,
    table: String,
    /// Tables the query reads; it is left out where one is missing, which the schema part reports.
    reads: Vec<String>,
    sql: String,
}

/// How a database writes what the two of them write differently.
#[derive(Clone, Copy)]
pub(super) struct Dialect(Backend);

impl Dialect {
    /// A uuid column as the usual text.
    fn uuid(self, column: &str) -> String {
        match self.0 {
            Backend::Postgres => format!("{column}::text"),
            Backend::Sqlite => {
                let part = |from: u8, length: u8| format!("substr(lower(hex({column})), {from}, {length})");
                [part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)].join(" || '-' || ")
            }
        }
    }

    /// The primary key of a row as one text.
    fn row_id(self, table: &TableDef, alias: &str) -> String {
        let parts = table.primary_key.iter().map(|column| {
            let is_uuid = table
                .columns
                .iter()
                .any(|known| known.name == *column && known.column_type == cogwheel_schema::ColumnType::Uuid);
            let qualified = format!("{alias}.{column}");
            if is_uuid { self.uuid(&qualified) } else { format!("cast({qualified} as text)") }
        });
        parts.collect::<Vec<_>>().join(" || '/' || ")
    }

    /// The instant `days` ago.
    fn days_ago(self, days: u16) -> String {
        match self.0 {
            Backend::Postgres => format!("now() - interval '{days} days'"),
            Backend::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-{days} days')"),
        }
    }
}

/// Runs all checks and counts the rows they looked at.
pub(super) async fn check(
    db: &DatabaseConnection,
    backend: Backend,
    declared: &[TableDef],
    live: &LiveSchema,
    figures: &mut Figures,
) -> Result<Vec<Finding>, VerifyError> {
    let dialect = Dialect(backend);
    let present: Vec<TableDef> = declared.iter().filter_map(|table| generic::present_part(table, live)).collect();
    let mut checks = generic::checks(dialect, &present);
    checks.extend(facts::checks(dialect, &present));
    let mut findings = Vec::new();
    for check in checks.iter().filter(|check| check.reads.iter().all(|table| live.tables.contains_key(table))) {
        findings.extend(
            run(db, backend, check).await.unwrap_or_else(|error| not_checked(&check.table, check.kind, &error)),
        );
    }
    if live.tables.contains_key(checksums::TABLE) {
        let found = checksums::check(db, backend).await;
        findings.extend(found.unwrap_or_else(|error| not_checked(checksums::TABLE, "checksum", &error)));
    }
    if live.tables.contains_key(super::events::TABLE) {
        findings.extend(super::events::findings(db).await);
    }
    if live.tables.contains_key(sagas::TABLE) && live.tables.contains_key(super::events::TABLE) {
        let found = sagas::check(db).await;
        let failed = |error| not_checked(sagas::TABLE, "projection", &error);
        findings.extend(found.unwrap_or_else(failed));
    }
    if backend == Backend::Sqlite {
        findings.extend(integrity(db).await.map_err(while_doing("checking the file's integrity"))?);
    }
    figures.rows_checked = count_rows(db, backend, &present).await?;
    Ok(findings)
}

/// A check that failed, as it does where the live schema lacks what it reads.
fn not_checked(table: &str, kind: &str, error: &impl std::fmt::Display) -> Vec<Finding> {
    let message = format!("{kind} of {table} could not be checked: {error}");
    vec![Finding::new(Part::Data, "not_checked", table, kind, message)]
}

async fn run(db: &DatabaseConnection, backend: Backend, check: &Check) -> Result<Vec<Finding>, DbErr> {
    let sql = format!("select row_id, detail, count(*) over () as found from ({}) broken limit {REPORTED}", check.sql);
    let rows = db.query_all_raw(Statement::from_string(sea_backend(backend), sql)).await?;
    let mut findings = Vec::new();
    let mut total = 0;
    for row in &rows {
        let (row_id, detail): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        total = row.try_get_by_index::<i64>(2)?.unsigned_abs();
        let message = format!("row {row_id} of {}: {detail}", check.table);
        findings.push(Finding::new(Part::Data, check.kind, &check.table, &row_id, message));
    }
    if total > REPORTED {
        let message =
            format!("{} more rows of {} are broken in the same way ({total} in all)", total - REPORTED, check.table);
        findings.push(Finding::new(Part::Data, check.kind, &check.table, "more", message));
    }
    Ok(findings)
}

/// What SQLite itself finds wrong: damaged pages, rows missing from an index, rows that break a check.
async fn integrity(db: &DatabaseConnection) -> Result<Vec<Finding>, DbErr> {
    let statement = Statement::from_string(DbBackend::Sqlite, format!("pragma integrity_check({REPORTED})"));
    let mut findings = Vec::new();
    for row in db.query_all_raw(statement).await? {
        let text: String = row.try_get_by_index(0)?;
        if text != "ok" {
            findings.push(Finding::new(Part::Data, "integrity", "database", "integrity_check", text));
        }
    }
    Ok(findings)
}

async fn count_rows(db: &DatabaseConnection, backend: Backend, tables: &[TableDef]) -> Result<u64, VerifyError> {
    if tables.is_empty() {
        return Ok(0);
    }
    let counts: Vec<String> = tables.iter().map(|table| format!("(select count(*) from {})", table.name)).collect();
    let sql = format!("select {}", counts.join(" + "));
    let row = db
        .query_one_raw(Statement::from_string(sea_backend(backend), sql))
        .await
        .map_err(while_doing("counting rows"))?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0)).map_err(while_doing("counting rows"))?;
    Ok(count.unsigned_abs())
}
