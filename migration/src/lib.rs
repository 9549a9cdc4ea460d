//! The chain of schema changes, up and down.
//!
//! A step describes its tables, or its changes of earlier ones, in the words of `cogwheel_schema::build`; the text is frozen once released
//! and knows no entity. The same chain serves SQLite and PostgreSQL. Each step runs in one transaction with
//! its row in `migration_log`, under a lock that lets one process migrate at a time.

mod chain;
mod chaining;
mod error;
mod ledger;
mod run;
mod step;

mod m20261122_000001_platform;
mod m20261122_000002_cluster;
mod m20261122_000003_organization;
mod m20261122_000004_automation;
mod m20261122_000005_events_sagas;
mod m20261122_000006_agents_approvals;
mod m20261122_000007_integrations;
mod m20261125_000008_pool;
mod m20261125_000009_schedules;
mod m20261125_000010_file_watches;
mod m20261125_000011_outside;
mod m20261125_000013_sagas;
mod m20261125_000014_event_chain;
mod m20261125_000015_webhooks;
mod m20261130_000016_webhooks_since;

use sea_orm_migration::sea_orm::DatabaseConnection;

pub use error::MigrateError;
pub use ledger::Direction;
pub use run::{Applied, StepStatus};

/// Runs every pending step and tells which.
///
/// # Errors
/// When an applied step was edited or is unknown to this program, or when a step fails; the failed step
/// leaves nothing behind, the steps before it stay.
pub async fn up(db: &DatabaseConnection) -> Result<Vec<Applied>, MigrateError> {
    run::up(db, &chain::steps()).await
}

/// Takes back the last `steps` applied steps, newest first, and tells which.
///
/// # Errors
/// As [`up`].
pub async fn down(db: &DatabaseConnection, steps: u32) -> Result<Vec<Applied>, MigrateError> {
    run::down(db, &chain::steps(), steps).await
}

/// Where each step of the chain stands, followed by applied steps that this program does not know. Reads only.
///
/// # Errors
/// When the database cannot be read.
pub async fn status(db: &DatabaseConnection) -> Result<Vec<StepStatus>, MigrateError> {
    run::status(db, &chain::steps()).await
}

/// Whether exactly this program's steps are applied, as it would apply them. Reads only.
///
/// # Errors
/// When a step is pending, edited or unknown, and when the database cannot be read.
pub async fn check(db: &DatabaseConnection) -> Result<(), MigrateError> {
    run::check(db, &chain::steps()).await
}

/// The fingerprint that the newest migration step recorded of the schema it left behind. Reads only; the chain must be
/// applied.
///
/// # Errors
/// When the database cannot be read.
pub async fn ledger_fingerprint(db: &DatabaseConnection) -> Result<Option<String>, MigrateError> {
    Ok(ledger::newest_fingerprint(db).await?)
}

#[cfg(test)]
mod tests;
