//! Sagas with their undos and time limits.

use std::collections::HashMap;

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{CompensationView, Page, PageRequest, SagaFilter, SagaTimeoutView, SagaView};
use cogwheel_entity::saga_instances::{Column, Entity, Model, OnUndoFailure};
use cogwheel_entity::{saga_compensations as undos, saga_timeouts as timeouts};
use cogwheel_machine::ExecutionId;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    Select,
};

use super::{literal, models, page};
use crate::fault;
use crate::rows::{Stored, timeout_kind};

const TABLE: &str = "saga_instances";

pub(super) async fn of_executions(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
) -> Result<Vec<SagaView>, StoreError> {
    let found = Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::ExecutionId.is_in(executions.iter().map(|id| id.0)));
    Ok(models::all(connection, found).await?.into_iter().map(view).collect())
}

pub(super) async fn list(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &SagaFilter,
    request: PageRequest,
) -> Result<Page<SagaView>, StoreError> {
    let backend = connection.get_database_backend();
    if filter.workflow.is_none() && !filter.status.is_empty() {
        let mut rows = Vec::new();
        // A list for each state, so that a rare one is not looked for in the whole history.
        for status in &filter.status {
            let list = select_of_status(backend, tenant, status.stored(), &request);
            rows.extend(models::all(connection, list).await?);
        }
        let rows = page::merge(rows, &request, |row| (row.created_at, row.id));
        return Ok(page::cut(rows, &request, view));
    }
    let list = page::by_time(select(tenant, filter), Column::CreatedAt, Column::Id, &request);
    let rows = models::all(connection, list).await?;
    Ok(page::cut(rows, &request, view))
}

pub(super) async fn count(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &SagaFilter,
) -> Result<u64, StoreError> {
    select(tenant, filter).count(connection).await.map_err(fault::reading(TABLE))
}

/// The undos of each saga in the order in which they come.
pub(super) async fn compensations(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
) -> Result<HashMap<ExecutionId, Vec<CompensationView>>, StoreError> {
    let found = undos::Entity::find()
        .filter(undos::Column::TenantId.eq(tenant.0))
        .filter(undos::Column::SagaId.is_in(executions.iter().map(|id| id.0)))
        .order_by_asc(undos::Column::UnwindNumber)
        .order_by_asc(undos::Column::UnwindOrder)
        .order_by_desc(undos::Column::StepOrdinal);
    let mut of: HashMap<ExecutionId, Vec<CompensationView>> = HashMap::new();
    for row in models::all(connection, found).await? {
        let view = compensation(row);
        of.entry(view.execution).or_default().push(view);
    }
    Ok(of)
}

/// The time limits of each saga, the earliest first.
pub(super) async fn timeouts(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
) -> Result<HashMap<ExecutionId, Vec<SagaTimeoutView>>, StoreError> {
    let found = timeouts::Entity::find()
        .filter(timeouts::Column::TenantId.eq(tenant.0))
        .filter(timeouts::Column::SagaId.is_in(executions.iter().map(|id| id.0)))
        .order_by_asc(timeouts::Column::TimeoutAt)
        .order_by_asc(timeouts::Column::Id);
    let mut of: HashMap<ExecutionId, Vec<SagaTimeoutView>> = HashMap::new();
    for row in models::all(connection, found).await? {
        let view = timeout(row);
        of.entry(view.execution).or_default().push(view);
    }
    Ok(of)
}

/// The tenant's sagas in one state.
pub(crate) fn select_of_status(
    backend: DbBackend,
    tenant: TenantId,
    status: <cogwheel_machine::SagaStatus as Stored>::Word,
    request: &PageRequest,
) -> Select<Entity> {
    let list = select(tenant, &SagaFilter::default());
    let status = literal::one_of(Column::Status, vec![status]);
    page::of_status(list, (Column::CreatedAt, Column::Id), status, request, backend)
}

fn select(tenant: TenantId, filter: &SagaFilter) -> Select<Entity> {
    let mut list = Entity::find().filter(Column::TenantId.eq(tenant.0));
    if let Some(workflow) = &filter.workflow {
        list = list.filter(Column::SagaType.eq(workflow));
    }
    if !filter.status.is_empty() {
        list = list.filter(literal::one_of(Column::Status, filter.status.iter().map(|word| word.stored()).collect()));
    }
    list
}

fn view(row: Model) -> SagaView {
    SagaView {
        execution: ExecutionId(row.execution_id),
        workflow: row.saga_type,
        status: Stored::from_stored(row.status),
        pauses: row.on_undo_failure == OnUndoFailure::Pause,
        cause: row.cause.map(Stored::from_stored),
        cause_detail: row.cause_detail,
        current_step: row.current_step,
        total_steps: row.total_steps,
        steps: row.steps,
        unwind_number: row.unwind_number,
        correlation_id: row.correlation_id,
        // A saga has the id of its execution.
        parent: row.parent_saga_id.map(ExecutionId),
        timeout_at: row.timeout_at,
        started_at: row.started_at,
        completed_at: row.completed_at,
        created_at: row.created_at,
    }
}

fn compensation(row: undos::Model) -> CompensationView {
    CompensationView {
        execution: ExecutionId(row.saga_id),
        step_key: row.step_id,
        step_ordinal: row.step_ordinal,
        unwind_order: row.unwind_order,
        command: row.command,
        status: Stored::from_stored(row.status),
        retry_count: row.retry_count,
        max_retries: row.max_retries,
        next_attempt_at: row.next_attempt_at,
        started_at: row.started_at,
        completed_at: row.completed_at,
        error: row.error,
        resolution: row.resolution.map(Stored::from_stored),
        resolution_reason: row.resolution_reason,
        resolved_at: row.resolved_at,
    }
}

fn timeout(row: timeouts::Model) -> SagaTimeoutView {
    SagaTimeoutView {
        execution: ExecutionId(row.saga_id),
        step_key: row.step_id,
        kind: timeout_kind(row.timeout_type),
        timeout_at: row.timeout_at,
        fired_at: row.fired_at,
        is_pending: row.status == timeouts::TimeoutStatus::Pending,
    }
}
