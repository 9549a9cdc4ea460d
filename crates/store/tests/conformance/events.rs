//! Events that steps emit: appended once, in order, with the record they belong to.

use cogwheel_engine::ports::{Actor, NewEvent, Start, Store, StoreError};
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at};

on_both! {
    events_are_appended_in_order_and_once
    a_refused_record_appends_nothing
}

fn event(kind: &str) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        event_type: format!("custom.{kind}").parse().unwrap(),
        actor: Actor::Engine,
        data: json!({ "kind": kind }),
        depth: 0,
        correlation_id: None,
        causation_id: None,
    }
}

async fn versions(world: &World, start: &Start) -> Vec<(i64, String)> {
    let sql = format!(
        "select version, event_type from event_store where stream_id = 'execution-{}' and aggregate_type = 'execution'
         and tenant_id = {} and aggregate_id = {} order by position",
        start.row.id,
        world.literal(world.tenant.0),
        world.literal(start.row.id.0)
    );
    let rows = world.rows(&sql).await;
    rows.iter().map(|row| (row.try_get("", "version").unwrap(), row.try_get("", "event_type").unwrap())).collect()
}

fn numbered(kinds: &[&str]) -> Vec<(i64, String)> {
    (1..).zip(kinds.iter().map(|&kind| format!("custom.{kind}"))).collect()
}

async fn events_are_appended_in_order_and_once(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (one, other) = (world.started(&workflow).await, world.started(&workflow).await);
    let (first, second, third) = (event("z"), event("a"), event("m"));
    let mut record = world.running(&one, 0);
    record.events = vec![first.clone(), second.clone()];
    world.store.record(record.clone()).await.unwrap();
    world.store.record(record.clone()).await.unwrap();
    let mut elsewhere = world.running(&other, 0);
    elsewhere.events = vec![event("else")];
    let (one_more, there) = (cogwheel_engine::ports::Record { events: vec![second, third], ..record }, elsewhere);
    let (a, b) = tokio::join!(world.store.record(one_more), world.store.record(there));
    a.and(b).unwrap();
    assert_eq!(versions(world, &one).await, numbered(&["z", "a", "m"]));
    assert_eq!(versions(world, &other).await, numbered(&["else"]));
    let positions = "select count(distinct position) from event_store where aggregate_type = 'execution'";
    assert_eq!(world.number(positions).await, 4);
}

async fn a_refused_record_appends_nothing(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut stale = world.running(&start, 7);
    stale.events = vec![event("ghost")];
    assert!(matches!(world.store.record(stale).await, Err(StoreError::Conflict(_))));
    assert_eq!(world.number("select count(*) from event_store where aggregate_type = 'execution'").await, 0);
}
