//! What became of executions: heads, steps, log lines, events.

use cogwheel_engine::ports::{Head, Record, StoreError};
use rusqlite::{OptionalExtension, params};

use super::super::columns::{
    ArtifactColumns, EndColumns, EndedTimeoutColumns, GivenUpColumns, HeadColumns, Instant, Key, LogColumns,
    PendingTimeoutColumns, SagaColumns, StepColumns, UndoColumns,
};
use super::super::counts::Counts;
use super::super::sql::saga::sqlite as saga;
use super::super::sql::sqlite as sql;
use super::super::{check_fence, events_of, heeds_unwind, lets_go};
use super::{Refused, Writer};
use crate::events;

impl Writer {
    /// The fence comes first, so that a refused record has written nothing.
    pub(super) fn record(&self, record: &Record, counts: &mut Counts) -> Result<(), Refused> {
        let is_cancel_new = lets_go(record) && self.is_cancel_new(record)?;
        match &record.head {
            Some(head) => self.head(record, head)?,
            None => self.check_fence(record)?,
        }
        self.follow(record, counts)?;
        if lets_go(record) {
            let heeds_unwind = heeds_unwind(record);
            let about = params![Key(record.execution.0), Instant(record.at), is_cancel_new, heeds_unwind];
            self.run(sql::WAKE_IF_SOMETHING_CAME, about)?;
        }
        Ok(())
    }

    /// Writes what goes with an execution's own row, which is written by now.
    pub(super) fn follow(&self, record: &Record, counts: &mut Counts) -> rusqlite::Result<()> {
        if let Some(head) = record.head.as_ref().filter(|head| head.status.is_terminal()) {
            self.settle(record, head, counts)?;
        }
        for step in &record.steps {
            self.step(&StepColumns::of(record, step))?;
        }
        self.saga(record)?;
        for artifact in ArtifactColumns::of(record) {
            self.artifact(&artifact)?;
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
        events::sqlite::append(&self.connection, events_of(record))?;
        if let Some(parent) = record.parent {
            self.run(sql::WAKE, params![Key(parent.0), Instant(record.at)])?;
        }
        Ok(())
    }

    /// Writes the head; its condition is the fence.
    fn head(&self, record: &Record, head: &Head) -> Result<(), Refused> {
        let h = HeadColumns::of(record, head);
        let written = self.run(
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
        if written == 0 {
            self.check_fence(record)?;
            let unexplained = format!("execution {} was not written", record.execution);
            return Err(Refused::ByGuard(StoreError::Bug(unexplained)));
        }
        Ok(())
    }

    /// What the end of an execution brings about.
    fn settle(&self, record: &Record, head: &Head, counts: &mut Counts) -> rusqlite::Result<()> {
        counts.add(record.workflow, head.status, record.at);
        let end = EndColumns::of(record, head);
        let (has_files, has_signals): (bool, bool) = self
            .connection
            .prepare_cached(sql::LEFT_OVERS)?
            .query_row(params![end.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if has_files {
            self.run(sql::SETTLE_FILES, params![end.id, end.file_status, end.updated_at])?;
        }
        if has_signals {
            self.run(sql::EXPIRE_SIGNALS, params![end.id, end.updated_at])?;
        }
        Ok(())
    }

    fn check_fence(&self, record: &Record) -> Result<(), Refused> {
        let fence = self
            .connection
            .prepare_cached(sql::READ_FENCE)?
            .query_row(params![Key(record.execution.0)], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        check_fence(record, fence.as_ref().map(|(epoch, status)| (*epoch, status))).map_err(Refused::ByGuard)
    }

    fn is_cancel_new(&self, record: &Record) -> rusqlite::Result<bool> {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<bool>>(0);
        let is_new =
            self.connection.prepare_cached(sql::IS_CANCEL_NEW)?.query_row(params![Key(record.execution.0)], read);
        Ok(is_new.optional()?.flatten().unwrap_or(false))
    }

    pub(super) fn step(&self, s: &StepColumns) -> rusqlite::Result<()> {
        self.run(
            sql::UPSERT_STEP,
            params![
                s.tenant_id,
                s.execution_id,
                s.ordinal,
                s.step_key,
                s.parent_ordinal,
                s.step_name,
                s.step_type,
                s.status,
                s.effect_state,
                s.attempt,
                s.attempt_history,
                s.input_data,
                s.output_data,
                s.is_output_offloaded,
                s.error,
                s.lease_epoch,
                s.wake_at,
                s.timeout_at,
                s.wait_signal_name,
                s.wait_correlation_key,
                s.started_at,
                s.completed_at,
                s.execution_time_ms,
                s.updated_at
            ],
        )?;
        Ok(())
    }

    fn saga(&self, record: &Record) -> rusqlite::Result<()> {
        let Some(rows) = &record.saga else { return Ok(()) };
        for s in rows.saga.iter().map(|row| SagaColumns::of(record, row)) {
            self.run(
                saga::UPSERT_SAGA,
                params![
                    s.id,
                    s.tenant_id,
                    s.saga_type,
                    s.status,
                    s.cause,
                    s.cause_detail,
                    s.on_undo_failure,
                    s.current_step,
                    s.total_steps,
                    s.steps,
                    s.unwind_number,
                    s.correlation_id,
                    s.parent_id,
                    s.timeout_at,
                    s.started_at,
                    s.completed_at,
                    s.updated_at
                ],
            )?;
        }
        for u in UndoColumns::all(record) {
            self.run(
                saga::UPSERT_UNDO,
                params![
                    u.id,
                    u.tenant_id,
                    u.saga_id,
                    u.unwind_number,
                    u.step_id,
                    u.step_ordinal,
                    u.unwind_order,
                    u.command,
                    u.status,
                    u.retry_count,
                    u.max_retries,
                    u.next_attempt_at,
                    u.started_at,
                    u.completed_at,
                    u.error,
                    u.resolution,
                    u.resolution_reason,
                    u.resolved_by_user_id,
                    u.updated_at
                ],
            )?;
        }
        for t in PendingTimeoutColumns::all(record) {
            let pending = params![t.id, t.tenant_id, t.saga_id, t.step_id, t.timeout_type, t.timeout_at, t.updated_at];
            self.run(saga::UPSERT_TIMEOUT, pending)?;
        }
        for t in EndedTimeoutColumns::all(record) {
            self.run(saga::END_TIMEOUT, params![t.id, t.status, t.fired_at, t.updated_at])?;
        }
        if let Some(g) = GivenUpColumns::of(record) {
            for close in saga::GIVE_UP {
                self.run(close, params![g.id, g.updated_at])?;
            }
        }
        Ok(())
    }

    pub(super) fn artifact(&self, a: &ArtifactColumns) -> rusqlite::Result<()> {
        self.run(
            sql::UPSERT_ARTIFACT,
            params![
                a.id,
                a.tenant_id,
                a.execution_id,
                a.step_ordinal,
                a.name,
                a.artifact_kind,
                a.storage_key,
                a.mime_type,
                a.file_size,
                a.created_at
            ],
        )?;
        Ok(())
    }
}
