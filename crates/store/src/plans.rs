//! The queries that must stay on their index, as the code builds them: `verify --plans` explains each.

use cogwheel_engine::views::{ExecutionFilter, FileFilter, FireFilter, PageRequest, TimeCursor, WorkflowFilter};
use cogwheel_engine::{ScheduleId, TenantId, WatchId, WorkflowId};
use cogwheel_entity::{files, schedule_fires, workflow_executions, workflows};
use cogwheel_machine::ExecutionStatus;
use sea_orm::{DbBackend, EntityTrait, QueryTrait, Select, prelude::Uuid};

use crate::reads::plans::{
    executions, executions_of_status, executions_of_workflow, files as list_files, files_of_status, fires, fires_of,
    page_by_time, together, workflows as list_workflows,
};
use crate::store::LIVE_OF_SCHEDULE;
use crate::tx::any_of;
use crate::verify::DeclaredQuery;
use crate::writes::event_waits;
use crate::writes::files::{HANDLED, PENDING};
use crate::writes::nodes::DEAD_OWNERS;
use crate::writes::pool::sql::{ADRIFT, DUE, HEADS, OVERDUE, Part, QUEUE};
use crate::writes::signals::{PENDING_FOR, PENDING_IN, WAITING_FOR};
use crate::writes::webhooks::claim;

/// A later page: it has every condition that the first one has, and the place.
const LATER_PAGE: PageRequest =
    PageRequest::Forward { first: 50, after: Some(TimeCursor { at: chrono::DateTime::UNIX_EPOCH, id: Uuid::nil() }) };

/// Every list that grows with history, and every look-up that must not.
pub fn declared_queries() -> Vec<DeclaredQuery> {
    let tenant = TenantId(Uuid::nil());
    let any = ExecutionFilter::default();
    let of_watch = FileFilter { watch: Some(WatchId(Uuid::nil())), ..FileFilter::default() };
    let of_schedule = FireFilter { schedule: Some(ScheduleId(Uuid::nil())), ..FireFilter::default() };
    let by_creation = |list| page(list, workflow_executions::Column::CreatedAt, workflow_executions::Column::Id);
    let by_file_creation = |list| page(list, files::Column::CreatedAt, files::Column::Id);
    let by_due = |list| page(list, schedule_fires::Column::DueAt, schedule_fires::Column::Id);
    vec![
        declared("list_workflows", "workflows", "idx_workflows_created_at", |_| {
            let list = list_workflows(tenant, &WorkflowFilter::default());
            page(list, workflows::Column::CreatedAt, workflows::Column::Id)
        }),
        declared("list_executions", "workflow_executions", "idx_workflow_executions_tenant_id", |backend| {
            by_creation(executions(backend, tenant, None, &any))
        }),
        declared(
            "list_executions_of_workflow",
            "workflow_executions",
            "idx_workflow_executions_workflow_id",
            |backend| by_creation(executions(backend, tenant, Some(Uuid::nil()), &any)),
        ),
        several(
            "list_executions_of_workflows",
            "workflow_executions",
            "idx_workflow_executions_workflow_id",
            |backend| executions_of_workflow(backend, tenant, WorkflowId(Uuid::nil()), &LATER_PAGE),
        ),
        declared("list_executions_by_status", "workflow_executions", "idx_workflow_executions_status", |backend| {
            executions_of_status(backend, tenant, ExecutionStatus::Failed, &any, &LATER_PAGE)
        }),
        declared("list_files", "files", "idx_files_tenant_id", |backend| {
            by_file_creation(list_files(backend, tenant, &FileFilter::default()))
        }),
        declared("list_files_by_status", "files", "idx_files_status", |backend| {
            files_of_status(backend, tenant, files::FileStatus::Failed, &LATER_PAGE)
        }),
        declared("list_files_of_watch", "files", "idx_files_file_watch_id", |backend| {
            by_file_creation(list_files(backend, tenant, &of_watch))
        }),
        declared("list_fires", "schedule_fires", "idx_schedule_fires_tenant_id", |backend| {
            by_due(fires(backend, tenant, &FireFilter::default()))
        }),
        declared("list_fires_of_schedule", "schedule_fires", "uq_schedule_fires_schedule_id_due_at", |backend| {
            by_due(fires(backend, tenant, &of_schedule))
        }),
        several("list_fires_of_schedules", "schedule_fires", "uq_schedule_fires_schedule_id_due_at", |backend| {
            fires_of(backend, tenant, ScheduleId(Uuid::nil()), &LATER_PAGE)
        }),
        written("live_of_schedule", "workflow_executions", "idx_workflow_executions_scheduled", LIVE_OF_SCHEDULE),
        written("handled_files", "files", "uq_files_file_watch_id_fingerprint", HANDLED),
        written("pending_afters", "files", "idx_files_after", PENDING),
        claimed("claim_queue", "idx_workflow_executions_queue", QUEUE),
        claimed("claim_overdue", "idx_workflow_executions_queue_deadline", OVERDUE),
        claimed("claim_due", "idx_workflow_executions_due", DUE),
        claimed("claim_adrift", "idx_workflow_executions_adrift", ADRIFT),
        keyed("claim_keyed", "idx_workflow_executions_keyed_queue"),
        keyed("slots_in_use", "idx_workflow_executions_slots"),
        written("dead_owners", "workflow_executions", "idx_workflow_executions_owner_node_id", DEAD_OWNERS),
        written("steps_that_wait_for", "step_executions", "idx_step_executions_waiting", WAITING_FOR),
        each("steps_that_wait_for_events", "step_executions", "idx_step_executions_waiting", |backend| {
            event_waits::answered_sql(backend, true)
        }),
        each("events_that_answer", "event_store", "idx_event_store_correlation_id", |backend| {
            format!("select id from event_store where {}", event_waits::found(backend))
        }),
        written("signals_of_execution", "signals", "idx_signals_execution_id", PENDING_IN),
        written("signals_of_correlation", "signals", "idx_signals_pending", PENDING_FOR),
        written("due_deliveries", "webhook_deliveries", "idx_webhook_deliveries_waiting", claim::DUE),
        written("lost_deliveries", "webhook_deliveries", "idx_webhook_deliveries_lease_expires_at", claim::LOST),
    ]
}

fn page<E: EntityTrait>(list: Select<E>, at: E::Column, id: E::Column) -> Select<E> {
    page_by_time(list, at, id, &LATER_PAGE)
}

fn declared<E: EntityTrait>(
    name: &'static str,
    table: &'static str,
    index: &'static str,
    build: impl Fn(DbBackend) -> Select<E>,
) -> DeclaredQuery {
    let sql = |backend| build(backend).build(backend).sql;
    DeclaredQuery { name, table, sqlite: sql(DbBackend::Sqlite), postgres: sql(DbBackend::Postgres), index }
}

/// The same page of several parents in one statement.
fn several<E: EntityTrait>(
    name: &'static str,
    table: &'static str,
    index: &'static str,
    build: impl Fn(DbBackend) -> Select<E>,
) -> DeclaredQuery {
    let sql = |backend: DbBackend| {
        let lists = [build(backend), build(backend)];
        together(lists.into_iter()).map(|query| backend.build(&query).sql).unwrap_or_default()
    };
    DeclaredQuery { name, table, sqlite: sql(DbBackend::Sqlite), postgres: sql(DbBackend::Postgres), index }
}

/// A part of the pool.
fn claimed(name: &'static str, index: &'static str, part: Part) -> DeclaredQuery {
    let table = "workflow_executions";
    let [sqlite, postgres] = [DbBackend::Sqlite, DbBackend::Postgres].map(|backend| part.limited(&any_of(backend, 1)));
    DeclaredQuery { name, table, sqlite, postgres, index }
}

/// The queued executions of each key and the key's slots.
fn keyed(name: &'static str, index: &'static str) -> DeclaredQuery {
    let table = "workflow_executions";
    let [sqlite, postgres] =
        [DbBackend::Sqlite, DbBackend::Postgres].map(|backend| HEADS.replace("MISREAD", &any_of(backend, 2)));
    DeclaredQuery { name, table, sqlite, postgres, index }
}

/// One that each database has words of its own for.
fn each(
    name: &'static str,
    table: &'static str,
    index: &'static str,
    sql: impl Fn(DbBackend) -> String,
) -> DeclaredQuery {
    DeclaredQuery { name, table, sqlite: sql(DbBackend::Sqlite), postgres: sql(DbBackend::Postgres), index }
}

fn written(name: &'static str, table: &'static str, index: &'static str, sql: &str) -> DeclaredQuery {
    DeclaredQuery { name, table, sqlite: sql.to_owned(), postgres: sql.to_owned(), index }
}
