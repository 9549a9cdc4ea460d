//! What the nodes of a simulated run share, and what chance does to them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cogwheel_engine::ports::{Notice, StepContext, StoreError};
use cogwheel_engine::{ExecutionId, NodeId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::draw::Draw;
use super::tables::Tables;

/// How faulty a run is; each a number out of a thousand calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) lost: u64,
    pub(super) unanswered: u64,
    pub(super) slow: u64,
}

pub(super) struct World {
    pub(super) draw: Draw,
    faults: Mutex<Faults>,
    tables: Mutex<Tables>,
    nodes: Mutex<HashMap<NodeId, Link>>,
    /// How often each node called about each subject.
    calls: Mutex<HashMap<(NodeId, &'static str, Uuid), u64>>,
    /// Attempts under way: by step key, the epoch under which each began.
    attempts: Mutex<HashMap<String, Vec<i64>>>,
    trace: Mutex<DefaultHasher>,
    /// Whether an invariant was found broken: whoever was told may survive the panic.
    is_broken: AtomicBool,
    /// Whether everything that happens is told.
    is_loud: bool,
    pub(super) began_at: Instant,
}

/// How a node is connected to the database.
#[derive(Default)]
struct Link {
    is_dead: bool,
    /// It cannot reach the database before then.
    cut_until: Option<Instant>,
    listener: Option<mpsc::Sender<Notice>>,
    has_missed: bool,
}

/// What becomes of a call.
pub(super) struct Fate {
    pub(super) before: Duration,
    pub(super) after: Duration,
    pub(super) is_lost: bool,
    pub(super) is_unanswered: bool,
}

impl World {
    pub(super) fn new(draw: Draw, faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            draw,
            faults: Mutex::new(faults),
            tables: Mutex::default(),
            nodes: Mutex::default(),
            calls: Mutex::default(),
            attempts: Mutex::default(),
            trace: Mutex::default(),
            is_broken: AtomicBool::new(false),
            is_loud: std::env::var_os("COGWHEEL_SIM_TRACE").is_some(),
            began_at: Instant::now(),
        })
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.tables)
    }

    /// Tells what happens, to whoever looks into a run.
    #[expect(clippy::print_stderr, reason = "shown when it is asked for")]
    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_loud {
            eprintln!("{:>9.3} {}", self.began_at.elapsed().as_secs_f64(), what());
        }
    }

    /// One transaction.
    pub(super) fn commit<T>(&self, apply: impl FnOnce(&mut Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let _watch = Watch(&self.is_broken);
        let mut tables = self.tables();
        let answer = apply(&mut tables);
        tables.check();
        answer
    }

    pub(super) fn fate(&self, node: NodeId, kind: &'static str, subject: Uuid) -> Fate {
        let count = {
            let mut calls = lock(&self.calls);
            let count = calls.entry((node, kind, subject)).or_default();
            *count += 1;
            *count
        };
        let subject = (node, kind, subject, count);
        (subject, self.began_at.elapsed().as_millis()).hash(&mut *lock(&self.trace));
        let (draw, faults) = (self.draw, *lock(&self.faults));
        let slow = |part: &str| {
            let most = if draw.happens(faults.slow, ("slow", part, &subject)) { 3000 } else { 3 };
            draw.time(most, ("lasts", part, &subject))
        };
        Fate {
            before: slow("before"),
            after: slow("after"),
            is_lost: draw.happens(faults.lost, ("lost", &subject)),
            is_unanswered: draw.happens(faults.unanswered, ("unanswered", &subject)),
        }
    }

    /// From now on every call arrives and is answered.
    pub(super) fn calm_down(&self) {
        *lock(&self.faults) = Faults::default();
        for link in lock(&self.nodes).values_mut() {
            link.cut_until = None;
        }
    }

    /// A number that tells two runs apart.
    pub(super) fn trace(&self) -> u64 {
        lock(&self.trace).finish()
    }

    pub(super) fn add_node(&self, node: NodeId) {
        lock(&self.nodes).insert(node, Link::default());
    }

    pub(super) fn kill(&self, node: NodeId) {
        let mut nodes = lock(&self.nodes);
        let link = nodes.entry(node).or_default();
        link.is_dead = true;
        link.listener = None;
    }

    /// Cuts a node off from the database for a while.
    pub(super) fn cut(&self, node: NodeId, time: Duration) {
        lock(&self.nodes).entry(node).or_default().cut_until = Some(Instant::now() + time);
    }

    pub(super) fn is_cut(&self, node: NodeId) -> bool {
        lock(&self.nodes).get(&node).and_then(|link| link.cut_until).is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn is_dead(&self, node: NodeId) -> bool {
        lock(&self.nodes).get(&node).is_some_and(|link| link.is_dead)
    }

    /// Never comes back on a node that is dead.
    pub(super) async fn stay_if_dead(&self, node: NodeId) {
        if self.is_dead(node) {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn listen(&self, node: NodeId) -> mpsc::Receiver<Notice> {
        let (sender, notices) = mpsc::channel(1024);
        lock(&self.nodes).entry(node).or_default().listener = Some(sender);
        notices
    }

    /// Passes a notice on to all other nodes. One that cannot hear it now is told so when it can.
    pub(super) fn pass_on(&self, from: NodeId, notice: Notice) {
        let now = Instant::now();
        for (_, link) in lock(&self.nodes).iter_mut().filter(|(node, link)| **node != from && !link.is_dead) {
            let is_cut = link.cut_until.is_some_and(|until| now < until);
            link.has_missed |=
                is_cut || link.listener.as_ref().is_none_or(|listener| listener.try_send(notice).is_err());
        }
    }

    /// Tells those that missed notices and can hear again that they did.
    pub(super) fn tell_missed(&self) {
        let now = Instant::now();
        for link in lock(&self.nodes).values_mut().filter(|link| link.has_missed) {
            let hears = link.cut_until.is_none_or(|until| until <= now);
            if hears && link.listener.as_ref().is_some_and(|listener| listener.try_send(Notice::Missed).is_ok()) {
                link.has_missed = false;
            }
        }
    }

    /// An attempt begins: it is recorded, and no other of its step is under way where the execution belongs now.
    pub(super) fn begin_attempt(self: &Arc<Self>, node: NodeId, context: &StepContext) -> UnderWay {
        let _watch = Watch(&self.is_broken);
        let tables = self.tables();
        let row = &tables.executions[&context.execution];
        let step = row.steps.iter().find(|step| step.key == context.step).expect("a step is recorded before it runs");
        let (recorded, attempt) = (step.attempt, context.attempt);
        assert!(recorded >= attempt, "{}: attempt {attempt} of {} is not recorded", context.execution, context.step);
        // What runs for a node that has lost the execution may run beside what runs for the new owner.
        self.tell(|| format!("{node} runs {}/{} attempt {attempt}", row.new.id, context.step));
        let began_under = row.begun.get(&(step.ordinal, attempt)).copied().unwrap_or(row.epoch);
        let is_owned = row.owner == Some(node) && row.epoch == began_under;
        let epoch = if is_owned { row.epoch } else { -1 };
        let mut attempts = lock(&self.attempts);
        let others = attempts.entry(context.step_key.clone()).or_default();
        let (id, key) = (context.execution, &context.step);
        assert!(epoch < 0 || !others.contains(&epoch), "{id}: {key} runs twice at once under epoch {epoch}");
        others.push(epoch);
        UnderWay { world: Arc::clone(self), key: context.step_key.clone(), epoch }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    pub(super) fn ended(&self) -> bool {
        self.tables().executions.values().all(|row| !row.is_live())
    }

    pub(super) fn live(&self) -> Vec<ExecutionId> {
        self.tables().executions.values().filter(|row| row.is_live()).map(|row| row.new.id).collect()
    }
}

/// Notices a panic.
struct Watch<'w>(&'w AtomicBool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// An attempt under way.
pub(super) struct UnderWay {
    world: Arc<World>,
    key: String,
    epoch: i64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut attempts = lock(&self.world.attempts);
        if let Some(epochs) = attempts.get_mut(&self.key)
            && let Some(place) = epochs.iter().position(|epoch| *epoch == self.epoch)
        {
            epochs.swap_remove(place);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
