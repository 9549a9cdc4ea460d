//! Nodes come, prolong their leases, lapse, and are found dead.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_engine::NodeId;
use cogwheel_engine::ports::{Lease, NewNode, Store, StoreError, Swept};
use cogwheel_machine::ExecutionStatus;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at};

on_both! {
    a_lapsed_node_loses_what_it_owned
    a_node_that_is_alive_keeps_its_own
    a_node_that_was_lost_lives_again_without_its_own
    what_a_lost_node_began_is_not_its_own_either
    what_is_queued_keeps_its_deadline
    an_owner_that_is_gone_owns_nothing
    a_node_that_is_replaced_has_ended
}

async fn leased(world: &World, until: i64) -> NodeId {
    let node = lasting(until);
    let id = node.id;
    world.store.join(node).await.unwrap();
    id
}

/// A node whose lease lasts until then.
fn lasting(until: i64) -> NewNode {
    NewNode {
        id: NodeId(Uuid::now_v7()),
        name: "there".to_owned(),
        address: None,
        engine_version: "0.0.0".to_owned(),
        schema_fingerprint: "f".repeat(64),
        capacity: 8,
        lease: Some(Duration::from_secs(u64::try_from(until).unwrap())),
        replaces: None,
        started_at: at(0),
    }
}

/// A node that owns a running execution.
async fn owning(world: &World, until: i64) -> (NodeId, cogwheel_engine::ports::Start) {
    let workflow = world.save(PLAIN, at(0)).await;
    let node = leased(world, until).await;
    let mut start = world.request(&workflow, at(1));
    start.row.owner = Some(node);
    world.store.start(start.clone()).await.unwrap();
    let mut record = world.running(&start, 0);
    record.head = record.head.map(|head| cogwheel_engine::ports::Head { owner: Some(node), ..head });
    world.store.record(record).await.unwrap();
    (node, start)
}

async fn wakes_at(world: &World) -> Option<DateTime<Utc>> {
    let rows = world.rows("select next_wake_at from workflow_executions").await;
    rows[0].try_get("", "next_wake_at").unwrap()
}

async fn a_lapsed_node_loses_what_it_owned(world: &World) {
    let (_, start) = owning(world, 30).await;
    let swept = world.store.sweep(world.node, at(31)).await.unwrap();
    assert_eq!(swept, Swept { dead_nodes: 1, freed: 1, alive_nodes: 0 });
    let lost = "select count(*) from nodes where status = 'lost' and generation = 2 and stopped_at is not null";
    assert_eq!(world.number(lost).await, 1);
    assert_eq!(wakes_at(world).await, Some(at(31)));
    let stale = world.store.record(world.ended(&start, 0, ExecutionStatus::Completed)).await;
    assert!(matches!(stale, Err(StoreError::Conflict(_))));
    assert_eq!(world.store.sweep(world.node, at(32)).await.unwrap(), Swept::default(), "once is enough");
    assert_eq!(world.claim(world.node, 1, at(32)).await.executions[0].epoch, 2);
}

async fn a_node_that_is_alive_keeps_its_own(world: &World) {
    let (node, start) = owning(world, 30).await;
    assert_eq!(world.store.renew_lease(node, at(20), at(50)).await.unwrap(), Lease::Kept);
    let swept = world.store.sweep(world.node, at(49)).await.unwrap();
    if world.is_sqlite() {
        assert_eq!(swept, Swept { dead_nodes: 1, freed: 1, alive_nodes: 0 }, "a file has one node");
        return;
    }
    assert_eq!(swept, Swept { alive_nodes: 1, ..Swept::default() });
    world.store.record(world.ended(&start, 0, ExecutionStatus::Completed)).await.unwrap();
    // The world's own node has no lease, so it counts as alive only for itself.
    assert_eq!(world.store.sweep(node, at(49)).await.unwrap(), Swept { dead_nodes: 1, freed: 0, alive_nodes: 0 });
}

async fn a_node_that_was_lost_lives_again_without_its_own(world: &World) {
    let (node, _) = owning(world, 30).await;
    world.store.sweep(world.node, at(31)).await.unwrap();
    assert_eq!(world.store.renew_lease(node, at(32), at(60)).await.unwrap(), Lease::Lost);
    let alive = "select count(*) from nodes where status = 'active' and generation = 3 and stopped_at is null
        and lease_expires_at is not null and last_heartbeat_at is not null";
    assert_eq!(world.number(alive).await, 1);
    assert_eq!(world.store.renew_lease(node, at(33), at(61)).await.unwrap(), Lease::Kept);
    assert_eq!(world.claim(node, 1, at(33)).await.executions.len(), 1, "it may take work again");
    let nobody = world.store.renew_lease(NodeId(Uuid::now_v7()), at(33), at(61)).await;
    assert!(matches!(nobody, Err(StoreError::Conflict(_))));
}

async fn what_a_lost_node_began_is_not_its_own_either(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let node = leased(world, 30).await;
    world.store.sweep(world.node, at(31)).await.unwrap();
    let mut start = world.request(&workflow, at(32));
    start.row.owner = Some(node);
    world.store.start(start.clone()).await.unwrap();
    assert_eq!(world.store.renew_lease(node, at(33), at(60)).await.unwrap(), Lease::Lost);
    let stale = world.store.record(world.running(&start, 0)).await;
    assert!(matches!(stale, Err(StoreError::Conflict(_))), "whoever claims it runs it");
    assert_eq!(world.claim(node, 1, at(34)).await.executions[0].id, start.row.id);
}

async fn what_is_queued_keeps_its_deadline(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let mut start = world.request(&workflow, at(1));
    start.row.owner = Some(leased(world, 30).await);
    start.row.queue_deadline_at = Some(at(500));
    world.store.start(start).await.unwrap();
    assert_eq!(world.store.sweep(world.node, at(31)).await.unwrap().freed, 1);
    assert_eq!(wakes_at(world).await, Some(at(500)));
}

async fn an_owner_that_is_gone_owns_nothing(world: &World) {
    let (node, _) = owning(world, 30).await;
    world.plant(&format!("delete from nodes where id = {}", world.literal(node.0))).await;
    assert_eq!(world.store.sweep(world.node, at(2)).await.unwrap(), Swept { dead_nodes: 0, freed: 1, alive_nodes: 0 });
}

async fn a_node_that_is_replaced_has_ended(world: &World) {
    let (node, _) = owning(world, 30).await;
    let next = NewNode { id: NodeId(Uuid::now_v7()), replaces: Some(node), ..lasting(30) };
    let next_id = next.id;
    world.store.join(next).await.unwrap();
    assert_eq!(world.store.sweep(next_id, at(2)).await.unwrap().freed, 1, "whatever its lease says");
    assert_eq!(world.claim(next_id, 1, at(2)).await.executions.len(), 1);
}
