//! Appends on PostgreSQL: all events of a transaction in one statement.

use std::collections::{BTreeSet, HashSet};

use cogwheel_engine::ports::StoreError;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement, Value};
use serde::Serialize;
use uuid::Uuid;

use super::Event;
use super::chain::{EventColumns, Head, Heads};
use crate::fault;

/// One after the other, in an order that all transactions keep. The lock's number has nothing to do with those of other
/// locks, whose texts are ids and keys.
pub(crate) const LOCK_STREAMS: &str = "select pg_advisory_xact_lock(s.lock) from (
    select distinct hashtextextended(value, 7310868735955170661) as lock from json_array_elements_text($1::json) as r(value)
    order by lock) s";

/// A stream's last event may be of a transaction that began later than this one and ended before: what this one appends would
/// be read before it.
pub(crate) const HEADS: &str =
    "select h.stream_id, h.version, h.hash, h.recorded_xid > pg_current_xact_id() as is_later
    from json_array_elements_text($1::json) as r(stream_id) cross join lateral (
      select e.stream_id, e.version, e.hash, e.recorded_xid from event_store e where e.stream_id = r.stream_id
      order by e.version desc limit 1) h";

pub(crate) const KNOWN: &str = "select id from event_store where id = any($1)";

pub(crate) const INSERT: &str = "insert into event_store (id, tenant_id, stream_id, version, event_type, schema_version, \
    aggregate_type, aggregate_id, event_data, event_metadata, correlation_id, causation_id, hash, created_at, updated_at)
    select id, tenant_id, stream_id, version, event_type, schema_version, aggregate_type, aggregate_id,
      coalesce(event_data, 'null'), event_metadata, correlation_id, causation_id, hash, created_at, created_at
    from jsonb_to_recordset($1::jsonb) as r(id uuid, tenant_id uuid, stream_id text, version bigint, event_type text,
      schema_version smallint, aggregate_type text, aggregate_id uuid, event_data jsonb, event_metadata jsonb,
      correlation_id uuid, causation_id uuid, hash text, created_at timestamptz)";

/// Where the streams of a transaction stand.
struct Standing {
    heads: Heads,
    /// A stream whose last event is of a later transaction.
    later: Option<String>,
}

/// Appends events to any streams, and answers how many were not recorded before. Whoever appended to one of the streams and
/// has not committed is waited for.
pub(crate) async fn append(tx: &DatabaseTransaction, events: Vec<Event>) -> Result<usize, StoreError> {
    let failed = |error: DbErr| fault::from_db(&error);
    lock(tx, events.iter().map(|event| event.stream.as_str())).await.map_err(failed)?;
    let standing = standing(tx, &events).await.map_err(failed)?;
    if let Some(stream) = standing.later {
        // Events of one stream are read in their order only if their transactions have that order, too.
        let why = format!("a transaction that began later has just appended to the stream {stream}");
        return Err(StoreError::Unavailable(why));
    }
    insert(tx, standing.heads, events).await.map_err(failed)
}

/// Appends events to streams of executions whose rows this transaction has locked, or made.
pub(crate) async fn append_locked(tx: &DatabaseTransaction, events: Vec<Event>) -> Result<(), DbErr> {
    if events.is_empty() {
        return Ok(());
    }
    let standing = standing(tx, &events).await?;
    insert(tx, standing.heads, events).await.map(drop)
}

/// Keeps others from appending to the streams until the transaction ends.
pub(crate) async fn lock<'s>(tx: &DatabaseTransaction, streams: impl Iterator<Item = &'s str>) -> Result<(), DbErr> {
    let streams: BTreeSet<&str> = streams.collect();
    tx.execute_raw(about(LOCK_STREAMS, &streams)?).await.map(drop)
}

async fn standing(tx: &DatabaseTransaction, events: &[Event]) -> Result<Standing, DbErr> {
    let streams: BTreeSet<&str> = events.iter().map(|event| event.stream.as_str()).collect();
    let mut standing = Standing { heads: Heads::default(), later: None };
    for row in tx.query_all_raw(about(HEADS, &streams)?).await? {
        let stream: String = row.try_get("", "stream_id")?;
        let head = Head { version: row.try_get("", "version")?, hash: row.try_get("", "hash")? };
        standing.heads.put(&stream, Some(head));
        if row.try_get("", "is_later")? {
            standing.later = Some(stream);
        }
    }
    Ok(standing)
}

async fn insert(tx: &DatabaseTransaction, mut heads: Heads, events: Vec<Event>) -> Result<usize, DbErr> {
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let known = Statement::from_sql_and_values(DbBackend::Postgres, KNOWN, [ids.into()]);
    let known = tx.query_all_raw(known).await?;
    let mut known = known.iter().map(|row| row.try_get("", "id")).collect::<Result<HashSet<Uuid>, _>>()?;
    let mut rows: Vec<EventColumns> = Vec::with_capacity(events.len());
    for event in events {
        if known.insert(event.id) {
            rows.push(heads.chain(event));
        }
    }
    if !rows.is_empty() {
        tx.execute_raw(about(INSERT, &rows)?).await?;
    }
    Ok(rows.len())
}

/// A statement about what is sent as one JSON array.
fn about(sql: &str, rows: &impl Serialize) -> Result<Statement, DbErr> {
    let rows = serde_json::to_string(rows).map_err(|error| DbErr::Json(error.to_string()))?;
    Ok(Statement::from_sql_and_values(DbBackend::Postgres, sql, [Value::String(Some(rows))]))
}
