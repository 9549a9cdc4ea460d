//! What a server left behind is taken over by the next one.

use cogwheel_engine::NodeId;
use cogwheel_engine::ports::{Start, Store, StoreError};
use cogwheel_machine::{ExecutionStatus, PastAttempt, PastOutcome, StepStatus};
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at, line, step};

on_both! {
    the_next_node_gets_what_was_recorded
    urgent_and_old_come_first
    a_node_that_leaves_lets_go
    what_cannot_be_understood_does_not_hold_up_the_rest
}

async fn the_next_node_gets_what_was_recorded(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (queued, running, ended) =
        (world.started(&workflow).await, world.started(&workflow).await, world.started(&workflow).await);
    let mut record = world.running(&running, 0);
    let mut lost = step(1, StepStatus::Running);
    lost.state.attempt = 2;
    lost.state.history = vec![PastAttempt { attempt: 1, outcome: PastOutcome::Lost, ended_at: at(3), error: None }];
    record.steps = vec![step(0, StepStatus::Completed), lost.clone()];
    record.logs = vec![line(0, None, "a"), line(1, None, "b")];
    world.store.record(record).await.unwrap();
    world.store.record(world.running(&ended, 0)).await.unwrap();
    world.store.record(world.ended(&ended, 0, ExecutionStatus::Completed)).await.unwrap();

    let next = NodeId(Uuid::now_v7());
    world.join(next).await;
    let adopted = world.store.adopt(next, at(40)).await.unwrap();
    let ids: Vec<_> = adopted.iter().map(|execution| execution.id).collect();
    assert_eq!(ids, [queued.row.id, running.row.id]);
    let found = &adopted[1];
    assert_eq!((found.epoch, found.status, found.next_log_sequence), (1, ExecutionStatus::Running, 2));
    assert_eq!((found.started_at, found.deadline_at), (Some(at(11)), Some(at(311))));
    assert_eq!((found.source.as_str(), found.version, found.workflow_name.as_str()), (PLAIN, 1, "plain"));
    assert_eq!(found.inputs, json!({ "name": "wörld" }));
    assert_eq!(found.steps.len(), 2);
    assert_eq!(found.steps[0].key, "step-0");
    assert_eq!(found.steps[1].state, lost.state);
    assert_eq!(adopted[0].next_log_sequence, 0);

    let stale = world.store.record(world.ended(&running, 0, ExecutionStatus::Completed)).await;
    assert!(matches!(stale, Err(StoreError::Conflict(_))), "the old owner writes nothing more");
    world.store.record(world.ended(&running, 1, ExecutionStatus::Completed)).await.unwrap();
    assert!(world.store.adopt(next, at(41)).await.unwrap().is_empty(), "what it has, it does not get again");
    assert_eq!(world.number("select count(*) from nodes where status = 'lost' and generation = 2").await, 1);
}

async fn urgent_and_old_come_first(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (first, second, third) =
        (world.started(&workflow).await, world.started(&workflow).await, world.started(&workflow).await);
    let urgent = world.literal(third.row.id.0);
    world.execute(&format!("update workflow_executions set priority = 'high' where id = {urgent}")).await;
    let next = NodeId(Uuid::now_v7());
    world.join(next).await;
    let adopted = world.store.adopt(next, at(40)).await.unwrap();
    let ids: Vec<_> = adopted.iter().map(|execution| execution.id).collect();
    assert_eq!(ids, [third.row.id, first.row.id, second.row.id]);
}

async fn a_node_that_leaves_lets_go(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    world.store.leave(world.node, at(30)).await.unwrap();
    assert_eq!(world.number("select count(*) from workflow_executions where owner_node_id is not null").await, 0);
    assert_eq!(world.number("select count(*) from nodes where status = 'stopped'").await, 1);
    let next = NodeId(Uuid::now_v7());
    world.join(next).await;
    let adopted = world.store.adopt(next, at(40)).await.unwrap();
    assert_eq!(
        adopted.iter().map(|execution| (execution.id, execution.epoch)).collect::<Vec<_>>(),
        [(start.row.id, 1)]
    );
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
    for n in 0..2 {
        let next = NodeId(Uuid::now_v7());
        world.join(next).await;
        let adopted = world.store.adopt(next, at(40 + n)).await.unwrap();
        assert_eq!(adopted.iter().map(|execution| execution.id).collect::<Vec<_>>(), [good.row.id]);
        assert_eq!(adopted[0].steps.len(), 2);
        let left = "select count(*) from workflow_executions e join nodes n on n.id = e.owner_node_id
            where e.status = 'running' and n.status = 'lost' and e.lease_epoch = 0";
        assert_eq!(world.number(left).await, 3, "for `db verify --data` to find");
    }
}
