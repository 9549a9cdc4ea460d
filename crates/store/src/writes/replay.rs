//! Handing events to a reader again.

use chrono::{DateTime, Utc};
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{Actor, NewEvent, Place, ReplayEvents, Replayed, StoreError, Stream};
use cogwheel_entity::audit_log;
use sea_orm::{ActiveValue::Set, DbBackend, EntityTrait as _, Value};
use serde_json::json;
use uuid::Uuid;

use super::execute;
use crate::events::Event;
use crate::tx::{Row, WriteTx, locked, raw};
use crate::values::{new_id, storable_text};

/// The reader whose place goes back.
struct Reader {
    id: Uuid,
    place: Place,
}

/// What it gets again.
struct Range {
    /// The place just before the first event.
    before: Place,
    events: i64,
    to_position: i64,
    /// When the first of them was recorded.
    since: DateTime<Utc>,
}

/// See [`cogwheel_engine::ports::EventLog::replay_events`].
pub(crate) async fn replay(tx: &mut dyn WriteTx, replay: ReplayEvents) -> Result<Option<Replayed>, StoreError> {
    let Some(reader) = find(tx, &replay.consumer).await? else { return Ok(None) };
    let Some(range) = range(tx, &reader, replay.from_position).await? else {
        return Ok(Some(Replayed { events: 0, to_position: 0, dead_letters: 0 }));
    };
    let dead_letters = take_up_letters(tx, &reader, &range, replay.at).await?;
    go_back(tx, &reader, &range, replay.at).await?;
    let replayed = Replayed { events: range.events, to_position: range.to_position, dead_letters };
    tell(tx, &reader, &replay, replayed).await?;
    Ok(Some(replayed))
}

async fn find(tx: &mut dyn WriteTx, name: &str) -> Result<Option<Reader>, StoreError> {
    let find = format!(
        "select id, last_position, last_recorded_xid from event_consumers where consumer_name = $1{}",
        locked(tx, " for update")
    );
    let read = |row: &Row| {
        let place = Place { transaction: row.get("last_recorded_xid")?, position: row.get("last_position")? };
        Ok(Reader { id: row.get("id")?, place })
    };
    tx.query(raw(tx, &find, [Value::from(name)])).await?.first().map(read).transpose()
}

/// The events from the one at the position on, or from the next one where there is none, as far as the reader had got;
/// `None` where that is nothing.
async fn range(tx: &mut dyn WriteTx, reader: &Reader, from: i64) -> Result<Option<Range>, StoreError> {
    let is_sqlite = tx.backend() == DbBackend::Sqlite;
    let transaction = if is_sqlite { "0" } else { "recorded_xid::text::bigint" };
    let first = format!(
        "select {transaction} as place_transaction, position from event_store where position >= $1 order by position limit 1"
    );
    let rows = tx.query(raw(tx, &first, [Value::from(from)])).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let position: i64 = first.get("position")?;
    let before = Place { transaction: first.get("place_transaction")?, position: position - 1 };
    let counted = "select count(*) as events, max(position) as to_position, min(created_at) as since from event_store";
    let rows = if is_sqlite {
        let counted = format!("{counted} where position > $1 and position <= $2");
        let values = [Value::from(before.position), Value::from(reader.place.position)];
        tx.query(raw(tx, &counted, values)).await?
    } else {
        let counted = format!(
            "{counted} where (recorded_xid, position) > ($1::text::xid8, $2)
             and (recorded_xid, position) <= ($3::text::xid8, $4)"
        );
        let place = |place: Place| [Value::from(place.transaction.to_string()), Value::from(place.position)];
        tx.query(raw(tx, &counted, [place(before), place(reader.place)].concat())).await?
    };
    let Some(row) = rows.first() else { return Ok(None) };
    let events: i64 = row.get("events")?;
    if events == 0 {
        return Ok(None);
    }
    Ok(Some(Range { before, events, to_position: row.get("to_position")?, since: row.get("since")? }))
}

/// What the reader had given up on is tried again.
async fn take_up_letters(
    tx: &mut dyn WriteTx,
    reader: &Reader,
    range: &Range,
    at: DateTime<Utc>,
) -> Result<i64, StoreError> {
    const TAKE_UP: &str = "update event_dead_letters set status = 'replayed', resolved_at = $1, updated_at = $1
        where event_consumer_id = $2 and status = 'open'
        and event_id in (select id from event_store where position > $3 and position <= $4)";
    let positions = [Value::from(range.before.position), Value::from(range.to_position)];
    let values = [Value::from(at), Value::from(reader.id)].into_iter().chain(positions);
    let taken = tx.execute(raw(tx, TAKE_UP, values)).await?;
    Ok(i64::try_from(taken).unwrap_or(i64::MAX))
}

/// The epoch tells a running reader that its place is not where it thinks.
async fn go_back(tx: &mut dyn WriteTx, reader: &Reader, range: &Range, at: DateTime<Utc>) -> Result<(), StoreError> {
    const GO_BACK: &str = "update event_consumers set last_recorded_xid = $1, last_position = $2,
        lease_epoch = lease_epoch + 1, created_at = case when created_at > $3 then $3 else created_at end, updated_at = $4
        where id = $5";
    let values = [
        Value::from(range.before.transaction),
        Value::from(range.before.position),
        Value::from(range.since),
        Value::from(at),
        Value::from(reader.id),
    ];
    tx.execute(raw(tx, GO_BACK, values)).await.map(drop)
}

/// Keeps who wanted it, in the trail and as an event.
async fn tell(
    tx: &mut dyn WriteTx,
    reader: &Reader,
    replay: &ReplayEvents,
    replayed: Replayed,
) -> Result<(), StoreError> {
    let data = json!({
        "consumer": replay.consumer,
        "from_position": replay.from_position,
        "to_position": replayed.to_position,
        "events": replayed.events,
    });
    let event = NewEvent {
        id: new_id(replay.at),
        event_type: EventType::EventReplayed,
        data: json!({ "subject": replay.consumer, "data": data }),
        actor: Actor::Operator,
        depth: 0,
        correlation_id: None,
        causation_id: None,
    };
    let row = audit_log::ActiveModel {
        id: Set(event.id),
        tenant_id: Set(replay.tenant.0),
        category: Set(audit_log::AuditCategory::Administration),
        action: Set(EventType::EventReplayed.as_str().to_owned()),
        table_name: Set(Some("event_consumers".to_owned())),
        record_id: Set(Some(reader.id.to_string())),
        operation: Set(Some(audit_log::AuditOperation::Update)),
        old_data: Set(Some(json!({ "last_position": reader.place.position }))),
        new_data: Set(Some(data)),
        risk_level: Set(audit_log::RiskLevel::Medium),
        reason: Set(replay.reason.as_deref().map(storable_text)),
        created_at: Set(replay.at),
        updated_at: Set(replay.at),
        ..Default::default()
    };
    execute(tx, audit_log::Entity::insert(row)).await?;
    let event = Event::new(replay.tenant, &Stream::of("event", reader.id), &event, replay.at);
    tx.append(vec![event]).await.map(drop)
}
