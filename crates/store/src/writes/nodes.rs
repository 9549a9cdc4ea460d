//! Processes that come, go, and take over what others left behind.

use std::collections::HashMap;

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
const READ_EXECUTIONS: &str = concat!(
    "select e.id, e.tenant_id, e.workflow_id, w.name, v.version, v.source_text, e.lease_epoch,
        e.status, e.trigger_data, e.input_data, e.started_at, e.deadline_at,
        e.cancel_requested_at, e.cancel_reason,
        (select max(l.sequence) from execution_logs l where l.execution_id = e.id) as last_sequence
    from workflow_executions e
    left join workflows w on w.id = e.workflow_id
    left join workflow_versions v on v.id = e.workflow_version_id
    where (e.owner_node_id is null or e.owner_node_id <> $1) and e.",
    live!(),
    " order by e.priority_rank desc, e.id"
);
const READ_STEPS: &str = concat!(
    "select s.execution_id, s.ordinal, s.step_key, s.status, s.attempt, s.attempt_history, s.input_data,
        s.output_data, s.error, s.started_at, s.wake_at, s.timeout_at, s.completed_at
    from step_executions s
    where s.execution_id in (
        select id from workflow_executions where (owner_node_id is null or owner_node_id <> $1) and ",
    live!(),
    ") order by s.execution_id, s.ordinal"
);

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
///
/// What cannot be understood is reported and stays as it is: it must not keep the rest from going on.
pub(crate) async fn adopt(
    tx: &mut dyn WriteTx,
    node: NodeId,
    at: DateTime<Utc>,
) -> Result<Vec<StoredExecution>, StoreError> {
    let (us, now) = (Value::from(node.0), Value::from(at));
    tx.execute(raw(tx, LOSE_OTHERS, [now.clone(), us.clone()])).await?;
    let mut steps = left_steps(tx, us.clone()).await?;
    let (mut adopted, mut left) = (Vec::new(), Vec::new());
    for row in tx.query(raw(tx, READ_EXECUTIONS, [us.clone()])).await? {
        let id: Uuid = row.get("id")?;
        let steps = steps.remove(&id).unwrap_or_else(|| Ok(Vec::new()));
        match steps.and_then(|steps| execution(&row, id, steps)) {
            Ok(execution) => adopted.push(execution),
            Err(error) => {
                tracing::error!(
                    execution = %id,
                    %error,
                    "this execution cannot be taken over and stays as it is; `cogwheel db verify --data` tells more"
                );
                left.push(Value::from(id));
            }
        }
    }
    let numbers: Vec<String> = (0..left.len()).map(|n| format!("${}", n + 3)).collect();
    let mut take_over = TAKE_OVER.to_owned();
    if !left.is_empty() {
        take_over = format!("{take_over} and id not in ({})", numbers.join(", "));
    }
    tx.execute(raw(tx, &take_over, [us, now].into_iter().chain(left))).await?;
    Ok(adopted)
}

/// The steps of all that is to be taken over; of an execution with a step that cannot be understood, why not.
async fn left_steps(
    tx: &mut dyn WriteTx,
    us: Value,
) -> Result<HashMap<Uuid, Result<Vec<StoredStep>, StoreError>>, StoreError> {
    let mut steps: HashMap<Uuid, Result<Vec<StoredStep>, StoreError>> = HashMap::new();
    for row in tx.query(raw(tx, READ_STEPS, [us])).await? {
        let execution: Uuid = row.get("execution_id")?;
        let known = steps.entry(execution).or_insert_with(|| Ok(Vec::new()));
        if let Ok(list) = known {
            match step(&row, execution) {
                Ok(step) => list.push(step),
                Err(error) => *known = Err(error),
            }
        }
    }
    Ok(steps)
}

/// Records that a process ends.
pub(crate) async fn leave(tx: &mut dyn WriteTx, node: NodeId, at: DateTime<Utc>) -> Result<(), StoreError> {
    let values = [Value::from(at), Value::from(node.0)];
    tx.execute(raw(tx, LET_GO, values.clone())).await?;
    tx.execute(raw(tx, STOP, values)).await.map(drop)
}

fn execution(row: &Row, id: Uuid, steps: Vec<StoredStep>) -> Result<StoredExecution, StoreError> {
    const TABLE: &str = "workflow_executions";
    let name: Option<String> = row.get("name")?;
    let source: Option<String> = row.get("source_text")?;
    Ok(StoredExecution {
        id: ExecutionId(id),
        tenant: TenantId(row.get("tenant_id")?),
        workflow: WorkflowId(row.get("workflow_id")?),
        workflow_name: name.ok_or_else(|| corrupt(TABLE, &id, "its workflow does not exist"))?,
        source: source.ok_or_else(|| corrupt(TABLE, &id, "its workflow version does not exist"))?,
        version: row.get("version")?,
        epoch: row.get::<i64>("lease_epoch")? + 1,
        status: ExecutionStatus::from_word(&row.get("status")?, TABLE, id)?,
        trigger: row.get("trigger_data")?,
        inputs: row.get("input_data")?,
        started_at: row.get("started_at")?,
        deadline_at: row.get("deadline_at")?,
        cancel_requested: row.get::<Option<DateTime<Utc>>>("cancel_requested_at")?.is_some(),
        cancel_reason: row.get("cancel_reason")?,
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
            wake_at: row.get("wake_at")?,
            timeout_at: row.get("timeout_at")?,
            completed_at: row.get("completed_at")?,
        },
    })
}
