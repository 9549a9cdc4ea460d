//! Commits on SQLite: prepared statements on the writer's own connection.

mod records;
mod starts;

use std::time::Duration;

use async_trait::async_trait;
use cogwheel_engine::ports::{Started, StoreError};
use futures_util::FutureExt;
use rusqlite::{Connection, Params, params};

use super::counts::Counts;
use super::crash::{self, Side};
use super::lane::{self, Cold, Hot};
use super::sql::sqlite as sql;
use crate::fault;
use crate::tx::SqliteTx;

/// Owns the one connection that writes.
pub(super) struct Writer {
    connection: Connection,
}

/// Why a unit was not written: a guard said no, or a statement failed.
enum Refused {
    ByGuard(StoreError),
    ByDatabase(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::ByDatabase(error)
    }
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    fn begin(&self) -> Result<(), StoreError> {
        // A panic leaves its transaction open.
        if !self.connection.is_autocommit() {
            self.run("rollback", []).map_err(|error| fault::from_sqlite(&error))?;
        }
        self.run("begin immediate", []).map(drop).map_err(|error| fault::from_sqlite(&error))
    }

    /// Ends the transaction as its outcome says.
    fn finish<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let committed = outcome.and_then(|written| {
            crash::point(Side::Before);
            self.run("commit", []).map_err(|error| fault::from_sqlite(&error))?;
            crash::point(Side::After);
            Ok(written)
        });
        // Some errors end the transaction by themselves.
        if committed.is_err()
            && !self.connection.is_autocommit()
            && let Err(error) = self.run("rollback", [])
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        committed
    }

    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    fn unit(&self, unit: &Hot, counts: &mut Counts) -> Result<Result<Started, StoreError>, StoreError> {
        let written = match unit {
            Hot::Start(start) => self.start(start, counts),
            Hot::Tick(tick) => self.tick(tick, None).map(|()| Started::Accepted).map_err(Refused::ByDatabase),
            Hot::Upload(upload) => self.upload(upload, counts),
            Hot::Record(record) => self.record(record, counts).map(|()| Started::Accepted),
        };
        match written {
            Ok(started) => Ok(Ok(started)),
            Err(Refused::ByGuard(refusal)) => Ok(Err(refusal)),
            Err(Refused::ByDatabase(error)) => Err(fault::from_sqlite(&error)),
        }
    }

    fn units(&self, units: &[Hot]) -> Result<Vec<Result<Started, StoreError>>, StoreError> {
        let mut counts = Counts::default();
        let answers = units.iter().map(|unit| self.unit(unit, &mut counts)).collect::<Result<_, _>>()?;
        for c in counts.into_rows() {
            let moved = self.run(sql::COUNT_ENDS, params![c.id, c.total, c.successful, c.failed, c.at]);
            moved.map_err(|error| fault::from_sqlite(&error))?;
        }
        Ok(answers)
    }
}

#[async_trait]
impl lane::Writer for Writer {
    // Nobody else has the connection: a transaction is done at the first poll.
    const PATIENCE: Option<Duration> = None;

    async fn commit_all(&mut self, units: &[Hot]) -> Result<Vec<Result<Started, StoreError>>, StoreError> {
        self.begin()?;
        let written = self.units(units);
        self.finish(written)
    }

    async fn commit_one(&mut self, unit: &mut dyn Cold) -> Result<(), StoreError> {
        self.begin()?;
        // Nothing in a unit waits for anything but this connection, so it is done at the first poll.
        let outcome = unit
            .run(&mut SqliteTx::on(&mut self.connection))
            .now_or_never()
            .unwrap_or_else(|| Err(StoreError::Bug("a unit of work waited inside its transaction".to_owned())));
        self.finish(outcome)
    }
}
