//! What becomes of executions: fencing, counters, steps, logs, files.

use cogwheel_engine::ports::{Reads, Store, StoreError};
use cogwheel_engine::views::{FileStatus, PageRequest};
use cogwheel_machine::{ExecutionStatus, Failure, FailureKind, PastAttempt, PastOutcome, StepStatus};
use serde_json::json;

use super::on_both;
use super::world::{PLAIN, TRIGGERED, World, at, line, step};

on_both! {
    only_the_current_epoch_writes
    what_ended_stays_as_it_is
    an_end_moves_the_counters
    an_end_settles_the_input_files
    steps_and_logs_are_read_back
    a_record_may_come_twice
}

fn is_conflict(answer: &Result<(), StoreError>) -> bool {
    matches!(answer, Err(StoreError::Conflict(_)))
}

async fn only_the_current_epoch_writes(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut stale = world.running(&start, 1);
    stale.steps = vec![step(0, StepStatus::Completed)];
    stale.logs = vec![line(0, None, "from a ghost")];
    assert!(is_conflict(&world.store.record(stale.clone()).await));
    stale.head = None;
    assert!(is_conflict(&world.store.record(stale).await), "a record without a head is fenced as well");
    assert_eq!(world.number("select count(*) from step_executions").await, 0);
    assert_eq!(world.number("select count(*) from execution_logs").await, 0);
    let unknown = world.request(&workflow, at(1));
    assert!(is_conflict(&world.store.record(world.running(&unknown, 0)).await));
    world.store.record(world.running(&start, 0)).await.unwrap();
}

async fn what_ended_stays_as_it_is(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    world.store.record(world.running(&start, 0)).await.unwrap();
    world.store.record(world.ended(&start, 0, ExecutionStatus::Completed)).await.unwrap();
    for late in [world.running(&start, 0), world.ended(&start, 0, ExecutionStatus::Failed), world.record_of(&start, 0)]
    {
        assert!(is_conflict(&world.store.record(late).await));
    }
    let read = &world.store.executions_by_id(world.tenant, &[start.row.id]).await.unwrap()[0];
    assert_eq!((read.status, read.result.clone()), (ExecutionStatus::Completed, Some(json!({ "rows": 3 }))));
    assert_eq!((read.execution_time_ms, read.completed_at), (Some(3000), Some(at(14))));
    let owned = "select count(*) from workflow_executions where owner_node_id is not null or next_wake_at is not null";
    assert_eq!(world.number(owned).await, 0, "what ended has no owner and wakes nobody");
}

async fn an_end_moves_the_counters(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let ends = [
        ExecutionStatus::Completed,
        ExecutionStatus::Failed,
        ExecutionStatus::TimedOut,
        ExecutionStatus::Cancelled,
        ExecutionStatus::Completed,
    ];
    let mut calls = Vec::new();
    for end in ends {
        let start = world.started(&workflow).await;
        world.store.record(world.running(&start, 0)).await.unwrap();
        let (store, record) = (world.store.clone(), world.ended(&start, 0, end));
        calls.push(tokio::spawn(async move { store.record(record).await.unwrap() }));
    }
    for call in calls {
        call.await.unwrap();
    }
    let read = world.store.workflow_by_name(world.tenant, "plain").await.unwrap().unwrap();
    assert_eq!((read.total_executions, read.successful_executions, read.failed_executions), (5, 2, 2));
    assert_eq!(read.last_execution_at, Some(at(20)));
}

async fn an_end_settles_the_input_files(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    for (path, end, expected) in [
        ("/data/inbox/good.csv", ExecutionStatus::Completed, FileStatus::Processed),
        ("/data/inbox/bad.csv", ExecutionStatus::Failed, FileStatus::Failed),
    ] {
        let start = world.by_file(&workflow, path, "x");
        world.store.start(start.clone()).await.unwrap();
        world.store.record(world.running(&start, 0)).await.unwrap();
        world.store.record(world.ended(&start, 0, end)).await.unwrap();
        let files = world.store.files_of_executions(world.tenant, &[start.row.id]).await.unwrap();
        let file = &files[&start.row.id][0];
        assert_eq!((file.status, file.processed_at), (expected, Some(at(20))), "{path}");
    }
}

async fn steps_and_logs_are_read_back(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut record = world.running(&start, 0);
    let mut lost = step(1, StepStatus::Running);
    lost.state.attempt = 2;
    lost.state.history = vec![PastAttempt { attempt: 1, outcome: PastOutcome::Lost, ended_at: at(3), error: None }];
    record.steps = vec![step(0, StepStatus::Completed), lost];
    record.logs = vec![line(0, Some(0), "nul \0 and ansi \u{1b}[1m"), line(1, None, "two")];
    world.store.record(record).await.unwrap();
    let mut later = world.record_of(&start, 0);
    let mut failed = step(1, StepStatus::Failed);
    failed.state.error = Some(Failure::permanent(FailureKind::Exit, "exited with 3"));
    failed.state.output = None;
    later.steps = vec![failed];
    later.logs = vec![line(2, Some(1), "three")];
    world.store.record(later).await.unwrap();
    let all = PageRequest::Forward { first: 10, after: None };
    let steps = world.store.steps(world.tenant, &[start.row.id], all).await.unwrap();
    let steps = &steps[&start.row.id].items;
    assert_eq!(steps.iter().map(|step| step.status).collect::<Vec<_>>(), [StepStatus::Completed, StepStatus::Failed]);
    assert_eq!(steps[0].output, Some(json!({ "out": "ünïcode" })));
    assert_eq!(steps[1].error.as_ref().unwrap()["title"], "exited with 3");
    assert_eq!((steps[1].output.clone(), steps[0].execution_time_ms), (None, Some(1000)));
    let (log, of_step) = ((start.row.id, None), (start.row.id, Some(1)));
    let all = PageRequest::Forward { first: 10, after: None };
    let logs = world.store.logs_of(world.tenant, &[log], all).await.unwrap();
    let lines: Vec<&str> = logs[&log].items.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(lines, ["nul \u{fffd} and ansi \u{1b}[1m", "two", "three"]);
    assert_eq!(world.store.count_logs_of(world.tenant, &[of_step]).await.unwrap()[&of_step], 1);
    assert_eq!(world.store.count_steps(world.tenant, &[start.row.id]).await.unwrap()[&start.row.id], 2);
    let one = world.store.steps_by_id(world.tenant, &[(start.row.id, 1)]).await.unwrap();
    assert_eq!(one[0].step_key, "step-1");
}

async fn a_record_may_come_twice(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut record = world.running(&start, 0);
    record.steps = vec![step(0, StepStatus::Completed)];
    record.logs = vec![line(0, Some(0), "once")];
    world.store.record(record.clone()).await.unwrap();
    world.store.record(record).await.unwrap();
    assert_eq!(world.number("select count(*) from execution_logs").await, 1);
    assert_eq!(world.number("select count(*) from step_executions").await, 1);
}
