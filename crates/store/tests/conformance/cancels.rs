//! Requests to cancel are kept, and so is the time at which a step is tried again.

use cogwheel_engine::ports::{CancelAnswer, CancelRequest, Head, Reads, Start, Store};
use cogwheel_engine::{ExecutionId, TenantId};
use cogwheel_machine::{ExecutionStatus, StepStatus};
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at, step};

on_both! {
    the_first_request_counts_and_is_handed_over
    what_has_ended_or_is_not_there_is_told_apart
    another_tenants_execution_is_unknown
    every_time_a_person_asks_is_audited
    a_coming_attempt_is_handed_over
    what_nobody_owns_is_due_at_once
}

fn request(world: &World, start: &Start, reason: &str) -> CancelRequest {
    let reason = Some(reason.to_owned());
    CancelRequest { tenant: world.tenant, execution: start.row.id, reason, is_audited: true, at: at(20) }
}

async fn the_first_request_counts_and_is_handed_over(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (queued, running) = (world.started(&workflow).await, world.started(&workflow).await);
    world.store.record(world.running(&running, 0)).await.unwrap();
    for start in [&queued, &running] {
        for reason in ["first", "second"] {
            let answer = world.store.request_cancel(request(world, start, reason)).await.unwrap();
            assert_eq!(answer, CancelAnswer::Requested);
        }
        let read = &world.store.executions_by_id(world.tenant, &[start.row.id]).await.unwrap()[0];
        assert_eq!((read.cancel_requested_at, read.cancel_reason.as_deref()), (Some(at(20)), Some("first")));
    }
    let next = world.next_node().await;
    let adopted = world.claim(next, 9, at(40)).await.executions;
    assert_eq!(adopted.len(), 2);
    for execution in adopted {
        assert!(execution.cancel_requested);
        assert_eq!(execution.cancel_reason.as_deref(), Some("first"));
    }
}

async fn what_has_ended_or_is_not_there_is_told_apart(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    world.store.record(world.running(&start, 0)).await.unwrap();
    world.store.record(world.ended(&start, 0, ExecutionStatus::Failed)).await.unwrap();
    let answer = world.store.request_cancel(request(world, &start, "late")).await.unwrap();
    assert_eq!(answer, CancelAnswer::Ended(ExecutionStatus::Failed));
    let marked = "select count(*) from workflow_executions where cancel_requested_at is not null";
    assert_eq!(world.number(marked).await, 0);
    let nobody = CancelRequest { execution: ExecutionId(Uuid::now_v7()), ..request(world, &start, "who") };
    assert_eq!(world.store.request_cancel(nobody).await.unwrap(), CancelAnswer::Unknown);
}

async fn another_tenants_execution_is_unknown(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let foreign = CancelRequest { tenant: TenantId(Uuid::now_v7()), ..request(world, &start, "not mine") };
    assert_eq!(world.store.request_cancel(foreign).await.unwrap(), CancelAnswer::Unknown);
    let marked = "select count(*) from workflow_executions where cancel_requested_at is not null";
    assert_eq!(world.number(marked).await, 0);
}

async fn every_time_a_person_asks_is_audited(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (start, other) = (world.started(&workflow).await, world.started(&workflow).await);
    // Another execution has asked first.
    let by_parent = CancelRequest { is_audited: false, ..request(world, &start, "its parent ended") };
    assert_eq!(world.store.request_cancel(by_parent).await.unwrap(), CancelAnswer::Requested);
    assert_eq!(world.number("select count(*) from audit_log").await, 0);
    for (start, reason) in [(&start, "hurry"), (&start, "hurry up"), (&other, "wrong file")] {
        world.store.request_cancel(request(world, start, reason)).await.unwrap();
    }
    let of = |reason: &str, more: &str| {
        format!(
            "select count(*) from audit_log where action = 'execution.cancel' and table_name = 'workflow_executions'
               and actor_type = 'user' and actor_user_id is not null and reason = '{reason}' {more}"
        )
    };
    for reason in ["hurry", "hurry up"] {
        assert_eq!(world.number(&of(reason, &format!("and record_id = '{}'", start.row.id))).await, 1, "{reason}");
    }
    assert_eq!(world.number(&of("wrong file", &format!("and record_id = '{}'", other.row.id))).await, 1);
    world.store.record(world.running(&other, 0)).await.unwrap();
    world.store.record(world.ended(&other, 0, ExecutionStatus::Cancelled)).await.unwrap();
    let late = world.store.request_cancel(request(world, &other, "too late")).await.unwrap();
    assert_eq!(late, CancelAnswer::Ended(ExecutionStatus::Cancelled));
    assert_eq!(world.number("select count(*) from audit_log").await, 3, "what changed nothing is no act");
}

async fn a_coming_attempt_is_handed_over(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut record = world.running(&start, 0);
    let mut retrying = step(0, StepStatus::Retrying);
    retrying.state.timeout_at = None;
    retrying.state.wake_at = Some(at(70));
    record.steps = vec![retrying.clone()];
    record.head = record.head.map(|head| Head { next_wake_at: Some(at(70)), ..head });
    world.store.record(record).await.unwrap();
    let waking = "select count(*) from workflow_executions e join step_executions s on s.execution_id = e.id
        where e.next_wake_at = s.wake_at";
    assert_eq!(world.number(waking).await, 1);
    let next = world.next_node().await;
    let adopted = world.claim(next, 9, at(40)).await.executions;
    assert_eq!(adopted[0].steps[0], retrying.state);
    assert!(!adopted[0].cancel_requested);
}

async fn what_nobody_owns_is_due_at_once(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (queued, waiting) = (world.pooled(&workflow), world.started(&workflow).await);
    world.store.start(queued.clone()).await.unwrap();
    world.store.record(world.let_go(&waiting, 0, Some(at(9000)))).await.unwrap();
    assert!(world.claim(world.node, 0, at(19)).await.executions.is_empty());
    for start in [&queued, &waiting] {
        world.store.request_cancel(request(world, start, "enough")).await.unwrap();
    }
    let claimed = world.claim(world.node, 1, at(20)).await;
    assert_eq!(claimed.executions.len(), 2, "a queued one needs no room to be cancelled");
    assert!(claimed.executions.iter().all(|execution| execution.cancel_requested));
}
