//! Kept states of sagas.

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{NewSnapshot, StoreError, StoredSnapshot};
use cogwheel_machine::ExecutionId;
use sea_orm::{DbBackend, Value};

use crate::rows::Stored;
use crate::tx::{Ask, Row, WriteTx, raw};
use crate::values::new_id;

/// How many of a saga are kept: an older one serves where a newer one is damaged.
const KEPT: i64 = 3;

macro_rules! newest {
    ($data:literal) => {
        concat!(
            "select version, stream_version, ",
            $data,
            " as data, checksum from saga_snapshots where saga_id = $1 and tenant_id = $2 and stream_version <= $3
              order by version desc limit 1"
        )
    };
}
pub(crate) const NEWEST_SQLITE: &str = newest!("snapshot_data");
/// There it is kept as one JSON text: taking apart and putting together a document of many numbers takes longer than all else.
pub(crate) const NEWEST_POSTGRES: &str = newest!("snapshot_data #>> '{}'");

/// See [`cogwheel_engine::ports::EventLog::snapshot`].
pub(crate) async fn newest(
    ask: &mut dyn Ask,
    tenant: TenantId,
    execution: ExecutionId,
    up_to: i64,
) -> Result<Option<StoredSnapshot>, StoreError> {
    let sql = if ask.backend() == DbBackend::Sqlite { NEWEST_SQLITE } else { NEWEST_POSTGRES };
    let about = [Value::from(execution.0), Value::from(tenant.0), Value::from(up_to)];
    ask.query(raw(ask, sql, about)).await?.first().map(snapshot).transpose()
}

fn snapshot(row: &Row) -> Result<StoredSnapshot, StoreError> {
    Ok(StoredSnapshot {
        version: row.get("version")?,
        stream_version: row.get("stream_version")?,
        data: row.get("data")?,
        checksum: row.get("checksum")?,
    })
}

/// See [`cogwheel_engine::ports::EventLog::keep_snapshot`].
pub(crate) async fn keep(tx: &mut dyn WriteTx, snapshot: NewSnapshot) -> Result<(), StoreError> {
    const LAST: &str = "select coalesce(max(version), 0) as version, coalesce(max(stream_version), 0) as stream_version
        from saga_snapshots where saga_id = $1";
    const FORGET: &str = "delete from saga_snapshots where saga_id = $1 and version <= $2";
    let saga = Value::from(snapshot.execution.0);
    let rows = tx.query(raw(tx, LAST, [saga.clone()])).await?;
    let row = rows.first().ok_or_else(|| StoreError::Bug("an aggregate has no row".to_owned()))?;
    let (last, holds): (i64, i64) = (row.get("version")?, row.get("stream_version")?);
    if holds >= snapshot.stream_version {
        return Ok(());
    }
    // Two servers may keep one at a time; either will do.
    let document = if tx.backend() == DbBackend::Sqlite { "$8" } else { "to_jsonb($8::text)" };
    let insert = format!(
        "insert into saga_snapshots (id, tenant_id, saga_id, version, stream_version, status, current_step, snapshot_data,
           checksum, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, {document}, $9, $10, $10)
         on conflict (saga_id, version) do nothing"
    );
    let values = [
        Value::from(new_id(snapshot.at)),
        Value::from(snapshot.tenant.0),
        saga.clone(),
        Value::from(last + 1),
        Value::from(snapshot.stream_version),
        Value::from(snapshot.status.word()),
        Value::from(snapshot.current_step),
        Value::from(snapshot.data),
        Value::from(snapshot.checksum),
        Value::from(snapshot.at),
    ];
    tx.execute(raw(tx, &insert, values)).await?;
    tx.execute(raw(tx, FORGET, [saga, Value::from(last + 1 - KEPT)])).await.map(drop)
}
