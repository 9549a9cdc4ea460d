//! What is read for many parents at once is what is read for each of them alone.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{DueOutcome, Reads, SkipReason, Store, StoreError, WorkflowRecord};
use cogwheel_engine::views::{
    ExecutionFilter, ExecutionView, FireFilter, FireView, Page, PageRequest, TimeCursor, TriggerFilter,
};
use cogwheel_engine::{ScheduleId, WorkflowId};
use cogwheel_machine::{ExecutionId, StepStatus};
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, TRIGGERED, World, at, line, step};

on_both! {
    executions_of_many_workflows
    more_parents_than_one_statement_takes
    due_instants_of_many_schedules
    triggers_of_many_workflows
    logs_of_many_executions_and_steps
    the_newest_change_is_the_executions_or_a_steps
    a_row_that_does_not_decode_is_named
}

fn named(source: &str, name: &str) -> String {
    let rest = source.split_once('\n').unwrap().1;
    format!("name: {name}\n{rest}")
}

/// Pages in both directions, from the ends and from a place.
fn requests<C: Copy>(place: C) -> Vec<PageRequest<C>> {
    let mut requests = Vec::new();
    for size in [0, 1, 2, 50] {
        for place in [None, Some(place)] {
            requests.push(PageRequest::Forward { first: size, after: place });
            requests.push(PageRequest::Backward { last: size, before: place });
        }
    }
    requests
}

/// A page as its rows' places and whether more follow.
fn told<T, K>(page: &Page<T>, place: impl Fn(&T) -> K) -> (Vec<K>, bool) {
    (page.items.iter().map(place).collect(), page.has_more)
}

/// The answers of the batch are those that each parent gets alone; no page stands for an empty one.
fn assert_pages<P, T, K>(pages: &HashMap<P, Page<T>>, alone: &[(P, Page<T>)], place: impl Fn(&T) -> K, what: &str)
where
    P: Copy + Eq + Hash,
    K: PartialEq + std::fmt::Debug,
{
    for (parent, expected) in alone {
        let found = pages.get(parent).map(|page| told(page, &place)).unwrap_or_default();
        assert_eq!(found, told(expected, &place), "{what}");
    }
    let filled = alone.iter().filter(|(_, page)| !page.items.is_empty() || page.has_more).count();
    assert_eq!(pages.len(), filled, "{what}");
}

async fn executions_alone(
    world: &World,
    workflow: &WorkflowRecord,
    request: PageRequest,
) -> (WorkflowId, Page<ExecutionView>) {
    let filter = ExecutionFilter { workflow: Some(workflow.name.clone()), ..ExecutionFilter::default() };
    (workflow.id, world.store.executions(world.tenant, &filter, request).await.unwrap())
}

async fn executions_of_many_workflows(world: &World) {
    let mut workflows = Vec::new();
    for (name, executions) in [("few", 2), ("none", 0), ("many", 7)] {
        let workflow = world.save(&named(PLAIN, name), at(0)).await;
        for n in 0..executions {
            // Each instant is shared by two.
            world.store.start(world.request(&workflow, at(n / 2))).await.unwrap();
        }
        workflows.push(workflow);
    }
    let unknown = WorkflowId(Uuid::now_v7());
    let ids: Vec<WorkflowId> = workflows.iter().map(|workflow| workflow.id).chain([unknown]).collect();
    let nothing = || Page { items: Vec::new(), has_more: false };
    let everything = PageRequest::Forward { first: 50, after: None };
    let middle = executions_alone(world, &workflows[2], everything).await.1.items[3].clone();
    let requests = requests(TimeCursor { at: middle.created_at, id: middle.id.0 });
    let mut expected = Vec::new();
    for request in &requests {
        let mut alone = vec![(unknown, nothing())];
        for workflow in &workflows {
            alone.push(executions_alone(world, workflow, *request).await);
        }
        let pages = world.store.executions_of_workflows(world.tenant, &ids, *request).await.unwrap();
        assert_pages(&pages, &alone, |row| row.id, &format!("{request:?}"));
        expected.push(alone);
    }
    let counts = world.store.count_executions_of_workflows(world.tenant, &ids).await.unwrap();
    assert_eq!(counts, HashMap::from([(workflows[0].id, 2), (workflows[2].id, 7)]));

    // A name that went, and came back as another workflow, leaves the first one its history.
    world.store.remove_workflow(workflows[2].id, at(60)).await.unwrap();
    let mut again = world.save_of(&named(PLAIN, "many"), at(70));
    again.origin_path = Some("elsewhere.yaml".to_owned());
    let again = world.store.save_workflow(again).await.unwrap();
    assert_ne!(again.id, workflows[2].id);
    for (request, alone) in requests.iter().zip(&expected) {
        let pages = world.store.executions_of_workflows(world.tenant, &ids, *request).await.unwrap();
        assert_pages(&pages, alone, |row| row.id, &format!("deleted, {request:?}"));
    }
    let counts = world.store.count_executions_of_workflows(world.tenant, &[again.id, workflows[2].id]).await.unwrap();
    assert_eq!(counts, HashMap::from([(workflows[2].id, 7)]));
    assert!(world.store.executions_of_workflows(world.tenant, &[], everything).await.unwrap().is_empty());
}

async fn more_parents_than_one_statement_takes(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut ids: Vec<ExecutionId> = (0..600).map(|_| ExecutionId(Uuid::now_v7())).collect();
    for place in [0, 249, 250, 599] {
        let start = world.started(&workflow).await;
        let mut record = world.running(&start, 0);
        record.steps = vec![step(place, StepStatus::Completed)];
        world.store.record(record).await.unwrap();
        ids[usize::try_from(place).unwrap()] = start.row.id;
    }
    let pages = world.store.steps(world.tenant, &ids, PageRequest::Forward { first: 5, after: None }).await.unwrap();
    assert_eq!(pages.len(), 4);
    for place in [0, 249, 250, 599] {
        assert_eq!(told(&pages[&ids[place]], |step| step.step_key.clone()), (vec![format!("step-{place}")], false));
    }
}

async fn due_instants_of_many_schedules(world: &World) {
    let mut schedules = Vec::new();
    for (name, instants) in [("few", 1), ("none", 0), ("many", 6)] {
        let workflow = world.save(&named(TRIGGERED, name), at(0)).await;
        let due: Vec<_> = (1..=instants).map(|n| (n * 300, DueOutcome::Skipped(SkipReason::Overlap))).collect();
        if !due.is_empty() {
            world.store.tick(world.tick(workflow.schedules[0].id, &due)).await.unwrap();
        }
        schedules.push(workflow.schedules[0].id);
    }
    schedules.push(ScheduleId(Uuid::now_v7()));
    let alone = async |schedule: ScheduleId, request: PageRequest| -> Page<FireView> {
        let filter = FireFilter { schedule: Some(schedule), ..FireFilter::default() };
        world.store.fires(world.tenant, &filter, request).await.unwrap()
    };
    let middle = alone(schedules[2], PageRequest::Forward { first: 50, after: None }).await.items[2].clone();
    for request in requests(TimeCursor { at: middle.due_at, id: middle.id }) {
        let mut expected = Vec::new();
        for schedule in &schedules {
            expected.push((*schedule, alone(*schedule, request).await));
        }
        let pages = world.store.fires_of_schedules(world.tenant, &schedules, request).await.unwrap();
        assert_pages(&pages, &expected, |row| row.id, &format!("{request:?}"));
    }
    let counts = world.store.count_fires_of_schedules(world.tenant, &schedules).await.unwrap();
    assert_eq!(counts, HashMap::from([(schedules[0], 1), (schedules[2], 6)]));
}

async fn triggers_of_many_workflows(world: &World) {
    let two = TRIGGERED.replace("    - cron: ", "    - cron: \"1 * * * *\"\n      id: a-first\n    - cron: ");
    let mut workflows = Vec::new();
    for (name, source) in [("one", TRIGGERED), ("two", two.as_str()), ("plain", PLAIN), ("gone", TRIGGERED)] {
        workflows.push(world.save(&named(source, name), at(0)).await);
    }
    world.store.remove_workflow(workflows[3].id, at(60)).await.unwrap();
    let mut ids: Vec<WorkflowId> = workflows.iter().map(|workflow| workflow.id).collect();
    ids.push(WorkflowId(Uuid::now_v7()));
    let schedules = world.store.schedules_of_workflows(world.tenant, &ids).await.unwrap();
    let watches = world.store.watches_of_workflows(world.tenant, &ids).await.unwrap();
    let all = PageRequest::Forward { first: 50, after: None };
    for workflow in &workflows {
        let filter = TriggerFilter { workflow: Some(workflow.name.clone()) };
        let mut alone: Vec<_> = world.store.schedules(world.tenant, &filter, all).await.unwrap().items;
        alone.sort_by(|a, b| a.trigger_key.cmp(&b.trigger_key));
        let found = schedules.get(&workflow.id).map_or(&[][..], Vec::as_slice);
        let ids = |rows: &[cogwheel_engine::views::ScheduleView]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(found), ids(&alone), "{}", workflow.name);
        let mut alone = world.store.watches(world.tenant, &filter, all).await.unwrap().items;
        alone.sort_by(|a, b| a.trigger_key.cmp(&b.trigger_key));
        let found = watches.get(&workflow.id).map_or(&[][..], Vec::as_slice);
        let ids = |rows: &[cogwheel_engine::views::WatchView]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(found), ids(&alone), "{}", workflow.name);
    }
    let keys: Vec<&str> = schedules[&workflows[1].id].iter().map(|row| row.trigger_key.as_str()).collect();
    assert_eq!(keys, ["a-first", "often"]);
    assert_eq!((schedules.len(), watches.len()), (2, 2));
}

async fn logs_of_many_executions_and_steps(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut executions = Vec::new();
    for lines in [9, 0, 3] {
        let start = world.started(&workflow).await;
        let mut record = world.running(&start, 0);
        // Every third line is the engine's, the others are of two steps in turn.
        let of_step = |n: i64| (n % 3 > 0).then(|| i32::from(n % 3 == 1));
        record.logs = (0..lines).map(|n| line(n, of_step(n), &format!("line {n}"))).collect();
        world.store.record(record).await.unwrap();
        executions.push(start.row.id);
    }
    executions.push(ExecutionId(Uuid::now_v7()));
    let everything = PageRequest::Forward { first: 50, after: None };
    let whole: Vec<_> = executions.iter().map(|id| (*id, None)).collect();
    let written = world.store.logs_of(world.tenant, &whole, everything).await.unwrap();
    assert_eq!(told(&written[&whole[0]], |line| line.sequence).0, (0..9).collect::<Vec<_>>());
    let logs: Vec<_> = executions.iter().flat_map(|id| [None, Some(0), Some(1), Some(7)].map(|s| (*id, s))).collect();
    for request in requests(4_i64) {
        let mut alone = Vec::new();
        for log in &logs {
            let page = world.store.logs_of(world.tenant, &[*log], request).await.unwrap().remove(log);
            alone.push((*log, page.unwrap_or(Page { items: Vec::new(), has_more: false })));
        }
        let pages = world.store.logs_of(world.tenant, &logs, request).await.unwrap();
        assert_pages(&pages, &alone, |row| row.sequence, &format!("{request:?}"));
    }
    let (first, last) = (executions[0], executions[2]);
    let counts = world.store.count_logs_of(world.tenant, &logs).await.unwrap();
    let expected = [(None, 9, 3), (Some(0), 3, 1), (Some(1), 3, 1)];
    assert_eq!(counts, expected.iter().flat_map(|(s, a, b)| [((first, *s), *a), ((last, *s), *b)]).collect());
    let of_step = world.store.count_logs_of(world.tenant, &[(first, Some(1))]).await.unwrap();
    assert_eq!(of_step, HashMap::from([((first, Some(1)), 3)]));
}

async fn the_newest_change_is_the_executions_or_a_steps(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (untouched, by_step, by_itself) =
        (world.started(&workflow).await, world.started(&workflow).await, world.started(&workflow).await);
    for start in [&by_step, &by_itself] {
        let mut record = world.running(start, 0);
        record.steps = vec![step(0, StepStatus::Completed), step(1, StepStatus::Running)];
        world.store.record(record).await.unwrap();
    }
    let mut later = world.record_of(&by_step, 0);
    later.steps = vec![step(1, StepStatus::Completed)];
    later.at = at(500) + chrono::TimeDelta::milliseconds(7);
    world.store.record(later).await.unwrap();
    let mut later = world.running(&by_itself, 0);
    later.at = at(900);
    world.store.record(later).await.unwrap();

    let starts = [&untouched, &by_step, &by_itself];
    let mut ids: Vec<ExecutionId> = starts.iter().map(|start| start.row.id).collect();
    ids.push(ExecutionId(Uuid::now_v7()));
    let newest = world.store.newest_changes(world.tenant, &ids).await.unwrap();
    assert_eq!(newest.len(), 3);
    for id in &ids[..3] {
        let own = world.store.executions_by_id(world.tenant, &[*id]).await.unwrap()[0].updated_at;
        let all = PageRequest::Forward { first: 50, after: None };
        let steps = world.store.steps(world.tenant, &[*id], all).await.unwrap().remove(id);
        let steps = steps.iter().flat_map(|page| &page.items).map(|step| step.updated_at);
        assert_eq!(newest[id], steps.fold(own, DateTime::<Utc>::max));
    }
    assert_eq!(newest[&by_step.row.id], at(500) + chrono::TimeDelta::milliseconds(7));
    assert_eq!(newest[&by_itself.row.id], at(900));
}

async fn a_row_that_does_not_decode_is_named(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let starts = [world.started(&workflow).await, world.started(&workflow).await];
    let broken = starts[1].row.id;
    let id = world.literal(broken.0);
    world.plant(&format!("update workflow_executions set status = 'sleeping' where id = {id}")).await;
    let all = PageRequest::Forward { first: 50, after: None };
    let filter = ExecutionFilter::default();
    let alone = world.store.executions(world.tenant, &filter, all).await.map(drop);
    let many = world.store.executions_of_workflows(world.tenant, &[workflow.id], all).await.map(drop);
    for refused in [alone, many] {
        let Err(StoreError::CorruptRow { table, id, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((table, id), ("workflow_executions", broken.to_string()));
    }
}
