//! Appends on SQLite: one prepared statement an event, in the writer's transaction.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Event;
use super::chain::{Head, Heads};
use crate::journal::columns::Key;

pub(crate) const IS_KNOWN: &str = "select 1 from event_store where id = ?1";
pub(crate) const HEAD: &str =
    "select version, hash from event_store where stream_id = ?1 order by version desc limit 1";
pub(crate) const LAST_POSITION: &str = "select coalesce(max(position), 0) from event_store";
pub(crate) const INSERT: &str = "insert into event_store (id, tenant_id, stream_id, version, position, event_type, \
    schema_version, aggregate_type, aggregate_id, event_data, event_metadata, correlation_id, causation_id, hash, \
    created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15)";

/// Appends events in order and answers how many were not recorded before.
pub(crate) fn append(connection: &Connection, events: impl IntoIterator<Item = Event>) -> rusqlite::Result<usize> {
    let mut heads = Heads::default();
    let mut position = None;
    let mut appended = 0;
    for event in events {
        if connection.prepare_cached(IS_KNOWN)?.exists(params![Key(event.id)])? {
            continue;
        }
        if !heads.knows(&event.stream) {
            let read = |row: &rusqlite::Row<'_>| Ok(Head { version: row.get(0)?, hash: row.get(1)? });
            let head = connection.prepare_cached(HEAD)?.query_row(params![event.stream], read).optional()?;
            heads.put(&event.stream, head);
        }
        let last: i64 = match position {
            Some(last) => last,
            None => connection.prepare_cached(LAST_POSITION)?.query_row([], |row| row.get(0))?,
        };
        position = Some(last + 1);
        let e = heads.chain(event);
        connection.prepare_cached(INSERT)?.execute(params![
            e.id,
            e.tenant_id,
            e.stream_id,
            e.version,
            last + 1,
            e.event_type,
            e.schema_version,
            e.aggregate_type,
            e.aggregate_id,
            e.event_data,
            e.event_metadata,
            e.correlation_id,
            e.causation_id,
            e.hash,
            e.created_at
        ])?;
        appended += 1;
    }
    Ok(appended)
}
