//! Checks a live database against what the code declares: its shape, its rows, its query plans.

mod data;
mod events;
mod plans;
mod report;

use std::time::Instant;

use cogwheel_schema::{Backend, LiveSchema, TableDef, compare, live};
use sea_orm::{DatabaseConnection, DbBackend, DbErr};

pub use crate::events::walk::{EventFault, EventWalk};
pub use events::check as events;
pub use plans::DeclaredQuery;
pub use report::{Figures, Finding, Part, Report, Verdict};

/// What to check beside the schema, which is always checked.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Check the rows: references, tenants, counters, JSON, ownership, checksums.
    pub data: bool,
    /// Check on synthetic rows that each declared query uses its index.
    pub plans: bool,
    /// Queries whose plans are checked beside those that the declared indexes and keys imply.
    pub queries: Vec<DeclaredQuery>,
}

/// The database could not be examined.
#[derive(Debug, thiserror::Error)]
#[error("the database could not be verified while {doing}")]
pub struct VerifyError {
    doing: &'static str,
    source: DbErr,
}

/// Turns a database error into a [`VerifyError`] that says what was being done.
fn while_doing(doing: &'static str) -> impl FnOnce(DbErr) -> VerifyError {
    move |source| VerifyError { doing, source }
}

/// Examines the database and reports every finding; changes nothing.
///
/// # Errors
/// When the database does not answer, or its role may not create the scratch schema that the
/// declared tables are rendered into (PostgreSQL; the role that owns the tables may).
pub async fn verify(db: &DatabaseConnection, declared: &[TableDef], options: Options) -> Result<Report, VerifyError> {
    let started = Instant::now();
    let backend = backend(db);
    let live = live::read(db, backend).await.map_err(while_doing("reading its schema"))?;
    let mut findings = schema_findings(db, declared, &live).await?;
    let mut figures = Figures::of(&live);
    if options.data {
        findings.extend(data::check(db, backend, declared, &live, &mut figures).await?);
    }
    if options.plans {
        findings.extend(plans::check(db, backend, declared, &live, &options.queries, &mut figures).await?);
    }
    figures.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Report::new(findings, figures))
}

/// Decides whether a server may start: no finding means it may.
///
/// `ledger_fingerprint` is the one the last migration step left behind. Where the live schema still has
/// it, nothing else is read. Otherwise the whole schema is compared, since an upgrade of PostgreSQL may
/// change how it spells the same objects.
///
/// # Errors
/// As [`verify`].
pub async fn check_at_start(
    db: &DatabaseConnection,
    declared: &[TableDef],
    ledger_fingerprint: Option<String>,
) -> Result<Vec<Finding>, VerifyError> {
    let live = live::read(db, backend(db)).await.map_err(while_doing("reading its schema"))?;
    if ledger_fingerprint.is_some_and(|known| known == live.fingerprint()) {
        return Ok(Vec::new());
    }
    schema_findings(db, declared, &live).await
}

/// The fingerprint of the live schema: 64 hexadecimal digits, the same on every database of the same shape and server.
///
/// # Errors
/// When the database does not answer.
pub async fn fingerprint(db: &DatabaseConnection) -> Result<String, VerifyError> {
    Ok(live::read(db, backend(db)).await.map_err(while_doing("reading its schema"))?.fingerprint())
}

async fn schema_findings(
    db: &DatabaseConnection,
    declared: &[TableDef],
    live: &LiveSchema,
) -> Result<Vec<Finding>, VerifyError> {
    let declared = compare::declared(db, declared).await.map_err(while_doing(
        "rendering the declared tables in a scratch schema (on PostgreSQL, connect as the role that owns the tables)",
    ))?;
    Ok(compare::differences(&declared, live).into_iter().map(Finding::from).collect())
}

fn backend(db: &DatabaseConnection) -> Backend {
    if db.get_database_backend() == DbBackend::Sqlite { Backend::Sqlite } else { Backend::Postgres }
}

fn sea_backend(backend: Backend) -> DbBackend {
    match backend {
        Backend::Sqlite => DbBackend::Sqlite,
        Backend::Postgres => DbBackend::Postgres,
    }
}
