//! Steps and log lines, which are reached through their execution.

use std::collections::HashMap;

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{LogView, Page, PageRequest, StepView};
use cogwheel_entity::execution_logs::{self as logs, Column as LogColumn};
use cogwheel_entity::step_executions::{Column, Entity, Model};
use cogwheel_machine::ExecutionId;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseExecutor, EntityTrait, FromQueryResult, Iterable, Order,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, prelude::Uuid,
};

use super::page;
use crate::fault;
use crate::rows::Stored;

const STEPS: &str = "step_executions";
const LOGS: &str = "execution_logs";

/// A page of each execution's steps: one query, however many executions.
pub(super) async fn pages(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
    request: PageRequest<i32>,
) -> Result<HashMap<ExecutionId, Page<StepView>>, StoreError> {
    let (place, order) = page::along(Column::Ordinal, &request);
    let steps = steps_of(tenant, executions).apply_if(place, QueryFilter::filter);
    let rows = if executions.len() == 1 {
        let steps = steps.order_by(Column::Ordinal, order).limit(page::limit(&request));
        steps.all(connection).await
    } else {
        numbered(connection, steps, order, page::limit(&request)).await
    };
    let mut read: HashMap<ExecutionId, Vec<Model>> = HashMap::new();
    for row in rows.map_err(fault::reading(STEPS))? {
        read.entry(ExecutionId(row.execution_id)).or_default().push(row);
    }
    Ok(read.into_iter().map(|(execution, rows)| (execution, page::cut(rows, &request, step_view))).collect())
}

/// The first rows of each execution, which a window function numbers.
async fn numbered(
    connection: &DatabaseExecutor<'_>,
    steps: Select<Entity>,
    order: Order,
    limit: u64,
) -> Result<Vec<Model>, sea_orm::DbErr> {
    let (rows, place) = (Alias::new("rows_of_page"), Alias::new("place"));
    let window = match order {
        Order::Desc => "row_number() over (partition by execution_id order by ordinal desc)",
        _ => "row_number() over (partition by execution_id order by ordinal)",
    };
    let mut numbered = steps.into_query();
    numbered.expr_as(Expr::cust(window), place.clone());
    let mut query = Query::select();
    query
        .columns(Column::iter().map(|column| (rows.clone(), column)))
        .from_subquery(numbered, rows.clone())
        .and_where(Expr::col(place.clone()).lte(i64::try_from(limit).unwrap_or(i64::MAX)))
        .order_by(Column::ExecutionId, Order::Asc)
        .order_by(place, Order::Asc);
    let statement = connection.get_database_backend().build(&query);
    Model::find_by_statement(statement).all(connection).await
}

pub(super) async fn counts(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
) -> Result<HashMap<ExecutionId, u64>, StoreError> {
    let counted: Vec<(Uuid, i64)> = steps_of(tenant, executions)
        .select_only()
        .column(Column::ExecutionId)
        .column_as(Column::Ordinal.count(), "steps")
        .group_by(Column::ExecutionId)
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading(STEPS))?;
    Ok(counted.into_iter().map(|(id, steps)| (ExecutionId(id), u64::try_from(steps).unwrap_or(0))).collect())
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
    let rows = Entity::find().filter(Column::TenantId.eq(tenant.0)).filter(any).all(connection).await;
    Ok(rows.map_err(fault::reading(STEPS))?.into_iter().map(step_view).collect())
}

pub(super) async fn logs(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    execution: ExecutionId,
    step_ordinal: Option<i32>,
    request: PageRequest<i64>,
) -> Result<Page<LogView>, StoreError> {
    let (place, order) = page::along(LogColumn::Sequence, &request);
    let rows = lines_of(tenant, execution, step_ordinal)
        .apply_if(place, QueryFilter::filter)
        .order_by(LogColumn::Sequence, order)
        .limit(page::limit(&request))
        .all(connection)
        .await
        .map_err(fault::reading(LOGS))?;
    Ok(page::cut(rows, &request, log_view))
}

pub(super) async fn count_logs(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    execution: ExecutionId,
    step_ordinal: Option<i32>,
) -> Result<u64, StoreError> {
    lines_of(tenant, execution, step_ordinal).count(connection).await.map_err(fault::reading(LOGS))
}

fn steps_of(tenant: TenantId, executions: &[ExecutionId]) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::ExecutionId.is_in(executions.iter().map(|execution| execution.0)))
}

fn lines_of(tenant: TenantId, execution: ExecutionId, step_ordinal: Option<i32>) -> Select<logs::Entity> {
    logs::Entity::find()
        .filter(LogColumn::TenantId.eq(tenant.0))
        .filter(LogColumn::ExecutionId.eq(execution.0))
        .apply_if(step_ordinal, |lines, ordinal| lines.filter(LogColumn::StepOrdinal.eq(ordinal)))
}

fn step_view(row: Model) -> StepView {
    StepView {
        execution: ExecutionId(row.execution_id),
        ordinal: row.ordinal,
        step_key: row.step_key,
        step_name: row.step_name,
        step_type: row.step_type,
        status: Stored::from_stored(row.status),
        attempt: row.attempt,
        attempt_history: row.attempt_history,
        input: row.input_data,
        output: row.output_data,
        error: row.error,
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
