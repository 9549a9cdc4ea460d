//! Reading events: in the order of all, or of one stream.

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{EventFilter, EventPage, Place, RecordedEvent, StoreError};
use sea_orm::{DbBackend, Statement, Value};
use uuid::Uuid;

use crate::tx::{Ask, Row, raw};

macro_rules! columns {
    ($transaction:literal) => {
        concat!(
            "select id, tenant_id, stream_id, version, position, event_type, schema_version, aggregate_type, \
             aggregate_id, event_data, event_metadata, correlation_id, causation_id, hash, created_at, ",
            $transaction,
            " as place_transaction from event_store"
        )
    };
}

const SELECT_SQLITE: &str = columns!("0");
const SELECT_POSTGRES: &str = columns!("recorded_xid::text::bigint");

/// On PostgreSQL positions are handed out before their transactions end, so that a later one may be seen first. Only what
/// was recorded by transactions older than any that is open can get no company before it any more.
pub(crate) const AFTER_POSTGRES: &str = concat!(
    columns!("recorded_xid::text::bigint"),
    " where (recorded_xid, position) > ($1::text::xid8, $2) and recorded_xid < pg_snapshot_xmin(pg_current_snapshot())
     order by recorded_xid, position limit $3"
);

/// Whether anything is recorded behind a place.
pub(crate) const HELD_UP_POSTGRES: &str =
    "select 1 as found from event_store where (recorded_xid, position) > ($1::text::xid8, $2) limit 1";

/// On SQLite one transaction comes after the other.
pub(crate) const AFTER_SQLITE: &str = concat!(columns!("0"), " where position > $1 order by position limit $2");

/// What of a tenant's events is read after the event at a position, which tells its place in the order.
pub(crate) const LISTED_POSTGRES: &str = "tenant_id = $1 and (recorded_xid, position) > (coalesce(
      (select p.recorded_xid from event_store p where p.position <= $2 order by p.position desc limit 1), '0'::xid8), $2)
    and recorded_xid < pg_snapshot_xmin(pg_current_snapshot())";
const LISTED_SQLITE: &str = "tenant_id = $1 and position > $2";

/// In a stream, positions grow with versions.
const STREAMED: &str = "tenant_id = $1 and stream_id = $2 and version > coalesce(
      (select p.version from event_store p where p.stream_id = $2 and p.position <= $3 order by p.version desc limit 1), 0)";

/// The events after a place, and whether more are held up.
pub(crate) async fn after(ask: &mut dyn Ask, place: Place, most: usize) -> Result<EventPage, StoreError> {
    let position = Value::from(place.position);
    let transaction = Value::from(place.transaction.to_string());
    let statement = match ask.backend() {
        DbBackend::Sqlite => raw(ask, AFTER_SQLITE, [position.clone(), limit(most)]),
        _ => raw(ask, AFTER_POSTGRES, [transaction.clone(), position.clone(), limit(most)]),
    };
    let events = all(ask, statement).await?;
    let is_held_up = events.is_empty()
        && ask.backend() != DbBackend::Sqlite
        && !ask.query(raw(ask, HELD_UP_POSTGRES, [transaction, position])).await?.is_empty();
    Ok(EventPage { events, is_held_up })
}

/// The events of a stream after a version.
pub(crate) async fn stream(
    ask: &mut dyn Ask,
    tenant: TenantId,
    stream: &str,
    after_version: i64,
    most: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let condition = "tenant_id = $1 and stream_id = $2 and version > $3 order by version limit $4";
    let values = [Value::from(tenant.0), Value::from(stream), Value::from(after_version), limit(most)];
    let statement = select(ask, condition, values);
    all(ask, statement).await
}

/// The events of a tenant after the event at a position.
pub(crate) async fn list(
    ask: &mut dyn Ask,
    tenant: TenantId,
    filter: &EventFilter,
    after_position: i64,
    most: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let is_sqlite = ask.backend() == DbBackend::Sqlite;
    let mut values = vec![Value::from(tenant.0)];
    values.extend(filter.stream.as_deref().map(Value::from));
    values.push(Value::from(after_position));
    let mut condition = match (&filter.stream, is_sqlite) {
        (Some(_), _) => STREAMED.to_owned(),
        (None, true) => LISTED_SQLITE.to_owned(),
        (None, false) => LISTED_POSTGRES.to_owned(),
    };
    if !filter.types.is_empty() {
        values.push(Value::from(serde_json::json!(filter.types).to_string()));
        let given =
            if is_sqlite { "json_each(TYPES) as t" } else { "json_array_elements_text(TYPES::json) as t(value)" };
        let given = given.replace("TYPES", &format!("${}", values.len()));
        condition = format!("{condition} and event_type in (select value from {given})");
    }
    let order = match (&filter.stream, is_sqlite) {
        (Some(_), _) => "version",
        (None, true) => "position",
        (None, false) => "recorded_xid, position",
    };
    values.push(limit(most));
    let condition = format!("{condition} order by {order} limit ${}", values.len());
    let statement = select(ask, &condition, values);
    all(ask, statement).await
}

/// The event with this id.
pub(crate) async fn one(ask: &mut dyn Ask, tenant: TenantId, id: Uuid) -> Result<Option<RecordedEvent>, StoreError> {
    let statement = select(ask, "tenant_id = $1 and id = $2", [Value::from(tenant.0), Value::from(id)]);
    Ok(all(ask, statement).await?.pop())
}

/// The first event for which a condition holds.
pub(crate) async fn first(
    ask: &mut dyn Ask,
    condition: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<RecordedEvent>, StoreError> {
    let statement = select(ask, condition, values);
    Ok(all(ask, statement).await?.into_iter().next())
}

fn select(ask: &dyn Ask, condition: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    let columns = if ask.backend() == DbBackend::Sqlite { SELECT_SQLITE } else { SELECT_POSTGRES };
    raw(ask, &format!("{columns} where {condition}"), values)
}

async fn all(ask: &mut dyn Ask, statement: Statement) -> Result<Vec<RecordedEvent>, StoreError> {
    ask.query(statement).await?.iter().map(event).collect()
}

fn limit(most: usize) -> Value {
    Value::from(i64::try_from(most).unwrap_or(i64::MAX))
}

/// An event, of any statement that selects its columns.
pub(super) fn event(row: &Row) -> Result<RecordedEvent, StoreError> {
    Ok(RecordedEvent {
        id: row.get("id")?,
        tenant: TenantId(row.get("tenant_id")?),
        event_type: row.get("event_type")?,
        schema_version: row.get("schema_version")?,
        stream: row.get("stream_id")?,
        version: row.get("version")?,
        place: Place { transaction: row.get("place_transaction")?, position: row.get("position")? },
        aggregate_type: row.get("aggregate_type")?,
        aggregate_id: row.get("aggregate_id")?,
        data: row.get("event_data")?,
        metadata: row.get("event_metadata")?,
        correlation_id: row.get("correlation_id")?,
        causation_id: row.get("causation_id")?,
        hash: row.get("hash")?,
        at: row.get("created_at")?,
    })
}

/// The next events in the order of streams and versions, for whoever looks at all of them.
pub(super) async fn page_of_streams(
    ask: &mut dyn Ask,
    after: (&str, i64),
    only: Option<&str>,
    most: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let (stream, version) = (Value::from(after.0), Value::from(after.1));
    let statement = if let Some(only) = only {
        let condition = "stream_id = $1 and version > $2 order by version limit $3";
        select(ask, condition, [Value::from(only), version, limit(most)])
    } else {
        let condition = "(stream_id, version) > ($1, $2) order by stream_id, version limit $3";
        select(ask, condition, [stream, version, limit(most)])
    };
    all(ask, statement).await
}
