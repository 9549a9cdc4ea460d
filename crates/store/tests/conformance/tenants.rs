//! Each tenant sees its own and nothing else.

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{Reads, Store};
use cogwheel_engine::views::{ExecutionFilter, FileFilter, FireFilter, PageRequest, TriggerFilter, WorkflowFilter};
use cogwheel_machine::StepStatus;
use uuid::Uuid;

use super::on_both;
use super::world::{TRIGGERED, World, at, line, step};

on_both! {
    nothing_of_another_tenant_is_seen
}

async fn nothing_of_another_tenant_is_seen(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let start = world.by_file(&workflow, "/data/inbox/a.csv", "a");
    world.store.start(start.clone()).await.unwrap();
    world.store.start(world.by_schedule(&workflow, 300)).await.unwrap();
    let mut record = world.running(&start, 0);
    record.steps = vec![step(0, StepStatus::Completed)];
    record.logs = vec![line(0, Some(0), "mine")];
    world.store.record(record).await.unwrap();
    for (tenant, expected) in [(world.tenant, 1), (other_tenant(world).await, 0), (TenantId(Uuid::now_v7()), 0)] {
        let seen = seen_by(world, tenant, &workflow, start.row.id).await;
        for (what, rows) in seen {
            assert_eq!(rows.min(1), expected, "{what} of {tenant}");
        }
    }
}

async fn other_tenant(world: &World) -> TenantId {
    let id = Uuid::now_v7();
    let literal = world.literal(id);
    world.execute(&format!("insert into tenants (id, slug, name) values ({literal}, 'other', 'Other')")).await;
    TenantId(id)
}

/// How many rows each read of the port shows to `tenant`.
async fn seen_by(
    world: &World,
    tenant: TenantId,
    workflow: &cogwheel_engine::ports::WorkflowRecord,
    execution: cogwheel_machine::ExecutionId,
) -> Vec<(&'static str, usize)> {
    let store = &world.store;
    let all = PageRequest::Forward { first: 10, after: None };
    let steps = PageRequest::Forward { first: 10, after: None };
    let logs = PageRequest::Forward { first: 10, after: None };
    let (schedule, watch) = (workflow.schedules[0].id, workflow.watches[0].id);
    let file = store.files_of_executions(world.tenant, &[execution]).await.unwrap()[&execution][0].id;
    let due = store.fires(world.tenant, &FireFilter::default(), all).await.unwrap().items[0].id;
    let of = ExecutionFilter { workflow: Some(workflow.name.clone()), ..ExecutionFilter::default() };
    let of_watch = FileFilter { watch: Some(watch), ..FileFilter::default() };
    let of_schedule = FireFilter { schedule: Some(schedule), ..FireFilter::default() };
    let triggers = TriggerFilter::default();
    let count = |rows: u64| usize::try_from(rows).unwrap();
    vec![
        ("workflow by name", store.workflow_by_name(tenant, &workflow.name).await.unwrap().iter().count()),
        ("workflow by id", store.workflows_by_id(tenant, &[workflow.id]).await.unwrap().len()),
        ("workflows", Reads::workflows(store, tenant, &WorkflowFilter::default(), all).await.unwrap().items.len()),
        ("count of workflows", count(store.count_workflows(tenant, &WorkflowFilter::default()).await.unwrap())),
        ("version", store.versions_by_id(tenant, &[workflow.version_id]).await.unwrap().len()),
        ("execution", store.executions_by_id(tenant, &[execution]).await.unwrap().len()),
        ("executions", store.executions(tenant, &ExecutionFilter::default(), all).await.unwrap().items.len()),
        ("executions of a workflow", store.executions(tenant, &of, all).await.unwrap().items.len()),
        ("count of executions", count(store.count_executions(tenant, &of).await.unwrap())),
        ("steps", store.steps(tenant, &[execution], steps).await.unwrap().len()),
        ("count of steps", store.count_steps(tenant, &[execution]).await.unwrap().len()),
        ("step", store.steps_by_id(tenant, &[(execution, 0)]).await.unwrap().len()),
        ("logs", store.logs_of(tenant, &[(execution, None)], logs).await.unwrap().len()),
        ("count of logs", store.count_logs_of(tenant, &[(execution, Some(0))]).await.unwrap().len()),
        ("newest change", store.newest_changes(tenant, &[execution]).await.unwrap().len()),
        ("executions by workflow", store.executions_of_workflows(tenant, &[workflow.id], all).await.unwrap().len()),
        ("counts by workflow", store.count_executions_of_workflows(tenant, &[workflow.id]).await.unwrap().len()),
        ("schedules by workflow", store.schedules_of_workflows(tenant, &[workflow.id]).await.unwrap().len()),
        ("watches by workflow", store.watches_of_workflows(tenant, &[workflow.id]).await.unwrap().len()),
        ("fires by schedule", store.fires_of_schedules(tenant, &[schedule], all).await.unwrap().len()),
        ("counts by schedule", store.count_fires_of_schedules(tenant, &[schedule]).await.unwrap().len()),
        ("file", store.files_by_id(tenant, &[file]).await.unwrap().len()),
        ("files", store.files(tenant, &of_watch, all).await.unwrap().items.len()),
        ("count of files", count(store.count_files(tenant, &FileFilter::default()).await.unwrap())),
        ("files of an execution", store.files_of_executions(tenant, &[execution]).await.unwrap().len()),
        ("executions of a file", store.executions_of_files(tenant, &[file]).await.unwrap().len()),
        ("schedule", store.schedules_by_id(tenant, &[schedule]).await.unwrap().len()),
        ("schedules", store.schedules(tenant, &triggers, all).await.unwrap().items.len()),
        ("count of schedules", count(store.count_schedules(tenant, &triggers).await.unwrap())),
        ("fire", store.fires_by_id(tenant, &[due]).await.unwrap().len()),
        ("fires", store.fires(tenant, &of_schedule, all).await.unwrap().items.len()),
        ("count of fires", count(store.count_fires(tenant, &FireFilter::default()).await.unwrap())),
        ("watch", store.watches_by_id(tenant, &[watch]).await.unwrap().len()),
        ("watches", store.watches(tenant, &triggers, all).await.unwrap().items.len()),
        ("count of watches", count(store.count_watches(tenant, &triggers).await.unwrap())),
    ]
}
