//! What became of executions: heads, steps, log lines, events, and the counters of those that ended.

use std::collections::HashMap;

use cogwheel_engine::ports::{Record, Started};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement, Value};
use uuid::Uuid;

use super::super::columns::{
    ArtifactColumns, EndColumns, EndedTimeoutColumns, GivenUpColumns, HeadColumns, Instant, Key, LogColumns,
    PendingTimeoutColumns, SagaColumns, StepColumns, UndoColumns, WakeColumns,
};
use super::super::counts::Counts;
use super::super::crash::{self, Side};
use super::super::sql::postgres as sql;
use super::super::sql::saga::postgres as saga;
use super::super::{check_fence, events_of, heeds_unwind, lets_go};
use super::starts::Placed;
use super::{Answers, json, put, settle_files};
use crate::events::{self, Event};

/// What `workflow_executions.trigger_type` says of an execution that has input files.
const FILE: &str = "file";

/// What is known of an execution that is locked.
struct Fence {
    epoch: i64,
    status: String,
    trigger_type: String,
    /// Whether the request to cancel is the last that was written of it.
    is_cancel_new: bool,
}

/// Writes a record that tells of nothing but steps and their log lines, as those between begin and end do, in a
/// transaction of its own; answers whether it was such a record and its fence let it.
pub(super) async fn write_alone(connection: &DatabaseConnection, record: &Record) -> Result<bool, DbErr> {
    let keeps_bytes = !record.artifacts.is_empty() || record.steps.iter().any(|step| step.offloaded.is_some());
    let has_more = record.head.is_some()
        || record.saga.is_some()
        || keeps_bytes
        || !record.events.is_empty()
        || record.parent.is_some()
        || record.steps.is_empty();
    if has_more {
        return Ok(false);
    }
    let mut rows = Rows::default();
    rows.add(record);
    let Rows { steps, logs, .. } = &rows;
    let values: [Value; 4] = [json(steps)?, record.execution.0.into(), record.epoch.into(), json(logs)?];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql::UPSERT_OWN_STEPS, values);
    crash::point(Side::Before);
    let is_written = connection.execute_raw(statement).await?.rows_affected() > 0;
    crash::point(Side::After);
    Ok(is_written)
}

pub(super) async fn write(
    tx: &DatabaseTransaction,
    records: &[(usize, &Record)],
    answers: &mut Answers,
    counts: &mut Counts,
) -> Result<(), DbErr> {
    if records.is_empty() {
        return Ok(());
    }
    let parents = records.iter().filter_map(|(_, record)| record.parent);
    let executions = records.iter().map(|(_, record)| record.execution).chain(parents);
    let fences = lock(tx, executions.map(|execution| execution.0).collect()).await?;
    let (mut rows, mut heads, mut ended, mut of_files) = (Rows::default(), Vec::new(), Vec::new(), Vec::new());
    let mut let_go = Vec::new();
    for (unit, record) in records {
        let fence = fences.get(&record.execution.0);
        let checked = check_fence(record, fence.map(|fence| (fence.epoch, &fence.status)));
        let refused = checked.is_err();
        answers.give(*unit, checked.map(|()| Started::Accepted));
        let Some(fence) = fence.filter(|_| !refused) else { continue };
        if let Some(head) = &record.head {
            if head.status.is_terminal() {
                counts.add(record.workflow, head.status, record.at);
                ended.push(EndColumns::of(record, head));
                if fence.trigger_type == FILE {
                    of_files.push(EndColumns::of(record, head));
                }
            }
            heads.push(HeadColumns::of(record, head));
        }
        rows.add(record);
        if lets_go(record) {
            let heeds_unwind = heeds_unwind(record);
            let_go.push(WakeColumns { heeds_unwind, ..wake(record, record.execution.0, fence.is_cancel_new) });
        }
    }
    put(tx, sql::UPDATE_EXECUTIONS, &heads).await?;
    settle_files(tx, &of_files).await?;
    put(tx, sql::EXPIRE_SIGNALS, &ended).await?;
    rows.write(tx).await?;
    put(tx, sql::WAKE_IF_SOMETHING_CAME, &let_go).await
}

/// Writes what became of new executions before they were recorded; their own rows say it already.
pub(super) async fn follow(tx: &DatabaseTransaction, starts: &[Placed<'_>], counts: &mut Counts) -> Result<(), DbErr> {
    let (mut rows, mut parents) = (Rows::default(), Vec::new());
    for (_, start) in starts {
        let Some(record) = &start.first else { continue };
        if let Some(head) = record.head.as_ref().filter(|head| head.status.is_terminal()) {
            counts.add(record.workflow, head.status, record.at);
        }
        parents.extend(record.parent.map(|parent| parent.0));
        rows.add(record);
    }
    if !parents.is_empty() {
        lock(tx, parents).await?;
    }
    rows.write(tx).await
}

/// The rows that go with those of executions.
#[derive(Default)]
struct Rows {
    steps: Vec<StepColumns>,
    sagas: Vec<SagaColumns>,
    undos: Vec<UndoColumns>,
    pending_timeouts: Vec<PendingTimeoutColumns>,
    ended_timeouts: Vec<EndedTimeoutColumns>,
    given_up: Vec<GivenUpColumns>,
    artifacts: Vec<ArtifactColumns>,
    logs: Vec<LogColumns>,
    events: Vec<Event>,
    parents: Vec<WakeColumns>,
}

impl Rows {
    fn add(&mut self, record: &Record) {
        self.steps.extend(record.steps.iter().map(|step| StepColumns::of(record, step)));
        if let Some(rows) = &record.saga {
            self.sagas.extend(rows.saga.as_ref().map(|row| SagaColumns::of(record, row)));
            self.undos.extend(UndoColumns::all(record));
            self.pending_timeouts.extend(PendingTimeoutColumns::all(record));
            self.ended_timeouts.extend(EndedTimeoutColumns::all(record));
            self.given_up.extend(GivenUpColumns::of(record));
        }
        self.artifacts.extend(ArtifactColumns::of(record));
        self.logs.extend(record.logs.iter().map(|log| LogColumns::of(record, log)));
        self.events.extend(events_of(record));
        self.parents.extend(record.parent.map(|parent| wake(record, parent.0, true)));
    }

    async fn write(self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        put(tx, sql::UPSERT_STEPS, &self.steps).await?;
        put(tx, saga::UPSERT_SAGAS, &self.sagas).await?;
        put(tx, saga::UPSERT_UNDOS, &self.undos).await?;
        put(tx, saga::UPSERT_TIMEOUTS, &self.pending_timeouts).await?;
        put(tx, saga::END_TIMEOUTS, &self.ended_timeouts).await?;
        for close in saga::GIVE_UP {
            put(tx, close, &self.given_up).await?;
        }
        put(tx, sql::UPSERT_ARTIFACTS, &self.artifacts).await?;
        put(tx, sql::INSERT_LOGS, &self.logs).await?;
        events::postgres::append_locked(tx, self.events).await?;
        put(tx, sql::WAKE, &self.parents).await
    }
}

fn wake(record: &Record, id: Uuid, asked: bool) -> WakeColumns {
    WakeColumns { id: Key(id), at: Instant(record.at), asked, heeds_unwind: false }
}

/// Locks the executions and their parents, in an order that all transactions keep.
async fn lock(tx: &DatabaseTransaction, executions: Vec<Uuid>) -> Result<HashMap<Uuid, Fence>, DbErr> {
    let count = executions.len();
    let locked = Statement::from_sql_and_values(DbBackend::Postgres, sql::LOCK_FENCES, [executions.into()]);
    let mut fences = HashMap::with_capacity(count);
    for row in tx.query_all_raw(locked).await? {
        let fence = Fence {
            epoch: row.try_get("", "lease_epoch")?,
            status: row.try_get("", "status")?,
            trigger_type: row.try_get("", "trigger_type")?,
            is_cancel_new: row.try_get("", "is_cancel_new")?,
        };
        fences.insert(row.try_get("", "id")?, fence);
    }
    Ok(fences)
}
