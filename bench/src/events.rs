//! The event store by itself: appending in batches, reading all events in order, proving that nobody changed them.

use std::sync::Arc;
use std::time::Instant;

use cogwheel_engine::TenantId;
use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_engine::ports::{
    Actor, AppendEvents, EventLog as _, ExpectedVersion, NewEvent, Place, Store as _, Stream,
};
use cogwheel_store::{ConnectOptions, Database, SqlStore, verify};
use cogwheel_testkit::{Backend, TestDatabase};
use serde_json::json;
use tokio::task::JoinSet;

use crate::figure::{Figure, median, rate};
use crate::raw;

/// Events that are appended in each round.
const EVENTS: usize = 50_000;
/// How many of them go together.
const BATCHES: [usize; 3] = [1, 100, 1000];
/// Of single events, fewer.
const SINGLE_EVENTS: usize = 5_000;
/// How many append side by side, each to a stream of its own.
const WRITERS: usize = 8;
/// How often each batch is measured.
const ROUNDS: usize = 3;
/// Events that are read at once.
const PAGE: usize = 1000;

/// Appends in batches of several sizes, then reads and verifies all of it.
pub(crate) async fn events(backend: Backend) -> Vec<Figure> {
    let (rows, _) = raw::limits(backend).await;
    let database = TestDatabase::empty(backend).await;
    let url = database.url().trim_end_matches("?mode=rwc").to_owned();
    let reached = Database::connect(&url, ConnectOptions::default()).await.expect("the database can be reached");
    cogwheel_migration::up(reached.admin()).await.expect("the schema can be made");
    let store = Arc::new(reached.open().await.expect("the database can be served from"));
    let tenant = store.default_tenant().await.expect("there is a tenant");
    let mut by_batch = serde_json::Map::new();
    let mut best = 0.0_f64;
    let mut appended = 0;
    for batch in BATCHES {
        let events = if batch == 1 { SINGLE_EVENTS } else { EVENTS };
        let mut rates = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let began = Instant::now();
            append(&store, tenant, events, batch).await;
            rates.push(rate(events, began.elapsed()));
            appended += events;
        }
        let sustained = median(rates);
        best = best.max(sustained);
        by_batch.insert(batch.to_string(), json!(sustained));
    }
    let read = read_all(&store, appended).await;
    store.close().await;
    let reached = Database::connect(&url, ConnectOptions::default()).await.expect("the database can be reached");
    let began = Instant::now();
    let walked = verify::events(reached.admin(), None).await.expect("the events can be read");
    let verified = rate(appended, began.elapsed());
    assert!(walked.faults.is_empty() && walked.events == appended as u64, "{:?}", walked.faults.first());
    let of = |batch: usize| by_batch[&batch.to_string()].as_f64().unwrap_or_default();
    vec![Figure {
        workload: "events appended by 8 writers, in batches of 1000 / 100 / 1",
        backend: Some(backend),
        measured: format!("{:.0} / {:.0} / {:.0} events/s", of(1000), of(100), of(1)),
        raw: format!(
            "{rows:.0} rows/s by 1 000, of which the best is {:.0} %; all of them read in order {read:.0}/s, verified \
             {verified:.0}/s",
            100.0 * best / rows
        ),
        reach: if backend == Backend::Sqlite { "> 20 000/s" } else { "> 10 000/s" },
        peers: "",
        value: json!({ "events_per_second": by_batch, "read_per_second": read, "verified_per_second": verified,
            "raw_rows_per_second": rows }),
    }]
}

async fn append(store: &Arc<SqlStore>, tenant: TenantId, events: usize, batch: usize) {
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let store = Arc::clone(store);
        writers.spawn(async move {
            let stream = Stream::of("order", SystemClock.new_id());
            for first in (0..events / WRITERS).step_by(batch) {
                let last = (first + batch).min(events / WRITERS);
                let append = AppendEvents {
                    tenant,
                    stream: stream.clone(),
                    expected: ExpectedVersion::Exactly(i64::try_from(first).expect("it is small")),
                    events: (first..last).map(event).collect(),
                    at: SystemClock.now(),
                };
                store.append_events(append).await.expect("nobody else appends to the stream");
            }
        });
    }
    writers.join_all().await;
}

fn event(number: usize) -> NewEvent {
    NewEvent {
        id: SystemClock.new_id(),
        event_type: "custom.order.changed".parse().expect("a type"),
        data: json!({ "subject": format!("order-{number}"), "data": {
            "total": number, "currency": "EUR", "lines": [{ "sku": "a-1", "count": 2 }, { "sku": "b-2", "count": 1 }],
        } }),
        actor: Actor::Engine,
        depth: 0,
        correlation_id: Some(SystemClock.new_id()),
        causation_id: None,
    }
}

/// Events a second, read one page after the other.
async fn read_all(store: &SqlStore, events: usize) -> f64 {
    let began = Instant::now();
    let (mut place, mut read) = (Place::default(), 0);
    while read < events {
        let page = store.events_after(place, PAGE).await.expect("the database answers").events;
        read += page.len();
        place = page.last().map_or(place, |event| event.place);
    }
    rate(events, began.elapsed())
}
