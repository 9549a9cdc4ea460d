//! What became of executions: heads, steps, log lines, events, and the counters of those that ended.

use std::collections::HashMap;

use cogwheel_engine::ports::{Record, Started};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};
use uuid::Uuid;

use super::super::columns::{
    ArtifactColumns, EventColumns, HeadColumns, Instant, Key, LogColumns, StepColumns, WakeColumns,
};
use super::super::counts::Counts;
use super::super::sql::postgres as sql;
use super::super::{check_fence, lets_go};
use super::{Answers, put};

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

pub(super) async fn write(
    tx: &DatabaseTransaction,
    records: &[(usize, &Record)],
    answers: &mut Answers,
    counts: &mut Counts,
) -> Result<(), DbErr> {
    if records.is_empty() {
        return Ok(());
    }
    let fences = lock(tx, records).await?;
    let (mut heads, mut ended, mut of_files) = (Vec::new(), Vec::new(), Vec::new());
    let (mut steps, mut artifacts, mut logs, mut events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut parents, mut let_go) = (Vec::new(), Vec::new());
    for (unit, record) in records {
        let fence = fences.get(&record.execution.0);
        let checked = check_fence(record, fence.map(|fence| (fence.epoch, &fence.status)));
        let refused = checked.is_err();
        answers.give(*unit, checked.map(|()| Started::Accepted));
        let Some(fence) = fence.filter(|_| !refused) else { continue };
        if let Some(head) = &record.head {
            if head.status.is_terminal() {
                counts.add(record.workflow, head.status, record.at);
                ended.push(HeadColumns::of(record, head));
                if fence.trigger_type == FILE {
                    of_files.push(HeadColumns::of(record, head));
                }
            }
            heads.push(HeadColumns::of(record, head));
        }
        steps.extend(record.steps.iter().map(|step| StepColumns::of(record, step)));
        artifacts.extend(ArtifactColumns::of(record));
        logs.extend(record.logs.iter().map(|log| LogColumns::of(record, log)));
        events.extend(record.events.iter().map(|event| EventColumns::of(record, event)));
        let wake = |id: Uuid, asked| WakeColumns { id: Key(id), at: Instant(record.at), asked };
        parents.extend(record.parent.map(|parent| wake(parent.0, true)));
        if lets_go(record) {
            let_go.push(wake(record.execution.0, fence.is_cancel_new));
        }
    }
    put(tx, sql::UPSERT_STEPS, &steps).await?;
    put(tx, sql::UPSERT_ARTIFACTS, &artifacts).await?;
    put(tx, sql::INSERT_LOGS, &logs).await?;
    put(tx, sql::UPDATE_EXECUTIONS, &heads).await?;
    put(tx, sql::INSERT_EVENTS, &events).await?;
    put(tx, sql::SETTLE_FILES, &of_files).await?;
    put(tx, sql::EXPIRE_SIGNALS, &ended).await?;
    put(tx, sql::WAKE, &parents).await?;
    put(tx, sql::WAKE_IF_SOMETHING_CAME, &let_go).await
}

/// Locks the executions and their parents, in an order that all transactions keep.
async fn lock(tx: &DatabaseTransaction, records: &[(usize, &Record)]) -> Result<HashMap<Uuid, Fence>, DbErr> {
    let parents = records.iter().filter_map(|(_, record)| record.parent);
    let executions = records.iter().map(|(_, record)| record.execution).chain(parents);
    let executions: Vec<Uuid> = executions.map(|execution| execution.0).collect();
    let locked = Statement::from_sql_and_values(DbBackend::Postgres, sql::LOCK_FENCES, [executions.into()]);
    let mut fences = HashMap::with_capacity(records.len());
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
