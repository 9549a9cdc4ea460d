//! What became of executions: heads, steps, log lines, and the counters of those that ended.

use std::collections::HashMap;

use cogwheel_engine::ports::{Record, Started};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};
use serde::Serialize;
use uuid::Uuid;

use super::super::check_fence;
use super::super::columns::{HeadColumns, Instant, Key, LogColumns, StepColumns};
use super::super::sql::postgres as sql;
use super::{Answers, put};
use crate::rows::counted;

/// What the ends in a batch add to one workflow.
#[derive(Serialize)]
struct Ended {
    id: Key,
    total: i64,
    successful: i64,
    failed: i64,
    at: Instant,
}

pub(super) async fn write(
    tx: &DatabaseTransaction,
    records: &[(usize, &Record)],
    answers: &mut Answers,
) -> Result<(), DbErr> {
    if records.is_empty() {
        return Ok(());
    }
    let accepted = fenced(tx, records, answers).await?;
    let (mut heads, mut ended, mut steps, mut logs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut counts: HashMap<Uuid, Ended> = HashMap::new();
    for record in accepted {
        if let Some(head) = &record.head {
            if head.status.is_terminal() {
                ended.push(HeadColumns::of(record, head));
                let (successful, failed) = counted(head.status);
                let at = Instant(record.at);
                let none = Ended { id: Key(record.workflow.0), total: 0, successful: 0, failed: 0, at };
                let count = counts.entry(record.workflow.0).or_insert(none);
                count.total += 1;
                count.successful += successful;
                count.failed += failed;
                count.at = at;
            }
            heads.push(HeadColumns::of(record, head));
        }
        steps.extend(record.steps.iter().map(|step| StepColumns::of(record, step)));
        logs.extend(record.logs.iter().map(|log| LogColumns::of(record, log)));
    }
    let mut counts: Vec<Ended> = counts.into_values().collect();
    counts.sort_unstable_by_key(|count| count.id.0);
    put(tx, sql::UPSERT_STEPS, &steps).await?;
    put(tx, sql::INSERT_LOGS, &logs).await?;
    put(tx, sql::UPDATE_EXECUTIONS, &heads).await?;
    put(tx, sql::COUNT_ENDS, &counts).await?;
    put(tx, sql::SETTLE_FILES, &ended).await
}

/// Locks the executions and lets through the records that name their current epoch.
async fn fenced<'u>(
    tx: &DatabaseTransaction,
    records: &[(usize, &'u Record)],
    answers: &mut Answers,
) -> Result<Vec<&'u Record>, DbErr> {
    let executions: Vec<Uuid> = records.iter().map(|(_, record)| record.execution.0).collect();
    let locked = Statement::from_sql_and_values(DbBackend::Postgres, sql::LOCK_FENCES, [executions.into()]);
    let mut fences: HashMap<Uuid, (i64, String)> = HashMap::with_capacity(records.len());
    for row in tx.query_all_raw(locked).await? {
        fences.insert(row.try_get("", "id")?, (row.try_get("", "lease_epoch")?, row.try_get("", "status")?));
    }
    let mut accepted = Vec::with_capacity(records.len());
    for (unit, record) in records {
        let fence = fences.get(&record.execution.0).map(|(epoch, status)| (*epoch, status));
        let checked = check_fence(record, fence);
        if checked.is_ok() {
            accepted.push(*record);
        }
        answers.give(*unit, checked.map(|()| Started::Accepted));
    }
    Ok(accepted)
}
