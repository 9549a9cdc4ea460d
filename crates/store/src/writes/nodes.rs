//! Processes that come, go, and take over what others left behind.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{NewNode, StoreError, StoredExecution};
use cogwheel_engine::{NodeId, TenantId, WorkflowId};
use cogwheel_entity::nodes;
use cogwheel_machine::{ExecutionId, ExecutionStatus, StepState, StepStatus, StoredStep};
use sea_orm::{ActiveValue::Set, EntityTrait, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{execute, raw};
use crate::rows::{Stored, corrupt};
use crate::tx::{Row, WriteTx};

/// Live rows by the predicates of the two partial indexes that hold exactly them.
macro_rules! live {
    () => {
        "id in (select id from workflow_executions where status = 'queued'
                union all
                select id from workflow_executions where status in ('running', 'waiting', 'compensating'))"
    };
}

const OWNED: &str = "select id from workflow_executions where owner_node_id = $1";
const LOSE_OTHERS: &str =
    "update nodes set status = 'lost', generation = generation + 1, stopped_at = $1, updated_at = $1
    where status in ('starting', 'active', 'draining') and id <> $2";
const TAKE_OVER: &str = concat!(
    "update workflow_executions set owner_node_id = $1, lease_epoch = lease_epoch + 1, lease_expires_at = null,
     updated_at = $2 where (owner_node_id is null or owner_node_id <> $1) and ",
    live!()
);
const LET_GO: &str = "update workflow_executions set owner_node_id = null, updated_at = $1 where owner_node_id = $2";
const STOP: &str = "update nodes set status = 'stopped', stopped_at = $1, updated_at = $1 where id = $2";
const READ_EXECUTIONS: &str =
    "select e.id, e.tenant_id, e.workflow_id, w.name, v.version, v.source_text, e.lease_epoch,
        e.status, e.trigger_data, e.input_data, e.started_at, e.deadline_at,
        (select max(l.sequence) from execution_logs l where l.execution_id = e.id) as last_sequence
    from workflow_executions e
    join workflows w on w.id = e.workflow_id
    join workflow_versions v on v.id = e.workflow_version_id
    where e.owner_node_id = $1
    order by e.priority_rank desc, e.id";
const READ_STEPS: &str =
    "select s.execution_id, s.ordinal, s.step_key, s.status, s.attempt, s.attempt_history, s.input_data,
        s.output_data, s.error, s.started_at, s.timeout_at, s.completed_at
    from step_executions s
    where s.execution_id in (select id from workflow_executions where owner_node_id = $1)
    order by s.execution_id, s.ordinal";

/// Records that a process runs. It is the only one, so it needs no lease.
pub(crate) async fn join(tx: &mut dyn WriteTx, node: NewNode) -> Result<(), StoreError> {
    let row = nodes::ActiveModel {
        id: Set(node.id.0),
        node_name: Set(node.name),
        address: Set(node.address),
        node_roles: Set(json!(["api", "triggers", "worker"])),
        status: Set(nodes::NodeStatus::Active),
        capacity: Set(node.capacity),
        engine_version: Set(node.engine_version),
        schema_fingerprint: Set(node.schema_fingerprint),
        started_at: Set(node.started_at),
        created_at: Set(node.started_at),
        updated_at: Set(node.started_at),
        ..Default::default()
    };
    execute(tx, nodes::Entity::insert(row)).await.map(drop)
}

/// Takes over what no running node owns. One server runs on a database, so every other node has ended.
pub(crate) async fn adopt(
    tx: &mut dyn WriteTx,
    node: NodeId,
    at: DateTime<Utc>,
) -> Result<Vec<StoredExecution>, StoreError> {
    let (us, now) = (Value::from(node.0), Value::from(at));
    tx.execute(raw(tx, LOSE_OTHERS, [now.clone(), us.clone()])).await?;
    let owned = tx.query(raw(tx, OWNED, [us.clone()])).await?;
    let owned = owned.iter().map(|row| row.get("id")).collect::<Result<HashSet<Uuid>, _>>()?;
    tx.execute(raw(tx, TAKE_OVER, [us.clone(), now])).await?;
    let mut steps: HashMap<Uuid, Vec<StoredStep>> = HashMap::new();
    for row in tx.query(raw(tx, READ_STEPS, [us.clone()])).await? {
        let execution: Uuid = row.get("execution_id")?;
        steps.entry(execution).or_default().push(step(&row, execution)?);
    }
    let mut adopted = Vec::new();
    for row in tx.query(raw(tx, READ_EXECUTIONS, [us])).await? {
        let id: Uuid = row.get("id")?;
        if !owned.contains(&id) {
            adopted.push(execution(&row, id, steps.remove(&id).unwrap_or_default())?);
        }
    }
    Ok(adopted)
}

/// Records that a process ends.
pub(crate) async fn leave(tx: &mut dyn WriteTx, node: NodeId, at: DateTime<Utc>) -> Result<(), StoreError> {
    let values = [Value::from(at), Value::from(node.0)];
    tx.execute(raw(tx, LET_GO, values.clone())).await?;
    tx.execute(raw(tx, STOP, values)).await.map(drop)
}

fn execution(row: &Row, id: Uuid, steps: Vec<StoredStep>) -> Result<StoredExecution, StoreError> {
    Ok(StoredExecution {
        id: ExecutionId(id),
        tenant: TenantId(row.get("tenant_id")?),
        workflow: WorkflowId(row.get("workflow_id")?),
        workflow_name: row.get("name")?,
        version: row.get("version")?,
        source: row.get("source_text")?,
        epoch: row.get("lease_epoch")?,
        status: ExecutionStatus::from_word(&row.get("status")?, "workflow_executions", id)?,
        trigger: row.get("trigger_data")?,
        inputs: row.get("input_data")?,
        started_at: row.get("started_at")?,
        deadline_at: row.get("deadline_at")?,
        steps,
        next_log_sequence: row.get::<Option<i64>>("last_sequence")?.map_or(0, |last| last + 1),
    })
}

fn step(row: &Row, execution: Uuid) -> Result<StoredStep, StoreError> {
    const TABLE: &str = "step_executions";
    let ordinal: i32 = row.get("ordinal")?;
    let id = format!("{execution}/{ordinal}");
    let unreadable = |error: serde_json::Error| corrupt(TABLE, &id, error.to_string());
    let history: Json = row.get("attempt_history")?;
    let error: Option<Json> = row.get("error")?;
    Ok(StoredStep {
        key: row.get("step_key")?,
        state: StepState {
            index: 0,
            ordinal: Some(ordinal),
            status: StepStatus::from_word(&row.get("status")?, TABLE, &id)?,
            attempt: row.get("attempt")?,
            history: serde_json::from_value(history).map_err(unreadable)?,
            input: row.get("input_data")?,
            output: row.get("output_data")?,
            error: error.map(serde_json::from_value).transpose().map_err(unreadable)?,
            started_at: row.get("started_at")?,
            timeout_at: row.get("timeout_at")?,
            completed_at: row.get("completed_at")?,
        },
    })
}
