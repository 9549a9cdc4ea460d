//! Workloads of an engine in this process: no HTTP, everything else as in production.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cogwheel_engine::ports::{StepContext, StepType};
use cogwheel_engine::{Outcome, StartRequest};
use cogwheel_store::JournalStats;
use cogwheel_testkit::Backend;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::bed::{Bed, Run};
use crate::figure::{Figure, Times, median, rate};
use crate::raw;

/// How often an execution is run for a median.
const RUNS: usize = 21;
/// Steps of the long executions.
const STEPS: usize = 40;
/// Executions that are started in bulk.
const BULK: usize = 20_000;
/// How many callers start them side by side.
const CALLERS: [usize; 4] = [16, 64, 256, 1024];
/// How often the best number of callers is measured.
const BULK_RUNS: usize = 3;
/// Starts of an idle engine.
const STARTS: usize = 500;
/// Items of the long list.
const ITEMS: usize = 10_000;
/// Steps of the large graph, in layers of [`STEPS`].
const GRAPH: usize = 2000;
/// How often the large ones are run.
const LARGE_RUNS: usize = 5;
/// Between two looks at how many have completed.
const LOOK: Duration = Duration::from_millis(10);

const ONE_STEP: &str = "steps: [{uses: set, with: {x: 1}}]\n";

/// One execution of steps that do nothing, on an idle engine.
pub(crate) async fn no_ops(backend: Backend) -> Vec<Figure> {
    let bed = Bed::new(backend, &[("sequence", &sequence("uses: set, with: {x: 1}"))], Vec::new()).await;
    let (_, commits) = raw::limits(backend).await;
    let unread = warm_up(&bed, "sequence", &Map::new()).await;
    let (before, cpu) = (bed.journal(), raw::cpu_time());
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        times.push(bed.run("sequence", Map::new(), unread).await.took);
    }
    let cpu = raw::cpu_each(cpu, RUNS);
    let transactions = transactions(bed.journal(), before) / count(RUNS);
    bed.shut_down().await;
    let times = Times::of(times);
    vec![Figure {
        workload: "one execution of 40 sequential no-op steps, idle engine",
        backend: Some(backend),
        measured: times.summary(),
        raw: format!(
            "{transactions:.1} transactions, one of a single row takes {:.2} ms; {cpu:.1} ms of CPU in this process",
            commits.median()
        ),
        reach: pick(backend, "< 12 ms", "< 50 ms"),
        peers: "openworkflow 78/173 ms, absurd 80 ms, Restate 86-110 ms, DBOS 148/174 ms, Prefect 1.2-3.0 s",
        value: json!({ "times": times.json(), "transactions": transactions, "raw_commit": commits.json(),
            "cpu_ms": cpu }),
    }]
}

/// One execution of processes that do nothing, each run of it beside the bare processes.
pub(crate) async fn processes(backend: Backend) -> Vec<Figure> {
    let bed = Bed::new(backend, &[("sequence", &sequence("run: 'true'"))], Vec::new()).await;
    let unread = warm_up(&bed, "sequence", &Map::new()).await;
    let (mut times, mut bare) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
    let before = bed.journal();
    for _ in 0..RUNS {
        times.push(bed.run("sequence", Map::new(), unread).await.took);
        bare.push(raw::shells(STEPS, bed.root()).await);
    }
    let transactions = transactions(bed.journal(), before) / count(RUNS);
    bed.shut_down().await;
    let (_, commits) = raw::limits(backend).await;
    let (times, bare) = (Times::of(times), Times::of(bare));
    let ratio = times.median() / bare.median();
    let with_commits = times.median() / (bare.median() + transactions * commits.median());
    vec![Figure {
        workload: "one execution of 40 sequential `run: \"true\"`, idle engine",
        backend: Some(backend),
        measured: times.summary(),
        raw: format!(
            "40 bare `sh -c true` {}, ratio {ratio:.2}; {transactions:.1} transactions, one of a single row takes {:.2} ms, \
             ratio to both {with_commits:.2}",
            bare.summary(),
            commits.median()
        ),
        reach: "ratio < 1.3",
        peers: "Node-RED 190 ms",
        value: json!({ "times": times.json(), "raw": bare.json(), "ratio": ratio, "transactions": transactions,
            "raw_commit": commits.json(), "ratio_with_commits": with_commits }),
    }]
}

/// Executions of one step, started side by side until all have ended.
pub(crate) async fn bulk(backend: Backend) -> Vec<Figure> {
    let (rows, _) = raw::limits(backend).await;
    let mut by_callers = Map::new();
    let (mut best, mut best_rate) = (CALLERS[0], 0.0);
    for callers in CALLERS {
        let sustained = started_in_bulk(backend, callers).await.sustained;
        by_callers.insert(callers.to_string(), json!(sustained));
        if sustained > best_rate {
            (best, best_rate) = (callers, sustained);
        }
    }
    let mut runs = Vec::with_capacity(BULK_RUNS);
    for _ in 0..BULK_RUNS {
        runs.push(started_in_bulk(backend, best).await);
    }
    let sustained = median(runs.iter().map(|run| run.sustained).collect());
    let cpu = median(runs.iter().map(|run| run.cpu_each).collect());
    let per_transaction = median(runs.iter().map(|run| run.units_a_transaction).collect());
    let accepted = median(runs.iter().map(|run| run.accepted).collect());
    vec![Figure {
        workload: "20 000 one-step no-op executions, started in bulk, until all have ended",
        backend: Some(backend),
        measured: format!("{sustained:.0}/s with {best} callers (starts alone {accepted:.0}/s)"),
        raw: format!(
            "{rows:.0} rows/s by 1 000; 3 rows an execution are {:.0} % of that; {per_transaction:.0} units a transaction; \
             {:.0} µs of CPU an execution in this process",
            300.0 * sustained / rows,
            1e3 * cpu
        ),
        reach: pick(backend, "> 10 000/s", "> 5 000/s"),
        peers: "Restate 660-750/s, absurd 345-390/s, DBOS 60-155/s, openworkflow 100/s, n8n 16/s, Airflow 2.5/s",
        value: json!({ "executions_per_second": sustained, "callers": best, "by_callers": by_callers,
            "starts_per_second": accepted, "raw_rows_per_second": rows, "cpu_ms": cpu,
            "units_per_transaction": per_transaction }),
    }]
}

struct Bulk {
    sustained: f64,
    accepted: f64,
    cpu_each: f64,
    units_a_transaction: f64,
}

async fn started_in_bulk(backend: Backend, callers: usize) -> Bulk {
    const WARM: usize = 200;
    let bed = Bed::new(backend, &[("one", ONE_STEP)], Vec::new()).await;
    start_side_by_side(&bed, callers, WARM).await;
    until_completed(&bed, WARM).await;
    let (before, cpu, began) = (bed.journal(), raw::cpu_time(), Instant::now());
    start_side_by_side(&bed, callers, BULK).await;
    let accepted = rate(BULK, began.elapsed());
    until_completed(&bed, WARM + BULK).await;
    let sustained = rate(BULK, began.elapsed());
    let cpu_each = raw::cpu_each(cpu, BULK);
    let after = bed.journal();
    bed.shut_down().await;
    let units = after.units - before.units;
    let units_a_transaction = count(usize::try_from(units).expect("it is small")) / transactions(after, before);
    Bulk { sustained, accepted, cpu_each, units_a_transaction }
}

async fn start_side_by_side(bed: &Bed, callers: usize, executions: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (engine, next) = (Arc::clone(&bed.engine), Arc::clone(&next));
        tasks.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < executions {
                let request = StartRequest::manual("one", Map::new(), None);
                engine.start(request).await.expect("it can be started");
            }
        });
    }
    tasks.join_all().await;
}

async fn until_completed(bed: &Bed, executions: usize) {
    while bed.completed().await < executions {
        tokio::time::sleep(LOOK).await;
    }
}

/// From the call that starts an execution to the first instruction of its first step.
pub(crate) async fn first_instruction(backend: Backend) -> Vec<Figure> {
    vec![to_a_step_type(backend).await, to_a_shell(backend).await]
}

async fn to_a_step_type(backend: Backend) -> Figure {
    let (seen, instants) = mpsc::channel();
    let workflow = [("probe", "steps: [{uses: http, with: {url: 'http://localhost'}}]\n")];
    let bed = Bed::new(backend, &workflow, vec![Arc::new(Probe { seen })]).await;
    let unread = warm_up(&bed, "probe", &Map::new()).await;
    instants.try_iter().for_each(drop);
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let run = bed.run("probe", Map::new(), unread).await;
        times.push(first_of(&instants, &run));
    }
    bed.shut_down().await;
    let (_, commits) = raw::limits(backend).await;
    let times = Times::of(times);
    Figure {
        workload: "start call to the first instruction of the first step, a step type in the engine's process",
        backend: Some(backend),
        measured: times.shown(),
        raw: format!("two commits of one row {:.2} ms", 2.0 * commits.median()),
        reach: "p50 < 1.5 ms, p99 < 8 ms",
        peers: "Restate 5.0 / 37 ms, DBOS 5.5 / 13 ms, openworkflow 77 / 233 ms, Airflow 1.4 s",
        value: json!({ "times": times.json(), "raw_commit": commits.json() }),
    }
}

async fn to_a_shell(backend: Backend) -> Figure {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (pipe, instants) = doorbell(folder.path());
    let script = format!("echo > '{}'", folder.path().join("doorbell").display());
    let text = format!("steps: [{{run: \"{script}\"}}]\n");
    let bed = Bed::new(backend, &[("ring", &text)], Vec::new()).await;
    let unread = warm_up(&bed, "ring", &Map::new()).await;
    pause().await;
    instants.try_iter().for_each(drop);
    let (mut times, mut bare) = (Vec::with_capacity(STARTS), Vec::with_capacity(STARTS));
    for _ in 0..STARTS {
        let run = bed.run("ring", Map::new(), unread).await;
        times.push(first_of(&instants, &run));
        let began = Instant::now();
        raw::shell(&script, folder.path()).await;
        bare.push(instants.recv().expect("the script rings") - began);
    }
    bed.shut_down().await;
    drop(pipe);
    let (times, bare) = (Times::of(times), Times::of(bare));
    Figure {
        workload: "start call to the first instruction of the first step, a shell",
        backend: Some(backend),
        measured: times.shown(),
        raw: format!("the shell alone {}", bare.shown()),
        reach: "p50 < 1.5 ms, p99 < 8 ms",
        peers: "Restate 5.0 / 37 ms, DBOS 5.5 / 13 ms, openworkflow 77 / 233 ms, Airflow 1.4 s",
        value: json!({ "times": times.json(), "raw": bare.json() }),
    }
}

/// The time from the start call to the instant that the step reported.
fn first_of(instants: &mpsc::Receiver<Instant>, run: &Run) -> Duration {
    instants.recv().expect("the step reports itself") - run.began
}

/// A pipe in `folder` that tells when something was written into it, for as long as its end is kept.
fn doorbell(folder: &Path) -> (File, mpsc::Receiver<Instant>) {
    let path = folder.join("doorbell");
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).expect("a new pipe");
    // Open for writing as well, so that it never ends.
    let pipe = OpenOptions::new().read(true).write(true).open(&path).expect("the pipe is there");
    let mut read = pipe.try_clone().expect("the pipe can be shared");
    let (rung, instants) = mpsc::channel();
    std::thread::spawn(move || {
        let mut byte = [0];
        while read.read_exact(&mut byte).is_ok() && rung.send(Instant::now()).is_ok() {}
    });
    (pipe, instants)
}

/// A step type with an effect, as far as the engine knows, that tells when it runs.
struct Probe {
    seen: mpsc::Sender<Instant>,
}

#[async_trait]
impl StepType for Probe {
    fn name(&self) -> &'static str {
        "http"
    }

    fn only_computes(&self) -> bool {
        false
    }

    async fn run(&self, _: StepContext, _: Value) -> Outcome {
        // Nobody listens once the measurement is over.
        let _ = self.seen.send(Instant::now());
        Outcome::Completed { output: json!({}) }
    }
}

/// A computing step for each of many items.
pub(crate) async fn foreach(backend: Backend) -> Vec<Figure> {
    let text = "inputs: {items: {type: array}}\ntimeout: 1h\n\
                steps: [{id: each, foreach: '${{ inputs.items }}', uses: set, with: {x: '${{ item }}'}}]\n";
    let mut inputs = Map::new();
    inputs.insert("items".to_owned(), (0..ITEMS).collect::<Vec<_>>().into());
    vec![large(backend, "a computing step for each of 10 000 items", text, inputs, ITEMS).await]
}

/// A graph of many computing steps.
pub(crate) async fn graph(backend: Backend) -> Vec<Figure> {
    let mut text = "timeout: 1h\nsteps:\n".to_owned();
    for step in 0..GRAPH {
        let (layer, place) = (step / STEPS, step % STEPS);
        let needs = match layer {
            0 => String::new(),
            _ => format!("needs: [s{}x{place}, s{}x{}], ", layer - 1, layer - 1, (place + 1) % STEPS),
        };
        writeln!(text, "  - {{id: s{layer}x{place}, {needs}uses: set, with: {{x: 1}}}}").expect("texts grow");
    }
    vec![large(backend, "a graph of 2 000 computing steps, each needing two", &text, Map::new(), GRAPH).await]
}

async fn large(
    backend: Backend,
    workload: &'static str,
    text: &str,
    inputs: Map<String, Value>,
    steps: usize,
) -> Figure {
    let (rows, _) = raw::limits(backend).await;
    let bed = Bed::new(backend, &[("large", text)], Vec::new()).await;
    let unread = warm_up(&bed, "large", &inputs).await;
    let (before, cpu) = (bed.journal(), raw::cpu_time());
    let mut times = Vec::with_capacity(LARGE_RUNS);
    for _ in 0..LARGE_RUNS {
        times.push(bed.run("large", inputs.clone(), unread).await.took);
    }
    let cpu = raw::cpu_each(cpu, LARGE_RUNS);
    let transactions = transactions(bed.journal(), before) / count(LARGE_RUNS);
    bed.shut_down().await;
    let times = Times::of(times);
    let per_second = 1e3 * count(steps) / times.median();
    Figure {
        workload,
        backend: Some(backend),
        measured: format!(
            "median {:.0} ms ({per_second:.0} steps/s), max {:.0} ms",
            times.median(),
            times.percentile(100)
        ),
        raw: format!(
            "{rows:.0} rows/s by 1 000, {:.0} % of that; {transactions:.0} transactions; {cpu:.0} ms of CPU in this process",
            100.0 * per_second / rows
        ),
        reach: "",
        peers: "",
        value: json!({ "times": times.json(), "steps_per_second": per_second, "raw_rows_per_second": rows,
            "transactions": transactions, "cpu_ms": cpu }),
    }
}

/// Runs it until caches are warm; how many notices may go by unread in the next runs.
async fn warm_up(bed: &Bed, workflow: &str, inputs: &Map<String, Value>) -> usize {
    let mut notices = usize::MAX;
    for _ in 0..3 {
        notices = notices.min(bed.run(workflow, inputs.clone(), 0).await.notices);
    }
    notices.saturating_sub(1)
}

fn sequence(step: &str) -> String {
    format!("timeout: 1h\nsteps:\n{}", format!("  - {{{step}}}\n").repeat(STEPS))
}

fn transactions(after: JournalStats, before: JournalStats) -> f64 {
    count(usize::try_from(after.transactions - before.transactions).expect("it is small"))
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("counts are small"))
}

fn pick(backend: Backend, sqlite: &'static str, postgres: &'static str) -> &'static str {
    match backend {
        Backend::Sqlite => sqlite,
        Backend::Postgres => postgres,
    }
}

/// Long enough for a report that is under way.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
