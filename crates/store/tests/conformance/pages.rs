//! Pages in both directions, also where many rows share an instant.

use cogwheel_engine::ports::{Reads, Start, Store, TriggerType};
use cogwheel_engine::views::{ExecutionFilter, ExecutionView, FileFilter, Page, PageRequest, TimeCursor};
use cogwheel_machine::{ExecutionId, ExecutionStatus, StepStatus};

use super::on_both;
use super::world::{PLAIN, TRIGGERED, World, at, line, step};

on_both! {
    pages_meet_across_equal_instants
    filters_narrow_a_list
    steps_of_many_executions_come_in_one_call
    logs_are_paged_by_their_place
}

fn cursor(view: &ExecutionView) -> TimeCursor {
    TimeCursor { at: view.created_at, id: view.id.0 }
}

async fn page(world: &World, status: &[ExecutionStatus], request: PageRequest) -> Page<ExecutionView> {
    let filter = ExecutionFilter { status: status.to_vec(), ..ExecutionFilter::default() };
    world.store.executions(world.tenant, &filter, request).await.unwrap()
}

async fn pages_meet_across_equal_instants(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut starts: Vec<Start> = Vec::new();
    for n in 0..7 {
        // Three share one instant, four another.
        let start = world.request(&workflow, at(i64::from(n >= 3)));
        world.store.start(start.clone()).await.unwrap();
        starts.push(start);
    }
    starts.sort_by_key(|start| std::cmp::Reverse((start.row.created_at, start.row.id)));
    let newest_first: Vec<ExecutionId> = starts.iter().map(|start| start.row.id).collect();
    let ids = |page: &Page<ExecutionView>| page.items.iter().map(|view| view.id).collect::<Vec<_>>();

    for start in starts.iter().step_by(2) {
        world.store.record(world.running(start, 0)).await.unwrap();
    }
    for status in [&[][..], &[ExecutionStatus::Queued, ExecutionStatus::Running, ExecutionStatus::Queued]] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = page(world, status, PageRequest::Forward { first: 2, after }).await;
            seen.extend(ids(&page));
            after = page.items.last().map(cursor);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seen, newest_first, "forward, {status:?}");

        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = page(world, status, PageRequest::Backward { last: 3, before }).await;
            seen.splice(0..0, ids(&page));
            before = page.items.first().map(cursor);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seen, newest_first, "backward, {status:?}");
    }
}

async fn filters_narrow_a_list(world: &World) {
    let plain = world.save(PLAIN, at(0)).await;
    let triggered = world.save(TRIGGERED, at(0)).await;
    let done = world.started(&plain).await;
    world.store.record(world.running(&done, 0)).await.unwrap();
    world.store.record(world.ended(&done, 0, ExecutionStatus::Completed)).await.unwrap();
    let queued = world.started(&plain).await;
    let filed = world.by_file(&triggered, "/data/inbox/a.csv", "a");
    world.store.start(filed.clone()).await.unwrap();
    let any = ExecutionFilter::default();
    for (filter, expected) in [
        (ExecutionFilter { workflow: Some("plain".to_owned()), ..any.clone() }, vec![queued.row.id, done.row.id]),
        (ExecutionFilter { status: vec![ExecutionStatus::Completed], ..any.clone() }, vec![done.row.id]),
        (
            ExecutionFilter {
                status: vec![ExecutionStatus::Completed, ExecutionStatus::Queued],
                workflow: Some("plain".to_owned()),
                ..any.clone()
            },
            vec![queued.row.id, done.row.id],
        ),
        (ExecutionFilter { trigger_type: vec![TriggerType::File], ..any.clone() }, vec![filed.row.id]),
        (ExecutionFilter { workflow: Some("nobody".to_owned()), ..any }, vec![]),
    ] {
        let page = world
            .store
            .executions(world.tenant, &filter, PageRequest::Forward { first: 10, after: None })
            .await
            .unwrap();
        assert_eq!(page.items.iter().map(|view| view.id).collect::<Vec<_>>(), expected, "{filter:?}");
        let counted = world.store.count_executions(world.tenant, &filter).await.unwrap();
        assert_eq!(counted, expected.len() as u64, "{filter:?}");
    }
    let of_watch = FileFilter { watch: Some(triggered.watches[0].id), ..FileFilter::default() };
    assert_eq!(world.store.count_files(world.tenant, &of_watch).await.unwrap(), 1);
}

async fn steps_of_many_executions_come_in_one_call(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut ids = Vec::new();
    for steps in [5, 0, 2] {
        let start = world.started(&workflow).await;
        let mut record = world.running(&start, 0);
        record.steps = (0..steps).map(|ordinal| step(ordinal, StepStatus::Completed)).collect();
        world.store.record(record).await.unwrap();
        ids.push(start.row.id);
    }
    let ordinals =
        |page: &Page<cogwheel_engine::views::StepView>| page.items.iter().map(|s| s.ordinal).collect::<Vec<_>>();
    let forward = PageRequest::Forward { first: 3, after: Some(0) };
    let backward = PageRequest::Backward { last: 2, before: None };
    for executions in [&ids[..], &ids[..1]] {
        let pages = world.store.steps(world.tenant, executions, forward).await.unwrap();
        assert_eq!((ordinals(&pages[&ids[0]]), pages[&ids[0]].has_more), (vec![1, 2, 3], true));
        let pages = world.store.steps(world.tenant, executions, backward).await.unwrap();
        assert_eq!((ordinals(&pages[&ids[0]]), pages[&ids[0]].has_more), (vec![3, 4], true));
    }
    let pages = world.store.steps(world.tenant, &ids, forward).await.unwrap();
    assert_eq!(ordinals(&pages[&ids[2]]), [1]);
    assert!(!pages.contains_key(&ids[1]), "it has no steps");
}

async fn logs_are_paged_by_their_place(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut record = world.running(&start, 0);
    record.logs = (0..10).map(|n| line(n, Some(i32::from(n % 2 == 0)), &format!("line {n}"))).collect();
    world.store.record(record).await.unwrap();
    let lines = async |step, request| {
        let log = (start.row.id, step);
        let page = world.store.logs_of(world.tenant, &[log], request).await.unwrap().remove(&log).unwrap();
        (page.items.iter().map(|line| line.sequence).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(lines(None, PageRequest::Forward { first: 3, after: Some(1) }).await, (vec![2, 3, 4], true));
    assert_eq!(lines(None, PageRequest::Backward { last: 3, before: None }).await, (vec![7, 8, 9], true));
    assert_eq!(lines(Some(1), PageRequest::Forward { first: 9, after: Some(4) }).await, (vec![6, 8], false));
}
