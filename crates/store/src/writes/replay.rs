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
    let transaction = if tx.backend() == DbBackend::Sqlite { "0" } else { "recorded_xid::text::bigint" };
    let first = format!(
        "select {transaction} as place_transaction, position from event_store where position >= $1 order by position limit 1"
    );
    let rows = tx.query(raw(tx, &first, [Value::from(from)])).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let position: i64 = first.get("position")?;
    let before = Place { transaction: first.get("place_transaction")?, position: position - 1 };
    let counted = format!(
        "select count(*) as events, max(position) as to_position from event_store where {}",
        within(tx.backend(), 1)
    );
    let rows = tx.query(raw(tx, &counted, places(tx.backend(), before, reader.place))).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let events: i64 = row.get("events")?;
    if events == 0 {
        return Ok(None);
    }
    Ok(Some(Range { before, events, to_position: row.get("to_position")? }))
}

/// What holds of the events after one place up to another, whose parameters begin with this number.
fn within(backend: DbBackend, number: usize) -> String {
    let [a, b, c, d] = [0, 1, 2, 3].map(|next| number + next);
    match backend {
        DbBackend::Sqlite => format!("position > ${a} and position <= ${b}"),
        _ => format!(
            "(recorded_xid, position) > (${a}::text::xid8, ${b}) and (recorded_xid, position) <= (${c}::text::xid8, ${d})"
        ),
    }
}

/// The parameters of [`within`].
fn places(backend: DbBackend, after: Place, until: Place) -> Vec<Value> {
    let place = |place: Place| match backend {
        DbBackend::Sqlite => vec![Value::from(place.position)],
        _ => vec![Value::from(place.transaction.to_string()), Value::from(place.position)],
    };
    [place(after), place(until)].concat()
}

/// What the reader had given up on is tried again.
async fn take_up_letters(
    tx: &mut dyn WriteTx,
    reader: &Reader,
    range: &Range,
    at: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let take_up = format!(
        "update event_dead_letters set status = 'replayed', resolved_at = $1, updated_at = $1
        where event_consumer_id = $2 and status = 'open' and event_id in (select id from event_store where {})",
        within(tx.backend(), 3)
    );
    let places = places(tx.backend(), range.before, reader.place);
    let values = [Value::from(at), Value::from(reader.id)].into_iter().chain(places);
    let taken = tx.execute(raw(tx, &take_up, values)).await?;
    Ok(i64::try_from(taken).unwrap_or(i64::MAX))
}

/// The epoch tells a running reader that its place is not where it thinks.
async fn go_back(tx: &mut dyn WriteTx, reader: &Reader, range: &Range, at: DateTime<Utc>) -> Result<(), StoreError> {
    const GO_BACK: &str = "update event_consumers set last_recorded_xid = $1, last_position = $2,
        lease_epoch = lease_epoch + 1, updated_at = $3 where id = $4";
    let values = [
        Value::from(range.before.transaction),
        Value::from(range.before.position),
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
