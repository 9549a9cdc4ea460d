//! Why a database was not migrated, and what to do about it.

use sea_orm_migration::sea_orm::DbErr;

use crate::ledger::Direction;

/// Why a migration did not run, or a database may not be used.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Steps of this program are not applied yet.
    #[error("the database lacks {}: run `cogwheel db migrate`", .0.join(", "))]
    Pending(Vec<String>),
    /// The database has a step of another release.
    #[error(
        "the database has the migration {0}, which this program does not know: \
         run the release that applied it, or restore a backup made before"
    )]
    Unknown(String),
    /// An applied step is not the one this program would apply.
    #[error(
        "the migration {0} was edited after it had been applied to this database: \
         run the release that applied it; a released migration is never changed, a new one is added"
    )]
    Edited(String),
    /// A step counts as applied, but its ledger row is missing.
    #[error(
        "the migration {0} counts as applied, but `migration_log` has no row for it: \
         the database was changed by hand; restore a backup"
    )]
    Unrecorded(String),
    /// A step failed; it left nothing behind.
    #[error("the migration {name} failed on its way {direction} and left nothing behind: {source}")]
    Step {
        /// The step.
        name: String,
        /// Whether it was applied or taken back.
        direction: Direction,
        /// What the database said.
        source: DbErr,
    },
    /// The database could not be read or locked.
    #[error("the state of the migrations cannot be read: {0}")]
    Database(#[from] DbErr),
}
