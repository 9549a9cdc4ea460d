//! Gives the events that were recorded before they were chained their hashes.

use chrono::{DateTime, Utc};
use cogwheel_schema::Backend;
use cogwheel_schema::event_chain::{ChainedEvent, event_hash};
use sea_orm_migration::SchemaManagerConnection;
use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend, DbErr, QueryResult, Statement, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Events that are read and written together.
const PAGE: usize = 500;

const READ: &str = "select id, tenant_id, stream_id, version, event_type, schema_version, aggregate_type, aggregate_id,
    correlation_id, causation_id, created_at, event_data, event_metadata from event_store
    where (stream_id, version) > ($1, $2) order by stream_id, version limit $3";

const WRITE_POSTGRES: &str = "update event_store e set hash = r.hash
    from json_to_recordset($1::json) as r(id uuid, hash text) where e.id = r.id";

const WRITE_SQLITE: &str = "update event_store set hash = $1 where id = $2";

/// Chains all events. The triggers that refuse updates, and that would touch time stamps, are away meanwhile; nobody else
/// sees the table before the step is committed.
pub(crate) async fn chain(db: &SchemaManagerConnection<'_>, backend: Backend) -> Result<(), DbErr> {
    let triggers = take_away_triggers(db, backend).await?;
    let mut last = Chained { stream: String::new(), version: 0, hash: String::new() };
    loop {
        let values = [Value::from(last.stream.as_str()), Value::from(last.version), Value::from(PAGE as u64)];
        let rows = db.query_all_raw(statement(backend, READ, values)).await?;
        let mut hashes = Vec::with_capacity(rows.len());
        for row in &rows {
            let (id, next) = chained(row, &last)?;
            hashes.push((id, next.hash.clone()));
            last = next;
        }
        write(db, backend, &hashes).await?;
        if rows.len() < PAGE {
            break;
        }
    }
    for trigger in triggers {
        db.execute_unprepared(&trigger).await?;
    }
    Ok(())
}

/// The event that was chained last.
struct Chained {
    stream: String,
    version: i64,
    hash: String,
}

fn chained(row: &QueryResult, last: &Chained) -> Result<(Uuid, Chained), DbErr> {
    let stream: String = row.try_get("", "stream_id")?;
    let previous = if last.stream == stream { last.hash.as_str() } else { "" };
    let (id, version): (Uuid, i64) = (row.try_get("", "id")?, row.try_get("", "version")?);
    let (event_type, aggregate_type): (String, String) =
        (row.try_get("", "event_type")?, row.try_get("", "aggregate_type")?);
    let created_at: DateTime<Utc> = row.try_get("", "created_at")?;
    let (data, metadata): (Json, Json) = (row.try_get("", "event_data")?, row.try_get("", "event_metadata")?);
    let event = ChainedEvent {
        id,
        tenant_id: row.try_get("", "tenant_id")?,
        stream_id: &stream,
        version,
        event_type: &event_type,
        schema_version: row.try_get("", "schema_version")?,
        aggregate_type: &aggregate_type,
        aggregate_id: row.try_get("", "aggregate_id")?,
        correlation_id: row.try_get("", "correlation_id")?,
        causation_id: row.try_get("", "causation_id")?,
        created_at: created_at.timestamp_micros(),
        data: &data,
        metadata: &metadata,
    };
    let hash = event_hash(previous, &event);
    Ok((id, Chained { stream, version, hash }))
}

async fn write(db: &SchemaManagerConnection<'_>, backend: Backend, hashes: &[(Uuid, String)]) -> Result<(), DbErr> {
    match backend {
        Backend::Postgres if hashes.is_empty() => {}
        Backend::Postgres => {
            let rows: Vec<Json> = hashes.iter().map(|(id, hash)| json!({ "id": id, "hash": hash })).collect();
            let rows = Value::from(Json::from(rows).to_string());
            db.execute_raw(statement(backend, WRITE_POSTGRES, [rows])).await?;
        }
        Backend::Sqlite => {
            for (id, hash) in hashes {
                let values = [Value::from(hash.as_str()), Value::from(*id)];
                db.execute_raw(statement(backend, WRITE_SQLITE, values)).await?;
            }
        }
    }
    Ok(())
}

/// Answers the statements that bring them back.
async fn take_away_triggers(db: &SchemaManagerConnection<'_>, backend: Backend) -> Result<Vec<String>, DbErr> {
    if backend == Backend::Postgres {
        db.execute_unprepared("alter table event_store disable trigger user").await?;
        return Ok(vec!["alter table event_store enable trigger user".to_owned()]);
    }
    let query =
        "select name, sql from sqlite_schema where type = 'trigger' and tbl_name = 'event_store' order by rowid";
    let mut definitions = Vec::new();
    for row in db.query_all_raw(Statement::from_string(DbBackend::Sqlite, query)).await? {
        let name: String = row.try_get("", "name")?;
        db.execute_unprepared(&format!("drop trigger {name}")).await?;
        definitions.push(row.try_get("", "sql")?);
    }
    Ok(definitions)
}

fn statement<const N: usize>(backend: Backend, sql: &str, values: [Value; N]) -> Statement {
    let backend = match backend {
        Backend::Sqlite => DbBackend::Sqlite,
        Backend::Postgres => DbBackend::Postgres,
    };
    Statement::from_sql_and_values(backend, sql, values)
}
