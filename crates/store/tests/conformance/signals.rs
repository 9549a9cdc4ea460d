//! What comes for executions from outside: it is kept until taken, and taken once.

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{
    AskInbox, AwaitedSignal, CancelRequest, Inbox, NewSignal, Parent, SignalAnswer, Start, Store,
};
use cogwheel_machine::{ExecutionId, ExecutionStatus};
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at, waiting_for};

on_both! {
    a_signal_to_an_execution_is_taken_once
    a_correlation_finds_whoever_waits
    the_oldest_comes_first_and_the_expired_never
    a_signal_wakes_what_was_let_go_of
    what_comes_while_it_is_let_go_of_is_not_lost
    signals_that_cannot_be_kept_are_told_apart
    what_ends_lets_its_signals_expire
    the_end_of_a_child_is_found_and_wakes
}

fn signal(world: &World, name: &str, payload: i64) -> NewSignal {
    NewSignal {
        id: Uuid::now_v7(),
        tenant: world.tenant,
        name: name.to_owned(),
        correlation: None,
        execution: None,
        payload: json!(payload),
        idempotency_key: None,
        at: at(30),
        expires_at: None,
    }
}

fn to(world: &World, start: &Start, name: &str, payload: i64) -> NewSignal {
    NewSignal { execution: Some(start.row.id), ..signal(world, name, payload) }
}

fn about(world: &World, correlation: &str, name: &str, payload: i64) -> NewSignal {
    NewSignal { correlation: Some(correlation.to_owned()), ..signal(world, name, payload) }
}

fn wait(ordinal: i32, name: &str, correlation: Option<&str>) -> AwaitedSignal {
    AwaitedSignal { ordinal, name: name.to_owned(), correlation: correlation.map(str::to_owned), event: None }
}

async fn ask(world: &World, start: &Start, waits: Vec<AwaitedSignal>, children: Vec<i32>) -> Inbox {
    let ask = AskInbox { execution: start.row.id, tenant: world.tenant, waits, children, is_saga: false, at: at(40) };
    world.store.inbox(ask).await.unwrap()
}

fn told(inbox: &Inbox) -> Vec<(i32, i64)> {
    inbox.signals.iter().map(|taken| (taken.ordinal, taken.payload.as_i64().unwrap())).collect()
}

async fn send(world: &World, signal: NewSignal) -> SignalAnswer {
    world.store.send_signal(signal).await.unwrap()
}

async fn running(world: &World) -> Start {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    world.store.record(world.running(&start, 0)).await.unwrap();
    start
}

async fn a_signal_to_an_execution_is_taken_once(world: &World) {
    let start = running(world).await;
    let mut record = world.running(&start, 0);
    record.steps = vec![waiting_for(0, "paid", None), waiting_for(1, "paid", None)];
    world.store.record(record).await.unwrap();
    let waits = || vec![wait(0, "paid", None), wait(1, "paid", None)];
    assert_eq!(told(&ask(world, &start, waits(), vec![]).await), []);
    assert_eq!(send(world, to(world, &start, "other", 6)).await, SignalAnswer::Kept(vec![]));
    let kept = SignalAnswer::Kept(vec![start.row.id]);
    assert_eq!(send(world, to(world, &start, "paid", 7)).await, kept, "its owner is told to look");
    for _ in 0..2 {
        let inbox = ask(world, &start, waits(), vec![]).await;
        assert_eq!(told(&inbox), [(0, 7)], "the same step gets it again");
        assert_eq!(inbox.signals[0].received_at, at(30));
    }
    send(world, to(world, &start, "paid", 8)).await;
    assert_eq!(told(&ask(world, &start, waits(), vec![]).await), [(0, 7), (1, 8)]);
    let consumed = "select count(*) from signals where status = 'consumed' and consumed_at is not null";
    assert_eq!(world.number(consumed).await, 2);
}

async fn a_correlation_finds_whoever_waits(world: &World) {
    let (one, other) = (running(world).await, running(world).await);
    for (start, correlation) in [(&one, "order-1"), (&other, "order-2")] {
        let mut record = world.running(start, 0);
        record.steps = vec![waiting_for(0, "paid", Some(correlation))];
        world.store.record(record).await.unwrap();
    }
    assert_eq!(send(world, about(world, "order-2", "paid", 2)).await, SignalAnswer::Kept(vec![other.row.id]));
    assert_eq!(send(world, about(world, "order-3", "paid", 3)).await, SignalAnswer::Kept(vec![]));
    let first =
        |start: &Start| vec![wait(0, "paid", Some(if start.row.id == one.row.id { "order-1" } else { "order-2" }))];
    assert_eq!(told(&ask(world, &one, first(&one), vec![]).await), []);
    assert_eq!(told(&ask(world, &one, vec![wait(0, "paid", None)], vec![]).await), [], "it has no correlation");
    for _ in 0..2 {
        assert_eq!(told(&ask(world, &other, first(&other), vec![]).await), [(0, 2)]);
    }
    assert_eq!(told(&ask(world, &one, vec![wait(0, "paid", Some("order-2"))], vec![]).await), [], "it is taken");
    assert_eq!(
        told(&ask(world, &one, vec![wait(0, "paid", Some("order-3"))], vec![]).await),
        [(0, 3)],
        "it came before"
    );
    send(world, to(world, &other, "paid", 9)).await;
    assert_eq!(told(&ask(world, &other, vec![wait(1, "paid", Some("order-5"))], vec![]).await), [(1, 9)]);
}

async fn the_oldest_comes_first_and_the_expired_never(world: &World) {
    let start = running(world).await;
    let dated = |payload, received, expires: Option<i64>| NewSignal {
        at: at(received),
        expires_at: expires.map(at),
        ..to(world, &start, "paid", payload)
    };
    for signal in [dated(1, 30, Some(39)), dated(2, 32, None), dated(3, 31, Some(41))] {
        send(world, signal).await;
    }
    let waits = vec![wait(0, "paid", None), wait(1, "paid", None), wait(2, "paid", None)];
    assert_eq!(told(&ask(world, &start, waits, vec![]).await), [(0, 3), (1, 2)]);
    assert_eq!(world.number("select count(*) from signals where status = 'expired'").await, 1);
}

async fn a_signal_wakes_what_was_let_go_of(world: &World) {
    let (one, other) = (running(world).await, running(world).await);
    for start in [&one, &other] {
        let mut record = world.let_go(start, 0, None);
        record.steps = vec![waiting_for(0, "paid", Some("both"))];
        world.store.record(record).await.unwrap();
    }
    assert!(world.claim(world.node, 9, at(31)).await.executions.is_empty());
    let mut woken = vec![one.row.id, other.row.id];
    woken.sort_unstable();
    assert_eq!(send(world, about(world, "both", "paid", 1)).await, SignalAnswer::Kept(woken.clone()));
    let claimed = world.claim(world.node, 9, at(31)).await.executions;
    assert_eq!(claimed.iter().map(|execution| execution.id).collect::<Vec<_>>(), woken);
    assert_eq!(claimed[0].steps, [waiting_for(0, "paid", Some("both")).state]);
}

async fn what_comes_while_it_is_let_go_of_is_not_lost(world: &World) {
    let (signalled, cancelled, quiet) = (running(world).await, running(world).await, running(world).await);
    send(world, about(world, "order-1", "paid", 1)).await;
    let request = CancelRequest {
        tenant: world.tenant,
        execution: cancelled.row.id,
        reason: None,
        is_audited: false,
        at: at(21),
    };
    world.store.request_cancel(request).await.unwrap();
    for (start, correlation) in [(&signalled, "order-1"), (&cancelled, "order-2"), (&quiet, "order-3")] {
        let mut record = world.let_go(start, 0, Some(at(9000)));
        record.steps = vec![waiting_for(0, "paid", Some(correlation))];
        world.store.record(record).await.unwrap();
    }
    let claimed = world.claim(world.node, 9, at(20)).await;
    let mut due: Vec<ExecutionId> = claimed.executions.iter().map(|execution| execution.id).collect();
    due.sort_unstable();
    assert_eq!((due, claimed.next_due_at), (vec![signalled.row.id, cancelled.row.id], Some(at(9000))));
    let mut again = world.let_go(&cancelled, 1, Some(at(8000)));
    again.steps = vec![waiting_for(0, "paid", Some("order-2"))];
    world.store.record(again).await.unwrap();
    let claimed = world.claim(world.node, 9, at(21)).await;
    assert!(claimed.executions.is_empty(), "a request that was seen wakes nobody again");
    assert_eq!(claimed.next_due_at, Some(at(8000)));
}

async fn signals_that_cannot_be_kept_are_told_apart(world: &World) {
    let start = running(world).await;
    let keyed = |payload| NewSignal { idempotency_key: Some("k".to_owned()), ..to(world, &start, "paid", payload) };
    let first = keyed(1);
    assert_eq!(send(world, first.clone()).await, SignalAnswer::Kept(vec![]));
    assert_eq!(send(world, first).await, SignalAnswer::Duplicate);
    assert_eq!(send(world, keyed(2)).await, SignalAnswer::Duplicate);
    let unknown = NewSignal { execution: Some(ExecutionId(Uuid::now_v7())), ..signal(world, "paid", 1) };
    assert_eq!(send(world, unknown).await, SignalAnswer::UnknownExecution);
    let foreign = NewSignal { tenant: TenantId(Uuid::now_v7()), ..to(world, &start, "paid", 1) };
    assert_eq!(send(world, foreign).await, SignalAnswer::UnknownExecution);
    world.store.record(world.ended(&start, 0, ExecutionStatus::Failed)).await.unwrap();
    assert_eq!(send(world, keyed(3)).await, SignalAnswer::Duplicate);
    let late = send(world, to(world, &start, "paid", 4)).await;
    assert_eq!(late, SignalAnswer::Ended(ExecutionStatus::Failed));
    assert_eq!(world.number("select count(*) from signals").await, 1);
}

async fn what_ends_lets_its_signals_expire(world: &World) {
    let start = running(world).await;
    send(world, to(world, &start, "paid", 1)).await;
    send(world, about(world, "order-1", "paid", 2)).await;
    world.store.record(world.ended(&start, 0, ExecutionStatus::Completed)).await.unwrap();
    let expired = "select count(*) from signals where status = 'expired' and execution_id is not null";
    assert_eq!(world.number(expired).await, 1);
    assert_eq!(world.number("select count(*) from signals where status = 'pending'").await, 1);
}

async fn the_end_of_a_child_is_found_and_wakes(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let parent = running(world).await;
    let mut children = Vec::new();
    for ordinal in [3, 4, 5] {
        let mut child = world.request(&workflow, at(1));
        child.row.parent = Some(Parent { execution: parent.row.id, step_ordinal: ordinal });
        world.store.start(child.clone()).await.unwrap();
        world.store.record(world.running(&child, 0)).await.unwrap();
        children.push(child);
    }
    world.store.record(world.let_go(&parent, 0, None)).await.unwrap();
    assert!(ask(world, &parent, vec![], vec![3, 4]).await.children.is_empty());
    let mut end = world.ended(&children[0], 0, ExecutionStatus::Completed);
    end.parent = Some(parent.row.id);
    world.store.record(end).await.unwrap();
    world.store.record(world.ended(&children[2], 0, ExecutionStatus::Failed)).await.unwrap();
    let inbox = ask(world, &parent, vec![], vec![3, 4]).await;
    assert!(inbox.cancel.is_none());
    let ended = &inbox.children[0];
    assert_eq!((inbox.children.len(), ended.ordinal, ended.execution), (1, 3, children[0].row.id));
    assert_eq!((ended.status, ended.result.clone()), (ExecutionStatus::Completed, Some(json!({ "rows": 3 }))));
    let woken = world.claim(world.node, 9, at(20)).await.executions;
    assert_eq!(woken.iter().map(|execution| execution.id).collect::<Vec<_>>(), [parent.row.id]);
    let request = CancelRequest {
        tenant: world.tenant,
        execution: parent.row.id,
        reason: Some("enough".to_owned()),
        is_audited: false,
        at: at(21),
    };
    world.store.request_cancel(request).await.unwrap();
    let asked = ask(world, &parent, vec![], vec![]).await.cancel.unwrap();
    assert_eq!(asked.reason.as_deref(), Some("enough"));
}
