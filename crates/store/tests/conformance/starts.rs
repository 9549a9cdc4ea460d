//! A cause starts one execution, however often and by however many it is reported.

use std::collections::HashSet;

use cogwheel_definition::{Overflow, Priority};
use cogwheel_engine::ports::{
    DueOutcome, FileLedger, Parent, Reads, Rerun, SkipReason, Start, Started, Store, WorkflowRecord,
};
use cogwheel_engine::views::{FileStatus, FireFilter, PageRequest};
use cogwheel_machine::{ExecutionId, ExecutionStatus, StepStatus};

use super::on_both;
use super::world::{PLAIN, TRIGGERED, World, at, line, step};

on_both! {
    one_key_is_one_execution
    a_start_whose_answer_was_lost_is_accepted_again
    one_due_instant_is_one_execution
    one_file_version_is_one_execution
    a_file_whose_key_is_taken_leaves_nothing
    a_tick_moves_the_schedule_and_keeps_outcomes
    a_live_execution_keeps_its_schedule_busy
    odd_characters_are_kept_or_replaced
    what_a_start_comes_from_is_kept
    a_rerun_begins_with_the_steps_it_keeps
    what_becomes_of_a_start_at_once_is_recorded_with_it
}

/// Starts all at once; answers which execution each caller was told of, and how many were accepted.
async fn race(world: &World, starts: Vec<Start>) -> (HashSet<ExecutionId>, usize) {
    let calls = starts.into_iter().map(|start| {
        let store = world.store.clone();
        tokio::spawn(async move { (start.row.id, store.start(start).await.unwrap()) })
    });
    let (mut told, mut accepted) = (HashSet::new(), 0);
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            (id, Started::Accepted) => {
                accepted += 1;
                told.insert(id);
            }
            (_, Started::Duplicate { execution }) => {
                told.insert(execution.expect("the first execution is known"));
            }
            (_, other) => panic!("nothing is limited: {other:?}"),
        }
    }
    (told, accepted)
}

async fn one_key_is_one_execution(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let keyed = |_| {
        let mut start = world.request(&workflow, at(1));
        start.row.idempotency_key = Some("order-7".to_owned());
        start
    };
    let (told, accepted) = race(world, (0..10).map(keyed).collect()).await;
    assert_eq!((told.len(), accepted), (1, 1));
    assert_eq!(world.number("select count(*) from workflow_executions").await, 1);
    let other = world.save(&PLAIN.replace("plain", "other"), at(0)).await;
    let mut start = world.request(&other, at(1));
    start.row.idempotency_key = Some("order-7".to_owned());
    assert_eq!(world.store.start(start).await.unwrap(), Started::Accepted, "a key belongs to its workflow");
}

async fn a_start_whose_answer_was_lost_is_accepted_again(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let mut keyed = world.request(&workflow, at(1));
    keyed.row.idempotency_key = Some("again".to_owned());
    let starts = [
        world.request(&workflow, at(1)),
        keyed,
        world.by_schedule(&workflow, 300),
        world.by_file(&workflow, "/data/inbox/a.csv", "a"),
    ];
    for start in &starts {
        assert_eq!(world.store.start(start.clone()).await.unwrap(), Started::Accepted);
        assert_eq!(world.store.start(start.clone()).await.unwrap(), Started::Accepted);
    }
    assert_eq!(world.number("select count(*) from workflow_executions").await, 4);
}

async fn one_due_instant_is_one_execution(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let (told, accepted) = race(world, (0..10).map(|_| world.by_schedule(&workflow, 300)).collect()).await;
    assert_eq!((told.len(), accepted), (1, 1));
    assert_eq!(world.number("select count(*) from workflow_executions").await, 1);
    assert_eq!(world.number("select count(*) from schedule_fires").await, 1);
    let late = world.store.start(world.by_schedule(&workflow, 300)).await.unwrap();
    assert_eq!(late, Started::Duplicate { execution: told.into_iter().next() });
    let fires = world
        .store
        .fires(world.tenant, &FireFilter::default(), PageRequest::Forward { first: 5, after: None })
        .await
        .unwrap();
    let fire = &fires.items[0];
    assert!(fire.fired && fire.execution.is_some() && fire.lateness_ms == Some(12), "{fire:?}");
}

async fn one_file_version_is_one_execution(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let (told, accepted) =
        race(world, (0..10).map(|_| world.by_file(&workflow, "/data/inbox/a.csv", "a")).collect()).await;
    assert_eq!((told.len(), accepted), (1, 1));
    let late = world.store.start(world.by_file(&workflow, "/data/inbox/a.csv", "a")).await.unwrap();
    assert_eq!(late, Started::Duplicate { execution: told.iter().next().copied() });
    let changed = world.by_file(&workflow, "/data/inbox/a.csv", "b");
    assert_eq!(world.store.start(changed).await.unwrap(), Started::Accepted);
    assert_eq!(world.number("select count(*) from files").await, 2);
    assert_eq!(world.number("select count(*) from execution_files").await, 2);
    let handled = world.store.handled_files(workflow.watches[0].id).await.unwrap();
    assert_eq!(handled.len(), 1, "the newest version of each path");
    let of = told.into_iter().collect::<Vec<_>>();
    let files = world.store.files_of_executions(world.tenant, &of).await.unwrap();
    let file = &files[&of[0]][0];
    assert_eq!((file.status, file.decision_reason.as_deref()), (FileStatus::Processing, Some("new_version")));
    let back = world.store.executions_of_files(world.tenant, &[file.id]).await.unwrap();
    assert_eq!(back[&file.id][0].id, of[0]);
}

async fn a_file_whose_key_is_taken_leaves_nothing(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let keyed = |path: &str| {
        let mut start = world.by_file(&workflow, path, "a");
        start.row.idempotency_key = Some("same".to_owned());
        start
    };
    let (told, accepted) = race(world, (0..6).map(|n| keyed(&format!("/data/inbox/{n}.csv"))).collect()).await;
    assert_eq!((told.len(), accepted), (1, 1));
    assert_eq!(world.number("select count(*) from files").await, 1, "no file without its execution");
}

async fn a_tick_moves_the_schedule_and_keeps_outcomes(world: &World) {
    let workflow: WorkflowRecord = world.save(TRIGGERED, at(0)).await;
    let schedule = workflow.schedules[0].id;
    let skipped = |due| (due, DueOutcome::Skipped(SkipReason::Overlap));
    world.store.tick(world.tick(schedule, &[skipped(300), skipped(600)])).await.unwrap();
    world.store.tick(world.tick(schedule, &[skipped(600)])).await.unwrap();
    assert_eq!(world.number("select count(*) from schedule_fires").await, 2, "an outcome is decided once");
    let moved = &world.workflows().await[0].schedules[0];
    assert_eq!((moved.last_due_at, moved.next_due_at), (Some(at(600)), Some(at(900))));
    let refused = world.store.start(world.by_schedule(&workflow, 600)).await.unwrap();
    assert_eq!(refused, Started::Duplicate { execution: None }, "what was skipped does not start later");
    world.store.tick(world.tick(schedule, &[])).await.unwrap();
    let moved = &world.workflows().await[0].schedules[0];
    assert_eq!(moved.last_due_at, Some(at(600)), "a tick without due instants moves only what comes");
}

async fn a_live_execution_keeps_its_schedule_busy(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let schedule = workflow.schedules[0].id;
    world.started(&workflow).await;
    assert!(!world.store.schedule_is_busy(schedule).await.unwrap(), "a manual start is none of its");
    let start = world.by_schedule(&workflow, 300);
    world.store.start(start.clone()).await.unwrap();
    assert!(world.store.schedule_is_busy(schedule).await.unwrap(), "queued");
    world.store.record(world.running(&start, 0)).await.unwrap();
    assert!(world.store.schedule_is_busy(schedule).await.unwrap(), "running");
    world.store.record(world.ended(&start, 0, ExecutionStatus::Failed)).await.unwrap();
    assert!(!world.store.schedule_is_busy(schedule).await.unwrap());
}

async fn odd_characters_are_kept_or_replaced(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut start = world.request(&workflow, at(1));
    start.row.inputs = serde_json::json!({ "text": "a\0b \\u0000 ' \" 🦀", "k\0": null });
    start.row.trigger = serde_json::Value::Null;
    world.store.start(start.clone()).await.unwrap();
    let read = &world.store.executions_by_id(world.tenant, &[start.row.id]).await.unwrap()[0];
    assert_eq!(read.inputs, serde_json::json!({ "text": "a\u{fffd}b \\u0000 ' \" 🦀", "k\u{fffd}": null }));
    assert_eq!(read.trigger, serde_json::Value::Null);
}

async fn what_a_start_comes_from_is_kept(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let parent = world.started(&workflow).await;
    let mut child = world.keyed(&workflow, "k", 3, Overflow::Queue);
    child.row.owner = Some(world.node);
    child.row.priority = Priority::High;
    child.row.queue_deadline_at = Some(at(90));
    child.row.parent = Some(Parent { execution: parent.row.id, step_ordinal: 2 });
    child.row.rerun = Some(Rerun { of: parent.row.id, from_ordinal: Some(1), retry_count: 4 });
    for _ in 0..2 {
        assert_eq!(world.store.start(child.clone()).await.unwrap(), Started::Accepted);
    }
    let (id, parent) = (world.literal(child.row.id.0), world.literal(parent.row.id.0));
    let kept = format!(
        "select count(*) from workflow_executions where id = {id} and parent_execution_id = {parent}
         and parent_step_ordinal = 2 and rerun_of_execution_id = {parent} and rerun_from_ordinal = 1 and retry_count = 4
         and priority = 'high' and concurrency_key = 'k' and concurrency_limit = 3 and next_wake_at is not null
         and owner_node_id is null"
    );
    assert_eq!(world.number(&kept).await, 1, "what a key limits begins in the pool");
    let found = world.store.execution(world.tenant, child.row.id).await.unwrap().unwrap();
    assert_eq!((found.parent, found.retry_count, found.next_wake_at), (child.row.parent, 4, Some(at(90))));
}

async fn a_rerun_begins_with_the_steps_it_keeps(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut again = world.request(&workflow, at(1));
    again.kept = vec![step(0, StepStatus::Completed), step(1, StepStatus::Skipped)];
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (store, again) = (world.store.clone(), again.clone());
            tokio::spawn(async move { store.start(again).await.unwrap() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Started::Accepted);
    }
    let found = world.store.execution(world.tenant, again.row.id).await.unwrap().unwrap();
    assert_eq!(found.steps, again.kept.into_iter().map(|kept| kept.state).collect::<Vec<_>>());
    world.store.record(world.running(&Start { kept: Vec::new(), ..again }, 0)).await.unwrap();
}

async fn what_becomes_of_a_start_at_once_is_recorded_with_it(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let at_once = |status| {
        let mut start = world.request(&workflow, at(1));
        let mut first = match status {
            ExecutionStatus::Running => world.running(&start, 0),
            status => world.ended(&start, 0, status),
        };
        first.steps.push(step(0, StepStatus::Completed));
        first.logs.push(line(0, Some(0), "said"));
        start.first = Some(Box::new(first));
        start
    };
    let done = at_once(ExecutionStatus::Completed);
    for _ in 0..2 {
        assert_eq!(world.store.start(done.clone()).await.unwrap(), Started::Accepted, "also when it is asked again");
    }
    let ended = "select count(*) from workflow_executions where status = 'completed' and completed_at is not null
        and execution_time_ms is not null and result_data is not null and owner_node_id is null and next_wake_at is null";
    assert_eq!(world.number(ended).await, 1);
    assert_eq!(world.number("select count(*) from step_executions").await, 1);
    assert_eq!(world.number("select count(*) from execution_logs").await, 1);
    assert_eq!(world.number("select total_executions + successful_executions from workflows").await, 2);

    let going = at_once(ExecutionStatus::Running);
    assert_eq!(world.store.start(going.clone()).await.unwrap(), Started::Accepted);
    let running = "select count(*) from workflow_executions where status = 'running' and owner_node_id is not null
        and started_at is not null and deadline_at is not null and next_wake_at is not null";
    assert_eq!(world.number(running).await, 1);
    world.store.record(world.ended(&going, 0, ExecutionStatus::Failed)).await.unwrap();
    assert_eq!(world.number("select total_executions + failed_executions from workflows").await, 3);

    let mut keyed = at_once(ExecutionStatus::Completed);
    keyed.row.idempotency_key = Some("k".to_owned());
    let mut again = at_once(ExecutionStatus::Completed);
    again.row.idempotency_key = Some("k".to_owned());
    assert_eq!(world.store.start(keyed.clone()).await.unwrap(), Started::Accepted);
    let first = Started::Duplicate { execution: Some(keyed.row.id) };
    assert_eq!(world.store.start(again).await.unwrap(), first, "what did not start left nothing");
    assert_eq!(world.number("select count(*) from step_executions").await, 3);
    assert_eq!(world.number("select total_executions from workflows").await, 3);
}
