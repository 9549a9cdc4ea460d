//! Runs the chain: take the lock, look, run one step, commit, until there is nothing to do.
//!
//! The lock lasts for one step, and whoever gets it looks anew, so two processes that migrate at once
//! share the work and both succeed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cogwheel_schema::{Backend, live};
use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
    TransactionTrait as _,
};
use sea_orm_migration::sea_query::{Order, Query};
use sea_orm_migration::{IntoSchemaManagerConnection, MigrationTrait, MigratorTraitSelf, SchemaManager};

use crate::error::MigrateError;
use crate::ledger::{self, Direction, LastUp};
use crate::step::{Step, backend};

/// Key of the PostgreSQL advisory lock under which a database is migrated.
const LOCK_KEY: i64 = 0x636f_6777_6865_656c;

/// A step that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The step.
    pub name: String,
    /// Whether it was applied or taken back.
    pub direction: Direction,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepStatus {
    /// The step.
    pub name: String,
    /// When it was applied last; none while it is pending.
    pub applied_at: Option<DateTime<Utc>>,
    /// Whether it was applied as this program would apply it; true while it is pending.
    pub checksum_ok: bool,
    /// Whether it is still to be applied.
    pub pending: bool,
}

/// What a database says about its migrations.
struct State {
    backend: Backend,
    /// Names of applied steps, oldest first.
    applied: Vec<String>,
    ledger: BTreeMap<String, LastUp>,
}

struct Chain<'a>(&'a [Step]);

impl MigratorTraitSelf for Chain<'_> {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        self.0.iter().map(|&step| Box::new(step) as Box<dyn MigrationTrait>).collect()
    }
}

pub(crate) async fn up(db: &DatabaseConnection, steps: &[Step]) -> Result<Vec<Applied>, MigrateError> {
    let mut done = Vec::new();
    loop {
        let tx = lock(db).await?;
        let state = State::read(&tx).await?;
        state.refuse_foreign_history(steps)?;
        let Some(next) = steps.iter().find(|step| state.is_pending(step)) else {
            tx.commit().await?;
            return Ok(done);
        };
        done.push(run(tx, steps, next, Direction::Up).await?);
    }
}

pub(crate) async fn down(db: &DatabaseConnection, steps: &[Step], count: u32) -> Result<Vec<Applied>, MigrateError> {
    let mut done = Vec::new();
    for _ in 0..count {
        let tx = lock(db).await?;
        let state = State::read(&tx).await?;
        state.refuse_foreign_history(steps)?;
        let Some(last) = steps.iter().rfind(|step| !state.is_pending(step)) else {
            tx.commit().await?;
            break;
        };
        done.push(run(tx, steps, last, Direction::Down).await?);
    }
    Ok(done)
}

pub(crate) async fn status(db: &DatabaseConnection, steps: &[Step]) -> Result<Vec<StepStatus>, MigrateError> {
    let state = State::read(db).await?;
    let known = steps.iter().map(|step| StepStatus {
        name: step.name().to_owned(),
        applied_at: state.applied_at(step.name()),
        checksum_ok: state.is_pending(step) || state.is_unchanged(step),
        pending: state.is_pending(step),
    });
    let unknown = state.unknown(steps).map(|name| StepStatus {
        name: name.clone(),
        applied_at: state.applied_at(name),
        checksum_ok: false,
        pending: false,
    });
    Ok(known.chain(unknown).collect())
}

pub(crate) async fn check(db: &DatabaseConnection, steps: &[Step]) -> Result<(), MigrateError> {
    let state = State::read(db).await?;
    state.refuse_foreign_history(steps)?;
    let pending: Vec<_> =
        steps.iter().filter(|step| state.is_pending(step)).map(|step| step.name().to_owned()).collect();
    if pending.is_empty() { Ok(()) } else { Err(MigrateError::Pending(pending)) }
}

/// A transaction that nobody else can migrate beside.
async fn lock(db: &DatabaseConnection) -> Result<DatabaseTransaction, MigrateError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let tx = db.begin_with_options(options).await?;
    if backend(db)? == Backend::Postgres {
        tx.execute_unprepared(&format!("select pg_advisory_xact_lock({LOCK_KEY})")).await?;
    }
    Ok(tx)
}

async fn run(
    tx: DatabaseTransaction,
    steps: &[Step],
    step: &Step,
    direction: Direction,
) -> Result<Applied, MigrateError> {
    let name = step.name().to_owned();
    let failed = |source| MigrateError::Step { name: name.clone(), direction, source };
    let outcome = match direction {
        Direction::Up => Chain(steps).up(&tx, Some(1)).await,
        Direction::Down => Chain(steps).down(&tx, Some(1)).await,
    };
    match outcome {
        Ok(()) => tx.commit().await.map_err(failed)?,
        Err(source) => {
            tx.rollback().await?;
            return Err(failed(source));
        }
    }
    Ok(Applied { name, direction })
}

impl State {
    async fn read<'c>(db: impl IntoSchemaManagerConnection<'c>) -> Result<Self, MigrateError> {
        let manager = SchemaManager::new(db);
        let db = manager.get_connection();
        let mut state = Self { backend: backend(db)?, applied: Vec::new(), ledger: BTreeMap::new() };
        if manager.has_table(live::RUNNER_TABLE).await? {
            let versions =
                Query::select().column("version").from(live::RUNNER_TABLE).order_by("version", Order::Asc).take();
            for row in db.query_all(&versions).await? {
                state.applied.push(row.try_get("", "version")?);
            }
        }
        if manager.has_table(ledger::TABLE).await? {
            state.ledger = ledger::last_ups(db).await?;
        }
        Ok(state)
    }

    fn is_pending(&self, step: &Step) -> bool {
        !self.applied.iter().any(|name| name == step.name())
    }

    fn is_unchanged(&self, step: &Step) -> bool {
        let checksum = ledger::checksum(&step.statements(Direction::Up, self.backend));
        self.ledger.get(step.name()).is_some_and(|last| last.checksum == checksum)
    }

    fn applied_at(&self, name: &str) -> Option<DateTime<Utc>> {
        let applied = self.applied.iter().any(|known| known == name);
        self.ledger.get(name).filter(|_| applied).map(|last| last.executed_at)
    }

    fn unknown<'a>(&'a self, steps: &'a [Step]) -> impl Iterator<Item = &'a String> {
        self.applied.iter().filter(|name| !steps.iter().any(|step| step.name() == name.as_str()))
    }

    fn refuse_foreign_history(&self, steps: &[Step]) -> Result<(), MigrateError> {
        if let Some(name) = self.unknown(steps).next() {
            return Err(MigrateError::Unknown(name.clone()));
        }
        for step in steps.iter().filter(|step| !self.is_pending(step)) {
            if !self.ledger.contains_key(step.name()) {
                return Err(MigrateError::Unrecorded(step.name().to_owned()));
            }
            if !self.is_unchanged(step) {
                return Err(MigrateError::Edited(step.name().to_owned()));
            }
        }
        Ok(())
    }
}
