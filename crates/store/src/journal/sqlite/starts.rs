//! New executions with what set them off, and due instants that set nothing off.

use cogwheel_definition::{Overflow, Overlap};
use cogwheel_engine::ports::{ConcurrencySlot, NewRow, ScheduleTick, SkipReason, Start, StartFrom, Started};
use cogwheel_machine::ExecutionId;
use rusqlite::{OptionalExtension, Params, params};
use uuid::Uuid;

use super::super::columns::{
    ArtifactColumns, ExecutionColumns, FileColumns, FireColumns, Instant, Key, ScheduleColumns, StepColumns,
    idempotency_key,
};
use super::super::counts::Counts;
use super::super::overflow;
use super::super::sql::sqlite as sql;
use super::{Refused, Writer};
use crate::store::LIVE_OF_SCHEDULE;
use crate::values::storable_text;

/// What was recorded first for a cause.
struct First {
    /// Its execution, where that is still known.
    execution: Option<Uuid>,
}

impl Writer {
    pub(super) fn start(&self, start: &Start, counts: &mut Counts) -> Result<Started, Refused> {
        let row = &start.row;
        if let Some(First { execution }) = self.first_of(start)? {
            // A start that finds itself was recorded by an earlier call whose answer was lost.
            let itself = execution == Some(row.id.0);
            let execution = execution.map(ExecutionId);
            return Ok(if itself { Started::Accepted } else { Started::Duplicate { execution } });
        }
        if let StartFrom::Schedule(tick) = &start.from
            && let Some(reason) = self.passes_over(tick)?
        {
            self.tick(&tick.passed_over(reason), None)?;
            return Ok(Started::PassedOver);
        }
        let e = ExecutionColumns::of(start);
        let inserted = self.run(
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
                e.priority,
                e.concurrency_key,
                e.concurrency_limit,
                e.parent_execution_id,
                e.parent_step_ordinal,
                e.rerun_of_execution_id,
                e.rerun_from_ordinal,
                e.retry_count,
                e.next_wake_at,
                e.status,
                e.started_at,
                e.deadline_at,
                e.completed_at,
                e.execution_time_ms,
                e.result_data,
                e.error,
                e.created_at
            ],
        )?;
        if inserted == 0 {
            return Ok(Started::Accepted);
        }
        for step in &start.kept {
            self.step(&StepColumns::kept(row, step))?;
        }
        for artifact in ArtifactColumns::kept(start) {
            self.artifact(&artifact)?;
        }
        match &start.from {
            StartFrom::Request => {}
            StartFrom::Schedule(tick) => self.tick(tick, Some(row.id.0))?,
            StartFrom::Files(files) => {
                for file in FileColumns::all(files, start) {
                    self.file(&file)?;
                }
            }
        }
        if let Some(first) = &start.first {
            self.follow(first, counts)?;
        }
        let started = match overflow::decided_now(start) {
            Some(slot) => self.limited(row, slot, counts)?,
            None => Started::Accepted,
        };
        match &start.from {
            StartFrom::Schedule(tick) if tick.overlap == Overlap::Replace => self.replace_previous(tick, row, started),
            _ => Ok(started),
        }
    }

    /// Why the fired instant starts nothing after all: the schedule has just been switched off, or its previous execution is
    /// still going. A backfill was asked for, and takes place.
    fn passes_over(&self, tick: &ScheduleTick) -> rusqlite::Result<Option<SkipReason>> {
        if tick.is_backfill {
            return Ok(None);
        }
        let schedule = params![Key(tick.schedule.0)];
        if self.connection.prepare_cached(sql::IS_PAUSED)?.exists(schedule)? {
            return Ok(Some(SkipReason::Disabled));
        }
        let gives_way =
            tick.overlap == Overlap::Skip && self.connection.prepare_cached(LIVE_OF_SCHEDULE)?.exists(schedule)?;
        Ok(gives_way.then_some(SkipReason::Overlap))
    }

    /// Asks the earlier executions of the schedule to end.
    fn replace_previous(&self, tick: &ScheduleTick, row: &NewRow, started: Started) -> Result<Started, Refused> {
        let previous = self
            .connection
            .prepare_cached(LIVE_OF_SCHEDULE)?
            .query_map(params![Key(tick.schedule.0)], |row| row.get::<_, [u8; 16]>(0))?
            .map(|id| id.map(|id| ExecutionId(Uuid::from_bytes(id))))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let previous = previous.into_iter().filter(|other| *other != row.id).collect();
        let (started, previous) = overflow::also_replacing(started, previous);
        for other in previous {
            let reason = overflow::replaced_by(row.id);
            self.run(sql::REPLACE, params![Key(other.0), Instant(row.created_at), reason])?;
        }
        Ok(started)
    }

    /// Decides what becomes of a start whose key may be in full use.
    fn limited(&self, row: &NewRow, slot: &ConcurrencySlot, counts: &mut Counts) -> Result<Started, Refused> {
        let mut others: Vec<ExecutionId> = self
            .connection
            .prepare_cached(sql::LIVE_OF_KEY)?
            .query_map(params![Key(row.tenant.0), storable_text(&slot.key)], |row| row.get::<_, [u8; 16]>(0))?
            .map(|id| id.map(|id| ExecutionId(Uuid::from_bytes(id))))
            .collect::<rusqlite::Result<_>>()?;
        others.retain(|other| *other != row.id);
        if !overflow::is_full(slot, others.len()) {
            return Ok(Started::Accepted);
        }
        match slot.overflow {
            Overflow::Queue => Ok(Started::Accepted),
            Overflow::Skip => {
                self.record(&overflow::skipped(row, slot), counts)?;
                Ok(Started::Skipped)
            }
            Overflow::Replace => {
                others.sort_unstable();
                for other in &others {
                    let reason = overflow::replaced_by(row.id);
                    self.run(sql::REPLACE, params![Key(other.0), Instant(row.created_at), reason])?;
                }
                Ok(Started::Replacing(others))
            }
        }
    }

    fn file(&self, f: &FileColumns) -> rusqlite::Result<()> {
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
                f.after_state,
                f.batch_key,
                f.status,
                f.processed_at,
                f.created_at
            ],
        )?;
        self.run(sql::LINK_FILE, params![f.tenant_id, f.execution_id, f.id, f.created_at])?;
        Ok(())
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
            StartFrom::Files(files) => {
                for file in files {
                    let first = self.find(sql::FIND_BY_VERSION, params![Key(file.watch.0), file.fingerprint])?;
                    if first.is_some() {
                        return Ok(first);
                    }
                }
                Ok(None)
            }
        }
    }

    fn find(&self, sql: &str, params: impl Params) -> rusqlite::Result<Option<First>> {
        let found = self.connection.prepare_cached(sql)?.query_row(params, |row| row.get::<_, Option<[u8; 16]>>(0));
        Ok(found.optional()?.map(|id| First { execution: id.map(Uuid::from_bytes) }))
    }

    pub(super) fn tick(&self, tick: &ScheduleTick, execution: Option<Uuid>) -> rusqlite::Result<()> {
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
        if tick.is_backfill {
            self.run(sql::BACKFILLED, params![s.id, s.last_fired_at, s.updated_at])?;
        } else {
            let moved = params![s.id, s.last_due_at, s.next_due_at, s.next_fire_at, s.last_fired_at, s.updated_at];
            self.run(sql::MOVE_SCHEDULE, moved)?;
        }
        Ok(())
    }
}
