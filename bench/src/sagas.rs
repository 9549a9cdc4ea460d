//! Sagas: many at once of which half are undone, and the state of one with very many events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cogwheel_engine::history::execution_at;
use cogwheel_engine::ports::{EventLog as _, StepContext, StepType};
use cogwheel_engine::views::ExecutionFilter;
use cogwheel_engine::{ExecutionId, ExecutionStatus, Failure, FailureKind, Outcome, StartRequest};
use cogwheel_testkit::Backend;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::bed::Bed;
use crate::figure::{Figure, Times, median, rate};
use crate::raw;

/// Sagas that are started at once.
const SAGAS: usize = 1000;
/// Every other one of which fails at its last step: four of its steps are undone then.
const STEPS: usize = SAGAS * 5 + SAGAS / 2 * 4;
/// How often that is measured.
const ROUNDS: usize = 3;
/// Values of the saga that records very many events, four each: begin and end of the step, and of its time limit.
const VALUES: usize = 25_000;
/// How often its state is rebuilt.
const REBUILDS: usize = 30;
/// How often it is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(20);

const FIVE: &str = r"
inputs: {fails: {type: boolean}}
steps:
  - {id: a, uses: http, with: {url: 'http://a'}, compensate: {uses: http, with: {url: 'http://a'}}}
  - {id: b, needs: [a], uses: http, with: {url: 'http://b'}, compensate: {uses: http, with: {url: 'http://b'}}}
  - {id: c, needs: [b], uses: http, with: {url: 'http://c'}, compensate: {uses: http, with: {url: 'http://c'}}}
  - {id: d, needs: [c], uses: http, with: {url: 'http://d'}, compensate: {uses: http, with: {url: 'http://d'}}}
  - {id: e, needs: [d], uses: http, with: {url: 'http://e', json: '${{ inputs.fails }}'}}
";

const LONG: &str = r"
inputs: {items: {type: array}}
timeout: 1h
steps: [{id: each, foreach: '${{ inputs.items }}', uses: http, with: {url: 'http://a'}, compensate: {uses: log, with: {message: no}}}]
";

/// A step type with an effect, as far as the engine knows, that fails where its input says so.
struct Act;

#[async_trait]
impl StepType for Act {
    fn name(&self) -> &'static str {
        "http"
    }

    fn only_computes(&self) -> bool {
        false
    }

    async fn run(&self, _: StepContext, input: Value) -> Outcome {
        if input["json"] == true {
            let failure = Failure::permanent(FailureKind::Exit, "it fails");
            return Outcome::Failed { failure, output: None };
        }
        Outcome::Completed { output: json!({}) }
    }
}

/// Starts them all at once and waits until each has completed or is undone.
pub(crate) async fn sagas(backend: Backend) -> Vec<Figure> {
    let (rows, _) = raw::limits(backend).await;
    let mut rates = Vec::with_capacity(ROUNDS);
    let (mut cpu_each, mut events) = (0.0, 0);
    for _ in 0..ROUNDS {
        let bed = Bed::with_room(backend, &[("five", FIVE)], vec![Arc::new(Act)], SAGAS).await;
        let (cpu, began) = (raw::cpu_time(), Instant::now());
        let mut starts = JoinSet::new();
        for saga in 0..SAGAS {
            let engine = Arc::clone(&bed.engine);
            starts.spawn(async move {
                let inputs = Map::from_iter([("fails".to_owned(), json!(saga % 2 == 1))]);
                engine.start(StartRequest::manual("five", inputs, None)).await.expect("it can be started").id
            });
        }
        let ids: Vec<ExecutionId> = starts.join_all().await;
        while ended(&bed, ExecutionStatus::Completed).await + ended(&bed, ExecutionStatus::Compensated).await < SAGAS {
            tokio::time::sleep(LOOK).await;
        }
        rates.push(rate(STEPS, began.elapsed()));
        cpu_each = raw::cpu_each(cpu, STEPS);
        assert_eq!(ended(&bed, ExecutionStatus::Compensated).await, SAGAS / 2, "half of them are undone");
        let of_one = execution_at(&*bed.store(), bed.engine.tenant(), ids[1], None).await.expect("it tells all");
        events = of_one.version;
        bed.shut_down().await;
    }
    let sustained = median(rates);
    vec![Figure {
        workload: "1 000 concurrent sagas of 5 steps, half of them undone",
        backend: Some(backend),
        measured: format!("{sustained:.0} steps/s"),
        raw: format!(
            "{rows:.0} rows/s by 1 000; {events} events of a saga that is undone; {:.0} µs of CPU a step in this process",
            1e3 * cpu_each
        ),
        reach: "> 1 500 steps/s",
        peers: "",
        value: json!({ "steps_per_second": sustained, "events": events, "cpu_ms": cpu_each }),
    }]
}

async fn ended(bed: &Bed, status: ExecutionStatus) -> usize {
    let filter = ExecutionFilter { status: vec![status], ..ExecutionFilter::default() };
    let count = bed.engine.reads().count_executions(bed.engine.tenant(), &filter).await;
    usize::try_from(count.expect("the database answers")).expect("counts are small")
}

/// Runs a saga that records more than 100 000 events and rebuilds its state as of the last one, and as of one in the middle.
pub(crate) async fn rebuild(backend: Backend) -> Vec<Figure> {
    let bed = Bed::with_room(backend, &[("long", LONG)], vec![Arc::new(Act)], 1).await;
    let inputs = Map::from_iter([("items".to_owned(), json!((0..VALUES).collect::<Vec<_>>()))]);
    let id = bed.run("long", inputs, 0).await.id;
    let (store, tenant) = (bed.store(), bed.engine.tenant());
    let state = execution_at(&*store, tenant, id, None).await.expect("it tells all");
    assert!(state.version >= 100_000 && state.steps.len() > VALUES, "{} events", state.version);
    let snapshot = store.snapshot(tenant, id, i64::MAX).await.expect("the database answers").expect("states are kept");
    let mut times = Vec::with_capacity(REBUILDS);
    for _ in 0..REBUILDS {
        let began = Instant::now();
        execution_at(&*store, tenant, id, None).await.expect("it tells all");
        times.push(began.elapsed());
    }
    let began = Instant::now();
    execution_at(&*store, tenant, id, Some(state.version / 2)).await.expect("it tells all");
    let from_first = began.elapsed();
    bed.shut_down().await;
    let times = Times::of(times);
    let size = snapshot.data.len() / 1024;
    vec![Figure {
        workload: "the state of a saga with 100 000 events and 25 000 steps, rebuilt through its snapshot",
        backend: Some(backend),
        measured: times.summary(),
        raw: format!(
            "snapshot of {size} KiB, {} events after it; its first {} events without one {:.0} ms",
            state.version - snapshot.stream_version,
            state.version / 2,
            1e3 * from_first.as_secs_f64()
        ),
        reach: "< 20 ms",
        peers: "",
        value: json!({ "times": times.json(), "events": state.version, "snapshot_kib": size }),
    }]
}
