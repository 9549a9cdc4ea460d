//! Processes that come, go, and are found dead; what they owned goes into the pool.

use chrono::{DateTime, Utc};
use cogwheel_engine::NodeId;
use cogwheel_engine::ports::{Lease, NewNode, StoreError, Swept};
use cogwheel_entity::nodes;
use sea_orm::{ActiveValue::Set, DbBackend, EntityTrait, Value};
use serde_json::json;
use uuid::Uuid;

use super::execute;
use crate::tx::{FOR_UPDATE, WriteTx, any_of, ids, locked, raw};

const PROLONG: &str = "update nodes set lease_expires_at = $1, last_heartbeat_at = $2, updated_at = $2
    where id = $3 and status in ('starting', 'active', 'draining')";
const REVIVE: &str = "update nodes set status = 'active', generation = generation + 1, stopped_at = null,
    lease_expires_at = $1, last_heartbeat_at = $2, updated_at = $2 where id = $3";
const LOSE: &str = "update nodes set status = 'lost', generation = generation + 1, stopped_at = $1, updated_at = $1
    where status in ('starting', 'active', 'draining') and id <> $2";
const REPLACE: &str = "update nodes set status = 'lost', generation = generation + 1, stopped_at = $1, updated_at = $1
    where status in ('starting', 'active', 'draining') and id = $2";
const ALIVE_OTHERS: &str = "select id from nodes where status in ('starting', 'active', 'draining') and id <> $1";
const STOP: &str = "update nodes set status = 'stopped', stopped_at = $1, updated_at = $1 where id = $2";
/// Jumps from owner to owner, so that it costs what there are owners, not what they own.
pub(crate) const DEAD_OWNERS: &str = "with recursive owners(id) as (
        select (select owner_node_id from workflow_executions where owner_node_id is not null
            order by owner_node_id limit 1)
        union all
        select (select e.owner_node_id from workflow_executions e where e.owner_node_id > owners.id
            order by e.owner_node_id limit 1)
        from owners where owners.id is not null
    )
    select owners.id from owners where owners.id is not null and not exists (
        select 1 from nodes n where n.id = owners.id and n.status in ('starting', 'active', 'draining'))";

/// Records that a process runs.
pub(crate) async fn join(tx: &mut dyn WriteTx, node: NewNode) -> Result<(), StoreError> {
    // A duration beyond what a date can hold is as good as no end.
    let lease =
        node.lease.and_then(|lease| node.started_at.checked_add_signed(chrono::TimeDelta::from_std(lease).ok()?));
    let row = nodes::ActiveModel {
        id: Set(node.id.0),
        node_name: Set(node.name),
        address: Set(node.address),
        node_roles: Set(json!(["api", "triggers", "worker"])),
        status: Set(nodes::NodeStatus::Active),
        capacity: Set(node.capacity),
        engine_version: Set(node.engine_version),
        schema_fingerprint: Set(node.schema_fingerprint),
        lease_expires_at: Set(lease),
        last_heartbeat_at: Set(lease.map(|_| node.started_at)),
        started_at: Set(node.started_at),
        created_at: Set(node.started_at),
        updated_at: Set(node.started_at),
        ..Default::default()
    };
    execute(tx, nodes::Entity::insert(row)).await?;
    if let Some(replaced) = node.replaces {
        tx.execute(raw(tx, REPLACE, [Value::from(node.started_at), Value::from(replaced.0)])).await?;
    }
    Ok(())
}

/// Prolongs a node's lease.
pub(crate) async fn renew(
    tx: &mut dyn WriteTx,
    node: NodeId,
    at: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Lease, StoreError> {
    let values = [Value::from(until), Value::from(at), Value::from(node.0)];
    if tx.execute(raw(tx, PROLONG, values.clone())).await? > 0 {
        return Ok(Lease::Kept);
    }
    if tx.execute(raw(tx, REVIVE, values)).await? > 0 {
        // What it began while it was taken for dead is not its own either.
        free(tx, &[node.0], at).await?;
        return Ok(Lease::Lost);
    }
    Err(StoreError::Conflict(format!("node {node} was never recorded")))
}

/// Takes other nodes for dead, and puts what dead and departed ones own into the pool.
pub(crate) async fn sweep(tx: &mut dyn WriteTx, node: NodeId, at: DateTime<Utc>) -> Result<Swept, StoreError> {
    // One process opens an SQLite database, so every other one has ended.
    let lapsed = match tx.backend() {
        DbBackend::Sqlite => "",
        _ => " and (lease_expires_at is null or lease_expires_at < $1)",
    };
    let values = [Value::from(at), Value::from(node.0)];
    let dead_nodes = tx.execute(raw(tx, &format!("{LOSE}{lapsed}"), values)).await?;
    let owners = tx.query(raw(tx, DEAD_OWNERS, [])).await?;
    let owners: Vec<Uuid> = owners.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
    let freed = if owners.is_empty() { 0 } else { free(tx, &owners, at).await? };
    let alive = tx.query(raw(tx, ALIVE_OTHERS, [Value::from(node.0)])).await?;
    let alive_nodes = u64::try_from(alive.len()).unwrap_or(u64::MAX);
    Ok(Swept { dead_nodes, freed, alive_nodes })
}

/// Records that a process ends, and puts what it owns into the pool.
pub(crate) async fn leave(tx: &mut dyn WriteTx, node: NodeId, at: DateTime<Utc>) -> Result<(), StoreError> {
    free(tx, &[node.0], at).await?;
    tx.execute(raw(tx, STOP, [Value::from(at), Value::from(node.0)])).await.map(drop)
}

/// Puts all that these nodes own into the pool: what has begun is due, what is queued keeps its deadline.
async fn free(tx: &mut dyn WriteTx, owners: &[Uuid], at: DateTime<Utc>) -> Result<u64, StoreError> {
    let sql = format!(
        "update workflow_executions set owner_node_id = null, lease_epoch = lease_epoch + 1, lease_expires_at = null,
             next_wake_at = case when status = 'queued' and cancel_requested_at is null then next_wake_at else $1 end,
             updated_at = $1
         where id in (select id from workflow_executions where owner_node_id in {} order by id{})",
        any_of(tx.backend(), 2),
        locked(tx, FOR_UPDATE),
    );
    tx.execute(raw(tx, &sql, [Value::from(at), ids(tx, owners.iter().copied())])).await
}
