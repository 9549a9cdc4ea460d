//! The event store: appending at an expected version, reading, chains that tell when somebody changed them, replay.

use std::collections::HashMap;

use cogwheel_engine::ports::Store as _;
use cogwheel_engine::ports::{
    Actor, AppendError, AppendEvents, Appended, Consumer, DeadLetter, EventFilter, EventLog as _, ExpectedVersion,
    NewEvent, Place, Reads as _, RecordedEvent, ReplayEvents, Replayed, Stream,
};
use cogwheel_store::SqlStore;
use cogwheel_store::verify::{self, EventWalk};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at};

on_both! {
    a_stream_is_appended_to_at_the_version_that_is_expected
    what_was_appended_is_not_appended_again
    streams_and_types_are_listed_after_a_position
    a_tenant_sees_its_own_events
    definitions_tell_what_becomes_of_them
    whatever_is_said_is_hashed_as_it_is_read
    many_writers_leave_no_gap_and_readers_miss_nothing
    what_is_changed_put_in_or_taken_out_is_found
    events_are_handed_out_again
}

/// The tests' streams.
fn stream(number: u128) -> Stream {
    Stream::of("order", Uuid::from_u128(number))
}

fn event(name: &str, data: &Value) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        event_type: format!("custom.{name}").parse().unwrap(),
        data: json!({ "subject": null, "data": data }),
        actor: Actor::Operator,
        depth: 0,
        correlation_id: Some(Uuid::from_u128(7)),
        causation_id: None,
    }
}

fn append_of(world: &World, number: u128, expected: ExpectedVersion, events: Vec<NewEvent>) -> AppendEvents {
    AppendEvents { tenant: world.tenant, stream: stream(number), expected, events, at: at(1) }
}

async fn append(world: &World, number: u128, names: &[&str]) -> Appended {
    let events = names.iter().map(|name| event(name, &json!(name))).collect();
    world.store.append_events(append_of(world, number, ExpectedVersion::Any, events)).await.unwrap()
}

async fn walk(world: &World, only: Option<&str>) -> EventWalk {
    let db = world.open().await;
    let walked = verify::events(&db, only).await.unwrap();
    db.close().await.unwrap();
    walked
}

fn names(events: &[RecordedEvent]) -> Vec<(i64, &str)> {
    events.iter().map(|event| (event.version, event.event_type.trim_start_matches("custom."))).collect()
}

async fn a_stream_is_appended_to_at_the_version_that_is_expected(world: &World) {
    let at_version = |expected, name: &str| {
        let append = append_of(world, 1, ExpectedVersion::Exactly(expected), vec![event(name, &json!(1))]);
        world.store.append_events(append)
    };
    assert_eq!(at_version(0, "made").await.unwrap(), Appended { version: 1, events: 1 });
    assert_eq!(at_version(1, "paid").await.unwrap(), Appended { version: 2, events: 1 });
    for (expected, actual) in [(0, 2), (1, 2), (3, 2)] {
        let refused = at_version(expected, "late").await.unwrap_err();
        let AppendError::Conflict { stream, expected: asked, actual: stands } = &refused else { panic!("{refused}") };
        assert_eq!((stream.as_str(), *asked, *stands), (self::stream(1).name(), expected, actual));
    }
    assert_eq!(append(world, 2, &["made"]).await, Appended { version: 1, events: 1 });
    let stored = world.store.stream_events(world.tenant, stream(1).name(), 0, 10).await.unwrap();
    assert_eq!(names(&stored), [(1, "made"), (2, "paid")]);
    let later = world.store.stream_events(world.tenant, stream(1).name(), 1, 10).await.unwrap();
    assert_eq!(names(&later), [(2, "paid")], "whoever has a snapshot goes on from its version");
    let first = &stored[0];
    assert_eq!((first.aggregate_type.as_str(), first.aggregate_id), ("order", Some(Uuid::from_u128(1))));
    assert_eq!((first.correlation_id, first.at, first.hash.len()), (Some(Uuid::from_u128(7)), at(1), 64));
    assert_eq!(first.metadata, json!({ "actor": { "kind": "operator" }, "depth": 0 }));
    assert_eq!(world.store.event(world.tenant, first.id).await.unwrap().as_ref(), Some(first));

    // Of many who expect the same version, one is right.
    let racing = (0..8).map(|_| at_version(2, "raced"));
    let raced = futures_util::future::join_all(racing).await;
    assert_eq!(raced.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

async fn what_was_appended_is_not_appended_again(world: &World) {
    let events = vec![event("a", &json!(1)), event("b", &json!(2))];
    let append = append_of(world, 1, ExpectedVersion::Exactly(0), events.clone());
    assert_eq!(world.store.append_events(append.clone()).await.unwrap(), Appended { version: 2, events: 2 });
    assert_eq!(world.store.append_events(append).await.unwrap(), Appended { version: 2, events: 0 });
    let more = [events, vec![event("c", &json!(3))]].concat();
    let append = append_of(world, 1, ExpectedVersion::Any, more);
    assert_eq!(world.store.append_events(append).await.unwrap(), Appended { version: 3, events: 1 });
    assert_eq!(walk(world, None).await.faults, []);
}

/// Waits until nothing can come before what is listed any more.
async fn listed(world: &World, filter: &EventFilter, after: i64, count: usize) -> Vec<RecordedEvent> {
    loop {
        let listed = world.store.events(world.tenant, filter, after, 100).await.unwrap();
        if listed.len() >= count {
            return listed;
        }
        tokio::task::yield_now().await;
    }
}

async fn streams_and_types_are_listed_after_a_position(world: &World) {
    append(world, 1, &["a", "b"]).await;
    append(world, 2, &["a"]).await;
    append(world, 1, &["c"]).await;
    let all = listed(world, &EventFilter::default(), 0, 4).await;
    assert_eq!(names(&all), [(1, "a"), (2, "b"), (1, "a"), (3, "c")]);
    let positions: Vec<i64> = all.iter().map(|event| event.place.position).collect();
    assert!(positions.is_sorted());
    let after = |position: i64| world.store.events(world.tenant, &ALL, position, 2);
    assert_eq!(names(&after(positions[1]).await.unwrap()), [(1, "a"), (3, "c")]);
    assert!(after(positions[3]).await.unwrap().is_empty());
    let typed = EventFilter { types: vec!["custom.a".to_owned(), "custom.c".to_owned()], stream: None };
    assert_eq!(names(&listed(world, &typed, positions[0], 2).await), [(1, "a"), (3, "c")]);
    let of_stream = EventFilter { stream: Some(stream(1).name().to_owned()), types: Vec::new() };
    assert_eq!(names(&listed(world, &of_stream, positions[0], 2).await), [(2, "b"), (3, "c")]);
    let both = EventFilter { types: vec!["custom.c".to_owned()], ..of_stream };
    assert_eq!(names(&listed(world, &both, 0, 1).await), [(3, "c")]);
}

static ALL: EventFilter = EventFilter { stream: None, types: Vec::new() };

async fn a_tenant_sees_its_own_events(world: &World) {
    append(world, 1, &["a"]).await;
    let stored = listed(world, &ALL, 0, 1).await;
    let stranger = cogwheel_engine::TenantId(Uuid::now_v7());
    assert!(world.store.events(stranger, &ALL, 0, 10).await.unwrap().is_empty());
    assert!(world.store.event(stranger, stored[0].id).await.unwrap().is_none());
    assert!(world.store.stream_events(stranger, stream(1).name(), 0, 10).await.unwrap().is_empty());
}

async fn definitions_tell_what_becomes_of_them(world: &World) {
    let saved = world.save(PLAIN, at(0)).await;
    world.save(PLAIN, at(1)).await;
    world.save(&PLAIN.replace("hello", "goodbye"), at(2)).await;
    let pause = |paused| cogwheel_engine::ports::PauseWorkflow {
        tenant: world.tenant,
        workflow: saved.id,
        paused,
        actor: Actor::Admin,
        at: at(3),
    };
    for paused in [true, true, false] {
        world.store.pause_workflow(pause(paused)).await.unwrap();
    }
    world.store.remove_workflow(saved.id, at(4)).await.unwrap();
    world.store.remove_workflow(saved.id, at(5)).await.unwrap();
    let told = world.store.stream_events(world.tenant, Stream::workflow(saved.id).name(), 0, 100).await.unwrap();
    let expected = [
        "workflow.created",
        "workflow.version_activated",
        "workflow.updated",
        "workflow.version_activated",
        "workflow.disabled",
        "workflow.enabled",
        "workflow.deleted",
    ];
    assert_eq!(told.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>(), expected);
    for event in &told {
        let known: cogwheel_engine::events::EventType = event.event_type.parse().unwrap();
        let mut fields: Vec<&str> = event.data["data"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut promised = known.fields().to_vec();
        fields.sort_unstable();
        promised.sort_unstable();
        assert_eq!(fields, promised, "{known}");
        assert_eq!(event.data["subject"], "plain");
    }
    assert_eq!(told[4].metadata["actor"]["kind"], "admin");
    assert_eq!(walk(world, None).await.faults, []);
}

fn any_number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other numbers", |number| number.is_finite()).prop_map(Value::from),
        (any::<i32>(), -30..30_i32).prop_map(|(digits, places)| Value::from(f64::from(digits) * 10_f64.powi(places))),
    ]
}

fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any_number(),
        any::<String>().prop_map(Value::from),
        "[\u{0}-\u{20}\"\\\\\u{7f}-\u{a0}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A number that a database writes its own way, or a name that it sorts its own way, must not change the hash.
async fn whatever_is_said_is_hashed_as_it_is_read(world: &World) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let documents = prop::collection::vec(any_document(), 400);
    let said = documents.new_tree(&mut runner).unwrap().current();
    for events in said.chunks(100) {
        let events = events.iter().map(|said| event("said", said)).collect();
        world.store.append_events(append_of(world, 1, ExpectedVersion::Any, events)).await.unwrap();
    }
    let walked = walk(world, None).await;
    assert_eq!((walked.streams, walked.events), (1, 400));
    assert_eq!(walked.faults, []);
}

/// How many append, how often each, and to how many streams.
const WRITERS: u128 = 64;
const APPENDS: u128 = 12;
const STREAMS: u128 = 9;

/// Reads all events in order until it has seen so many.
async fn tail(store: &SqlStore, count: usize) -> Vec<RecordedEvent> {
    let mut read: Vec<RecordedEvent> = Vec::new();
    let mut place = Place::default();
    while read.len() < count {
        let page = store.events_after(place, 7).await.unwrap().events;
        match page.last() {
            Some(last) => place = last.place,
            None => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
        read.extend(page);
    }
    read
}

/// The same by positions, as whoever asks the API does.
async fn tail_by_position(world: &World, store: &SqlStore, count: usize) -> Vec<RecordedEvent> {
    let mut read: Vec<RecordedEvent> = Vec::new();
    let mut position = 0;
    while read.len() < count {
        let page = store.events(world.tenant, &ALL, position, 11).await.unwrap();
        match page.last() {
            Some(last) => position = last.place.position,
            None => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
        read.extend(page);
    }
    read
}

async fn many_writers_leave_no_gap_and_readers_miss_nothing(world: &World) {
    // On PostgreSQL two servers write, each over its own connections.
    let other = if world.is_sqlite() { world.store.clone() } else { world.second_store().await };
    let stores = [&world.store, &other];
    let write = |writer: u128| async move {
        let store = stores[usize::from(writer.is_multiple_of(2))];
        for turn in 0..APPENDS {
            let number = (writer * 31 + turn * 7) % STREAMS;
            let events = (0..=turn % 3).map(|part| {
                event("tick", &json!([writer.to_string(), turn.to_string(), u64::try_from(part).unwrap()]))
            });
            let append = append_of(world, number, ExpectedVersion::Any, events.collect());
            loop {
                match store.append_events(append.clone()).await {
                    Ok(_) => break,
                    Err(AppendError::Store(error)) if error.is_transient() => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let count = usize::try_from(WRITERS * (0..APPENDS).map(|turn| turn % 3 + 1).sum::<u128>()).unwrap();
    let writing = futures_util::future::join_all((0..WRITERS).map(write));
    let (_, first, second, third) =
        tokio::join!(writing, tail(&world.store, count), tail(&other, count), tail_by_position(world, &other, count));
    assert_eq!(first.len(), count);
    assert!(first == second && first == third, "two readings of the same events differ");
    let mut versions: HashMap<&str, i64> = HashMap::new();
    for event in &first {
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "{} is read out of its order, or has a gap", event.stream);
    }
    let ids: std::collections::HashSet<Uuid> = first.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), count, "an event is read twice");
    // Whoever appended several at once finds them together, in order.
    let parts: Vec<u64> = first.iter().map(|event| event.data["data"][2].as_u64().unwrap()).collect();
    assert!(parts.windows(2).all(|pair| pair[1] == pair[0] + 1 || pair[1] == 0));
    let walked = walk(world, None).await;
    assert_eq!((walked.streams, walked.faults), (u64::try_from(STREAMS).unwrap(), Vec::new()));
    if !world.is_sqlite() {
        other.close().await;
    }
}

/// The events that walking over everything names, by version, with a part of what it says.
async fn found(world: &World) -> Vec<(i64, String)> {
    walk(world, None).await.faults.into_iter().map(|fault| (fault.version, fault.problem)).collect()
}

async fn what_is_changed_put_in_or_taken_out_is_found(world: &World) {
    append(world, 1, &["a", "b", "c", "d"]).await;
    append(world, 2, &["a"]).await;
    assert_eq!(found(world).await, []);
    let of = format!("stream_id = '{}'", stream(1).name());

    let first = world.store.stream_events(world.tenant, stream(1).name(), 0, 1).await.unwrap()[0].place.position;

    // The database itself refuses.
    let db = world.open().await;
    for refused in ["update event_store set event_type = 'x'", "delete from event_store"] {
        assert!(db.execute_unprepared(refused).await.is_err(), "{refused}");
    }
    db.close().await.unwrap();

    let json = if world.is_sqlite() { "" } else { "::jsonb" };
    let restored =
        |column: &str, value: &str| format!("update event_store set {column} = {value} where {of} and version = 2");
    let changes = [
        (
            "event_data",
            format!("'{{\"subject\": null, \"data\": \"x\"}}'{json}"),
            format!("'{{\"subject\": null, \"data\": \"b\"}}'{json}"),
        ),
        ("event_type", "'custom.x'".to_owned(), "'custom.b'".to_owned()),
        ("correlation_id", "null".to_owned(), world.literal(Uuid::from_u128(7))),
        (
            "event_metadata",
            format!("'{{}}'{json}"),
            format!("'{{\"actor\": {{\"kind\": \"operator\"}}, \"depth\": 0}}'{json}"),
        ),
        ("created_at", "'2030-01-01T00:00:00+00:00'".to_owned(), format!("'{}'", at(1).to_rfc3339())),
    ];
    for (column, value, original) in changes {
        world.tamper(&restored(column, &value)).await;
        let faults = found(world).await;
        assert_eq!(faults.len(), 1, "{column}: {faults:?}");
        assert!(faults[0].0 == 2 && faults[0].1.contains("its hash is"), "{column}: {faults:?}");
        world.tamper(&restored(column, &original)).await;
        assert_eq!(found(world).await, [], "{column} is as it was");
    }
    world.tamper(&format!("update event_store set position = 1000000 where {of} and version = 1")).await;
    assert!(found(world).await[0].1.contains("its position is not behind 1000000"));
    world.tamper(&format!("update event_store set position = {first} where {of} and version = 1")).await;
    assert_eq!(found(world).await, []);

    world.tamper(&format!("delete from event_store where {of} and version = 3")).await;
    let faults = found(world).await;
    assert_eq!(faults.len(), 1);
    assert!(faults[0].0 == 4 && faults[0].1.contains("version 3 is missing"), "{faults:?}");
    // Whoever closes the gap is found all the same.
    world.tamper(&format!("update event_store set version = 3 where {of} and version = 4")).await;
    let faults = found(world).await;
    assert!(faults.len() == 1 && faults[0].0 == 3 && faults[0].1.contains("its hash is"), "{faults:?}");
    assert_eq!(walk(world, Some(stream(2).name())).await, EventWalk { streams: 1, events: 1, faults: Vec::new() });
}

async fn events_are_handed_out_again(world: &World) {
    let reader = world.store.event_consumer("test", at(0)).await.unwrap();
    append(world, 1, &["a", "b", "c"]).await;
    let all = listed(world, &ALL, 0, 3).await;
    let done = Consumer { place: all[2].place, ..reader };
    assert!(world.store.move_consumer(done, at(2)).await.unwrap());
    let letter = DeadLetter {
        consumer: reader.id,
        event: all[1].id,
        tenant: world.tenant,
        depth: 1,
        reasons: vec!["why".to_owned()],
        at: at(3),
    };
    world.store.bury(letter.clone()).await.unwrap();
    let told = listed(world, &ALL, all[2].place.position, 1).await;
    assert_eq!(told[0].event_type, "event.dead_lettered");
    assert_eq!((told[0].causation_id, told[0].data["data"]["consumer"].as_str()), (Some(all[1].id), Some("test")));

    let again = |from_position, name: &str| ReplayEvents {
        tenant: world.tenant,
        consumer: name.to_owned(),
        from_position,
        reason: Some("the receiver was down".to_owned()),
        at: at(4),
    };
    assert_eq!(world.store.replay_events(again(0, "nobody")).await.unwrap(), None);
    let nothing = Replayed { events: 0, to_position: 0, dead_letters: 0 };
    let behind = all[2].place.position + 1;
    assert_eq!(world.store.replay_events(again(behind, "test")).await.unwrap(), Some(nothing));
    let replayed = world.store.replay_events(again(all[1].place.position, "test")).await.unwrap().unwrap();
    assert_eq!(replayed, Replayed { events: 2, to_position: all[2].place.position, dead_letters: 1 });
    assert!(world.store.dead_letters(world.tenant, 10).await.unwrap().is_empty());

    assert!(!world.store.move_consumer(done, at(5)).await.unwrap(), "a reader that knows nothing of it moves nothing");
    let reader = world.store.event_consumer("test", at(5)).await.unwrap();
    let read = world.store.events_after(reader.place, 2).await.unwrap().events;
    assert_eq!(names(&read), [(2, "b"), (3, "c")]);
    assert_eq!(reader.epoch, 1);
    world.store.bury(letter).await.unwrap();
    assert_eq!(world.store.dead_letters(world.tenant, 10).await.unwrap().len(), 1, "it can be given up on again");

    let trail = "select reason, action from audit_log where record_id is not null";
    let trail = world.rows(trail).await;
    assert_eq!(trail.len(), 1);
    assert_eq!(trail[0].try_get::<String>("", "reason").unwrap(), "the receiver was down");
    let told = EventFilter { types: vec!["event.replayed".to_owned()], stream: None };
    let told = listed(world, &told, 0, 1).await;
    assert_eq!(told[0].data["data"]["events"], 2);
    assert_eq!(walk(world, None).await.faults, []);
}
