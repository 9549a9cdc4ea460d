//! One step: the tables it creates and the changes of those that stand, run and recorded in one transaction.

use std::time::Instant;

use cogwheel_schema::{Backend, Change, TableDef, ddl, live};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use crate::chaining;
use crate::ledger::{self, Direction, Entry};

/// The runner's list of applied steps, readable for the role that checks it at start.
const RUNNER_TABLE: &str = live::RUNNER_TABLE;

/// A step that creates tables, or changes some that stand.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    name: &'static str,
    tables: fn() -> Vec<TableDef>,
    changes: fn() -> Vec<Change>,
    support: bool,
    chains_events: bool,
}

impl Step {
    pub(crate) fn new(name: &'static str, tables: fn() -> Vec<TableDef>) -> Self {
        Self { name, tables, changes: Vec::new, support: false, chains_events: false }
    }

    /// A step that changes tables of earlier ones.
    pub(crate) fn changing(name: &'static str, changes: fn() -> Vec<Change>) -> Self {
        Self { name, tables: Vec::new, changes, support: false, chains_events: false }
    }

    /// The step also creates what every table relies on: roles and trigger functions.
    pub(crate) fn with_support(mut self) -> Self {
        self.support = true;
        self
    }

    /// After its statements the step also chains the events that are recorded.
    pub(crate) fn chaining_events(mut self) -> Self {
        self.chains_events = true;
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn tables(&self) -> Vec<TableDef> {
        (self.tables)()
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        (self.changes)()
    }

    /// The statements of a direction; the checksum of the ledger is taken over them.
    pub(crate) fn statements(&self, direction: Direction, backend: Backend) -> Vec<String> {
        let (tables, changes) = (self.tables(), self.changes());
        let mut statements = Vec::new();
        match direction {
            Direction::Up => {
                if self.support {
                    statements.extend(ddl::create_support(backend));
                    statements.extend(runner_grant("grant", "to", backend));
                }
                statements.extend(tables.iter().flat_map(|table| ddl::create_table(table, backend)));
                statements.extend(changes.iter().flat_map(|change| ddl::make_change(change, backend)));
            }
            Direction::Down => {
                statements.extend(changes.iter().rev().flat_map(|change| ddl::take_back_change(change, backend)));
                statements.extend(tables.iter().rev().flat_map(|table| ddl::drop_table(table, backend)));
                if self.support {
                    statements.extend(runner_grant("revoke", "from", backend));
                    statements.extend(ddl::drop_support(backend));
                }
            }
        }
        statements
    }

    async fn run(&self, manager: &SchemaManager<'_>, direction: Direction) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = backend(db)?;
        let statements = self.statements(direction, backend);
        let started = Instant::now();
        for statement in &statements {
            db.execute_unprepared(statement).await?;
        }
        if self.chains_events && direction == Direction::Up {
            chaining::chain(db, backend).await?;
        }
        let duration = started.elapsed();
        // Taking back the first step takes the ledger with it.
        let ledger_stands =
            direction == Direction::Up || !self.tables().iter().any(|table| table.name == ledger::TABLE);
        if ledger_stands {
            let entry = Entry {
                name: self.name,
                direction,
                checksum: ledger::checksum(&statements),
                fingerprint: live::read(db, backend).await?.fingerprint(),
                duration,
                description: self.description(),
            };
            ledger::write(db, entry).await?;
        }
        Ok(())
    }

    fn description(&self) -> String {
        let mut changed: Vec<_> = self.changes().into_iter().map(|change| change.table).collect();
        changed.dedup();
        if !changed.is_empty() {
            return format!("changes of {}", changed.join(", "));
        }
        let names: Vec<_> = self.tables().into_iter().map(|table| table.name).collect();
        format!("tables {}", names.join(", "))
    }
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[expect(elided_lifetimes_in_paths, reason = "the signatures have to be spelt as in the trait")]
#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.run(manager, Direction::Up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.run(manager, Direction::Down).await
    }

    /// Both databases roll schema changes back; SeaORM's default leaves SQLite without a transaction.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Which of the two databases a connection leads to.
pub(crate) fn backend(db: &impl ConnectionTrait) -> Result<Backend, DbErr> {
    match db.get_database_backend() {
        DbBackend::Sqlite => Ok(Backend::Sqlite),
        DbBackend::Postgres => Ok(Backend::Postgres),
        other => Err(DbErr::BackendNotSupported { db: other.as_str(), ctx: "cogwheel runs on SQLite and PostgreSQL" }),
    }
}

fn runner_grant(verb: &str, preposition: &str, backend: Backend) -> Option<String> {
    (backend == Backend::Postgres).then(|| format!("{verb} select on {RUNNER_TABLE} {preposition} cogwheel_engine"))
}
