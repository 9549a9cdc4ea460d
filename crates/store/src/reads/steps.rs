//! Steps and log lines, which are reached through their execution.

use std::collections::{HashMap, HashSet};

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{LogView, Page, PageRequest, StepView};
use cogwheel_entity::execution_logs::{self as logs, Column as LogColumn};
use cogwheel_entity::step_executions::{Column, Entity, Model};
use cogwheel_machine::ExecutionId;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ColumnTrait, Condition, DatabaseExecutor, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    prelude::Uuid,
};

use super::{models, page};
use crate::fault;
use crate::rows::Stored;

const STEPS: &str = "step_executions";
const LOGS: &str = "execution_logs";

/// A page of each execution's steps.
pub(super) async fn pages(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
    request: PageRequest<i32>,
) -> Result<HashMap<ExecutionId, Page<StepView>>, StoreError> {
    let (place, order) = page::along(Column::Ordinal, &request);
    let list = |execution: &ExecutionId| {
        Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::ExecutionId.eq(execution.0))
            .apply_if(place.clone(), QueryFilter::filter)
            .order_by(Column::Ordinal, order.clone())
            .limit(page::limit(&request))
    };
    let lists = executions.iter().map(list).collect();
    let rows = models::of_each(connection, lists, (&[Column::Ordinal], order)).await?;
    Ok(page::cut_each(executions, rows, &request, step_view))
}

pub(super) async fn counts(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
) -> Result<HashMap<ExecutionId, u64>, StoreError> {
    let counted: Vec<(Uuid, i64)> = Entity::find()
        .select_only()
        .column(Column::ExecutionId)
        .column_as(Column::Ordinal.count(), "steps")
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::ExecutionId.is_in(executions.iter().map(|execution| execution.0)))
        .group_by(Column::ExecutionId)
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading(STEPS))?;
    Ok(counted.into_iter().map(|(id, steps)| (ExecutionId(id), page::counted(steps))).collect())
}

pub(super) async fn by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[(ExecutionId, i32)],
) -> Result<Vec<StepView>, StoreError> {
    let any = ids.iter().fold(Condition::any(), |any, (execution, ordinal)| {
        any.add(Column::ExecutionId.eq(execution.0).and(Column::Ordinal.eq(*ordinal)))
    });
    if any.is_empty() {
        return Ok(Vec::new());
    }
    let found = Entity::find().filter(Column::TenantId.eq(tenant.0)).filter(any);
    Ok(models::all(connection, found).await?.into_iter().map(step_view).collect())
}

/// An execution's whole log, or that of one of its steps.
type Log = (ExecutionId, Option<i32>);

/// A page of each log.
pub(super) async fn logs(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    logs: &[Log],
    request: PageRequest<i64>,
) -> Result<HashMap<Log, Page<LogView>>, StoreError> {
    let (place, order) = page::along(LogColumn::Sequence, &request);
    let list = |(execution, step): &Log| {
        logs::Entity::find()
            .filter(LogColumn::TenantId.eq(tenant.0))
            .filter(LogColumn::ExecutionId.eq(execution.0))
            .apply_if(*step, |lines, ordinal| lines.filter(LogColumn::StepOrdinal.eq(ordinal)))
            .apply_if(place.clone(), QueryFilter::filter)
            .order_by(LogColumn::Sequence, order.clone())
            .limit(page::limit(&request))
    };
    let lists = logs.iter().map(list).collect();
    let rows = models::of_each(connection, lists, (&[LogColumn::Sequence], order)).await?;
    Ok(page::cut_each(logs, rows, &request, log_view))
}

/// How many lines each log has.
pub(super) async fn count_logs(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    logs: &[Log],
) -> Result<HashMap<Log, u64>, StoreError> {
    let counted: Vec<(Uuid, Option<i32>, i64)> = logs::Entity::find()
        .select_only()
        .columns([LogColumn::ExecutionId, LogColumn::StepOrdinal])
        .column_as(LogColumn::Sequence.count(), "lines")
        .filter(LogColumn::TenantId.eq(tenant.0))
        .filter(LogColumn::ExecutionId.is_in(logs.iter().map(|(execution, _)| execution.0)))
        .group_by(LogColumn::ExecutionId)
        .group_by(LogColumn::StepOrdinal)
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading(LOGS))?;
    let mut counts: HashMap<Log, u64> = HashMap::new();
    for (execution, step, lines) in counted {
        let execution = ExecutionId(execution);
        *counts.entry((execution, None)).or_default() += page::counted(lines);
        if step.is_some() {
            counts.insert((execution, step), page::counted(lines));
        }
    }
    let asked: HashSet<&Log> = logs.iter().collect();
    counts.retain(|log, _| asked.contains(log));
    Ok(counts)
}

fn step_view(row: Model) -> StepView {
    StepView {
        execution: ExecutionId(row.execution_id),
        ordinal: row.ordinal,
        parent_ordinal: row.parent_ordinal,
        step_key: row.step_key,
        step_name: row.step_name,
        step_type: row.step_type,
        status: Stored::from_stored(row.status),
        attempt: row.attempt,
        attempt_history: row.attempt_history,
        input: row.input_data,
        output: row.output_data,
        error: row.error,
        wait_signal_name: row.wait_signal_name,
        wait_correlation_key: row.wait_correlation_key,
        wake_at: row.wake_at,
        timeout_at: row.timeout_at,
        started_at: row.started_at,
        completed_at: row.completed_at,
        execution_time_ms: row.execution_time_ms,
        updated_at: row.updated_at,
    }
}

fn log_view(row: logs::Model) -> LogView {
    LogView {
        execution: ExecutionId(row.execution_id),
        sequence: row.sequence,
        step_ordinal: row.step_ordinal,
        attempt: row.attempt,
        level: Stored::from_stored(row.log_level),
        stream: Stored::from_stored(row.stream),
        message: row.message,
        logged_at: row.logged_at,
    }
}
