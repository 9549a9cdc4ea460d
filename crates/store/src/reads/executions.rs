//! Executions.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{Parent, StoreError};
use cogwheel_engine::views::{ExecutionFilter, ExecutionView, Page, PageRequest};
use cogwheel_engine::{FileId, TenantId, VersionId, WorkflowId};
use cogwheel_entity::execution_files::{self as links, Column as LinkColumn};
use cogwheel_entity::step_executions as steps;
use cogwheel_entity::workflow_executions::{Column, Entity, Model};
use cogwheel_machine::{ExecutionId, ExecutionStatus};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    Select, prelude::Uuid,
};

use super::{literal, models, page, workflows};
use crate::fault;
use crate::rows::Stored;

const TABLE: &str = "workflow_executions";

pub(super) async fn by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[ExecutionId],
) -> Result<Vec<ExecutionView>, StoreError> {
    let ids = ids.iter().map(|id| id.0);
    let found = Entity::find().filter(Column::TenantId.eq(tenant.0)).filter(Column::Id.is_in(ids));
    Ok(models::all(connection, found).await?.into_iter().map(view).collect())
}

pub(super) async fn list(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &ExecutionFilter,
    request: PageRequest,
) -> Result<Page<ExecutionView>, StoreError> {
    if filter.workflow.is_none() && !filter.status.is_empty() {
        return of_status(connection, tenant, filter, request).await;
    }
    let Some(list) = filtered(connection, tenant, filter).await? else {
        return Ok(Page { items: Vec::new(), has_more: false });
    };
    let rows = models::all(connection, page::by_time(list, Column::CreatedAt, Column::Id, &request)).await?;
    Ok(page::cut(rows, &request, view))
}

/// A tenant's executions in some states: a list for each, so that a rare state is not looked for in the whole history.
async fn of_status(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &ExecutionFilter,
    request: PageRequest,
) -> Result<Page<ExecutionView>, StoreError> {
    let mut rows = Vec::new();
    for status in &filter.status {
        let list = select_of_status(connection.get_database_backend(), tenant, *status, filter, &request);
        rows.extend(models::all(connection, list).await?);
    }
    let rows = page::merge(rows, &request, |row| (row.created_at, row.id));
    Ok(page::cut(rows, &request, view))
}

/// One of those lists.
pub(crate) fn select_of_status(
    backend: DbBackend,
    tenant: TenantId,
    status: ExecutionStatus,
    filter: &ExecutionFilter,
    request: &PageRequest,
) -> Select<Entity> {
    let any = ExecutionFilter { status: Vec::new(), ..filter.clone() };
    let list = select(backend, tenant, None, &any);
    let status = literal::one_of(Column::Status, vec![status.stored()]);
    page::of_status(list, (Column::CreatedAt, Column::Id), status, request, backend)
}

pub(super) async fn count(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &ExecutionFilter,
) -> Result<u64, StoreError> {
    match filtered(connection, tenant, filter).await? {
        Some(list) => list.count(connection).await.map_err(fault::reading(TABLE)),
        None => Ok(0),
    }
}

/// A page of each workflow's executions, by the workflows' ids.
pub(super) async fn of_workflows(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    workflows: &[WorkflowId],
    request: PageRequest,
) -> Result<HashMap<WorkflowId, Page<ExecutionView>>, StoreError> {
    let backend = connection.get_database_backend();
    let lists = workflows.iter().map(|workflow| select_of_workflow(backend, tenant, *workflow, &request)).collect();
    let order = (&[Column::CreatedAt, Column::Id][..], page::time_order(&request));
    let rows = models::of_each(connection, lists, order).await?;
    Ok(page::cut_each(workflows, rows, &request, view))
}

/// One of those pages.
pub(crate) fn select_of_workflow(
    backend: DbBackend,
    tenant: TenantId,
    workflow: WorkflowId,
    request: &PageRequest,
) -> Select<Entity> {
    let list = select(backend, tenant, Some(workflow.0), &ExecutionFilter::default());
    page::by_time(list, Column::CreatedAt, Column::Id, request)
}

/// How many executions each workflow has.
pub(super) async fn count_of_workflows(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    workflows: &[WorkflowId],
) -> Result<HashMap<WorkflowId, u64>, StoreError> {
    let of_tenant = literal::also_of_tenant(Column::TenantId, tenant, connection.get_database_backend());
    let counted: Vec<(Uuid, i64)> = Entity::find()
        .select_only()
        .column(Column::WorkflowId)
        .column_as(Column::Id.count(), "executions")
        .filter(Column::WorkflowId.is_in(workflows.iter().map(|workflow| workflow.0)))
        .filter(of_tenant)
        .group_by(Column::WorkflowId)
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading(TABLE))?;
    Ok(counted.into_iter().map(|(id, count)| (WorkflowId(id), page::counted(count))).collect())
}

/// A page of the executions that each execution's steps started, by their ids.
pub(super) async fn children(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
    request: PageRequest,
) -> Result<HashMap<ExecutionId, Page<ExecutionView>>, StoreError> {
    let of_tenant = literal::also_of_tenant(Column::TenantId, tenant, connection.get_database_backend());
    let list = |parent: &ExecutionId| {
        let list = Entity::find().filter(Column::ParentExecutionId.eq(parent.0)).filter(of_tenant.clone());
        page::by_time(list, Column::CreatedAt, Column::Id, &request)
    };
    let order = (&[Column::CreatedAt, Column::Id][..], page::time_order(&request));
    let rows = models::of_each(connection, executions.iter().map(list).collect(), order).await?;
    Ok(page::cut_each(executions, rows, &request, view))
}

/// How many executions each execution's steps started.
pub(super) async fn count_children(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
) -> Result<HashMap<ExecutionId, u64>, StoreError> {
    let of_tenant = literal::also_of_tenant(Column::TenantId, tenant, connection.get_database_backend());
    let counted: Vec<(Uuid, i64)> = Entity::find()
        .select_only()
        .column(Column::ParentExecutionId)
        .column_as(Column::Id.count(), "children")
        .filter(Column::ParentExecutionId.is_in(executions.iter().map(|execution| execution.0)))
        .filter(of_tenant)
        .group_by(Column::ParentExecutionId)
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading(TABLE))?;
    Ok(counted.into_iter().map(|(id, count)| (ExecutionId(id), page::counted(count))).collect())
}

/// When each execution or one of its steps last changed.
pub(super) async fn newest_changes(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
) -> Result<HashMap<ExecutionId, DateTime<Utc>>, StoreError> {
    let of_step = Query::select()
        .expr(Expr::col((steps::Entity, steps::Column::UpdatedAt)).max())
        .from(steps::Entity)
        .and_where(Expr::col((steps::Entity, steps::Column::ExecutionId)).equals((Entity, Column::Id)))
        .take();
    let changes: Vec<(Uuid, DateTime<Utc>, Option<DateTime<Utc>>)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::UpdatedAt])
        .expr_as(Expr::SubQuery(None, Box::new(of_step.into())), "newest_step")
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::Id.is_in(executions.iter().map(|id| id.0)))
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading(TABLE))?;
    Ok(changes.into_iter().map(|(id, own, step)| (ExecutionId(id), step.into_iter().fold(own, Ord::max))).collect())
}

/// The executions that took each file in, newest first.
pub(super) async fn of_files(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    files: &[FileId],
) -> Result<HashMap<FileId, Vec<ExecutionView>>, StoreError> {
    let links: Vec<(Uuid, Uuid)> = links::Entity::find()
        .select_only()
        .columns([LinkColumn::FileId, LinkColumn::ExecutionId])
        .filter(LinkColumn::TenantId.eq(tenant.0))
        .filter(LinkColumn::FileId.is_in(files.iter().map(|file| file.0)))
        .filter(literal::one_of(LinkColumn::Role, vec![links::FileRole::Input]))
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading("execution_files"))?;
    let ids: Vec<ExecutionId> = links.iter().map(|(_, execution)| ExecutionId(*execution)).collect();
    let executions = by_id(connection, tenant, &ids).await?;
    let executions: HashMap<Uuid, ExecutionView> = executions.into_iter().map(|view| (view.id.0, view)).collect();
    let mut found: HashMap<FileId, Vec<ExecutionView>> = HashMap::new();
    for (file, execution) in links {
        let views = found.entry(FileId(file)).or_default();
        views.extend(executions.get(&execution).cloned());
    }
    for views in found.values_mut() {
        views.sort_by_key(|view| std::cmp::Reverse((view.created_at, view.id)));
    }
    Ok(found)
}

/// None when the filter names a workflow that is not there.
async fn filtered(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &ExecutionFilter,
) -> Result<Option<Select<Entity>>, StoreError> {
    let workflow = match &filter.workflow {
        None => None,
        Some(name) => match workflows::id_of(connection, tenant, name).await? {
            None => return Ok(None),
            found => found,
        },
    };
    Ok(Some(select(connection.get_database_backend(), tenant, workflow, filter)))
}

/// The list itself.
pub(crate) fn select(
    backend: DbBackend,
    tenant: TenantId,
    workflow: Option<Uuid>,
    filter: &ExecutionFilter,
) -> Select<Entity> {
    let mut list = match workflow {
        Some(workflow) => Entity::find().filter(Column::WorkflowId.eq(workflow)).filter(literal::also_of_tenant(
            Column::TenantId,
            tenant,
            backend,
        )),
        None => Entity::find().filter(Column::TenantId.eq(tenant.0)),
    };
    if !filter.status.is_empty() {
        let words = filter.status.iter().map(|status| status.stored()).collect();
        list = list.filter(literal::one_of(Column::Status, words));
    }
    if !filter.trigger_type.is_empty() {
        let words = filter.trigger_type.iter().map(|trigger| trigger.stored()).collect();
        list = list.filter(literal::one_of(Column::TriggerType, words));
    }
    list
}

fn view(row: Model) -> ExecutionView {
    ExecutionView {
        id: ExecutionId(row.id),
        workflow: WorkflowId(row.workflow_id),
        version: VersionId(row.workflow_version_id),
        status: Stored::from_stored(row.status),
        trigger_type: Stored::from_stored(row.trigger_type),
        trigger_key: row.trigger_key,
        trigger: row.trigger_data,
        inputs: row.input_data,
        result: row.result_data,
        error: row.error,
        priority: Stored::from_stored(row.priority),
        idempotency_key: row.idempotency_key,
        correlation_id: row.correlation_id,
        parent: row
            .parent_execution_id
            .zip(row.parent_step_ordinal)
            .map(|(execution, step_ordinal)| Parent { execution: ExecutionId(execution), step_ordinal }),
        rerun_of: row.rerun_of_execution_id.map(ExecutionId),
        rerun_from_ordinal: row.rerun_from_ordinal,
        retry_count: row.retry_count,
        created_at: row.created_at,
        started_at: row.started_at,
        completed_at: row.completed_at,
        deadline_at: row.deadline_at,
        next_wake_at: row.next_wake_at,
        cancel_requested_at: row.cancel_requested_at,
        cancel_reason: row.cancel_reason,
        execution_time_ms: row.execution_time_ms,
        updated_at: row.updated_at,
    }
}
