//! How many executions of a key are live at once, and what becomes of one more.

use cogwheel_definition::Overflow;
use cogwheel_engine::NodeId;
use cogwheel_engine::ports::{CancelRequest, Claim, Reads, Start, StartFrom, Started, Store};
use cogwheel_engine::views::{FileStatus, FireFilter, PageRequest};
use cogwheel_machine::{ExecutionId, ExecutionStatus};
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, TRIGGERED, World, at};

on_both! {
    a_key_is_claimed_up_to_its_limit
    every_key_gets_its_turn
    an_unlimited_one_is_not_held_up
    two_nodes_keep_one_limit
    one_too_many_is_skipped
    a_skipped_start_keeps_its_ledgers
    the_newest_replaces_the_others
    starts_of_one_transaction_see_each_other
    the_same_start_twice_is_accepted
}

async fn start(world: &World, start: &Start) -> Started {
    world.store.start(start.clone()).await.unwrap()
}

async fn claimed(world: &World, limit: usize) -> Vec<ExecutionId> {
    let claimed = world.claim(world.node, limit, at(2)).await;
    claimed.executions.iter().map(|execution| execution.id).collect()
}

async fn a_key_is_claimed_up_to_its_limit(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let starts: Vec<Start> = (0..5).map(|_| world.keyed(&workflow, "k", 2, Overflow::Queue)).collect();
    for one in &starts {
        assert_eq!(start(world, one).await, Started::Accepted);
    }
    let stored = "select count(*) from workflow_executions where concurrency_limit = 2 and owner_node_id is null";
    assert_eq!(world.number(stored).await, 5);
    assert_eq!(claimed(world, 9).await, [starts[0].row.id, starts[1].row.id]);
    assert_eq!(claimed(world, 9).await, [], "what was claimed counts before it runs");
    world.store.record(world.running(&starts[0], 1)).await.unwrap();
    world.store.record(world.let_go(&starts[1], 1, Some(at(9000)))).await.unwrap();
    let full = world.claim(world.node, 9, at(2)).await;
    assert!(full.executions.is_empty() && !full.has_more, "what waits keeps its slot");
    world.store.record(world.ended(&starts[0], 1, ExecutionStatus::Completed)).await.unwrap();
    assert_eq!(claimed(world, 9).await, [starts[2].row.id]);
    let taken = &world.store.execution(world.tenant, starts[2].row.id).await.unwrap().unwrap();
    assert!(taken.has_concurrency_key);
}

async fn every_key_gets_its_turn(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut first = Vec::new();
    for key in ["a", "b", "c"] {
        for n in 0..3 {
            let one = world.keyed(&workflow, key, 1, Overflow::Queue);
            start(world, &one).await;
            if n == 0 {
                first.push(one.row.id);
            }
        }
    }
    let some = world.claim(world.node, 2, at(2)).await;
    assert_eq!((some.executions.len(), some.has_more), (2, true));
    let rest = world.claim(world.node, 2, at(2)).await;
    assert_eq!((rest.executions.len(), rest.has_more), (1, false));
    let taken: Vec<_> = some.executions.iter().chain(&rest.executions).map(|execution| execution.id).collect();
    assert_eq!(taken, first);
}

async fn an_unlimited_one_is_not_held_up(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    for _ in 0..3 {
        start(world, &world.keyed(&workflow, "k", 1, Overflow::Queue)).await;
    }
    let free = world.pooled(&workflow);
    start(world, &free).await;
    let taken = claimed(world, 9).await;
    assert_eq!((taken.len(), taken[1]), (2, free.row.id));
}

async fn two_nodes_keep_one_limit(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    for _ in 0..20 {
        start(world, &world.keyed(&workflow, "k", 3, Overflow::Queue)).await;
    }
    let nodes = [world.node, NodeId(Uuid::now_v7())];
    world.join(nodes[1]).await;
    let other = if world.is_sqlite() { world.store.clone() } else { world.second_store().await };
    let mut calls = Vec::new();
    for (node, store) in nodes.into_iter().zip([world.store.clone(), other.clone()]).cycle().take(12) {
        calls.push(tokio::spawn(async move {
            store.claim(Claim { node, limit: 2, runs: None, at: at(2) }).await.unwrap().executions.len()
        }));
    }
    let mut taken = 0;
    for call in calls {
        taken += call.await.unwrap();
    }
    assert_eq!(taken, 3);
    other.close().await;
}

async fn one_too_many_is_skipped(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (first, second) =
        (world.keyed(&workflow, "k", 1, Overflow::Skip), world.keyed(&workflow, "k", 1, Overflow::Skip));
    assert_eq!(start(world, &first).await, Started::Accepted);
    assert_eq!(start(world, &second).await, Started::Skipped, "what is queued counts");
    assert_eq!(start(world, &world.keyed(&workflow, "other", 1, Overflow::Skip)).await, Started::Accepted);
    let skipped = world.store.execution(world.tenant, second.row.id).await.unwrap().unwrap();
    let error = skipped.error.unwrap();
    assert_eq!((skipped.status, error.kind.as_str()), (ExecutionStatus::Cancelled, "cancelled"));
    assert!(error.title.starts_with("skipped: one is live"), "{}", error.title);
    let read = world.store.workflow_by_name(world.tenant, "plain").await.unwrap().unwrap();
    assert_eq!((read.total_executions, read.failed_executions), (1, 0));
    claimed(world, 9).await;
    world.store.record(world.running(&first, 1)).await.unwrap();
    world.store.record(world.ended(&first, 1, ExecutionStatus::Completed)).await.unwrap();
    assert_eq!(start(world, &world.keyed(&workflow, "k", 1, Overflow::Skip)).await, Started::Accepted);
}

async fn a_skipped_start_keeps_its_ledgers(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    start(world, &world.keyed(&workflow, "k", 1, Overflow::Queue)).await;
    let slot = world.keyed(&workflow, "k", 1, Overflow::Skip).row.concurrency;
    for mut one in [world.by_schedule(&workflow, 300), world.by_file(&workflow, "/data/inbox/a.csv", "a")] {
        one.row.concurrency.clone_from(&slot);
        one.row.owner = None;
        assert_eq!(start(world, &one).await, Started::Skipped);
        if let StartFrom::Files(_) = one.from {
            let files = world.store.files_of_executions(world.tenant, &[one.row.id]).await.unwrap();
            assert_eq!(files[&one.row.id][0].status, FileStatus::Failed);
        } else {
            let all = PageRequest::Forward { first: 9, after: None };
            let fires = world.store.fires(world.tenant, &FireFilter::default(), all).await.unwrap();
            assert_eq!((fires.items.len(), fires.items[0].execution), (1, Some(one.row.id)));
        }
    }
}

async fn the_newest_replaces_the_others(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let starts: Vec<Start> = (0..3).map(|_| world.keyed(&workflow, "k", 1, Overflow::Replace)).collect();
    assert_eq!(start(world, &starts[0]).await, Started::Accepted);
    claimed(world, 9).await;
    world.store.record(world.running(&starts[0], 1)).await.unwrap();
    assert_eq!(start(world, &starts[1]).await, Started::Replacing(vec![starts[0].row.id]));
    let both = vec![starts[0].row.id, starts[1].row.id];
    assert_eq!(start(world, &starts[2]).await, Started::Replacing(both));
    let replaced = &world.store.executions_by_id(world.tenant, &[starts[0].row.id]).await.unwrap()[0];
    let reason = format!("replaced by execution {}", starts[1].row.id);
    assert_eq!(replaced.cancel_reason.as_deref(), Some(reason.as_str()), "the first request counts");
    let due = world.claim(world.node, 0, at(2)).await.executions;
    assert_eq!(due.iter().map(|one| (one.id, one.cancel_requested)).collect::<Vec<_>>(), [(starts[1].row.id, true)]);
    assert_eq!(claimed(world, 9).await, [], "the last one waits for their ends");
    for (ended, epoch) in [(&starts[0], 1), (&starts[1], 1)] {
        world.store.record(world.ended(ended, epoch, ExecutionStatus::Cancelled)).await.unwrap();
    }
    assert_eq!(claimed(world, 9).await, [starts[2].row.id]);
}

async fn starts_of_one_transaction_see_each_other(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    for (key, overflow) in [("s", Overflow::Skip), ("r", Overflow::Replace)] {
        let calls: Vec<_> = (0..12)
            .map(|_| {
                let (store, one) = (world.store.clone(), world.keyed(&workflow, key, 2, overflow));
                tokio::spawn(async move { store.start(one).await.unwrap() })
            })
            .collect();
        let (mut accepted, mut skipped, mut replaced) = (0, 0, 0);
        for call in calls {
            match call.await.unwrap() {
                Started::Accepted => accepted += 1,
                Started::Skipped => skipped += 1,
                Started::Replacing(_) => replaced += 1,
                Started::Duplicate { .. } | Started::PassedOver => panic!("each is another"),
            }
        }
        let expected = if overflow == Overflow::Skip { (2, 10, 0) } else { (2, 0, 10) };
        assert_eq!((accepted, skipped, replaced), expected);
    }
    let asked = "select count(*) from workflow_executions where cancel_requested_at is not null";
    assert_eq!(world.number(asked).await, 11, "all but the last");
}

async fn the_same_start_twice_is_accepted(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    for overflow in [Overflow::Queue, Overflow::Skip, Overflow::Replace] {
        let one = world.keyed(&workflow, &format!("{overflow:?}"), 1, overflow);
        let calls: Vec<_> = (0..6)
            .map(|_| {
                let (store, one) = (world.store.clone(), one.clone());
                tokio::spawn(async move { store.start(one).await.unwrap() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), Started::Accepted);
        }
        let request =
            CancelRequest { tenant: world.tenant, execution: one.row.id, reason: None, is_audited: false, at: at(2) };
        world.store.request_cancel(request).await.unwrap();
    }
    assert_eq!(world.number("select count(*) from workflow_executions").await, 3);
}
