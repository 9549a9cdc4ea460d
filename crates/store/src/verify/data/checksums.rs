//! Compares each workflow version's checksum with its text.

use cogwheel_schema::Backend;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::verify::report::{Finding, Part};
use crate::verify::{VerifyError, sea_backend, while_doing};

/// Versions read at a time; a text may have megabytes.
const PAGE: usize = 20;

/// Reads all versions in pages, since SQLite has no SHA-256.
pub(super) async fn check(db: &DatabaseConnection, backend: Backend) -> Result<Vec<Finding>, VerifyError> {
    pages(db, backend).await.map_err(while_doing("comparing version checksums"))
}

async fn pages(db: &DatabaseConnection, backend: Backend) -> Result<Vec<Finding>, DbErr> {
    let placeholder = if backend == Backend::Sqlite { "?" } else { "$1" };
    let sql = format!("select id, source_text, cast(checksum as text) from workflow_versions where id > {placeholder} order by id limit {PAGE}");
    let mut findings = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let rows = db.query_all_raw(Statement::from_sql_and_values(sea_backend(backend), &sql, [Value::from(after)])).await?;
        for row in &rows {
            after = row.try_get_by_index(0)?;
            let (text, checksum): (String, String) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            let computed: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            if computed != checksum {
                let message = format!("row {after} of workflow_versions: checksum is {checksum}, its source_text has {computed}");
                findings.push(Finding::new(Part::Data, "checksum", "workflow_versions", &after.to_string(), message));
            }
        }
        if rows.len() < PAGE {
            return Ok(findings);
        }
    }
}
