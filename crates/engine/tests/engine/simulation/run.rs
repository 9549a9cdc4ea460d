//! One simulated run: two nodes, clients that start, signal and cancel, and what chance does to all of them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cogwheel_engine::clock::Clock;
use cogwheel_engine::ports::NewNode;
use cogwheel_engine::{
    CancelError, Engine, EngineConfig, ExecutionId, ExecutionStatus, NodeId, Parts, RetryError, RetryRequest,
    SagaError, SignalRequest, StartError, StartRequest, StepStatus, UploadLimits,
};
use cogwheel_machine::UndoDecision;
use serde_json::{Map, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::clock::NodeClock;
use super::draw::Draw;
use super::steps;
use super::store::Connection;
use super::workflows::WORKFLOWS;
use super::world::{Faults, World};
use crate::blobs::NoBlobs;
use crate::reads::NoReads;

const SLOTS: usize = 2;
const LEASE: Duration = Duration::from_secs(9);
/// How long chance has its way.
const TROUBLE: u64 = 150;
/// By then everything has ended: longer than any workflow here takes, shorter than its time limit.
const PATIENCE: Duration = Duration::from_mins(50);
/// How long a client waits for an answer before it asks again elsewhere.
const CLIENT_PATIENCE: Duration = Duration::from_secs(20);

/// What is known at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) trace: u64,
    pub(super) executions: usize,
    pub(super) refused: usize,
    pub(super) freed: u64,
    pub(super) seconds: u64,
}

/// A place for a node, which is filled anew when one dies.
#[derive(Clone)]
struct Seat {
    engine: Option<Arc<Engine>>,
    clock: Arc<NodeClock>,
    node: NodeId,
}

pub(super) struct Run {
    pub(super) world: Arc<World>,
    folder: std::path::PathBuf,
    seats: Mutex<Vec<Seat>>,
    nodes: Mutex<u64>,
    /// What clients were told, by the number of the start.
    started: Mutex<HashMap<u64, ExecutionId>>,
    signals_kept: Mutex<Vec<String>>,
    /// When the cancellation of each was known to be recorded.
    cancelled: Mutex<HashMap<ExecutionId, Instant>>,
    /// Those of which it was accepted that everything be undone.
    unwound: Mutex<HashSet<ExecutionId>>,
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
enum Happening {
    Start(u64),
    Signal(u64),
    Cancel(u64),
    Retry(u64),
    Compensate(u64),
    Crash(usize),
    Cut(usize, Duration),
    Jump(usize, i64),
    ShutDown(usize),
}

/// Runs the world of this seed to its end.
pub(super) async fn run(seed: u64, folder: &Path) -> Told {
    let draw = Draw(seed);
    let faults = match draw.below(8, "how faulty") {
        0 => Faults::default(),
        1..=3 => Faults { lost: 10, unanswered: 10, slow: 5 },
        4..=6 => Faults { lost: 40, unanswered: 40, slow: 40 },
        _ => Faults { lost: 150, unanswered: 100, slow: 100 },
    };
    let run = Arc::new(Run::of(World::new(draw, faults), folder));
    for seat in 0..SLOTS {
        run.fill(seat).await;
    }
    let mut clients = Vec::new();
    for (at, happening) in happenings(draw) {
        sleep_until(run.world.began_at + at).await;
        run.world.tell_missed();
        let run = Arc::clone(&run);
        clients.push(tokio::spawn(async move { run.happen(happening).await }));
    }
    sleep(Duration::from_secs(10)).await;
    run.world.calm_down();
    let calm_at = Instant::now();
    for client in clients {
        client.await.expect("a client does not panic");
    }
    run.until_all_ended().await;
    run.check(calm_at);
    run.told(calm_at)
}

/// What happens, and when.
fn happenings(draw: Draw) -> Vec<(Duration, Happening)> {
    let starts = 4 + draw.below(16, "starts");
    let at = |subject: (&str, u64)| draw.time(TROUBLE * 1000, ("at", subject));
    let mut happenings = Vec::new();
    for number in 0..starts {
        happenings.push((at(("start", number)), Happening::Start(number)));
        happenings.push((at(("signal", number)), Happening::Signal(number)));
        if draw.happens(120, ("cancels", number)) {
            happenings.push((at(("cancel", number)), Happening::Cancel(number)));
        }
        if draw.happens(200, ("compensates", number)) {
            happenings.push((at(("compensate", number)), Happening::Compensate(number)));
        }
        if draw.happens(200, ("retries", number)) {
            happenings.push((at(("retry", number)), Happening::Retry(number)));
        }
    }
    let trouble = if draw.happens(150, "no trouble") { 0 } else { draw.below(7, "troubles") };
    for number in 0..trouble {
        let seat = usize::try_from(draw.below(2, ("seat", number))).unwrap_or_default();
        let happening = match draw.below(7, ("trouble", number)) {
            0 | 1 => Happening::Crash(seat),
            2 | 3 => Happening::Cut(seat, Duration::from_secs(2 + draw.below(28, ("cut for", number)))),
            4 | 5 => {
                let by = i64::try_from(draw.below(80_000, ("jump by", number))).unwrap_or_default();
                Happening::Jump(seat, by - 40_000)
            }
            _ => Happening::ShutDown(seat),
        };
        happenings.push((at(("trouble", number)), happening));
    }
    happenings.sort_by_key(|(at, _)| *at);
    happenings
}

impl Run {
    /// A run without any node.
    pub(super) fn of(world: Arc<World>, folder: &Path) -> Self {
        Self {
            world,
            folder: folder.to_owned(),
            seats: Mutex::default(),
            nodes: Mutex::default(),
            started: Mutex::default(),
            signals_kept: Mutex::default(),
            cancelled: Mutex::default(),
            unwound: Mutex::default(),
        }
    }

    /// Those of the nodes that are up.
    pub(super) fn engines(&self) -> Vec<Arc<Engine>> {
        lock(&self.seats).iter().filter_map(|seat| seat.engine.clone()).collect()
    }

    /// Brings a node up in a seat.
    pub(super) async fn fill(&self, seat: usize) {
        loop {
            let number = {
                let mut nodes = lock(&self.nodes);
                *nodes += 1;
                *nodes
            };
            let draw = self.world.draw;
            let off_by = i64::try_from(draw.below(2000, ("off by", number))).unwrap_or_default() - 1000;
            let clock = Arc::new(NodeClock::new(self.world.began_at, off_by, draw, number));
            let node = NodeId(Uuid::from_u128(number.into()));
            self.world.add_node(node);
            let Some(engine) = self.launch(node, &clock).await else { continue };
            let taken = Seat { engine: Some(engine), clock, node };
            let mut seats = lock(&self.seats);
            if seat < seats.len() {
                seats[seat] = taken;
            } else {
                seats.push(taken);
            }
            return;
        }
    }

    async fn launch(&self, node: NodeId, clock: &Arc<NodeClock>) -> Option<Arc<Engine>> {
        let config = EngineConfig {
            root: self.folder.clone(),
            work_dir: self.folder.join(node.to_string()),
            workflow_folders: Vec::new(),
            max_running_executions: 6,
            max_parallel_steps: 3,
            snapshot_events: usize::MAX,
            kill_grace: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(2),
            watch_retry: Duration::from_secs(1),
            poll_interval: Duration::from_hours(1),
            file_rescan: String::new(),
            workflow_rescan: String::new(),
            uploads: UploadLimits { max_size: 1024, allowed_types: Vec::new() },
        };
        let parts = Parts {
            store: Arc::new(Connection::new(&self.world, node)),
            reads: Arc::new(NoReads),
            blobs: Arc::new(NoBlobs),
            secrets: None,
            webhooks: None,
            steps: steps::registry(&self.world, node),
            clock: Arc::clone(clock) as _,
            node: NewNode {
                id: node,
                name: "simulated".to_owned(),
                address: None,
                engine_version: "0".to_owned(),
                schema_fingerprint: "0".to_owned(),
                capacity: 6,
                lease: Some(LEASE),
                replaces: None,
                started_at: clock.now(),
            },
        };
        let Ok(engine) = Engine::launch_without_triggers(config, parts).await else {
            sleep(Duration::from_secs(1)).await;
            return None;
        };
        for (name, source) in WORKFLOWS {
            let workflow = cogwheel_definition::parse(source.as_bytes(), name)
                .unwrap_or_else(|problems| panic!("{}", problems.render(source, name)));
            while engine.save_workflow(workflow.clone(), source.to_owned()).await.is_err() {
                sleep(Duration::from_millis(500)).await;
            }
        }
        Some(engine)
    }

    async fn happen(&self, happening: Happening) {
        self.world.tell(|| format!("{happening:?}"));
        match happening {
            Happening::Start(number) => self.start(number).await,
            Happening::Signal(number) => self.signal(number).await,
            Happening::Cancel(number) => self.cancel(number).await,
            Happening::Retry(number) => self.retry(number).await,
            Happening::Compensate(number) => self.compensate(number).await,
            Happening::Crash(seat) => {
                let Some(taken) = self.vacate(seat) else { return };
                self.world.kill(taken.node);
                // The host comes back sooner or later.
                sleep(self.world.draw.time(30_000, ("down for", taken.node))).await;
                self.fill(seat).await;
            }
            Happening::Cut(seat, time) => {
                let node = lock(&self.seats)[seat].node;
                self.world.cut(node, time);
            }
            Happening::Jump(seat, by) => {
                let clock = Arc::clone(&lock(&self.seats)[seat].clock);
                // No clock is ever off by more than this.
                if (clock.off_by() + by).abs() < 90_000 {
                    clock.jump(by);
                }
            }
            Happening::ShutDown(seat) => {
                let Some(taken) = self.vacate(seat) else { return };
                if let Some(engine) = taken.engine {
                    engine.shut_down().await;
                }
                self.world.kill(taken.node);
                self.fill(seat).await;
            }
        }
    }

    /// Takes the node out of a seat; none is there while one comes up.
    fn vacate(&self, seat: usize) -> Option<Seat> {
        let mut seats = lock(&self.seats);
        let taken = seats[seat].clone();
        seats[seat].engine = None;
        taken.engine.is_some().then_some(taken)
    }

    /// Any node that is up; another one each time it is asked for.
    async fn node(&self, subject: u64, time: u64) -> Arc<Engine> {
        loop {
            let up = self.engines();
            if !up.is_empty() {
                let which = self.world.draw.below(up.len() as u64, ("asks", subject, time));
                return Arc::clone(&up[usize::try_from(which).unwrap_or_default()]);
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// A client that wants an execution, and asks until it is told that there is one.
    async fn start(&self, number: u64) {
        let (name, _) = WORKFLOWS
            [usize::try_from(self.world.draw.below(WORKFLOWS.len() as u64, ("workflow", number))).unwrap_or_default()];
        let mut inputs = Map::new();
        if name == "signalled" {
            inputs.insert("order".to_owned(), json!(order(number)));
        }
        for time in 0.. {
            let engine = self.node(number, time).await;
            let request = StartRequest::manual(name, inputs.clone(), Some(format!("key-{number}")));
            match timeout(CLIENT_PATIENCE, engine.start(request)).await {
                Ok(Ok(started)) => {
                    lock(&self.started).insert(number, started.id);
                    return;
                }
                Ok(Err(StartError::Draining | StartError::Store(_))) | Err(_) => {}
                Ok(Err(error)) => panic!("{name} is not started: {error}"),
            }
            if self.world.is_broken() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// A client that sends a signal, and asks until it is told that it is kept.
    async fn signal(&self, number: u64) {
        for time in 0.. {
            let request = SignalRequest {
                name: "paid".to_owned(),
                execution: None,
                correlation: Some(order(number)),
                payload: json!(number),
                idempotency_key: Some(order(number)),
            };
            let engine = self.node(number, time).await;
            if let Ok(Ok(_)) = timeout(CLIENT_PATIENCE, engine.signal(request)).await {
                lock(&self.signals_kept).push(order(number));
                return;
            }
            if self.world.is_broken() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// A client that wants an execution to end, if it knows it.
    async fn cancel(&self, number: u64) {
        let Some(id) = lock(&self.started).get(&number).copied() else { return };
        for time in 0.. {
            let engine = self.node(number, time).await;
            match timeout(CLIENT_PATIENCE, engine.cancel(id, Some("enough".to_owned()))).await {
                Ok(Ok(())) => {
                    lock(&self.cancelled).insert(id, Instant::now());
                    return;
                }
                Ok(Err(CancelError::Ended { .. })) => return,
                Ok(Err(CancelError::Unknown { .. })) => panic!("{id} was accepted and is not known"),
                Ok(Err(CancelError::Store(_))) | Err(_) if self.world.is_broken() => return,
                Ok(Err(CancelError::Store(_))) | Err(_) => sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// A client that wants an ended execution to be done over, if it did not do what it was for.
    async fn retry(&self, number: u64) {
        let Some(id) = lock(&self.started).get(&number).copied() else { return };
        let engine = self.node(number, 0).await;
        let request = RetryRequest { execution: id, from_step: None, inputs: Map::new() };
        match timeout(CLIENT_PATIENCE, engine.retry(request)).await {
            Ok(Ok(_) | Err(RetryError::Refused(_) | RetryError::Start(_))) | Err(_) => {}
            Ok(Err(error)) => panic!("{id} is not done over: {error}"),
        }
    }

    /// An operator who decides about every undo that is stuck.
    async fn decide(&self) {
        let stuck: Vec<(ExecutionId, String)> = {
            let tables = self.world.tables();
            let live = tables.executions.values().filter(|row| row.is_live());
            let sagas = live.filter_map(|row| Some((row.new.id, row.saga.as_ref()?)));
            sagas.flat_map(|(id, saga)| saga.stuck().into_iter().map(move |step| (id, step))).collect()
        };
        for (id, step) in stuck {
            let number = self.world.draw.below(4, ("decides", id, &step, Instant::now() - self.world.began_at));
            let decision = [UndoDecision::Retry, UndoDecision::Retry, UndoDecision::Skip, UndoDecision::Force]
                [usize::try_from(number).unwrap_or_default()];
            let engine = self.node(number, 0).await;
            match timeout(CLIENT_PATIENCE, engine.decide_undo(id, step, decision, "because".to_owned())).await {
                Ok(Ok(()) | Err(SagaError::Store(_) | SagaError::NotFailed { .. } | SagaError::NotPaused)) | Err(_) => {
                }
                Ok(Err(error)) => panic!("{id} does not take a decision: {error}"),
            }
        }
    }

    /// A client that wants what an execution did to be undone, if it knows it.
    async fn compensate(&self, number: u64) {
        let Some(id) = lock(&self.started).get(&number).copied() else { return };
        for time in 0.. {
            let engine = self.node(number, time).await;
            match timeout(CLIENT_PATIENCE, engine.compensate(id, "wrong customer".to_owned())).await {
                Ok(Ok(())) => {
                    lock(&self.unwound).insert(id);
                    return;
                }
                Ok(Err(SagaError::NoSaga | SagaError::Refused { .. })) => return,
                Ok(Err(SagaError::Store(_))) | Err(_) if self.world.is_broken() => return,
                Ok(Err(SagaError::Store(_))) | Err(_) => sleep(Duration::from_secs(1)).await,
                Ok(Err(error)) => panic!("{id} is not undone: {error}"),
            }
        }
    }

    async fn until_all_ended(&self) {
        let ended = async {
            while !self.world.ended() {
                assert!(!self.world.is_broken(), "an invariant was broken");
                self.world.tell_missed();
                self.decide().await;
                sleep(Duration::from_secs(1)).await;
            }
        };
        if timeout(PATIENCE, ended).await.is_err() {
            let tables = self.world.tables();
            for row in tables.executions.values().filter(|row| row.is_live()) {
                let steps: Vec<_> = row.steps.iter().map(|step| (&step.key, step.status)).collect();
                let (id, status, epoch, wake) = (row.new.id, row.status, row.epoch, row.next_wake_at);
                eprintln_(&format!("{id}: {status:?} {:?} epoch {epoch} due {wake:?} {steps:?}", row.owner));
            }
            drop(tables);
            panic!("{} executions are forgotten", self.world.live().len());
        }
    }

    fn check(&self, calm_at: Instant) {
        assert!(!self.world.is_broken(), "an invariant was broken");
        let tables = self.world.tables();
        for (number, id) in &*lock(&self.started) {
            let row =
                tables.executions.get(id).unwrap_or_else(|| panic!("start {number} was accepted and is not there"));
            assert_eq!(row.new.idempotency_key, Some(format!("key-{number}")));
        }
        let mut keys = HashMap::new();
        for row in tables.executions.values() {
            let id = row.new.id;
            let workflow = tables.workflows.values().find(|workflow| workflow.id == row.new.workflow);
            let name = workflow.map_or("", |workflow| workflow.name.as_str());
            if let Some(key) = &row.new.idempotency_key {
                assert_eq!(keys.insert(key, id), None, "two executions have the key {key}");
            }
            if row.status == ExecutionStatus::TimedOut {
                let was_queued = row.started_at.is_none();
                assert!(name == "careful" || was_queued && name == "replacing", "{id} ({name}) was forgotten");
            }
            if name == "signalled" && row.status == ExecutionStatus::Failed {
                let order = row.new.inputs["order"].as_str().unwrap_or_default();
                let has_waited = row.steps.iter().any(|step| step.key == "paid" && step.status == StepStatus::TimedOut);
                let was_kept = lock(&self.signals_kept).iter().any(|kept| kept == order);
                // The execution that does it over finds the signal taken.
                assert!(!has_waited || !was_kept || row.new.rerun.is_some(), "{id} did not hear its signal");
            }
            for (ordinal, step) in (0_i32..).zip(&row.steps) {
                assert_eq!(step.ordinal, ordinal);
            }
        }
        for signal in &tables.signals {
            if let Some((execution, ordinal)) = signal.taken_by {
                let step = tables.executions[&execution].steps.iter().find(|step| step.ordinal == ordinal);
                let step = step.expect("what took a signal is recorded");
                let took = step.output.as_ref().map(|output| output["payload"].clone());
                let is_used = step.status != StepStatus::Completed || took == Some(signal.new.payload.clone());
                assert!(is_used, "{execution}: {} took another signal", step.key);
            }
        }
        for id in &*lock(&self.unwound) {
            let row = &tables.executions[id];
            // Whoever has completed it looks once more whether that was asked; unless it dies in between.
            let is_excused = row.ended_by.is_some_and(|node| self.world.is_dead(node));
            assert!(row.status != ExecutionStatus::Completed || is_excused, "{id} was to be undone and completed");
        }
        for (id, at) in &*lock(&self.cancelled) {
            let row = &tables.executions[id];
            let ended_at = row.completed_at.unwrap_or_default() - super::clock::epoch();
            let due = (*at).max(calm_at) - self.world.began_at + Duration::from_mins(4);
            // By a clock that may have been set back beyond the beginning.
            assert!(ended_at.to_std().unwrap_or_default() < due, "{id} ended long after it was cancelled");
        }
    }

    fn told(&self, calm_at: Instant) -> Told {
        let tables = self.world.tables();
        Told {
            trace: self.world.trace(),
            executions: tables.executions.len(),
            refused: tables.refused,
            freed: tables.freed,
            seconds: calm_at.elapsed().as_secs(),
        }
    }
}

fn order(number: u64) -> String {
    format!("order-{number}")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::print_stderr, reason = "what a failing run leaves behind is shown with it")]
fn eprintln_(line: &str) {
    eprintln!("{line}");
}
