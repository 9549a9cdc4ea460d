//! Readers of events: where they begin, what they give up on, and what they get again, with several servers at once.

use std::time::Duration;

use cogwheel_engine::ports::{
    Actor, AppendEvents, Consumer, DeadLetter, EVENT_TRIGGERS, EventLog as _, ExpectedVersion, NewEvent,
    OUTGOING_WEBHOOKS, Place, Reads as _, RecordedEvent, ReplayEvents, Store as _, Stream, SwitchWebhook,
    WebhookStore as _,
};
use cogwheel_store::SqlStore;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::webhooks::{delivery, made, statuses};
use super::world::{World, at};

on_both! {
    a_reader_gets_what_is_recorded_after_it_began
    two_servers_begin_one_reader
    two_servers_give_up_on_one_event
    triggers_begin_anew_where_there_was_none
    what_a_reader_is_put_back_to_is_its_own_business
    a_webhook_sees_what_is_recorded_after_it_was_switched_on
    who_reads_from_another_place_by_now_records_nothing
}

const LISTENING: &str =
    "name: listening\non: {event: {type: custom.**}}\nsteps:\n  - {uses: log, with: {message: hello}}\n";

/// Records an event at an instant, and answers its id.
async fn recorded(world: &World, seconds: i64) -> Uuid {
    let id = Uuid::now_v7();
    let event = NewEvent {
        id,
        event_type: "custom.a".parse().unwrap(),
        data: json!({ "subject": null, "data": { "n": 2 } }),
        actor: Actor::Operator,
        depth: 0,
        correlation_id: None,
        causation_id: None,
    };
    let stream = Stream::of("order", Uuid::now_v7());
    let expected = ExpectedVersion::Any;
    let append = AppendEvents { tenant: world.tenant, stream, expected, events: vec![event], at: at(seconds) };
    world.store.append_events(append).await.unwrap();
    id
}

/// The authors' events after a place, once the one of this id can be read.
async fn read_until(world: &World, place: Place, id: Uuid) -> Vec<RecordedEvent> {
    loop {
        let mut page = world.store.events_after(place, 100).await.unwrap().events;
        page.retain(|event| event.event_type.starts_with("custom."));
        if page.iter().any(|event| event.id == id) {
            return page;
        }
        // Whatever else is open on the server holds it back.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn ids(events: &[RecordedEvent]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

fn letter(world: &World, reader: &Consumer, event: Uuid) -> DeadLetter {
    let reasons = vec!["why".to_owned()];
    DeadLetter { consumer: reader.id, event, tenant: world.tenant, depth: 1, reasons, at: at(9) }
}

fn replay(world: &World, consumer: &str, from_position: i64) -> ReplayEvents {
    ReplayEvents { tenant: world.tenant, consumer: consumer.to_owned(), from_position, reason: None, at: at(9) }
}

/// What another server has, where there can be one.
async fn other_server(world: &World) -> SqlStore {
    if world.is_sqlite() { world.store.clone() } else { world.second_store().await }
}

async fn close(world: &World, other: SqlStore) {
    if !world.is_sqlite() {
        other.close().await;
    }
}

async fn a_reader_gets_what_is_recorded_after_it_began(world: &World) {
    let old = world.old_transaction().await;
    recorded(world, 0).await;
    let reader = world.store.event_consumer("test", at(5)).await.unwrap();
    // By a server whose clock is behind.
    let late = recorded(world, 1).await;
    if let Some(old) = old {
        assert!(
            world.store.events_after(reader.place, 10).await.unwrap().events.is_empty(),
            "one may still come before"
        );
        old.end().await;
    }
    assert_eq!(ids(&read_until(world, reader.place, late).await), [late]);
}

async fn two_servers_begin_one_reader(world: &World) {
    let other = other_server(world).await;
    let mut begun = Vec::new();
    for turn in 0..8 {
        let name = format!("reader-{turn}");
        let (one, two) = tokio::join!(world.store.event_consumer(&name, at(1)), other.event_consumer(&name, at(2)));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one, two);
        begun.push(one);
    }
    let late = recorded(world, 3).await;
    for reader in begun {
        assert_eq!(ids(&read_until(world, reader.place, late).await), [late]);
    }
    close(world, other).await;
}

async fn two_servers_give_up_on_one_event(world: &World) {
    const TOLD: &str = "select count(*) from event_store where event_type = 'event.dead_lettered'";
    const TRIES: &str = "select count(*) from event_dead_letters where status = 'open' and attempts = 2";
    let other = other_server(world).await;
    let reader = world.store.event_consumer("test", at(0)).await.unwrap();
    let mut events = Vec::new();
    for _ in 0..8 {
        events.push(recorded(world, 1).await);
    }
    let bury = |event: Uuid| {
        let (other, letter) = (&other, letter(world, &reader, event));
        async move {
            let (one, two) = tokio::join!(world.store.bury(letter.clone()), other.bury(letter));
            one.and(two).unwrap();
        }
    };
    for event in &events {
        bury(*event).await;
    }
    assert_eq!(world.store.dead_letters(world.tenant, 20).await.unwrap().len(), 8);
    assert_eq!(world.number(TOLD).await, 8, "each is told of once");

    let read = read_until(world, reader.place, events[7]).await;
    let done = Consumer { place: read[7].place, ..reader };
    assert!(world.store.move_consumer(done, at(2)).await.unwrap());
    let replayed = world.store.replay_events(replay(world, "test", read[0].place.position)).await.unwrap().unwrap();
    assert_eq!((replayed.events, replayed.dead_letters), (8, 8));
    for event in &events {
        bury(*event).await;
    }
    assert_eq!((world.number(TOLD).await, world.number(TRIES).await), (16, 8), "and once more where it fails again");
    close(world, other).await;
}

async fn triggers_begin_anew_where_there_was_none(world: &World) {
    let old = world.old_transaction().await;
    let reader = || world.store.event_consumer(EVENT_TRIGGERS, at(9));
    let first = world.save(LISTENING, at(1)).await;
    let begun = reader().await.unwrap();
    let failed = recorded(world, 2).await;
    world.store.bury(letter(world, &begun, failed)).await.unwrap();
    // Whoever joins does not move it, nor does a definition that listened before.
    world.save(&LISTENING.replace("name: listening", "name: second"), at(3)).await;
    world.save(&LISTENING.replace("hello", "goodbye"), at(3)).await;
    assert_eq!(reader().await.unwrap(), begun);

    for workflow in world.workflows().await {
        world.store.remove_workflow(workflow.id, at(4)).await.unwrap();
    }
    recorded(world, 5).await;
    assert_eq!(world.save(LISTENING, at(6)).await.id, first.id, "it is back");
    let anew = reader().await.unwrap();
    assert_eq!((anew.id, anew.epoch), (begun.id, 1));
    assert!(!world.store.move_consumer(begun, at(7)).await.unwrap(), "whoever read before asks where it stands");
    let late = recorded(world, 0).await;
    if let Some(old) = old {
        old.end().await;
    }
    assert_eq!(ids(&read_until(world, anew.place, late).await), [late], "what happened meanwhile is nobody's");
    assert_eq!(world.store.dead_letters(world.tenant, 10).await.unwrap().len(), 1, "what was given up on stays");
}

/// A replay goes by the order in which events are read, and hands out the first one, however early it was recorded.
async fn what_a_reader_is_put_back_to_is_its_own_business(world: &World) {
    let before = recorded(world, 1).await;
    let reader = world.store.event_consumer("test", at(5)).await.unwrap();
    let after = recorded(world, 6).await;
    let read = read_until(world, reader.place, after).await;
    let done = Consumer { place: read[0].place, ..reader };
    assert!(world.store.move_consumer(done, at(7)).await.unwrap());
    let first = world.store.event(world.tenant, before).await.unwrap().unwrap();
    let replayed = world.store.replay_events(replay(world, "test", first.place.position)).await.unwrap().unwrap();
    assert_eq!(replayed.events, 2);
    let reader = world.store.event_consumer("test", at(8)).await.unwrap();
    assert_eq!(ids(&read_until(world, reader.place, after).await), [before, after]);
}

async fn a_webhook_sees_what_is_recorded_after_it_was_switched_on(world: &World) {
    let switch = |id, is_active, seconds| {
        let switch = SwitchWebhook { id, tenant: world.tenant, is_active, at: at(seconds) };
        async move { assert!(world.store.switch_webhook(switch).await.unwrap()) }
    };
    let reader = || async { world.store.event_consumer(OUTGOING_WEBHOOKS, at(9)).await.unwrap() };
    let old = world.old_transaction().await;
    let mut all = vec![recorded(world, 1).await];
    let first = made(world, "first").await;
    let begun = reader().await;
    all.push(recorded(world, 2).await);
    let second = made(world, "second").await;
    switch(second, false, 3).await;
    all.push(recorded(world, 4).await);
    switch(second, true, 5).await;
    // By a server whose clock is behind.
    all.push(recorded(world, 0).await);
    assert_eq!(reader().await, begun, "somebody listens all the time");
    if let Some(old) = old {
        old.end().await;
    }
    let read = read_until(world, Place::default(), all[3]).await;
    assert_eq!(ids(&read), all);
    let subscriptions = world.store.subscriptions().await.unwrap();
    let sees = |webhook| {
        let since = subscriptions.iter().find(|known| known.webhook == webhook).unwrap().since;
        read.iter().map(|event| event.place > since).collect::<Vec<_>>()
    };
    assert_eq!(sees(first), [false, true, true, true]);
    assert_eq!(sees(second), [false, false, false, true]);

    world.store.bury(letter(world, &begun, all[1])).await.unwrap();
    let old = world.old_transaction().await;
    switch(first, false, 7).await;
    switch(second, false, 7).await;
    recorded(world, 8).await;
    switch(first, true, 9).await;
    let late = recorded(world, 0).await;
    let anew = reader().await;
    assert_eq!((anew.id, anew.epoch), (begun.id, 1));
    if let Some(old) = old {
        old.end().await;
    }
    let read = read_until(world, anew.place, late).await;
    assert_eq!(ids(&read), [late], "the rest is nobody's business");
    let since = world.store.subscriptions().await.unwrap()[0].since;
    assert!(read[0].place > since);
    assert_eq!(world.store.dead_letters(world.tenant, 10).await.unwrap().len(), 1, "what was given up on stays");
}

async fn who_reads_from_another_place_by_now_records_nothing(world: &World) {
    let id = made(world, "stale").await;
    let event = recorded(world, 1).await;
    let reader = world.store.event_consumer(OUTGOING_WEBHOOKS, at(2)).await.unwrap();
    let read = read_until(world, reader.place, event).await;
    let done = Consumer { place: read[0].place, ..reader };
    assert!(world.store.queue_deliveries(done, Vec::new(), at(2)).await.unwrap());
    let replayed = world.store.replay_events(replay(world, OUTGOING_WEBHOOKS, read[0].place.position)).await.unwrap();
    assert_eq!(replayed.map(|replayed| replayed.events), Some(1));
    assert!(!world.store.queue_deliveries(done, vec![delivery(world, id, event)], at(4)).await.unwrap());
    assert_eq!(statuses(world).await, Vec::<String>::new());
    let again = world.store.event_consumer(OUTGOING_WEBHOOKS, at(5)).await.unwrap();
    assert!(again.place < done.place, "it is handed out again");
    assert!(world.store.queue_deliveries(again, vec![delivery(world, id, event)], at(5)).await.unwrap());
    assert_eq!(statuses(world).await, ["pending"]);
}

/// On PostgreSQL a transaction may have got its events' positions after one that began later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_takes_up_what_was_given_up_on_in_the_order_of_reading() {
    let world = World::postgres().await;
    let reader = world.store.event_consumer("test", at(0)).await.unwrap();
    let insert = |id: Uuid| {
        format!(
            "insert into event_store (id, tenant_id, stream_id, version, event_type, aggregate_type, event_data, hash)
             values ('{id}', '{}', 'order-{id}', 1, 'custom.a', 'order', '{{}}', '{}')",
            world.tenant,
            "0".repeat(64)
        )
    };
    let (db, [early, late]) = (world.open().await, [Uuid::now_v7(), Uuid::now_v7()]);
    let first = db.begin().await.unwrap();
    first.execute_unprepared("select pg_current_xact_id()").await.unwrap();
    world.execute(&insert(late)).await;
    first.execute_unprepared(&insert(early)).await.unwrap();
    first.commit().await.unwrap();
    db.close().await.unwrap();

    let read = read_until(&world, reader.place, late).await;
    assert_eq!(ids(&read), [early, late]);
    assert!(read[0].place.position > read[1].place.position);
    for event in &read {
        world.store.bury(letter(&world, &reader, event.id)).await.unwrap();
    }
    let done = Consumer { place: read[1].place, ..reader };
    assert!(world.store.move_consumer(done, at(1)).await.unwrap());
    let from = read[0].place.position;
    let replayed = world.store.replay_events(replay(&world, "test", from)).await.unwrap().unwrap();
    assert_eq!((replayed.events, replayed.dead_letters), (2, 2));
    world.end().await;
}
