//! Reading events in their order, and how far each reader got.

use chrono::{DateTime, Utc};
use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{Consumer, DeadLetter, EventPage, Place, RecordedEvent, StoreError};
use cogwheel_entity::{event_consumers, event_dead_letters};
use sea_orm::{ActiveValue::Set, DbBackend, EntityTrait, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::execute;
use crate::tx::{Ask, Row, WriteTx, raw};
use crate::values::{new_id, storable_text};

/// The reader of this name, if there is one.
pub(crate) async fn find(ask: &mut dyn Ask, name: &str) -> Result<Option<Consumer>, StoreError> {
    const FIND: &str =
        "select id, last_position, last_recorded_xid, created_at from event_consumers where consumer_name = $1";
    let read = |row: &Row| {
        let place = Place { transaction: row.get("last_recorded_xid")?, position: row.get("last_position")? };
        Ok(Consumer { id: row.get("id")?, place, since: row.get("created_at")? })
    };
    ask.query(raw(ask, FIND, [Value::from(name)])).await?.first().map(read).transpose()
}

/// The reader of this name; a new one begins with what is recorded from now on.
pub(crate) async fn begin(tx: &mut dyn WriteTx, name: &str, at: DateTime<Utc>) -> Result<Consumer, StoreError> {
    if let Some(known) = find(tx.asking(), name).await? {
        return Ok(known);
    }
    let end = match tx.backend() {
        DbBackend::Sqlite => {
            "select 0 as place_transaction, coalesce(max(position), 0) as place_position from event_store"
        }
        // Whatever was recorded by a transaction that has ended is older; of the others nobody can know.
        _ => {
            "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 as place_transaction,
                9223372036854775807 as place_position"
        }
    };
    let rows = tx.query(raw(tx, end, [])).await?;
    let row = rows.first().ok_or_else(|| StoreError::Bug("an aggregate has no row".to_owned()))?;
    let place = Place { transaction: row.get("place_transaction")?, position: row.get("place_position")? };
    let id = new_id(at);
    let row = event_consumers::ActiveModel {
        id: Set(id),
        consumer_name: Set(name.to_owned()),
        last_position: Set(place.position),
        last_recorded_xid: Set(place.transaction),
        created_at: Set(at),
        updated_at: Set(at),
        ..Default::default()
    };
    execute(tx, event_consumers::Entity::insert(row)).await?;
    Ok(Consumer { id, place, since: at })
}

/// See [`cogwheel_engine::ports::Store::forget_consumer`].
pub(crate) async fn forget(tx: &mut dyn WriteTx, consumer: Uuid) -> Result<(), StoreError> {
    const FORGET: &str = "delete from event_consumers where id = $1
        and not exists (select 1 from workflows where event_trigger_count > 0 and deleted_at is null)";
    tx.execute(raw(tx, FORGET, [Value::from(consumer)])).await.map(drop)
}

/// On PostgreSQL positions are handed out before their transactions end, so that a later one may be seen first. Only what
/// was recorded by transactions older than any that is open can get no company before it any more.
pub(crate) const AFTER_POSTGRES: &str = "select id, tenant_id, event_type, stream_id, event_data, event_metadata, \
    correlation_id, created_at, position, recorded_xid::text::bigint as place_transaction from event_store
    where (recorded_xid, position) > ($1::text::xid8, $2) and recorded_xid < pg_snapshot_xmin(pg_current_snapshot())
    order by recorded_xid, position limit $3";

/// Whether anything is recorded behind a place.
pub(crate) const HELD_UP_POSTGRES: &str =
    "select 1 as found from event_store where (recorded_xid, position) > ($1::text::xid8, $2) limit 1";

/// On SQLite one transaction comes after the other.
pub(crate) const AFTER_SQLITE: &str = "select id, tenant_id, event_type, stream_id, event_data, event_metadata, \
    correlation_id, created_at, position, 0 as place_transaction from event_store
    where position > $1 order by position limit $2";

/// See [`cogwheel_engine::ports::Store::events_after`].
pub(crate) async fn after(ask: &mut dyn Ask, place: Place, most: usize) -> Result<EventPage, StoreError> {
    let events = read(ask, place, most).await?;
    let is_held_up = events.is_empty() && ask.backend() != DbBackend::Sqlite && {
        let values = [Value::from(place.transaction.to_string()), Value::from(place.position)];
        !ask.query(raw(ask, HELD_UP_POSTGRES, values)).await?.is_empty()
    };
    Ok(EventPage { events, is_held_up })
}

async fn read(ask: &mut dyn Ask, place: Place, most: usize) -> Result<Vec<RecordedEvent>, StoreError> {
    let most = Value::from(i64::try_from(most).unwrap_or(i64::MAX));
    let position = Value::from(place.position);
    let statement = match ask.backend() {
        DbBackend::Sqlite => raw(ask, AFTER_SQLITE, [position, most]),
        _ => raw(ask, AFTER_POSTGRES, [Value::from(place.transaction.to_string()), position, most]),
    };
    let read = |row: &Row| {
        let metadata: Json = row.get("event_metadata")?;
        Ok(RecordedEvent {
            id: row.get("id")?,
            tenant: TenantId(row.get("tenant_id")?),
            event_type: row.get("event_type")?,
            stream: row.get("stream_id")?,
            place: Place { transaction: row.get("place_transaction")?, position: row.get("position")? },
            data: row.get("event_data")?,
            depth: metadata["depth"].as_u64().unwrap_or(0),
            correlation_id: row.get("correlation_id")?,
            at: row.get("created_at")?,
        })
    };
    ask.query(statement).await?.iter().map(read).collect()
}

/// See [`cogwheel_engine::ports::Store::move_consumer`].
pub(crate) async fn advance(tx: &mut dyn WriteTx, consumer: Consumer, at: DateTime<Utc>) -> Result<(), StoreError> {
    const MOVE: &str = "update event_consumers set last_recorded_xid = $1, last_position = $2, updated_at = $3
        where id = $4 and (last_recorded_xid < $1 or last_recorded_xid = $1 and last_position < $2)";
    let Consumer { id, place, .. } = consumer;
    let values = [Value::from(place.transaction), Value::from(place.position), Value::from(at), Value::from(id)];
    tx.execute(raw(tx, MOVE, values)).await.map(drop)
}

/// See [`cogwheel_engine::ports::Store::bury`]. What was buried before stays as it is.
pub(crate) async fn bury(tx: &mut dyn WriteTx, letter: DeadLetter) -> Result<(), StoreError> {
    const KNOWN: &str = "select id from event_dead_letters where event_consumer_id = $1 and event_id = $2";
    let known = [Value::from(letter.consumer), Value::from(letter.event)];
    if !tx.query(raw(tx, KNOWN, known)).await?.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = letter.reasons.iter().map(|reason| storable_text(reason)).collect();
    let row = event_dead_letters::ActiveModel {
        id: Set(new_id(letter.at)),
        tenant_id: Set(letter.tenant.0),
        event_consumer_id: Set(letter.consumer),
        event_id: Set(letter.event),
        attempts: Set(1),
        error: Set(json!({ "reasons": reasons })),
        created_at: Set(letter.at),
        updated_at: Set(letter.at),
        ..Default::default()
    };
    execute(tx, event_dead_letters::Entity::insert(row)).await.map(drop)
}
