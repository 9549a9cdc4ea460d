//! Commits on PostgreSQL: one statement for all rows of a kind, guards before what depends on them.

mod overflow;
mod records;
mod starts;
mod uploads;

use std::time::Duration;

use async_trait::async_trait;
use cogwheel_engine::ports::{Started, StoreError};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement,
    TransactionTrait, Value,
};
use serde::Serialize;
use uuid::Uuid;

use super::columns::EndColumns;
use super::counts::Counts;
use super::crash::{self, Side};
use super::lane::{self, Cold, Hot};
use super::sql::postgres as sql;
use crate::fault;
use crate::tx::PostgresTx;

/// Takes a connection for each transaction.
pub(super) struct Writer {
    connection: DatabaseConnection,
}

/// Why a batch was not written.
enum Failure {
    /// A statement failed.
    Database(DbErr),
    /// A guard refused a start after other rows of it had been written.
    TooLate(Started),
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

/// The answers to a batch; each unit gets one.
struct Answers(Vec<Option<Result<Started, StoreError>>>);

impl Answers {
    fn give(&mut self, unit: usize, answer: Result<Started, StoreError>) {
        self.0[unit] = Some(answer);
    }
}

impl Writer {
    pub(super) fn new(connection: DatabaseConnection) -> Self {
        Self { connection }
    }

    async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        self.connection.begin().await.map_err(|error| fault::from_db(&error))
    }
}

async fn commit(tx: DatabaseTransaction) -> Result<(), StoreError> {
    crash::point(Side::Before);
    tx.commit().await.map_err(|error| fault::from_commit(&error))?;
    crash::point(Side::After);
    Ok(())
}

async fn write(tx: &DatabaseTransaction, units: &[Hot]) -> Result<Answers, Failure> {
    let mut answers = Answers(units.iter().map(|_| None).collect());
    let (mut started, mut ticks, mut recorded, mut uploaded) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (unit, work) in units.iter().enumerate() {
        match work {
            Hot::Start(start) => started.push((unit, start.as_ref())),
            Hot::Tick(tick) => ticks.push((unit, tick.as_ref())),
            Hot::Upload(upload) => uploaded.push((unit, upload.as_ref())),
            Hot::Record(record) => recorded.push((unit, record.as_ref())),
        }
    }
    // Whoever waits for the lock of a key holds no rows that another may want.
    let of_uploads = uploads::starts(&uploaded, &mut answers);
    started.extend(of_uploads.iter().flatten().copied());
    overflow::lock_keys(tx, &started).await?;
    let mut counts = Counts::default();
    records::write(tx, &recorded, &mut answers, &mut counts).await?;
    let known = uploads::insert(tx, &uploaded, &of_uploads, &mut answers).await?;
    started.retain(|(unit, _)| !known.contains(unit));
    starts::write(tx, started, &ticks, &mut answers, counts).await?;
    uploads::collect(&uploaded, &of_uploads, &mut answers, units.len());
    Ok(answers)
}

#[async_trait]
impl lane::Writer for Writer {
    const PATIENCE: Option<Duration> = Some(Duration::from_mins(1));

    async fn commit_all(&mut self, units: &[Hot]) -> Result<Vec<Result<Started, StoreError>>, StoreError> {
        if let [Hot::Record(record)] = units {
            let written = records::write_alone(&self.connection, record).await;
            if written.map_err(|error| fault::from_commit(&error))? {
                return Ok(vec![Ok(Started::Accepted)]);
            }
            // It tells of more, or was refused: why is found out below.
        }
        let tx = self.begin().await?;
        let failure = match write(&tx, units).await {
            Ok(answers) => {
                commit(tx).await?;
                let unanswered = || Err(StoreError::Bug("a unit got no answer".to_owned()));
                return Ok(answers.0.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect());
            }
            Err(failure) => failure,
        };
        // When the connection is gone, so is the transaction.
        let _ = tx.rollback().await;
        match failure {
            Failure::Database(error) => Err(fault::from_db(&error)),
            Failure::TooLate(answer) if units.len() == 1 => Ok(vec![Ok(answer)]),
            Failure::TooLate(_) => Err(StoreError::Conflict("a start of the batch was recorded before".to_owned())),
        }
    }

    async fn commit_one(&mut self, unit: &mut dyn Cold) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        match unit.run(&mut PostgresTx(&tx)).await {
            Ok(()) => commit(tx).await,
            Err(error) => {
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }
}

/// Settles the files of executions that have ended.
async fn settle_files(tx: &DatabaseTransaction, ended: &[EndColumns]) -> Result<(), DbErr> {
    let mut uploads = Vec::new();
    for row in ask(tx, sql::SETTLE_FILES, ended).await? {
        uploads.extend(row.try_get::<Option<Uuid>>("", "upload_id")?);
    }
    if !uploads.is_empty() {
        let settle = Statement::from_sql_and_values(DbBackend::Postgres, sql::SETTLE_UPLOADS, [uploads.into()]);
        tx.execute_raw(settle).await?;
    }
    Ok(())
}

/// A statement about rows that are sent as one JSON array.
fn about(sql: &str, rows: &[impl Serialize]) -> Result<Statement, DbErr> {
    Ok(Statement::from_sql_and_values(DbBackend::Postgres, sql, [json(rows)?]))
}

fn json(rows: &[impl Serialize]) -> Result<Value, DbErr> {
    let rows = serde_json::to_string(rows).map_err(|error| DbErr::Json(error.to_string()))?;
    Ok(Value::String(Some(rows)))
}

/// Writes rows, if there are any.
async fn put(tx: &DatabaseTransaction, sql: &str, rows: &[impl Serialize]) -> Result<(), DbErr> {
    if !rows.is_empty() {
        tx.execute_raw(about(sql, rows)?).await?;
    }
    Ok(())
}

/// Reads what a statement about rows answers; nothing about no rows.
async fn ask(tx: &DatabaseTransaction, sql: &str, rows: &[impl Serialize]) -> Result<Vec<QueryResult>, DbErr> {
    if rows.is_empty() { Ok(Vec::new()) } else { tx.query_all_raw(about(sql, rows)?).await }
}
