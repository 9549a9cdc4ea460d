//! What nobody owns is taken over, each by one node.

use std::collections::HashSet;

use cogwheel_definition::Priority;
use cogwheel_engine::NodeId;
use cogwheel_engine::ports::{Claim, Parent, Start, Store, StoreError, StoredExecution};
use cogwheel_machine::{ExecutionId, ExecutionStatus, Failure, FailureKind, PastAttempt, PastOutcome, StepStatus};
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at, line, step, waiting_for};

on_both! {
    the_next_node_gets_what_was_recorded
    urgent_and_old_come_first
    a_node_that_leaves_lets_go
    what_cannot_be_understood_does_not_hold_up_the_rest
    what_waits_is_taken_when_it_is_due
    no_more_is_taken_than_there_is_room_for
    what_was_queued_too_long_needs_no_room
    what_runs_without_an_owner_is_taken_at_once
    a_node_that_does_not_live_gets_nothing
    two_nodes_never_get_the_same
    what_was_given_unheard_is_given_again
    any_execution_is_read_whole
}

fn ids(executions: &[StoredExecution]) -> Vec<ExecutionId> {
    executions.iter().map(|execution| execution.id).collect()
}

async fn the_next_node_gets_what_was_recorded(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (queued, running, ended) =
        (world.started(&workflow).await, world.started(&workflow).await, world.started(&workflow).await);
    let mut record = world.running(&running, 0);
    let mut lost = step(1, StepStatus::Running);
    lost.state.attempt = 2;
    lost.state.history = vec![PastAttempt { attempt: 1, outcome: PastOutcome::Lost, ended_at: at(3), error: None }];
    "load[3].send".clone_into(&mut lost.state.key);
    lost.state.parent = Some(0);
    let waiting = waiting_for(2, "paid", Some("order-7"));
    record.steps = vec![step(0, StepStatus::Completed), lost.clone(), waiting.clone()];
    record.logs = vec![line(0, None, "a"), line(1, None, "b")];
    world.store.record(record).await.unwrap();
    world.store.record(world.running(&ended, 0)).await.unwrap();
    world.store.record(world.ended(&ended, 0, ExecutionStatus::Completed)).await.unwrap();

    let next = world.next_node().await;
    let claimed = world.claim(next, 9, at(40)).await;
    assert_eq!((claimed.has_more, claimed.next_due_at), (false, None));
    assert_eq!(ids(&claimed.executions), [queued.row.id, running.row.id]);
    let found = &claimed.executions[1];
    assert_eq!((found.epoch, found.status, found.next_log_sequence), (2, ExecutionStatus::Running, 2));
    assert_eq!((found.started_at, found.deadline_at, found.next_wake_at), (Some(at(11)), Some(at(311)), Some(at(40))));
    assert_eq!((found.source.as_str(), found.version, found.workflow_name.as_str()), (PLAIN, 1, "plain"));
    assert_eq!((&found.inputs, found.correlation_id), (&json!({ "name": "wörld" }), running.row.correlation_id));
    let steps: Vec<_> = found.steps.clone();
    assert_eq!(steps, [step(0, StepStatus::Completed).state, lost.state, waiting.state]);
    assert_eq!(claimed.executions[0].next_log_sequence, 0);

    for epoch in [0, 1] {
        let stale = world.store.record(world.ended(&running, epoch, ExecutionStatus::Completed)).await;
        assert!(matches!(stale, Err(StoreError::Conflict(_))), "the old owner writes nothing more");
    }
    world.store.record(world.ended(&running, 2, ExecutionStatus::Completed)).await.unwrap();
    let again = world.claim(next, 9, at(41)).await;
    assert!(again.executions.is_empty() && !again.has_more, "what it has, it does not get again");
}

async fn urgent_and_old_come_first(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut starts = Vec::new();
    for priority in [Priority::Normal, Priority::Low, Priority::Critical, Priority::Normal, Priority::High] {
        let mut start = world.pooled(&workflow);
        start.row.priority = priority;
        world.store.start(start.clone()).await.unwrap();
        starts.push(start.row.id);
    }
    let waiting = world.started(&workflow).await;
    world.store.record(world.let_go(&waiting, 0, Some(at(30)))).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..3 {
        let claimed = world.claim(world.node, 2, at(40)).await;
        assert_eq!(claimed.has_more, taken.len() < 4);
        taken.extend(ids(&claimed.executions));
    }
    let due_before_queued = [starts[2], starts[4], starts[0], waiting.row.id, starts[3], starts[1]];
    assert_eq!(taken[..2], due_before_queued[..2]);
    assert_eq!(taken[2..4].iter().collect::<HashSet<_>>(), HashSet::from([&waiting.row.id, &starts[0]]));
    assert_eq!(taken[4..], due_before_queued[4..]);
}

async fn a_node_that_leaves_lets_go(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (queued, running) = (world.started(&workflow).await, world.started(&workflow).await);
    world.store.record(world.running(&running, 0)).await.unwrap();
    world.store.leave(world.node, at(30)).await.unwrap();
    assert_eq!(world.number("select count(*) from workflow_executions where owner_node_id is not null").await, 0);
    assert_eq!(world.number("select count(*) from nodes where status = 'stopped'").await, 1);
    let next = NodeId(Uuid::now_v7());
    world.join(next).await;
    let claimed = world.claim(next, 9, at(31)).await.executions;
    let told: Vec<_> = claimed.iter().map(|found| (found.id, found.epoch, found.next_wake_at)).collect();
    assert_eq!(told, [(queued.row.id, 2, None), (running.row.id, 2, Some(at(30)))]);
}

async fn what_cannot_be_understood_does_not_hold_up_the_rest(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let lost = world.save(&PLAIN.replace("plain", "lost"), at(0)).await;
    let (misspelt, history, orphan, good) = (
        world.started(&workflow).await,
        world.started(&workflow).await,
        world.started(&lost).await,
        world.started(&workflow).await,
    );
    for start in [&misspelt, &history, &orphan, &good] {
        let mut record = world.running(start, 0);
        record.steps = vec![step(0, StepStatus::Completed), step(1, StepStatus::Running)];
        world.store.record(record).await.unwrap();
    }
    let id = |start: &Start| world.literal(start.row.id.0);
    for sql in [
        format!("update step_executions set status = 'dozing' where execution_id = {} and ordinal = 1", id(&misspelt)),
        format!("update step_executions set attempt_history = '[7]' where execution_id = {}", id(&history)),
        format!("delete from workflow_versions where id = {}", world.literal(lost.version_id.0)),
    ] {
        world.plant(&sql).await;
    }
    let next = world.next_node().await;
    let (mut taken, mut calls) = (Vec::new(), 0);
    loop {
        let claimed = world.claim(next, 2, at(40)).await;
        taken.extend(claimed.executions);
        calls += 1;
        if !claimed.has_more {
            break;
        }
    }
    assert_eq!((ids(&taken), calls <= 3), (vec![good.row.id], true));
    assert_eq!(taken[0].steps.len(), 2);
    let left = "select count(*) from workflow_executions where status = 'running' and owner_node_id is null
        and lease_epoch = 1";
    assert_eq!(world.number(left).await, 3, "they stay in the pool for another release to understand");
    let other = world.second_store().await;
    let other_process = other.claim(Claim { node: next, limit: 9, runs: None, at: at(41) }).await.unwrap();
    assert!(other_process.executions.is_empty());
    other.close().await;
}

async fn what_waits_is_taken_when_it_is_due(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (timed, patient) = (world.started(&workflow).await, world.started(&workflow).await);
    world.store.record(world.let_go(&timed, 0, Some(at(100)))).await.unwrap();
    let mut record = world.let_go(&patient, 0, None);
    record.steps = vec![waiting_for(0, "paid", None)];
    world.store.record(record).await.unwrap();
    let early = world.claim(world.node, 9, at(99)).await;
    assert!(early.executions.is_empty() && !early.has_more);
    assert_eq!(early.next_due_at, Some(at(100)));
    let due = world.claim(world.node, 9, at(100)).await;
    assert_eq!((ids(&due.executions), due.next_due_at), (vec![timed.row.id], None));
    assert_eq!((due.executions[0].epoch, due.executions[0].status), (1, ExecutionStatus::Waiting));
}

async fn no_more_is_taken_than_there_is_room_for(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    for _ in 0..5 {
        world.store.start(world.pooled(&workflow)).await.unwrap();
    }
    let none = world.claim(world.node, 0, at(2)).await;
    assert!(none.executions.is_empty() && none.has_more);
    let some = world.claim(world.node, 3, at(2)).await;
    assert_eq!((some.executions.len(), some.has_more), (3, true));
    let rest = world.claim(world.node, 3, at(2)).await;
    assert_eq!((rest.executions.len(), rest.has_more), (2, false));
}

async fn what_was_queued_too_long_needs_no_room(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut overdue = world.pooled(&workflow);
    overdue.row.queue_deadline_at = Some(at(50));
    world.store.start(overdue.clone()).await.unwrap();
    let early = world.claim(world.node, 0, at(49)).await;
    assert_eq!((early.executions.len(), early.next_due_at), (0, Some(at(50))));
    let claimed = world.claim(world.node, 0, at(50)).await;
    assert_eq!(ids(&claimed.executions), [overdue.row.id]);
    assert_eq!(
        (claimed.executions[0].status, claimed.executions[0].next_wake_at),
        (ExecutionStatus::Queued, Some(at(50)))
    );
}

async fn what_runs_without_an_owner_is_taken_at_once(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    world.store.record(world.running(&start, 0)).await.unwrap();
    world.execute("update workflow_executions set owner_node_id = null").await;
    assert_eq!(ids(&world.claim(world.node, 9, at(12)).await.executions), [start.row.id]);
}

async fn a_node_that_does_not_live_gets_nothing(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    world.store.start(world.pooled(&workflow)).await.unwrap();
    let next = world.next_node().await;
    assert!(world.claim(world.node, 9, at(41)).await.executions.is_empty(), "it was taken for dead");
    assert_eq!(world.claim(next, 9, at(41)).await.executions.len(), 1);
}

async fn two_nodes_never_get_the_same(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    for _ in 0..40 {
        world.store.start(world.pooled(&workflow)).await.unwrap();
    }
    let nodes = [world.node, NodeId(Uuid::now_v7())];
    world.join(nodes[1]).await;
    let other = if world.is_sqlite() { world.store.clone() } else { world.second_store().await };
    let mut calls = Vec::new();
    for (node, store) in nodes.into_iter().zip([world.store.clone(), other.clone()]) {
        calls.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let claimed = store.claim(Claim { node, limit: 3, runs: None, at: at(2) }).await.unwrap();
                taken.extend(ids(&claimed.executions));
                if claimed.executions.is_empty() && !claimed.has_more {
                    return taken;
                }
            }
        }));
    }
    let mut taken = Vec::new();
    for call in calls {
        taken.extend(call.await.unwrap());
    }
    assert_eq!((taken.len(), taken.iter().collect::<HashSet<_>>().len()), (40, 40));
    other.close().await;
}

async fn what_was_given_unheard_is_given_again(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    for _ in 0..3 {
        world.store.start(world.pooled(&workflow)).await.unwrap();
    }
    let own = world.started(&workflow).await;
    let given = world.claim(world.node, 2, at(2)).await.executions;
    // It heard of the first alone, and what it runs of the second belongs to an earlier epoch.
    let runs = Some(vec![(given[0].id, 1), (given[1].id, 0)]);
    let ask = Claim { node: world.node, limit: 0, runs, at: at(3) };
    let again = world.store.claim(ask.clone()).await.unwrap();
    assert_eq!((ids(&again.executions), again.executions[0].epoch), (vec![given[1].id], 2));
    assert!(again.has_more);
    world.store.record(world.running(&own, 0)).await.unwrap();
    let runs = Some(vec![(given[0].id, 1), (given[1].id, 2)]);
    let all = world.store.claim(Claim { limit: 9, runs, ..ask }).await.unwrap();
    assert_eq!(all.executions.len(), 1, "the one that nobody was given");
}

async fn any_execution_is_read_whole(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let parent = world.started(&workflow).await;
    let mut start = world.request(&workflow, at(1));
    start.row.parent = Some(Parent { execution: parent.row.id, step_ordinal: 4 });
    world.store.start(start.clone()).await.unwrap();
    let mut record = world.running(&start, 0);
    record.steps = vec![step(0, StepStatus::Completed)];
    let failure = Failure::permanent(FailureKind::Exit, "exited with 3");
    record.head = record.head.map(|head| cogwheel_engine::ports::Head {
        result: Some(json!({ "half": true })),
        error: Some(failure.clone()),
        ..head
    });
    world.store.record(record).await.unwrap();
    let live = world.store.execution(world.tenant, start.row.id).await.unwrap().unwrap();
    assert_eq!((live.status, live.epoch, live.parent), (ExecutionStatus::Running, 0, start.row.parent));
    assert_eq!((live.result, live.error), (Some(json!({ "half": true })), Some(failure)), "decided while it runs");
    assert_eq!((live.steps, live.retry_count), (vec![step(0, StepStatus::Completed).state], 0));
    world.store.record(world.ended(&start, 0, ExecutionStatus::Completed)).await.unwrap();
    let ended = world.store.execution(world.tenant, start.row.id).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.result), (ExecutionStatus::Completed, Some(json!({ "rows": 3 }))));
    let foreign = cogwheel_engine::TenantId(Uuid::now_v7());
    assert!(world.store.execution(foreign, start.row.id).await.unwrap().is_none());
    assert!(world.store.execution(world.tenant, ExecutionId(Uuid::now_v7())).await.unwrap().is_none());
}
