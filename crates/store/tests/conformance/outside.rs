//! What comes from outside: addresses for calls with their secrets, and events that are read in their order.

use cogwheel_engine::ports::{
    Actor, CountedCalls, DeadLetter, DeletedSecret, EventLog as _, NewEvent, PutSecret, Reads, SecretStore, Store,
    StoreError, WrappedKey,
};
use cogwheel_engine::views::{PageRequest, TriggerFilter};
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::world::{World, at};

on_both! {
    addresses_follow_the_definition
    a_path_has_one_owner
    calls_are_counted
    a_secret_has_versions
    events_are_read_in_order_and_once
}

const HOOK: &str = "name: hook\non: {webhook: [{id: a, path: one, secret: KEY}, {id: b, path: two, signature: none}]}\nsteps: [{run: x}]\n";

async fn paths(world: &World) -> Vec<(String, String)> {
    let rows = world.rows("select trigger_key, endpoint_path from inbound_endpoints order by trigger_key").await;
    rows.iter()
        .map(|row| (row.try_get("", "trigger_key").unwrap(), row.try_get("", "endpoint_path").unwrap()))
        .collect()
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, path)| ((*key).to_owned(), (*path).to_owned())).collect()
}

async fn addresses_follow_the_definition(world: &World) {
    let saved = world.save(HOOK, at(0)).await;
    assert_eq!(paths(world).await, named(&[("a", "one"), ("b", "two")]));
    let again = world.workflows().await.into_iter().find(|known| known.id == saved.id).unwrap();
    assert_eq!(again.endpoints.len(), 2);
    // Two that change places, and one that goes.
    let swapped =
        HOOK.replace("path: one", "path: x").replace("path: two", "path: one").replace("path: x", "path: two");
    let after = world.save(&swapped, at(1)).await;
    assert_eq!(paths(world).await, named(&[("a", "two"), ("b", "one")]));
    let id_of = |record: &cogwheel_engine::ports::WorkflowRecord, key: &str| {
        record.endpoints.iter().find(|endpoint| endpoint.trigger_key == key).unwrap().id
    };
    assert_eq!(id_of(&saved, "a"), id_of(&after, "a"), "it is the same address");
    world.save(&HOOK.replace(", {id: b, path: two, signature: none}", ""), at(2)).await;
    assert_eq!(paths(world).await, named(&[("a", "one")]));
    let secret = world.store.secret(world.tenant, "KEY").await.unwrap().unwrap();
    assert!(secret.sealed.is_none() && secret.version == 0, "it is named, and nobody has set it");
    world.store.remove_workflow(saved.id, at(3)).await.unwrap();
    assert_eq!(paths(world).await, named(&[]));
}

async fn a_path_has_one_owner(world: &World) {
    let first = world.save(HOOK, at(0)).await;
    let taken = "name: other\non: {webhook: {path: two, signature: none}}\nsteps: [{run: x}]\n";
    let refused = world.store.save_workflow(world.save_of(taken, at(1))).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Conflict(why) if why.contains("`two`") && why.contains("`hook`")),
        "{refused}"
    );
    assert_eq!(world.number("select count(*) from workflows where name = 'other'").await, 0, "nothing of it is there");
    let twice =
        "name: twice\non: {webhook: [{path: z, signature: none}, {path: z, signature: none}]}\nsteps: [{run: x}]\n";
    assert!(world.store.save_workflow(world.save_of(twice, at(1))).await.is_err());
    world.store.remove_workflow(first.id, at(2)).await.unwrap();
    world.save(taken, at(3)).await;
}

async fn calls_are_counted(world: &World) {
    let saved = world.save(HOOK, at(0)).await;
    let endpoint = saved.endpoints[0].id;
    let calls = |total, rejected, seconds| CountedCalls { endpoint, total, rejected, last_at: at(seconds) };
    world.store.count_calls(&[calls(3, 1, 5)]).await.unwrap();
    world.store.count_calls(&[calls(2, 2, 9)]).await.unwrap();
    let all = PageRequest::Forward { first: 10, after: None };
    let listed = world.store.endpoints(world.tenant, &TriggerFilter::default(), all).await.unwrap().items;
    let counted = listed.iter().find(|known| known.id == endpoint).unwrap();
    assert_eq!((counted.total_calls, counted.rejected_calls, counted.last_called_at), (5, 3, Some(at(9))));
    assert_eq!(world.store.count_endpoints(world.tenant, &TriggerFilter::default()).await.unwrap(), 2);
    assert_eq!(world.store.endpoints_by_id(world.tenant, &[endpoint]).await.unwrap().len(), 1);
}

async fn a_secret_has_versions(world: &World) {
    assert_eq!(world.store.data_key(world.tenant).await.unwrap(), None);
    let wrapped = |byte| WrappedKey { bytes: vec![byte; 8], master_key: "file:test".to_owned() };
    let key = world.store.add_data_key(world.tenant, wrapped(1), at(0)).await.unwrap();
    let same = world.store.add_data_key(world.tenant, wrapped(2), at(1)).await.unwrap();
    assert_eq!((same.id, &same.wrapped), (key.id, &wrapped(1)), "whoever is second gets the first one's");
    let put = |sealed: &[u8], replaces, seconds| PutSecret {
        tenant: world.tenant,
        name: "KEY".to_owned(),
        description: (seconds == 1).then(|| "what for".to_owned()),
        sealed: sealed.to_vec(),
        key: key.id,
        replaces,
        at: at(seconds),
    };
    world.store.put_secret(put(b"one", None, 1)).await.unwrap();
    assert!(matches!(world.store.put_secret(put(b"x", None, 2)).await, Err(StoreError::Conflict(_))));
    world.store.put_secret(put(b"two", Some(1), 2)).await.unwrap();
    assert!(matches!(world.store.put_secret(put(b"x", Some(1), 3)).await, Err(StoreError::Conflict(_))));
    let secret = world.store.secret(world.tenant, "KEY").await.unwrap().unwrap();
    assert_eq!((secret.version, secret.rotated_at, secret.description.as_deref()), (2, Some(at(2)), Some("what for")));
    assert_eq!(secret.sealed, Some((b"two".to_vec(), wrapped(1))));
    assert_eq!(world.store.secrets(world.tenant).await.unwrap(), [secret]);

    world.save(HOOK, at(4)).await;
    assert_eq!(world.store.delete_secret(world.tenant, "KEY").await.unwrap(), DeletedSecret::InUse);
    assert_eq!(world.store.delete_secret(world.tenant, "NONE").await.unwrap(), DeletedSecret::Unknown);
    world.save(&HOOK.replace("{id: a, path: one, secret: KEY}, ", ""), at(5)).await;
    assert_eq!(world.store.delete_secret(world.tenant, "KEY").await.unwrap(), DeletedSecret::Deleted);
}

async fn events_are_read_in_order_and_once(world: &World) {
    let workflow = world.save(super::world::PLAIN, at(0)).await;
    let event = |kind: &str, depth| NewEvent {
        id: Uuid::now_v7(),
        event_type: format!("custom.{kind}").parse().unwrap(),
        actor: Actor::Engine,
        data: json!({ "subject": null, "data": kind }),
        depth,
        correlation_id: None,
        causation_id: None,
    };
    let start = world.started(&workflow).await;
    let mut record = world.running(&start, 0);
    record.at = at(0);
    record.events = vec![event("early", 0)];
    world.store.record(record.clone()).await.unwrap();

    let consumer = world.store.event_consumer("test", at(1)).await.unwrap();
    record.at = at(2);
    record.events = vec![event("a", 3), event("b", 0), event("c", 0)];
    world.store.record(record).await.unwrap();
    // Others may be writing: what they could come before is held back until they are done.
    let mut read = Vec::new();
    let mut place = consumer.place;
    while read.len() < 3 {
        for event in world.store.events_after(place, 2).await.unwrap().events {
            place = event.place;
            read.push((event.event_type.clone(), event.depth(), event.tenant));
        }
        tokio::task::yield_now().await;
    }
    let expected = [("a", 3), ("b", 0), ("c", 0)].map(|(kind, depth)| (format!("custom.{kind}"), depth, world.tenant));
    assert_eq!(read, expected, "what was recorded before the reader came is none of its business");

    let moved = cogwheel_engine::ports::Consumer { place, ..consumer };
    world.store.move_consumer(moved, at(3)).await.unwrap();
    world.store.move_consumer(consumer, at(3)).await.unwrap();
    assert_eq!(world.store.event_consumer("test", at(4)).await.unwrap(), moved, "it never goes back");
    assert!(world.store.events_after(place, 10).await.unwrap().events.is_empty());

    let rows = world.rows("select id from event_store where event_type = 'custom.b'").await;
    let letter = DeadLetter {
        consumer: consumer.id,
        event: rows[0].try_get("", "id").unwrap(),
        tenant: world.tenant,
        depth: 1,
        reasons: vec!["why".to_owned()],
        at: at(5),
    };
    world.store.bury(letter.clone()).await.unwrap();
    world.store.bury(letter).await.unwrap();
    let letters = world.store.dead_letters(world.tenant, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].event_type.as_str(), &letters[0].reasons[..]), ("custom.b", &["why".to_owned()][..]));
}
