//! Schedules with their ledger, and watches.

use std::collections::HashMap;

use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{FireFilter, FireView, Page, PageRequest, ScheduleView, TriggerFilter, WatchView};
use cogwheel_engine::{ScheduleId, TenantId, WatchId, WorkflowId};
use cogwheel_entity::file_watches::{self as watch_rows, AfterAction, Column as WatchColumn};
use cogwheel_entity::schedule_fires::{self as fire_rows, Column as FireColumn, FireOutcome};
use cogwheel_entity::schedules::{self as schedule_rows, Column as ScheduleColumn};
use cogwheel_entity::workflows;
use cogwheel_machine::ExecutionId;
use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select,
    prelude::{Expr, Uuid},
};

use super::{literal, models, page};
use crate::fault;

const SCHEDULES: &str = "schedules";
const FIRES: &str = "schedule_fires";
const WATCHES: &str = "file_watches";

pub(super) async fn schedules_by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[ScheduleId],
) -> Result<Vec<ScheduleView>, StoreError> {
    let found = schedule_rows::Entity::find()
        .filter(ScheduleColumn::TenantId.eq(tenant.0))
        .filter(ScheduleColumn::Id.is_in(ids.iter().map(|id| id.0)));
    let rows = models::all(connection, found).await?;
    Ok(rows.into_iter().map(schedule_view).collect())
}

pub(super) async fn schedules(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
    request: PageRequest,
) -> Result<Page<ScheduleView>, StoreError> {
    let list = select_schedules(tenant, filter);
    let list = page::by_time(list, ScheduleColumn::CreatedAt, ScheduleColumn::Id, &request);
    let rows = models::all(connection, list).await?;
    Ok(page::cut(rows, &request, schedule_view))
}

pub(super) async fn count_schedules(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
) -> Result<u64, StoreError> {
    select_schedules(tenant, filter).count(connection).await.map_err(fault::reading(SCHEDULES))
}

/// Each live workflow's schedules by trigger key.
pub(super) async fn schedules_of(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    workflows: &[WorkflowId],
) -> Result<HashMap<WorkflowId, Vec<ScheduleView>>, StoreError> {
    let list = select_schedules(tenant, &TriggerFilter::default())
        .filter(ScheduleColumn::WorkflowId.is_in(workflows.iter().map(|workflow| workflow.0)))
        .order_by_asc(ScheduleColumn::TriggerKey);
    let mut found: HashMap<WorkflowId, Vec<ScheduleView>> = HashMap::new();
    for view in models::all(connection, list).await?.into_iter().map(schedule_view) {
        found.entry(view.workflow).or_default().push(view);
    }
    Ok(found)
}

pub(super) async fn fires_by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<FireView>, StoreError> {
    let found = fire_rows::Entity::find()
        .filter(FireColumn::TenantId.eq(tenant.0))
        .filter(FireColumn::Id.is_in(ids.iter().copied()));
    let rows = models::all(connection, found).await?;
    Ok(rows.iter().map(fire_view).collect())
}

pub(super) async fn fires(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &FireFilter,
    request: PageRequest,
) -> Result<Page<FireView>, StoreError> {
    let list = select_fires(connection.get_database_backend(), tenant, filter);
    let rows = models::all(connection, page::by_time(list, FireColumn::DueAt, FireColumn::Id, &request)).await?;
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

/// A page of each schedule's due instants.
pub(super) async fn fires_of(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    schedules: &[ScheduleId],
    request: PageRequest,
) -> Result<HashMap<ScheduleId, Page<FireView>>, StoreError> {
    let backend = connection.get_database_backend();
    let lists = schedules.iter().map(|schedule| select_fires_of(backend, tenant, *schedule, &request)).collect();
    let order = (&[FireColumn::DueAt, FireColumn::Id][..], page::time_order(&request));
    let rows = models::of_each(connection, lists, order).await?;
    Ok(page::cut_each(schedules, rows, &request, |row| fire_view(&row)))
}

/// One of those pages.
pub(crate) fn select_fires_of(
    backend: DbBackend,
    tenant: TenantId,
    schedule: ScheduleId,
    request: &PageRequest,
) -> Select<fire_rows::Entity> {
    let list = select_fires(backend, tenant, &FireFilter { schedule: Some(schedule), ..FireFilter::default() });
    page::by_time(list, FireColumn::DueAt, FireColumn::Id, request)
}

/// How many due instants each schedule has.
pub(super) async fn count_fires_of(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    schedules: &[ScheduleId],
) -> Result<HashMap<ScheduleId, u64>, StoreError> {
    let of_tenant = literal::also_of_tenant(FireColumn::TenantId, tenant, connection.get_database_backend());
    let counted: Vec<(Uuid, i64)> = fire_rows::Entity::find()
        .select_only()
        .column(FireColumn::ScheduleId)
        .column_as(FireColumn::Id.count(), "fires")
        .filter(FireColumn::ScheduleId.is_in(schedules.iter().map(|schedule| schedule.0)))
        .filter(of_tenant)
        .group_by(FireColumn::ScheduleId)
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading(FIRES))?;
    Ok(counted.into_iter().map(|(id, count)| (ScheduleId(id), page::counted(count))).collect())
}

pub(super) async fn watches_by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[WatchId],
) -> Result<Vec<WatchView>, StoreError> {
    let found = watch_rows::Entity::find()
        .filter(WatchColumn::TenantId.eq(tenant.0))
        .filter(WatchColumn::Id.is_in(ids.iter().map(|id| id.0)));
    let rows = models::all(connection, found).await?;
    Ok(rows.into_iter().map(watch_view).collect())
}

pub(super) async fn watches(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
    request: PageRequest,
) -> Result<Page<WatchView>, StoreError> {
    let list = page::by_time(select_watches(tenant, filter), WatchColumn::CreatedAt, WatchColumn::Id, &request);
    let rows = models::all(connection, list).await?;
    Ok(page::cut(rows, &request, watch_view))
}

pub(super) async fn count_watches(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
) -> Result<u64, StoreError> {
    select_watches(tenant, filter).count(connection).await.map_err(fault::reading(WATCHES))
}

/// Each live workflow's watches by trigger key.
pub(super) async fn watches_of(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    workflows: &[WorkflowId],
) -> Result<HashMap<WorkflowId, Vec<WatchView>>, StoreError> {
    let list = select_watches(tenant, &TriggerFilter::default())
        .filter(WatchColumn::WorkflowId.is_in(workflows.iter().map(|workflow| workflow.0)))
        .order_by_asc(WatchColumn::TriggerKey);
    let mut found: HashMap<WorkflowId, Vec<WatchView>> = HashMap::new();
    for view in models::all(connection, list).await?.into_iter().map(watch_view) {
        found.entry(view.workflow).or_default().push(view);
    }
    Ok(found)
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
    let list = match filter.schedule {
        Some(schedule) => fire_rows::Entity::find()
            .filter(FireColumn::ScheduleId.eq(schedule.0))
            .filter(literal::also_of_tenant(FireColumn::TenantId, tenant, backend)),
        None => fire_rows::Entity::find().filter(FireColumn::TenantId.eq(tenant.0)),
    };
    let outcome = filter.fired.map(|fired| if fired { FireOutcome::Fired } else { FireOutcome::Skipped });
    list.apply_if(outcome, |list, outcome| list.filter(FireColumn::Outcome.eq(outcome)))
        .apply_if(filter.from, |list, from| list.filter(FireColumn::DueAt.gte(from)))
        .apply_if(filter.until, |list, until| list.filter(FireColumn::DueAt.lte(until)))
}

/// The trigger's workflow is not deleted, and is the one that the filter names.
pub(super) fn of_live_workflow(column: impl ColumnTrait, tenant: TenantId, filter: &TriggerFilter) -> Expr {
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
        interval_seconds: row.interval_seconds,
        dst_gap: row.dst_gap_policy.to_value(),
        dst_overlap: row.dst_overlap_policy.to_value(),
        details: row.calendar,
        jitter_ms: row.jitter_ms,
        catch_up_window_seconds: row.catch_up_window_seconds,
        catch_up: row.catch_up.to_value(),
        overlap: row.overlap_policy.to_value(),
        is_enabled: row.is_enabled && row.paused_at.is_none(),
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
    let detail = row.health_detail.unwrap_or_default();
    let text = |name: &str| detail[name].as_str().map(str::to_owned);
    let after = |action: AfterAction, folder: Option<String>| folder.unwrap_or_else(|| action.to_value());
    WatchView {
        id: WatchId(row.id),
        workflow: WorkflowId(row.workflow_id),
        trigger_key: row.trigger_key,
        location: row.location,
        source: row.watch_source.to_value(),
        mime_types: row.mime_types,
        min_size: row.min_size,
        max_size: row.max_size,
        problem: text("problem"),
        include: row.include_patterns,
        exclude: row.exclude_patterns,
        is_recursive: row.is_recursive,
        settle_ms: row.settle_ms,
        is_enabled: row.is_enabled,
        health: row.health.to_value(),
        last_scan_at: row.last_scan_at,
        events: row.watch_events,
        observe_mode: row.observe_mode.to_value(),
        active_mode: row.active_mode.map(|mode| mode.to_value()),
        filesystem: row.filesystem_type,
        scan_every_ms: detail["scan_every_ms"].as_i64(),
        done_marker: row.done_marker,
        batch_max_files: row.batch_max_files,
        batch_max_wait_ms: row.batch_window_ms,
        after_success: after(row.after_success, row.after_success_target),
        after_failure: after(row.after_failure, row.after_failure_target),
        overflows: detail["overflows"].as_i64().unwrap_or_default(),
        limit_reached: detail["limit_reached"].as_bool().unwrap_or_default(),
        last_error: text("last_error"),
        last_error_at: text("last_error_at").and_then(|at| at.parse().ok()),
        ignored: detail["ignored"].as_i64().unwrap_or_default(),
        created_at: row.created_at,
    }
}
