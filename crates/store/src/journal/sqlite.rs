//! Commits on SQLite: prepared statements on the writer's own connection.

use async_trait::async_trait;
use cogwheel_engine::ports::{Head, Record, ScheduleTick, Start, StartFrom, Started, StoreError};
use cogwheel_machine::ExecutionId;
use futures_util::FutureExt;
use rusqlite::{Connection, OptionalExtension, Params, params};
use uuid::Uuid;

use super::columns::{
    ExecutionColumns, FileColumns, FireColumns, HeadColumns, Instant, Key, LogColumns, ScheduleColumns, StepColumns,
    idempotency_key,
};
use super::lane::{self, Cold, Hot};
use super::sql::sqlite as sql;
use crate::fault;
use crate::rows::counted;
use crate::tx::SqliteTx;

/// Owns the one connection that writes.
pub(super) struct Writer {
    connection: Connection,
}

/// What was recorded first for a cause.
struct First {
    /// Its execution, where that is still known.
    execution: Option<Uuid>,
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
        let committed = outcome.and_then(|written| match self.run("commit", []) {
            Ok(_) => Ok(written),
            Err(error) => Err(fault::from_sqlite(&error)),
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

    fn find(&self, sql: &str, params: impl Params) -> rusqlite::Result<Option<First>> {
        let found = self.connection.prepare_cached(sql)?.query_row(params, |row| row.get::<_, Option<[u8; 16]>>(0));
        Ok(found.optional()?.map(|id| First { execution: id.map(Uuid::from_bytes) }))
    }

    fn start(&self, start: &Start) -> rusqlite::Result<Started> {
        let row = &start.row;
        if let Some(First { execution }) = self.first_of(start)? {
            // A start that finds itself was recorded by an earlier call whose answer was lost.
            let itself = execution == Some(row.id.0);
            let execution = execution.map(ExecutionId);
            return Ok(if itself { Started::Accepted } else { Started::Duplicate { execution } });
        }
        let e = ExecutionColumns::of(row);
        self.run(
            sql::INSERT_EXECUTION,
            params![
                e.id,
                e.tenant_id,
                e.workflow_id,
                e.workflow_version_id,
                e.trigger_type,
                e.trigger_key,
                e.trigger_data,
                e.input_data,
                e.idempotency_key,
                e.correlation_id,
                e.owner_node_id,
                e.created_at
            ],
        )?;
        match &start.from {
            StartFrom::Request => {}
            StartFrom::Schedule(tick) => self.tick(tick, Some(row.id.0))?,
            StartFrom::File(file) => {
                let f = FileColumns::of(file, row);
                self.run(
                    sql::INSERT_FILE,
                    params![
                        f.id,
                        f.tenant_id,
                        f.file_watch_id,
                        f.change_kind,
                        f.filename,
                        f.file_path,
                        f.path_hash,
                        f.file_size,
                        f.file_hash,
                        f.modified_at,
                        f.device_identity,
                        f.inode_identity,
                        f.fingerprint,
                        f.first_seen_at,
                        f.settled_at,
                        f.created_at
                    ],
                )?;
                self.run(sql::LINK_FILE, params![f.tenant_id, f.execution_id, f.id, f.created_at])?;
            }
        }
        Ok(Started::Accepted)
    }

    /// The earlier start for the same cause.
    fn first_of(&self, start: &Start) -> rusqlite::Result<Option<First>> {
        let row = &start.row;
        if let Some(key) = idempotency_key(row) {
            let first = self.find(sql::FIND_BY_KEY, params![Key(row.tenant.0), Key(row.workflow.0), key])?;
            if first.is_some() {
                return Ok(first);
            }
        }
        match &start.from {
            StartFrom::Request => Ok(None),
            StartFrom::Schedule(tick) => match tick.due.last() {
                Some(due) => self.find(sql::FIND_BY_DUE, params![Key(tick.schedule.0), Instant(due.due_at)]),
                None => Ok(None),
            },
            StartFrom::File(file) => self.find(sql::FIND_BY_VERSION, params![Key(file.watch.0), file.fingerprint]),
        }
    }

    fn tick(&self, tick: &ScheduleTick, execution: Option<Uuid>) -> rusqlite::Result<()> {
        for f in FireColumns::of(tick, execution) {
            self.run(
                sql::INSERT_FIRE,
                params![
                    f.id,
                    f.tenant_id,
                    f.schedule_id,
                    f.due_at,
                    f.outcome,
                    f.skip_reason,
                    f.is_catch_up,
                    f.fired_at,
                    f.lateness_ms,
                    f.execution_id,
                    f.created_at
                ],
            )?;
        }
        let s = ScheduleColumns::of(tick);
        self.run(sql::MOVE_SCHEDULE, params![s.id, s.last_due_at, s.next_due_at, s.last_fired_at, s.updated_at])?;
        Ok(())
    }

    /// The fence comes first, so that a refused record has written nothing.
    fn record(&self, record: &Record) -> Result<(), Refused> {
        let fence = self
            .connection
            .prepare_cached(sql::READ_FENCE)?
            .query_row(params![Key(record.execution.0)], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        super::check_fence(record, fence.as_ref().map(|(epoch, status)| (*epoch, status))).map_err(Refused::ByGuard)?;
        if let Some(head) = &record.head {
            self.head(record, head)?;
        }
        for step in &record.steps {
            let s = StepColumns::of(record, step);
            self.run(
                sql::UPSERT_STEP,
                params![
                    s.tenant_id,
                    s.execution_id,
                    s.ordinal,
                    s.step_key,
                    s.step_name,
                    s.step_type,
                    s.status,
                    s.effect_state,
                    s.attempt,
                    s.attempt_history,
                    s.input_data,
                    s.output_data,
                    s.error,
                    s.lease_epoch,
                    s.wake_at,
                    s.timeout_at,
                    s.started_at,
                    s.completed_at,
                    s.execution_time_ms,
                    s.updated_at
                ],
            )?;
        }
        for log in &record.logs {
            let l = LogColumns::of(record, log);
            self.run(
                sql::INSERT_LOG,
                params![
                    l.tenant_id,
                    l.execution_id,
                    l.sequence,
                    l.step_ordinal,
                    l.attempt,
                    l.log_level,
                    l.stream,
                    l.message,
                    l.logged_at,
                    l.created_at
                ],
            )?;
        }
        Ok(())
    }

    fn head(&self, record: &Record, head: &Head) -> rusqlite::Result<()> {
        let h = HeadColumns::of(record, head);
        self.run(
            sql::UPDATE_EXECUTION,
            params![
                h.id,
                record.epoch,
                h.status,
                h.owner_node_id,
                h.started_at,
                h.deadline_at,
                h.next_wake_at,
                h.completed_at,
                h.execution_time_ms,
                h.result_data,
                h.error,
                h.updated_at
            ],
        )?;
        if head.status.is_terminal() {
            let (successful, failed) = counted(head.status);
            self.run(sql::COUNT_END, params![h.workflow_id, successful, failed, h.updated_at])?;
            self.run(sql::SETTLE_FILES, params![h.id, h.file_status, h.updated_at])?;
        }
        Ok(())
    }

    fn unit(&self, unit: &Hot) -> Result<Result<Started, StoreError>, StoreError> {
        let written = match unit {
            Hot::Start(start) => self.start(start).map_err(Refused::ByDatabase),
            Hot::Tick(tick) => self.tick(tick, None).map(|()| Started::Accepted).map_err(Refused::ByDatabase),
            Hot::Record(record) => self.record(record).map(|()| Started::Accepted),
        };
        match written {
            Ok(started) => Ok(Ok(started)),
            Err(Refused::ByGuard(refusal)) => Ok(Err(refusal)),
            Err(Refused::ByDatabase(error)) => Err(fault::from_sqlite(&error)),
        }
    }
}

#[async_trait]
impl lane::Writer for Writer {
    async fn commit_all(&mut self, units: &[Hot]) -> Result<Vec<Result<Started, StoreError>>, StoreError> {
        self.begin()?;
        let written = units.iter().map(|unit| self.unit(unit)).collect();
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
