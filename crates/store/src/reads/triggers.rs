//! Schedules with their ledger, and watches.

use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{FireFilter, FireView, Page, PageRequest, ScheduleView, TriggerFilter, WatchView};
use cogwheel_engine::{ScheduleId, TenantId, WatchId, WorkflowId};
use cogwheel_entity::file_watches::{self as watch_rows, Column as WatchColumn};
use cogwheel_entity::schedule_fires::{self as fire_rows, Column as FireColumn, FireOutcome};
use cogwheel_entity::schedules::{self as schedule_rows, Column as ScheduleColumn};
use cogwheel_entity::workflows;
use cogwheel_machine::ExecutionId;
use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, PaginatorTrait, QueryFilter,
    Select,
    prelude::{Expr, Uuid},
};
use serde_json::Value as Json;

use super::{literal, page};
use crate::fault;

const SCHEDULES: &str = "schedules";
const FIRES: &str = "schedule_fires";
const WATCHES: &str = "file_watches";

pub(super) async fn schedules_by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[ScheduleId],
) -> Result<Vec<ScheduleView>, StoreError> {
    let rows = schedule_rows::Entity::find()
        .filter(ScheduleColumn::TenantId.eq(tenant.0))
        .filter(ScheduleColumn::Id.is_in(ids.iter().map(|id| id.0)))
        .all(connection)
        .await
        .map_err(fault::reading(SCHEDULES))?;
    Ok(rows.into_iter().map(schedule_view).collect())
}

pub(super) async fn schedules(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
    request: PageRequest,
) -> Result<Page<ScheduleView>, StoreError> {
    let rows = page::by_time(select_schedules(tenant, filter), ScheduleColumn::CreatedAt, ScheduleColumn::Id, &request)
        .all(connection)
        .await
        .map_err(fault::reading(SCHEDULES))?;
    Ok(page::cut(rows, &request, schedule_view))
}

pub(super) async fn count_schedules(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
) -> Result<u64, StoreError> {
    select_schedules(tenant, filter).count(connection).await.map_err(fault::reading(SCHEDULES))
}

pub(super) async fn fires_by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<FireView>, StoreError> {
    let rows = fire_rows::Entity::find()
        .filter(FireColumn::TenantId.eq(tenant.0))
        .filter(FireColumn::Id.is_in(ids.iter().copied()))
        .all(connection)
        .await
        .map_err(fault::reading(FIRES))?;
    Ok(rows.iter().map(fire_view).collect())
}

pub(super) async fn fires(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &FireFilter,
    request: PageRequest,
) -> Result<Page<FireView>, StoreError> {
    let list = select_fires(connection.get_database_backend(), tenant, filter);
    let rows = page::by_time(list, FireColumn::DueAt, FireColumn::Id, &request)
        .all(connection)
        .await
        .map_err(fault::reading(FIRES))?;
    Ok(page::cut(rows, &request, |row| fire_view(&row)))
}

pub(super) async fn count_fires(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &FireFilter,
) -> Result<u64, StoreError> {
    let list = select_fires(connection.get_database_backend(), tenant, filter);
    list.count(connection).await.map_err(fault::reading(FIRES))
}

pub(super) async fn watches_by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[WatchId],
) -> Result<Vec<WatchView>, StoreError> {
    let rows = watch_rows::Entity::find()
        .filter(WatchColumn::TenantId.eq(tenant.0))
        .filter(WatchColumn::Id.is_in(ids.iter().map(|id| id.0)))
        .all(connection)
        .await
        .map_err(fault::reading(WATCHES))?;
    Ok(rows.into_iter().map(watch_view).collect())
}

pub(super) async fn watches(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
    request: PageRequest,
) -> Result<Page<WatchView>, StoreError> {
    let rows = page::by_time(select_watches(tenant, filter), WatchColumn::CreatedAt, WatchColumn::Id, &request)
        .all(connection)
        .await
        .map_err(fault::reading(WATCHES))?;
    Ok(page::cut(rows, &request, watch_view))
}

pub(super) async fn count_watches(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
) -> Result<u64, StoreError> {
    select_watches(tenant, filter).count(connection).await.map_err(fault::reading(WATCHES))
}

fn select_schedules(tenant: TenantId, filter: &TriggerFilter) -> Select<schedule_rows::Entity> {
    schedule_rows::Entity::find().filter(ScheduleColumn::TenantId.eq(tenant.0)).filter(of_live_workflow(
        ScheduleColumn::WorkflowId,
        tenant,
        filter,
    ))
}

fn select_watches(tenant: TenantId, filter: &TriggerFilter) -> Select<watch_rows::Entity> {
    watch_rows::Entity::find().filter(WatchColumn::TenantId.eq(tenant.0)).filter(of_live_workflow(
        WatchColumn::WorkflowId,
        tenant,
        filter,
    ))
}

pub(crate) fn select_fires(backend: DbBackend, tenant: TenantId, filter: &FireFilter) -> Select<fire_rows::Entity> {
    match filter.schedule {
        Some(schedule) => fire_rows::Entity::find()
            .filter(FireColumn::ScheduleId.eq(schedule.0))
            .filter(literal::also_of_tenant(FireColumn::TenantId, tenant, backend)),
        None => fire_rows::Entity::find().filter(FireColumn::TenantId.eq(tenant.0)),
    }
}

/// The trigger's workflow is not deleted, and is the one that the filter names.
fn of_live_workflow(column: impl ColumnTrait, tenant: TenantId, filter: &TriggerFilter) -> Expr {
    let mut live = Query::select();
    live.column(workflows::Column::Id)
        .from(workflows::Entity)
        .and_where(workflows::Column::TenantId.eq(tenant.0))
        .and_where(workflows::Column::DeletedAt.is_null());
    if let Some(name) = &filter.workflow {
        live.and_where(workflows::Column::Name.eq(name.as_str()));
    }
    column.in_subquery(live)
}

fn schedule_view(row: schedule_rows::Model) -> ScheduleView {
    ScheduleView {
        id: ScheduleId(row.id),
        workflow: WorkflowId(row.workflow_id),
        trigger_key: row.trigger_key,
        cron: row.cron_schedule,
        timezone: row.timezone,
        catch_up: row.catch_up.to_value(),
        overlap: row.overlap_policy.to_value(),
        is_enabled: row.is_enabled,
        next_due_at: row.next_due_at,
        last_due_at: row.last_due_at,
        last_fired_at: row.last_fired_at,
        created_at: row.created_at,
    }
}

fn fire_view(row: &fire_rows::Model) -> FireView {
    FireView {
        id: row.id,
        schedule: ScheduleId(row.schedule_id),
        due_at: row.due_at,
        fired: match row.outcome {
            FireOutcome::Fired => true,
            FireOutcome::Skipped => false,
        },
        skip_reason: row.skip_reason.map(|reason| reason.to_value()),
        is_catch_up: row.is_catch_up,
        fired_at: row.fired_at,
        lateness_ms: row.lateness_ms,
        execution: row.execution_id.map(ExecutionId),
        created_at: row.created_at,
    }
}

fn watch_view(row: watch_rows::Model) -> WatchView {
    let problem = row.health_detail.as_ref().and_then(|detail| detail.get("problem")).and_then(Json::as_str);
    WatchView {
        id: WatchId(row.id),
        workflow: WorkflowId(row.workflow_id),
        trigger_key: row.trigger_key,
        location: row.location,
        problem: problem.map(str::to_owned),
        include: row.include_patterns,
        exclude: row.exclude_patterns,
        is_recursive: row.is_recursive,
        settle_ms: row.settle_ms,
        is_enabled: row.is_enabled,
        health: row.health.to_value(),
        last_scan_at: row.last_scan_at,
        created_at: row.created_at,
    }
}
