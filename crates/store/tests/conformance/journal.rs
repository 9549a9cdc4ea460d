//! The journal: what waits together is committed together, and a bad unit harms no other.

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_engine::ports::{Start, Started, Store, StoreError};
use cogwheel_engine::{VersionId, WatchId};
use cogwheel_machine::ExecutionStatus;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, TRIGGERED, World, at};

on_both! {
    waiting_starts_share_transactions
    a_bad_unit_fails_alone
    records_of_one_execution_keep_their_order
    what_was_answered_survives_the_end_of_the_store
}

async fn all_at_once(world: &World, starts: Vec<Start>) -> Vec<Result<Started, StoreError>> {
    let calls: Vec<_> = starts
        .into_iter()
        .map(|start| {
            let store = world.store.clone();
            tokio::spawn(async move { store.start(start).await })
        })
        .collect();
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

async fn waiting_starts_share_transactions(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let before = world.store.journal_stats();
    let answers = all_at_once(world, (0..2000).map(|_| world.request(&workflow, at(1))).collect()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Started::Accepted))));
    let after = world.store.journal_stats();
    assert_eq!(after.units - before.units, 2000);
    let transactions = after.transactions - before.transactions;
    assert!(transactions * 4 < 2000, "{transactions} transactions for 2000 starts");
    assert_eq!(world.number("select count(*) from workflow_executions").await, 2000);
}

async fn a_bad_unit_fails_alone(world: &World) {
    let workflow = world.save(TRIGGERED, at(0)).await;
    let starts: Vec<Start> = (0..100)
        .map(|n| match n % 25 {
            7 => {
                let mut start = world.request(&workflow, at(1));
                start.row.version = VersionId(Uuid::now_v7());
                start
            }
            13 => {
                let mut unwatched = workflow.clone();
                unwatched.watches[0].id = WatchId(Uuid::now_v7());
                world.by_file(&unwatched, &format!("/data/inbox/{n}.csv"), "x")
            }
            _ => world.by_file(&workflow, &format!("/data/inbox/{n}.csv"), "x"),
        })
        .collect();
    let answers = all_at_once(world, starts).await;
    for (n, answer) in answers.iter().enumerate() {
        match n % 25 {
            7 | 13 => assert!(matches!(answer, Err(StoreError::Bug(_))), "{n}: {answer:?}"),
            _ => assert_eq!(*answer.as_ref().unwrap(), Started::Accepted, "{n}"),
        }
    }
    assert_eq!(world.number("select count(*) from workflow_executions").await, 92);
    assert_eq!(world.number("select count(*) from files").await, 92);
}

async fn records_of_one_execution_keep_their_order(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    // Sent without waiting for each other's answers, so that some share a batch.
    let records = [
        world.running(&start, 0),
        world.record_of(&start, 0),
        world.ended(&start, 0, ExecutionStatus::Completed),
        world.ended(&start, 0, ExecutionStatus::Failed),
    ];
    let calls = records.map(|record| {
        let store = world.store.clone();
        async move { store.record(record).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers[..3].iter().all(Result::is_ok), "{answers:?}");
    assert!(matches!(answers[3], Err(StoreError::Conflict(_))), "{answers:?}");
    assert_eq!(world.number("select count(*) from workflow_executions where status = 'completed'").await, 1);
}

async fn what_was_answered_survives_the_end_of_the_store(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let store = world.store.clone();
    let start = world.request(&workflow, at(1));
    let waiting = tokio::spawn(async move { store.start(start).await });
    let answer = waiting.await.unwrap();
    world.store.close().await;
    assert!(matches!(answer, Ok(Started::Accepted)));
    assert_eq!(world.number("select count(*) from workflow_executions").await, 1);
    let refused = world.store.start(world.request(&workflow, at(2))).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_order_of_instants_is_their_order() {
    let world = World::sqlite().await;
    let workflow = world.save(PLAIN, at(0)).await;
    // Nanoseconds that make every form: none, milliseconds, microseconds, and what is cut off.
    let parts = [0, 1, 999, 1_000, 1_500, 120_000_000, 123_000_000, 123_456_000, 123_456_789, 999_999_999];
    let mut instants: Vec<DateTime<Utc>> = Vec::new();
    for day in [-40_000, -1, 0, 1, 365, 2_500_000] {
        instants.extend(parts.map(|nanos| at(0) + TimeDelta::days(day) + TimeDelta::nanoseconds(nanos)));
    }
    all_at_once(&world, instants.iter().map(|instant| world.request(&workflow, *instant)).collect()).await;
    let rows = world.rows("select created_at as text from workflow_executions order by created_at").await;
    let texts: Vec<String> = rows.iter().map(|row| row.try_get("", "text").unwrap()).collect();
    let read: Vec<DateTime<Utc>> =
        texts.iter().map(|text| DateTime::parse_from_rfc3339(text).unwrap().to_utc()).collect();
    assert!(read.is_sorted(), "{texts:?}");
    assert!(texts.iter().all(|text| text.ends_with("+00:00")), "{texts:?}");
    let mut cut: Vec<DateTime<Utc>> =
        instants.iter().map(|at| DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap()).collect();
    cut.sort_unstable();
    assert_eq!(read, cut);
    world.end().await;
}
