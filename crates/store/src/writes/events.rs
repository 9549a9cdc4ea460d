//! Who reads the events, how far they got, and what they gave up on.

use chrono::{DateTime, Utc};
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{Actor, Consumer, DeadLetter, NewEvent, Place, StoreError, Stream};
use cogwheel_entity::{event_consumers, event_dead_letters};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, DbBackend, EntityTrait, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use super::execute;
use crate::events::Event;
use crate::tx::{Ask, FOR_CHANGE, Row, WriteTx, locked, raw};
use crate::values::{new_id, storable_text};

/// The reader of this name, if there is one.
pub(crate) async fn find(ask: &mut dyn Ask, name: &str) -> Result<Option<Consumer>, StoreError> {
    const FIND: &str =
        "select id, last_position, last_recorded_xid, lease_epoch from event_consumers where consumer_name = $1";
    let read = |row: &Row| {
        let place = Place { transaction: row.get("last_recorded_xid")?, position: row.get("last_position")? };
        Ok(Consumer { id: row.get("id")?, place, epoch: row.get("lease_epoch")? })
    };
    ask.query(raw(ask, FIND, [Value::from(name)])).await?.first().map(read).transpose()
}

/// The place between what is recorded by now and what is recorded from now on. Nothing that was committed before is read
/// after it, and whatever a transaction records that begins after this one is. Of what is being recorded, nobody can say.
pub(crate) async fn end(tx: &mut dyn WriteTx) -> Result<Place, StoreError> {
    let end = match tx.backend() {
        DbBackend::Sqlite => {
            "select 0 as place_transaction, coalesce(max(position), 0) as place_position from event_store"
        }
        // Whatever is committed was recorded below the snapshot's upper bound; a transaction that begins later is numbered
        // neither below that nor below this one. The lower bound would not do: any old transaction of the server holds it back.
        _ => {
            "select greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1,
                  pg_current_xact_id()::text::bigint) as place_transaction,
                9223372036854775807 as place_position"
        }
    };
    let rows = tx.query(raw(tx, end, [])).await?;
    let row = rows.first().ok_or_else(|| StoreError::Bug("an aggregate has no row".to_owned()))?;
    Ok(Place { transaction: row.get("place_transaction")?, position: row.get("place_position")? })
}

/// The reader of this name; a new one begins with what is recorded from now on.
pub(crate) async fn begin(tx: &mut dyn WriteTx, name: &str, at: DateTime<Utc>) -> Result<Consumer, StoreError> {
    if let Some(known) = find(tx.asking(), name).await? {
        return Ok(known);
    }
    let place = end(tx).await?;
    let row = event_consumers::ActiveModel {
        id: Set(new_id(at)),
        consumer_name: Set(name.to_owned()),
        last_position: Set(place.position),
        last_recorded_xid: Set(place.transaction),
        created_at: Set(at),
        updated_at: Set(at),
        ..Default::default()
    };
    let unless_known = OnConflict::column(event_consumers::Column::ConsumerName).do_nothing().to_owned();
    execute(tx, event_consumers::Entity::insert(row).on_conflict(unless_known)).await?;
    // Whoever was faster began it as well.
    let begun = find(tx.asking(), name).await?;
    begun.ok_or_else(|| StoreError::Bug(format!("the reader {name} was begun and is not there")))
}

/// The reader of this name, for somebody who begins to listen. It goes on from where it is when others do, who are what
/// the query `listeners` finds; otherwise it begins anew with what is recorded from now on, for what happened while nobody
/// listened is nobody's business. What it gave up on stays.
pub(crate) async fn listen(
    tx: &mut dyn WriteTx,
    name: &str,
    listeners: Statement,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    const ANEW: &str = "update event_consumers set last_recorded_xid = $1, last_position = $2,
        lease_epoch = lease_epoch + 1, updated_at = $3 where id = $4";
    if find(tx.asking(), name).await?.is_none() {
        return begin(tx, name, at).await.map(drop);
    }
    // Of two who begin at the same time, the second one finds the first one listening.
    let lock = format!("select id from event_consumers where consumer_name = $1{}", locked(tx, FOR_CHANGE));
    let known = tx.query(raw(tx, &lock, [Value::from(name)])).await?;
    let known = known.first().ok_or_else(|| StoreError::Bug(format!("the reader {name} is gone")))?;
    if !tx.query(listeners).await?.is_empty() {
        return Ok(());
    }
    let place = end(tx).await?;
    let values = [
        Value::from(place.transaction),
        Value::from(place.position),
        Value::from(at),
        Value::from(known.get::<Uuid>("id")?),
    ];
    tx.execute(raw(tx, ANEW, values)).await.map(drop)
}

/// See [`cogwheel_engine::ports::EventLog::move_consumer`].
pub(crate) async fn advance(tx: &mut dyn WriteTx, consumer: Consumer, at: DateTime<Utc>) -> Result<bool, StoreError> {
    const MOVE: &str = "update event_consumers set
        last_position = case when last_recorded_xid < $1 or last_recorded_xid = $1 and last_position < $2 then $2
          else last_position end,
        last_recorded_xid = case when last_recorded_xid < $1 then $1 else last_recorded_xid end, updated_at = $3
        where id = $4 and lease_epoch = $5";
    let Consumer { id, place, epoch, .. } = consumer;
    let place = [Value::from(place.transaction), Value::from(place.position)];
    let values = place.into_iter().chain([Value::from(at), Value::from(id), Value::from(epoch)]);
    Ok(tx.execute(raw(tx, MOVE, values)).await? > 0)
}

/// See [`cogwheel_engine::ports::EventLog::bury`]. What was buried before stays as it is, unless it was handed out again.
pub(crate) async fn bury(tx: &mut dyn WriteTx, letter: DeadLetter) -> Result<(), StoreError> {
    const AGAIN: &str = "update event_dead_letters set status = 'open', attempts = attempts + 1, error = $1,
        resolved_at = null, updated_at = $2 where event_consumer_id = $3 and event_id = $4 and status = 'replayed'";
    let reasons: Vec<String> = letter.reasons.iter().map(|reason| storable_text(reason)).collect();
    let error = json!({ "reasons": reasons });
    let row = event_dead_letters::ActiveModel {
        id: Set(new_id(letter.at)),
        tenant_id: Set(letter.tenant.0),
        event_consumer_id: Set(letter.consumer),
        event_id: Set(letter.event),
        attempts: Set(1),
        error: Set(error.clone()),
        created_at: Set(letter.at),
        updated_at: Set(letter.at),
        ..Default::default()
    };
    // Several servers may give up on the same event; one of them tells.
    let known = [event_dead_letters::Column::EventConsumerId, event_dead_letters::Column::EventId];
    let unless_known = OnConflict::columns(known).do_nothing().to_owned();
    if execute(tx, event_dead_letters::Entity::insert(row).on_conflict(unless_known)).await? == 0 {
        let known = [Value::from(letter.consumer), Value::from(letter.event)];
        let values = [Value::from(error), Value::from(letter.at)].into_iter().chain(known);
        if tx.execute(raw(tx, AGAIN, values)).await? == 0 {
            return Ok(());
        }
    }
    tell(tx, &letter, reasons).await
}

/// Records that an event was given up on; not of an event that tells just that, or there would be no end.
async fn tell(tx: &mut dyn WriteTx, letter: &DeadLetter, reasons: Vec<String>) -> Result<(), StoreError> {
    const ABOUT: &str = "select c.consumer_name, e.event_type, e.correlation_id from event_consumers c, event_store e
        where c.id = $1 and e.id = $2";
    let about = tx.query(raw(tx, ABOUT, [Value::from(letter.consumer), Value::from(letter.event)])).await?;
    let Some(about) = about.first() else { return Ok(()) };
    let (consumer, event_type): (String, String) = (about.get("consumer_name")?, about.get("event_type")?);
    if event_type == EventType::EventDeadLettered.as_str() {
        return Ok(());
    }
    let event = NewEvent {
        id: new_id(letter.at),
        event_type: EventType::EventDeadLettered,
        data: json!({ "subject": event_type, "data": {
            "consumer": consumer, "event_id": letter.event.to_string(), "event_type": event_type, "reasons": reasons,
        } }),
        actor: Actor::Engine,
        depth: letter.depth,
        correlation_id: about.get("correlation_id")?,
        causation_id: Some(letter.event),
    };
    let event = Event::new(letter.tenant, &Stream::of("event", letter.event), &event, letter.at);
    tx.append(vec![event]).await.map(drop)
}
