//! Steps that wait for an event: it is found whenever it came, answers one wait of an execution, and wakes who waits.

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{
    Actor, AppendEvents, AskInbox, AwaitedSignal, EventLog as _, EventWait, EventWaiters, ExpectedVersion, NewEvent,
    Start, StepRow, Store as _, Stream,
};
use cogwheel_machine::{EVENT_SIGNAL, ExecutionId, ExecutionStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at, waiting_for};

on_both! {
    an_event_is_found_by_type_subject_and_correlation
    an_event_answers_one_wait_of_each_execution
    an_event_wakes_who_waits_for_it
    a_signal_of_the_same_name_disturbs_nobody
}

/// The correlation of everything here.
const CORRELATION: Uuid = Uuid::from_u128(0xc0de);

async fn running(world: &World, began: i64) -> Start {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.request(&workflow, at(began));
    world.store.start(start.clone()).await.unwrap();
    world.store.record(world.running(&start, 0)).await.unwrap();
    start
}

async fn emitted(world: &World, name: &str, subject: &Value, correlation: Uuid, when: DateTime<Utc>) {
    let event = NewEvent {
        id: Uuid::now_v7(),
        event_type: format!("custom.{name}").parse().unwrap(),
        data: json!({ "subject": subject, "data": { "n": 1 } }),
        actor: Actor::Operator,
        depth: 0,
        correlation_id: Some(correlation),
        causation_id: None,
    };
    let append = AppendEvents {
        tenant: world.tenant,
        stream: Stream::of("order", Uuid::from_u128(1)),
        expected: ExpectedVersion::Any,
        events: vec![event],
        at: when,
    };
    world.store.append_events(append).await.unwrap();
}

fn wait(ordinal: i32, types: &[&str], subject: Option<&str>) -> AwaitedSignal {
    AwaitedSignal {
        ordinal,
        name: EVENT_SIGNAL.to_owned(),
        correlation: Some(CORRELATION.to_string()),
        event: Some(EventWait {
            types: types.iter().map(|name| format!("custom.{name}")).collect(),
            subject: subject.map(str::to_owned),
        }),
    }
}

/// The types and subjects of the events that steps took, by their ordinals.
async fn took(world: &World, start: &Start, waits: Vec<AwaitedSignal>) -> Vec<(i32, String, Value)> {
    let ask = AskInbox {
        execution: start.row.id,
        tenant: world.tenant,
        waits,
        children: Vec::new(),
        is_saga: false,
        at: at(40),
    };
    let told = world.store.inbox(ask).await.unwrap().signals.into_iter();
    told.map(|taken| {
        assert_eq!(taken.payload["correlation_id"], json!(CORRELATION));
        (taken.ordinal, taken.payload["type"].as_str().unwrap().to_owned(), taken.payload["subject"].clone())
    })
    .collect()
}

async fn an_event_is_found_by_type_subject_and_correlation(world: &World) {
    emitted(world, "paid", &json!("7"), CORRELATION, at(5)).await;
    let start = running(world, 10).await;
    let any = || vec![wait(0, &["paid", "refused"], None)];
    assert_eq!(took(world, &start, any()).await, [], "it came before the execution began");
    emitted(world, "shipped", &json!("7"), CORRELATION, at(12)).await;
    emitted(world, "paid", &json!("7"), Uuid::from_u128(3), at(12)).await;
    assert_eq!(took(world, &start, any()).await, [], "another type, another correlation");
    emitted(world, "paid", &json!("8"), CORRELATION, at(13)).await;
    emitted(world, "refused", &json!("7"), CORRELATION, at(14)).await;
    let about = wait(1, &["paid", "refused"], Some("7"));
    assert_eq!(took(world, &start, vec![about]).await, [(1, "custom.refused".to_owned(), json!("7"))]);
    assert_eq!(took(world, &start, any()).await, [(0, "custom.paid".to_owned(), json!("8"))], "the oldest there is");
}

async fn an_event_answers_one_wait_of_each_execution(world: &World) {
    let (one, other) = (running(world, 10).await, running(world, 10).await);
    for subject in ["a", "b"] {
        emitted(world, "paid", &json!(subject), CORRELATION, at(12)).await;
    }
    let waits = || vec![wait(0, &["paid"], None), wait(1, &["paid"], None), wait(2, &["paid"], None)];
    let both = [(0, "custom.paid".to_owned(), json!("a")), (1, "custom.paid".to_owned(), json!("b"))];
    for start in [&one, &one, &other] {
        assert_eq!(took(world, start, waits()).await, both, "each step gets its own, however often it asks");
    }
    let kept = "select count(*) from signals where status = 'consumed' and signal_name = 'event'";
    assert_eq!(world.number(kept).await, 4);
}

fn waiting(types: &[&str], failures: &[&str], subject: Option<&str>) -> StepRow {
    let own = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("custom.{name}")).collect() };
    let mut row = waiting_for(0, EVENT_SIGNAL, Some(&CORRELATION.to_string()));
    row.state.input = Some(json!({ "event": own(types), "failure": own(failures), "subject": subject }));
    row
}

async fn woken(world: &World, of: EventWaiters) -> Vec<ExecutionId> {
    world.store.wake_event_waiters(of, at(31)).await.unwrap()
}

async fn an_event_wakes_who_waits_for_it(world: &World) {
    let steps = [
        (waiting(&["paid"], &[], None), true),
        (waiting(&["other"], &["paid"], Some("7")), true),
        (waiting(&["paid"], &[], Some("8")), false),
        (waiting(&["other"], &["else"], None), false),
    ];
    let mut expected = Vec::new();
    for (step, is_meant) in steps {
        let start = running(world, 10).await;
        let mut record = world.let_go(&start, 0, None);
        record.steps = vec![step];
        world.store.record(record).await.unwrap();
        if is_meant {
            expected.push(start);
        }
    }
    let ended = running(world, 10).await;
    let mut record = world.ended(&ended, 0, ExecutionStatus::Failed);
    record.steps = vec![waiting(&["paid"], &[], None)];
    world.store.record(record).await.unwrap();
    assert_eq!(woken(world, EventWaiters::All).await, [], "nothing came");
    emitted(world, "paid", &json!("7"), CORRELATION, at(12)).await;
    let of = |correlation| EventWaiters::Of { tenant: world.tenant, correlations: vec![correlation, Uuid::nil()] };
    assert_eq!(woken(world, of(Uuid::from_u128(3))).await, [], "another correlation");
    let mut ids: Vec<ExecutionId> = expected.iter().map(|start| start.row.id).collect();
    ids.sort_unstable();
    for of in [of(CORRELATION), EventWaiters::All] {
        assert_eq!(woken(world, of).await, ids);
    }
    let claimed = world.claim(world.node, 9, at(31)).await.executions;
    assert_eq!(claimed.iter().map(|execution| execution.id).collect::<Vec<_>>(), ids);
    let first = vec![wait(0, &["paid"], None)];
    assert_eq!(took(world, &expected[0], first).await.len(), 1);
    assert_eq!(woken(world, EventWaiters::All).await, [expected[1].row.id], "what is taken wakes nobody");
}

async fn a_signal_of_the_same_name_disturbs_nobody(world: &World) {
    let start = running(world, 10).await;
    let mut record = world.running(&start, 0);
    record.steps = vec![waiting_for(0, EVENT_SIGNAL, Some("no id at all"))];
    world.store.record(record).await.unwrap();
    emitted(world, "paid", &json!(null), CORRELATION, at(12)).await;
    assert_eq!(woken(world, EventWaiters::All).await, []);
}
