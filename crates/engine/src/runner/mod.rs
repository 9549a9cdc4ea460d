//! Runs executions: one task each, over a bounded number of slots.

mod artifacts;
mod attempt;
mod drive;
mod journal;
mod outside;
mod places;
mod saga;
mod slots;
mod told;
mod told_saga;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_machine::{CancelRequested, Execution, ExecutionId, ExecutionStatus};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use uuid::Uuid;

use crate::clock::Clock;
use crate::outputs::Outputs;
use crate::ports::{Blobs, Parent, Start, Started, StepRegistry, Store, StoreError};
use crate::{Engine, EngineConfig, Feed, NodeId, TenantId, WorkflowId};

pub(crate) use journal::step_row;
pub(crate) use outside::MAX_DEPTH;
pub(crate) use saga::given_up;
use slots::{Slots, Ticket};
pub(crate) use told::{GivenUp, undone_after_all};

/// The first and the longest pause between questions about a start whose answer got lost.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How many sagas may have their states kept at a time.
const SNAPSHOTS: usize = 2;

/// An execution to run, with what its records are written under.
pub(crate) struct Job {
    pub(crate) execution: Execution,
    pub(crate) tenant: TenantId,
    pub(crate) workflow: WorkflowId,
    pub(crate) epoch: i64,
    pub(crate) next_log_sequence: i64,
    /// Ties together what belongs together.
    pub(crate) correlation_id: Uuid,
    /// The step of another execution that it is run for.
    pub(crate) parent: Option<Parent>,
    /// Whether its end lets another execution go on that waits for it.
    pub(crate) has_concurrency_key: bool,
    /// A request to cancel it from before it was taken over.
    pub(crate) cancel: Option<CancelRequested>,
    /// Its start, if that is still to be recorded.
    pub(crate) start: Option<UnrecordedStart>,
}

/// A start that is recorded together with what becomes of the execution at once.
pub(crate) struct UnrecordedStart {
    pub(crate) start: Box<Start>,
    /// Who waits for the answer.
    pub(crate) answer: oneshot::Sender<Result<Started, StoreError>>,
}

/// The epoch of an execution that was never claimed.
pub(crate) const FIRST_EPOCH: i64 = 0;

/// What a live execution is told.
#[derive(Clone, Debug)]
pub(crate) enum Nudge {
    /// Its end is asked for; the request is durable.
    Cancel(CancelRequested),
    /// Something came for it from outside.
    Inbox,
    /// It may belong to another node now.
    CheckOwner,
}

/// How to reach the executions that are here.
#[derive(Default)]
struct Live {
    lines: HashMap<ExecutionId, Contact>,
    /// The number of the next line.
    next: u64,
}

/// How to reach one of them.
struct Contact {
    /// The number of its line.
    number: u64,
    /// The epoch under which it is here.
    epoch: i64,
    nudges: mpsc::UnboundedSender<Nudge>,
}

/// What an execution hears nudges on.
struct Line {
    nudges: mpsc::UnboundedReceiver<Nudge>,
    /// Tells it from the line of the same execution when that is taken up anew.
    number: u64,
    arrival: Arrival,
    /// Its place in the queue for a slot, taken in the order in which executions are submitted.
    ticket: Option<Ticket>,
}

/// Counts an execution among those that are here and have not had a slot yet.
struct Arrival(Arc<AtomicUsize>);

impl Arrival {
    fn at(arriving: &Arc<AtomicUsize>) -> Self {
        arriving.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(arriving))
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs the executions this node owns.
pub(crate) struct Runner {
    root: std::path::PathBuf,
    work_dir: std::path::PathBuf,
    kill_grace: Duration,
    node: NodeId,
    store: Arc<dyn Store>,
    outputs: Outputs,
    clock: Arc<dyn Clock>,
    steps: StepRegistry,
    feed: Feed,
    slots: Slots,
    /// How to reach each execution that is submitted and has not ended.
    live: Mutex<Live>,
    /// The lines of executions that are about to be recorded.
    expected: Mutex<HashMap<ExecutionId, Line>>,
    tasks: TaskTracker,
    /// How many events of a saga are recorded before its state is kept once more.
    snapshot_events: usize,
    /// Permits to do so: it must not get in the way of what runs.
    snapshots: Arc<Semaphore>,
    runtime: Handle,
    /// How many executions are here that have not had a slot yet.
    arriving: Arc<AtomicUsize>,
    /// Told when the pool may hold something for this node.
    work: Notify,
    /// Told when a slot is given back and nobody here waits for it.
    freed: Arc<Notify>,
    /// When the pool is known to hold something that becomes due.
    next_due: watch::Sender<Option<DateTime<Utc>>>,
    /// Starts and cancels what executions ask for.
    engine: OnceLock<Weak<Engine>>,
    /// Cancelled when nothing new may begin.
    draining: CancellationToken,
    /// Cancelled when what still runs must be stopped.
    killing: CancellationToken,
}

impl Runner {
    pub(crate) fn new(
        config: &EngineConfig,
        node: NodeId,
        store: Arc<dyn Store>,
        outputs: Outputs,
        clock: Arc<dyn Clock>,
        steps: StepRegistry,
        feed: Feed,
    ) -> Self {
        let given_back = Arc::new(Notify::new());
        Self {
            root: config.root.clone(),
            work_dir: config.work_dir.clone(),
            kill_grace: config.kill_grace,
            node,
            store,
            outputs,
            clock,
            steps,
            feed,
            slots: Slots::new(config.max_running_executions, Arc::clone(&given_back)),
            live: Mutex::default(),
            expected: Mutex::default(),
            tasks: TaskTracker::new(),
            snapshot_events: config.snapshot_events.max(1),
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS)),
            runtime: Handle::current(),
            arriving: Arc::default(),
            work: Notify::new(),
            freed: given_back,
            next_due: watch::Sender::new(None),
            engine: OnceLock::new(),
            draining: CancellationToken::new(),
            killing: CancellationToken::new(),
        }
    }

    /// Where bytes are kept that are too large for the database.
    pub(crate) fn blobs(&self) -> &Arc<dyn Blobs> {
        self.outputs.blobs()
    }

    /// Who starts and cancels what executions ask for.
    pub(crate) fn serve(&self, engine: &Arc<Engine>) {
        // Set once, when the engine comes up.
        let _ = self.engine.set(Arc::downgrade(engine));
    }

    /// Runs an execution from where it stands. Executions wait for a slot by priority, and in the order they are
    /// submitted.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) {
        let id = job.execution.id();
        let expected = if job.epoch == FIRST_EPOCH { lock(&self.expected).remove(&id) } else { None };
        let mut line = expected.unwrap_or_else(|| self.reach(id, job.epoch));
        // One that is under way hears of it as it is taken up; a second request would mean more.
        if job.execution.status() == ExecutionStatus::Queued
            && let Some(request) = job.cancel.clone()
        {
            self.nudge(id, Nudge::Cancel(request));
        }
        // What is not recorded yet must not wait; what only waits needs none.
        if job.start.is_none() && job.execution.status() != ExecutionStatus::Waiting {
            let has_begun = job.execution.status() != ExecutionStatus::Queued;
            line.ticket = Some(self.slots.ticket(job.execution.workflow().priority, has_begun));
        }
        let runner = Arc::clone(self);
        self.tasks.spawn_on(Box::pin(runner.run(job, line)), &self.runtime);
    }

    /// Keeps nudges for an execution that is about to be recorded, and submitted or forgotten then.
    pub(crate) fn expect(&self, execution: ExecutionId) {
        let line = self.reach(execution, FIRST_EPOCH);
        lock(&self.expected).insert(execution, line);
    }

    /// Undoes [`Self::expect`] for an execution that is not submitted.
    pub(crate) fn forget(&self, execution: ExecutionId) {
        if let Some(line) = lock(&self.expected).remove(&execution) {
            self.hang_up(execution, line.number);
        }
    }

    fn reach(&self, execution: ExecutionId, epoch: i64) -> Line {
        let (sender, nudges) = mpsc::unbounded_channel();
        let mut live = lock(&self.live);
        let number = live.next;
        live.next += 1;
        // What is here under a later epoch is what counts, and must not be cut off.
        if live.lines.get(&execution).is_none_or(|known| known.epoch <= epoch) {
            live.lines.insert(execution, Contact { number, epoch, nudges: sender });
        }
        Line { nudges, number, arrival: Arrival::at(&self.arriving), ticket: None }
    }

    /// Takes an execution's line away, unless it has another one by now.
    fn hang_up(&self, execution: ExecutionId, number: u64) {
        let mut live = lock(&self.live);
        if live.lines.get(&execution).is_some_and(|known| known.number == number) {
            live.lines.remove(&execution);
        }
    }

    /// Tells an execution something; `false` if it is not here.
    pub(crate) fn nudge(&self, execution: ExecutionId, nudge: Nudge) -> bool {
        lock(&self.live).lines.get(&execution).is_some_and(|known| known.nudges.send(nudge).is_ok())
    }

    /// Every execution that is here or about to be, with its epoch.
    pub(crate) fn all(&self) -> Vec<(ExecutionId, i64)> {
        lock(&self.live).lines.iter().map(|(id, known)| (*id, known.epoch)).collect()
    }

    /// Tells every execution here something.
    pub(crate) fn nudge_all(&self, nudge: &Nudge) {
        for known in lock(&self.live).lines.values() {
            // One that has just ended hears nothing, and need not.
            let _ = known.nudges.send(nudge.clone());
        }
    }

    /// Told when the pool may hold something for this node.
    pub(crate) fn work(&self) -> &Notify {
        &self.work
    }

    /// Told when a slot is given back and nobody here waits for it.
    pub(crate) fn freed(&self) -> &Notify {
        &self.freed
    }

    /// How many more executions would find a slot at once.
    pub(crate) fn room(&self) -> usize {
        self.slots.free().saturating_sub(self.arriving())
    }

    /// How many executions are here that have not had a slot yet.
    pub(crate) fn arriving(&self) -> usize {
        self.arriving.load(Ordering::Relaxed)
    }

    /// Records a start. When the answer gets lost, it is asked about until it is known what became of it: what is recorded
    /// must run now, not after the next restart. Where that stays unknown, the answer is `Unanswered`.
    pub(crate) async fn record_start(&self, start: Start) -> Result<Started, StoreError> {
        let mut answer = self.store.start(start.clone()).await;
        if !matches!(answer, Err(StoreError::Unanswered(_))) {
            return answer;
        }
        let mut pause = FIRST_PAUSE;
        while let Err(error) = &answer
            && error.is_transient()
        {
            warn!(execution = %start.row.id, %error, "asking again whether a start is recorded");
            if self.draining.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            answer = self.store.start(start.clone()).await;
        }
        match answer {
            // Not even whether the first one was recorded.
            Err(error) if error.is_transient() => Err(StoreError::Unanswered(error.to_string())),
            answer => answer,
        }
    }

    /// Begins nothing new, waits `grace` for running steps, then stops what is left. Nothing runs when it returns.
    pub(crate) async fn drain(&self, grace: Duration) {
        self.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            warn!(executions = self.tasks.len(), "stopping steps that outlast the shutdown grace");
            self.killing.cancel();
            self.tasks.wait().await;
        }
    }

    async fn run(self: Arc<Self>, job: Job, line: Line) {
        let (id, number) = (job.execution.id(), line.number);
        drive::drive(&self, job, line).await;
        self.hang_up(id, number);
    }

    /// Something in the pool becomes due then.
    pub(crate) fn is_due_at(&self, at: DateTime<Utc>) {
        self.next_due.send_if_modified(|next| {
            let is_earlier = next.is_none_or(|next| at < next);
            if is_earlier {
                *next = Some(at);
            }
            is_earlier
        });
    }

    /// When the pool is known to hold something that becomes due.
    pub(crate) fn next_due(&self) -> &watch::Sender<Option<DateTime<Utc>>> {
        &self.next_due
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
