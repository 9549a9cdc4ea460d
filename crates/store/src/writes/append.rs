//! Appending to a stream that the caller may have read before.

use cogwheel_engine::ports::{AppendError, AppendEvents, Appended, ExpectedVersion, StoreError};
use sea_orm::Value;

use crate::events::Event;
use crate::tx::{WriteTx, any_of, ids, raw};

/// See [`cogwheel_engine::ports::EventLog::append_events`]. A refusal has written nothing.
pub(crate) async fn append(
    tx: &mut dyn WriteTx,
    append: AppendEvents,
) -> Result<Result<Appended, AppendError>, StoreError> {
    let stream = append.stream.name();
    // Whoever holds the lock sees what others committed, and nothing comes in between.
    tx.lock_stream(stream).await?;
    if let ExpectedVersion::Exactly(expected) = append.expected {
        let actual = version(tx, stream).await?;
        if actual != expected && !are_known(tx, &append).await? {
            return Ok(Err(AppendError::Conflict { stream: stream.to_owned(), expected, actual }));
        }
    }
    let events =
        append.events.iter().map(|event| Event::new(append.tenant, &append.stream, event, append.at)).collect();
    let events = tx.append(events).await?;
    Ok(Ok(Appended { version: version(tx, stream).await?, events }))
}

/// The version of a stream's last event; 0 where there is none.
async fn version(tx: &mut dyn WriteTx, stream: &str) -> Result<i64, StoreError> {
    const VERSION: &str = "select coalesce(max(version), 0) as version from event_store where stream_id = $1";
    let rows = tx.query(raw(tx, VERSION, [Value::from(stream)])).await?;
    rows.first().map_or(Ok(0), |row| row.get("version"))
}

/// Whether all of it was appended before, by a call whose answer was lost.
async fn are_known(tx: &mut dyn WriteTx, append: &AppendEvents) -> Result<bool, StoreError> {
    let known = format!("select count(*) as known from event_store where id in {}", any_of(tx.backend(), 1));
    let events = ids(tx, append.events.iter().map(|event| event.id));
    let rows = tx.query(raw(tx, &known, [events])).await?;
    let known: i64 = rows.first().map_or(Ok(0), |row| row.get("known"))?;
    Ok(known > 0 && usize::try_from(known).is_ok_and(|known| known == append.events.len()))
}
