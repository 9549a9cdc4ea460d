//! Compares each workflow version's checksum with its text.

use std::fmt::Write;

use cogwheel_schema::Backend;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::verify::report::{Finding, Part};
use crate::verify::sea_backend;

/// Versions read at a time; a text may have megabytes.
const PAGE: usize = 20;

/// The table whose rows are compared.
pub(super) const TABLE: &str = "workflow_versions";

/// Reads all versions in pages, since SQLite has no SHA-256.
pub(super) async fn check(db: &DatabaseConnection, backend: Backend) -> Result<Vec<Finding>, DbErr> {
    let placeholder = if backend == Backend::Sqlite { "?" } else { "$1" };
    let sql = format!(
        "select id, source_text, cast(checksum as text) from {TABLE} where id > {placeholder} order by id limit {PAGE}"
    );
    let mut findings = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let rows =
            db.query_all_raw(Statement::from_sql_and_values(sea_backend(backend), &sql, [Value::from(after)])).await?;
        for row in &rows {
            after = row.try_get_by_index(0)?;
            let (text, checksum): (String, String) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            let computed = sha256(&text);
            if computed != checksum {
                let message = format!("row {after} of {TABLE}: checksum is {checksum}, its source_text has {computed}");
                findings.push(Finding::new(Part::Data, "checksum", TABLE, &after.to_string(), message));
            }
        }
        if rows.len() < PAGE {
            return Ok(findings);
        }
    }
}

/// SHA-256 as 64 hexadecimal digits.
fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
