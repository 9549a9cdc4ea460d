//! Executions as their rows tell them, to go on with.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{Parent, StoreError, StoredExecution};
use cogwheel_engine::{TenantId, VersionId, WorkflowId};
use cogwheel_machine::{ExecutionId, ExecutionStatus, Failure, Layer, SignalName, StepState, StepStatus};
use serde_json::Value as Json;
use uuid::Uuid;

use super::sagas;
use crate::rows::{Stored, corrupt};
use crate::tx::{Ask, Row, any_of, ids, raw};

const EXECUTIONS: &str =
    "select e.id, e.tenant_id, e.workflow_id, e.workflow_version_id, w.name, v.version, v.source_text, e.lease_epoch,
        e.status, e.trigger_data, e.input_data, e.started_at, e.deadline_at, e.next_wake_at, e.result_data, e.error,
        e.parent_execution_id, e.parent_step_ordinal, e.concurrency_key, e.retry_count, e.correlation_id,
        e.cancel_requested_at, e.cancel_reason, g.id as saga_id, g.cause, g.cause_detail, g.unwind_number,
        (select max(l.sequence) from execution_logs l where l.execution_id = e.id) as last_sequence
    from workflow_executions e
    left join workflows w on w.id = e.workflow_id
    left join workflow_versions v on v.id = e.workflow_version_id
    left join saga_instances g on g.execution_id = e.id
    where e.id in ";
const STEPS: &str = "select s.execution_id, s.ordinal, s.step_key, s.parent_ordinal, s.status, s.attempt,
        s.attempt_history, s.input_data, s.output_data, s.error, s.started_at, s.wake_at, s.timeout_at,
        s.wait_signal_name, s.wait_correlation_key, s.completed_at
    from step_executions s where s.execution_id in ";

/// An execution with its steps, or why its rows cannot be understood.
pub(super) type Restored = (Uuid, Result<StoredExecution, StoreError>);

/// The executions of these ids that there are, the more urgent and the older first, each under the epoch it has.
pub(super) async fn executions(ask: &mut dyn Ask, wanted: &[Uuid]) -> Result<Vec<Restored>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut steps = steps(ask, wanted).await?;
    let sql = format!("{EXECUTIONS}{} order by e.priority_rank desc, e.id", any_of(ask.backend(), 1));
    let mut restored = Vec::with_capacity(wanted.len());
    for row in ask.query(raw(ask, &sql, [ids(ask, wanted.iter().copied())])).await? {
        let id: Uuid = row.get("id")?;
        let steps = steps.remove(&id).unwrap_or_else(|| Ok(Vec::new()));
        restored.push((id, steps.and_then(|steps| execution(&row, id, steps))));
    }
    for execution in restored.iter_mut().filter_map(|(_, restored)| restored.as_mut().ok()) {
        if let Some(saga) = execution.saga.as_mut().filter(|saga| saga.unwind_number > 0) {
            saga.resolutions = sagas::decisions(ask, execution.id).await?.into_iter().collect();
        }
    }
    Ok(restored)
}

/// One execution of a tenant, live or ended.
pub(crate) async fn one(
    ask: &mut dyn Ask,
    tenant: TenantId,
    id: ExecutionId,
) -> Result<Option<StoredExecution>, StoreError> {
    let found = executions(ask, &[id.0]).await?.pop().map(|(_, restored)| restored).transpose()?;
    Ok(found.filter(|execution| execution.tenant == tenant))
}

/// The steps of executions; of one with a step that cannot be understood, why not.
async fn steps(
    ask: &mut dyn Ask,
    executions: &[Uuid],
) -> Result<HashMap<Uuid, Result<Vec<StepState>, StoreError>>, StoreError> {
    let sql = format!("{STEPS}{} order by s.execution_id, s.ordinal", any_of(ask.backend(), 1));
    let mut steps: HashMap<Uuid, Result<Vec<StepState>, StoreError>> = HashMap::new();
    for row in ask.query(raw(ask, &sql, [ids(ask, executions.iter().copied())])).await? {
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

fn execution(row: &Row, id: Uuid, steps: Vec<StepState>) -> Result<StoredExecution, StoreError> {
    const TABLE: &str = "workflow_executions";
    let name: Option<String> = row.get("name")?;
    let source: Option<String> = row.get("source_text")?;
    let parent: Option<Uuid> = row.get("parent_execution_id")?;
    let parent_step: Option<i32> = row.get("parent_step_ordinal")?;
    Ok(StoredExecution {
        id: ExecutionId(id),
        tenant: TenantId(row.get("tenant_id")?),
        workflow: WorkflowId(row.get("workflow_id")?),
        workflow_name: name.ok_or_else(|| corrupt(TABLE, &id, "its workflow does not exist"))?,
        source: source.ok_or_else(|| corrupt(TABLE, &id, "its workflow version does not exist"))?,
        version_id: VersionId(row.get("workflow_version_id")?),
        version: row.get("version")?,
        epoch: row.get("lease_epoch")?,
        status: ExecutionStatus::from_word(&row.get("status")?, TABLE, id)?,
        trigger: row.get("trigger_data")?,
        inputs: row.get("input_data")?,
        started_at: row.get("started_at")?,
        deadline_at: row.get("deadline_at")?,
        next_wake_at: row.get("next_wake_at")?,
        result: row.get("result_data")?,
        error: failure(row, TABLE, &id)?,
        parent: parent
            .zip(parent_step)
            .map(|(parent, step_ordinal)| Parent { execution: ExecutionId(parent), step_ordinal }),
        has_concurrency_key: row.get::<Option<String>>("concurrency_key")?.is_some(),
        retry_count: row.get("retry_count")?,
        correlation_id: row.get("correlation_id")?,
        cancel_requested: row.get::<Option<DateTime<Utc>>>("cancel_requested_at")?.is_some(),
        cancel_reason: row.get("cancel_reason")?,
        saga: sagas::recorded(row, id)?,
        steps,
        next_log_sequence: row.get::<Option<i64>>("last_sequence")?.map_or(0, |last| last + 1),
    })
}

/// The column `error` of a row.
pub(super) fn failure(row: &Row, table: &'static str, id: &impl ToString) -> Result<Option<Failure>, StoreError> {
    let error: Option<Json> = row.get("error")?;
    error.map(serde_json::from_value).transpose().map_err(|error| corrupt(table, id, error.to_string()))
}

fn step(row: &Row, execution: Uuid) -> Result<StepState, StoreError> {
    const TABLE: &str = "step_executions";
    let ordinal: i32 = row.get("ordinal")?;
    let id = format!("{execution}/{ordinal}");
    let history: Json = row.get("attempt_history")?;
    let signal: Option<String> = row.get("wait_signal_name")?;
    let correlation = row.get("wait_correlation_key")?;
    Ok(StepState {
        ordinal,
        key: row.get("step_key")?,
        parent: row.get("parent_ordinal")?,
        // The machine finds both by the key.
        step: 0,
        layer: Layer::Action,
        status: StepStatus::from_word(&row.get("status")?, TABLE, &id)?,
        attempt: row.get("attempt")?,
        history: serde_json::from_value(history).map_err(|error| corrupt(TABLE, &id, error.to_string()))?,
        input: row.get("input_data")?,
        output: row.get("output_data")?,
        error: failure(row, TABLE, &id)?,
        started_at: row.get("started_at")?,
        wake_at: row.get("wake_at")?,
        timeout_at: row.get("timeout_at")?,
        signal: signal.map(|name| SignalName { name, correlation }),
        completed_at: row.get("completed_at")?,
    })
}
