//! Starts whose key may be in full use.

use cogwheel_definition::{Overflow, Overlap};
use cogwheel_engine::ports::{ConcurrencySlot, NewRow, ScheduleTick, StartFrom, Started};
use cogwheel_machine::ExecutionId;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement, Value};
use serde::Serialize;
use uuid::Uuid;

use super::super::columns::{EndColumns, HeadColumns, Instant, Key, WakeColumns};
use super::super::counts::Counts;
use super::super::overflow::{also_replacing, decided_now, is_full, replaced_by, skipped};
use super::super::sql::postgres as sql;
use super::starts::Placed;
use super::{put, settle_files};
use crate::store::LIVE_OF_SCHEDULE;
use crate::values::storable_text;

/// A key that is locked.
#[derive(Serialize)]
struct KeyColumns {
    tenant_id: Key,
    concurrency_key: String,
}

/// Keeps other transactions from deciding on the same keys until this one has ended.
pub(super) async fn lock_keys(tx: &DatabaseTransaction, starts: &[Placed<'_>]) -> Result<(), DbErr> {
    let key = |(_, start): &Placed<'_>| {
        let concurrency_key = storable_text(&decided_now(start)?.key);
        Some(KeyColumns { tenant_id: Key(start.row.tenant.0), concurrency_key })
    };
    put(tx, sql::LOCK_KEYS, &starts.iter().filter_map(key).collect::<Vec<_>>()).await
}

/// Decides what becomes of starts that are recorded already, each seeing those before it.
pub(super) async fn decide(
    tx: &DatabaseTransaction,
    starts: &[Placed<'_>],
    counts: &mut Counts,
) -> Result<Vec<Started>, DbErr> {
    let mut decided = Vec::with_capacity(starts.len());
    for (place, (_, start)) in starts.iter().enumerate() {
        let started = match decided_now(start) {
            // Neither itself nor those after it take a slot from it.
            Some(slot) => limited(tx, &starts[place..], slot, counts).await?,
            None => Started::Accepted,
        };
        decided.push(match &start.from {
            StartFrom::Schedule(tick) if tick.overlap == Overlap::Replace => {
                replace_previous(tx, tick, &start.row, started).await?
            }
            _ => started,
        });
    }
    Ok(decided)
}

/// Asks the earlier executions of a schedule to end.
async fn replace_previous(
    tx: &DatabaseTransaction,
    tick: &ScheduleTick,
    row: &NewRow,
    started: Started,
) -> Result<Started, DbErr> {
    let live = Statement::from_sql_and_values(DbBackend::Postgres, LIVE_OF_SCHEDULE, [Value::from(tick.schedule.0)]);
    let live = tx.query_all_raw(live).await?;
    let live: Vec<Uuid> = live.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
    let previous = live.into_iter().map(ExecutionId).filter(|other| *other != row.id).collect();
    let (started, previous) = also_replacing(started, previous);
    if !previous.is_empty() {
        let previous: Vec<Uuid> = previous.into_iter().map(|id| id.0).collect();
        replace(tx, previous, row).await?;
    }
    Ok(started)
}

async fn replace(tx: &DatabaseTransaction, others: Vec<Uuid>, row: &NewRow) -> Result<(), DbErr> {
    let values: [Value; 3] = [others.into(), row.created_at.into(), replaced_by(row.id).into()];
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql::REPLACE, values)).await.map(drop)
}

/// Decides on the first of `starts`.
async fn limited(
    tx: &DatabaseTransaction,
    starts: &[Placed<'_>],
    slot: &ConcurrencySlot,
    counts: &mut Counts,
) -> Result<Started, DbErr> {
    let row = &starts[0].1.row;
    let later: Vec<Uuid> = starts.iter().map(|(_, start)| start.row.id.0).collect();
    let most = if slot.overflow == Overflow::Skip { i64::from(slot.limit) } else { i64::MAX };
    let question: [Value; 4] = [row.tenant.0.into(), storable_text(&slot.key).into(), later.into(), most.into()];
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql::LIVE_OF_KEY, question);
    let others = tx.query_all_raw(question).await?;
    if !is_full(slot, others.len()) {
        return Ok(Started::Accepted);
    }
    match slot.overflow {
        Overflow::Queue => Ok(Started::Accepted),
        Overflow::Skip => {
            let record = skipped(row, slot);
            if let Some(head) = &record.head {
                counts.add(record.workflow, head.status, record.at);
                put(tx, sql::UPDATE_EXECUTIONS, &[HeadColumns::of(&record, head)]).await?;
                settle_files(tx, &[EndColumns::of(&record, head)]).await?;
            }
            let wake = |parent: ExecutionId| WakeColumns {
                id: Key(parent.0),
                at: Instant(record.at),
                asked: true,
                heeds_unwind: false,
            };
            put(tx, sql::WAKE, &record.parent.map(wake).into_iter().collect::<Vec<_>>()).await?;
            Ok(Started::Skipped)
        }
        Overflow::Replace => {
            let others: Vec<Uuid> = others.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
            replace(tx, others.clone(), row).await?;
            Ok(Started::Replacing(others.into_iter().map(ExecutionId).collect()))
        }
    }
}
