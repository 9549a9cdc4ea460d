//! Drives one execution: inputs go through the machine, its changes become durable, then its effects are performed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_machine::{Change, Effect, Execution, ExecutionStatus, Input, Outcome, StepState};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};
use uuid::Uuid;

use super::attempt::{Ended, Running};
use super::journal::Written;
use super::places::Places;
use super::saga::UnwrittenUndos;
use super::slots::{Slot, Ticket};
use super::told::Told;
use super::{Arrival, Job, Line, Nudge, Runner, UnrecordedStart};
use crate::ports::{LogLine, NewArtifact, NewEvent, Parent, Recorded};
use crate::{Changed, TenantId, WorkflowId};

/// How many log lines an execution may be ahead of the journal before its processes have to wait.
const LOG_BACKLOG: usize = 256;

/// How many bytes of log lines fill a write: long lines must not make it larger than memory, or the database, takes.
const LOG_BYTES: usize = 1024 * 1024;

/// How many inputs go into one write: a loop that only computes must not become one transaction, nor stay deaf.
const INPUTS: usize = 256;

/// How long an execution that waits stays in memory before it is let go of.
const LINGER: Duration = Duration::from_secs(2);

/// An execution that goes on by itself sooner than this is not let go of.
const SHORT_WAIT: Duration = Duration::from_secs(10);

/// An execution under way.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on one another")]
pub(super) struct Drive<'a> {
    pub(super) runner: &'a Arc<Runner>,
    pub(super) execution: Execution,
    pub(super) tenant: TenantId,
    pub(super) workflow: WorkflowId,
    pub(super) epoch: i64,
    pub(super) correlation_id: Uuid,
    pub(super) parent: Option<Parent>,
    pub(super) has_concurrency_key: bool,
    pub(super) next_log_sequence: i64,
    /// The recorded time to look at it next.
    recorded_wake_at: Option<DateTime<Utc>>,
    /// Inputs that follow from what was done, in order.
    pub(super) pending: VecDeque<Input>,
    /// What became true since the last write.
    pub(super) unwritten: Unwritten,
    /// What was told of it as events.
    pub(super) told: Told,
    /// How many events since its state was kept last, by this owner.
    pub(super) unkept_events: usize,
    pub(super) lines: mpsc::Sender<(i32, i32, LogLine)>,
    pub(super) attempts: JoinSet<Ended>,
    pub(super) running: Vec<Running>,
    /// What its attempts have on disk.
    pub(super) places: Arc<Places>,
    slot: Option<Slot>,
    /// Its place in the queue for one.
    ticket: Option<Ticket>,
    /// Held while its uploaded file is put there.
    pub(super) giving: Arc<tokio::sync::Mutex<()>>,
    /// Counts it among those that will want a slot, until it has had one.
    arrival: Option<Arrival>,
    /// Its start, until it is recorded.
    pub(super) start: Option<UnrecordedStart>,
    /// Whether the database knows it.
    pub(super) is_recorded: bool,
    /// Whether its start was refused: nobody will ever know of it.
    pub(super) is_nowhere: bool,
    /// Whether it is being taken up after it was under way elsewhere.
    pub(super) is_recovered: bool,
    /// Whether it was found to belong to somebody else by now.
    pub(super) is_lost: bool,
    draining: bool,
}

/// What the next write carries.
#[derive(Default)]
pub(super) struct Unwritten {
    pub(super) head: bool,
    /// Whether it is written though there be nothing to write.
    pub(super) is_check: bool,
    /// Whether the write lets go of the execution.
    pub(super) lets_go: bool,
    pub(super) steps: BTreeSet<i32>,
    pub(super) logs: Vec<(i32, i32, LogLine)>,
    pub(super) events: Vec<NewEvent>,
    /// Files that attempts left; they go with the steps.
    pub(super) artifacts: Vec<NewArtifact>,
    /// Of a saga: they go with the steps, or with the head.
    pub(super) undos: UnwrittenUndos,
}

impl Unwritten {
    pub(super) fn is_empty(&self) -> bool {
        !self.head && !self.is_check && self.steps.is_empty() && self.logs.is_empty() && self.events.is_empty()
    }
}

/// What a driven execution hears.
enum Heard {
    Lines(Vec<(i32, i32, LogLine)>),
    Ended(Box<Ended>),
    /// There is room for it now.
    Slot(Slot),
    /// Something is due.
    Woken,
    Nudge(Nudge),
    /// Inputs are left to take in.
    Pending,
    /// It has waited for a while and will wait for longer.
    Idle,
    Drain,
    Kill,
}

/// Whether the execution is still ours to drive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    LetGo,
}

/// Runs an execution until it ended or is let go of.
pub(super) async fn drive(runner: &Arc<Runner>, job: Job, line: Line) {
    let (lines, mut heard_lines) = mpsc::channel(LOG_BACKLOG);
    let (id, number, mut nudges) = (job.execution.id(), line.number, line.nudges);
    let first =
        (job.execution.status() != ExecutionStatus::Queued).then(|| Input::Recovered { cancel: job.cancel.clone() });
    let recorded_wake_at = job.execution.next_wake_at().filter(|_| first.is_none());
    let told = Told::until(&job.execution);
    let mut drive = Drive {
        runner,
        execution: job.execution,
        tenant: job.tenant,
        workflow: job.workflow,
        epoch: job.epoch,
        correlation_id: job.correlation_id,
        parent: job.parent,
        has_concurrency_key: job.has_concurrency_key,
        next_log_sequence: job.next_log_sequence,
        recorded_wake_at,
        pending: VecDeque::new(),
        unwritten: Unwritten::default(),
        told,
        unkept_events: 0,
        lines,
        attempts: JoinSet::new(),
        running: Vec::new(),
        places: Arc::new(Places::below(runner.work_dir.join(id.to_string()))),
        slot: None,
        ticket: line.ticket,
        giving: Arc::default(),
        arrival: Some(line.arrival),
        is_recorded: job.start.is_none(),
        is_nowhere: false,
        start: job.start,
        is_recovered: first.is_some(),
        is_lost: false,
        draining: false,
    };
    drive.execution.set_room(false);
    // What only waits needs no slot.
    if drive.execution.status() == ExecutionStatus::Waiting {
        drive.arrival = None;
    }
    let mut next = match first {
        Some(input) => drive.take_over(input).await,
        None if drive.start.is_some() => drive.begin_unrecorded().await,
        None => Next::GoOn,
    };
    drive.is_recovered = false;
    // A saga that waits for an operator, or for others, needs no slot either.
    if drive.execution.status() != ExecutionStatus::Queued && !drive.execution.has_work() {
        drive.arrival = None;
    }
    let mut idle_at = Instant::now() + LINGER;
    while next == Next::GoOn {
        drive.give_slot_back_if_idle();
        let heard = drive.hear(&mut heard_lines, &mut nudges, idle_at).await;
        if !matches!(heard, Heard::Idle) {
            idle_at = Instant::now() + LINGER;
        }
        next = match heard {
            Heard::Lines(lines) => drive.write_lines(lines).await,
            Heard::Ended(ended) => {
                // Those of the ended attempt are among the waiting ones; those of others may never come to an end.
                for _ in 0..heard_lines.len() {
                    drive.unwritten.logs.extend(heard_lines.try_recv());
                }
                drive.attempt_ended(*ended).await
            }
            Heard::Slot(slot) => {
                drive.take_slot(slot);
                let is_queued = drive.execution.status() == ExecutionStatus::Queued;
                drive.take(if is_queued { Input::Claimed } else { Input::Woken }).await
            }
            Heard::Woken => drive.take(Input::Woken).await,
            Heard::Nudge(Nudge::Cancel(request)) => drive.take(Input::Cancel(request)).await,
            Heard::Nudge(Nudge::Inbox) => drive.read_inbox().await,
            Heard::Nudge(Nudge::CheckOwner) => drive.check_owner().await,
            Heard::Kill => Next::LetGo,
            Heard::Pending => drive.advance().await,
            Heard::Drain => {
                drive.draining = true;
                // What never began stays in the queue.
                if drive.execution.status() == ExecutionStatus::Queued {
                    Next::LetGo
                } else {
                    drive.take(Input::Drain).await
                }
            }
            Heard::Idle => {
                // Whoever has something for it from now on finds it in the pool.
                runner.hang_up(id, number);
                drive.release().await;
                Next::LetGo
            }
        };
    }
    drive.arrival = None;
    // Nobody reads lines any more: an attempt that waits to hand one over must not wait for ever.
    drop(heard_lines);
    drive.wind_up(number).await;
}

/// Waits for the slot that a ticket stands for; for ever where there is no ticket.
async fn turn(ticket: &mut Option<Ticket>) -> Option<Slot> {
    match ticket {
        // The queue is there as long as the runner is.
        Some(waiting) => {
            let slot = waiting.await.ok();
            *ticket = None;
            slot
        }
        None => std::future::pending().await,
    }
}

/// Sleeps until `left` has passed; for ever where there is nothing to wait for.
async fn sleep_for(left: Option<Duration>) {
    match left {
        Some(Duration::ZERO) => {}
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

impl Drive<'_> {
    async fn hear(
        &mut self,
        lines: &mut mpsc::Receiver<(i32, i32, LogLine)>,
        nudges: &mut mpsc::UnboundedReceiver<Nudge>,
        idle_at: Instant,
    ) -> Heard {
        let is_queued = self.execution.status() == ExecutionStatus::Queued;
        // What is due while nothing may begin would be heard for ever.
        let until_due = self.execution.next_wake_at().filter(|_| !self.draining).map(|at| self.until(at));
        let wants_slot = !self.draining && self.slot.is_none() && (is_queued || self.execution.has_work());
        let is_idle = self.execution.status() == ExecutionStatus::Waiting
            && self.running.is_empty()
            && until_due.is_none_or(|left| left > SHORT_WAIT);
        if wants_slot {
            let slots = &self.runner.slots;
            let priority = self.execution.workflow().priority;
            self.ticket.get_or_insert_with(|| slots.ticket(priority, !is_queued));
        } else {
            self.ticket = None;
        }
        // The lines come last: a step that writes without end must not keep anything else from being heard.
        tokio::select! {
            biased;
            () = self.runner.killing.cancelled() => Heard::Kill,
            () = self.runner.draining.cancelled(), if !self.draining => Heard::Drain,
            Some(nudge) = nudges.recv() => Heard::Nudge(nudge),
            () = std::future::ready(()), if !self.pending.is_empty() => Heard::Pending,
            Some(ended) = self.attempts.join_next() => match ended {
                Ok(ended) => Heard::Ended(Box::new(ended)),
                // A task of this set is neither aborted nor panics; if it did, its step could never end.
                Err(_) => Heard::Kill,
            },
            () = sleep_for(until_due) => Heard::Woken,
            Some(slot) = turn(&mut self.ticket) => Heard::Slot(slot),
            () = tokio::time::sleep_until(idle_at), if is_idle => Heard::Idle,
            Some(line) = lines.recv() => {
                let mut bytes = line.2.message.len();
                let mut batch = vec![line];
                while batch.len() < LOG_BACKLOG && bytes < LOG_BYTES && let Ok(line) = lines.try_recv() {
                    bytes += line.2.message.len();
                    batch.push(line);
                }
                Heard::Lines(batch)
            }
        }
    }

    /// Begins an execution whose start is still to be recorded; where there is no room, its start alone is.
    async fn begin_unrecorded(&mut self) -> Next {
        let is_draining = self.runner.draining.is_cancelled();
        let Some(slot) = self.runner.slots.try_acquire().filter(|_| !is_draining) else {
            return self.advance().await;
        };
        self.take_slot(slot);
        self.take(Input::Claimed).await
    }

    /// Goes on with what another process has left.
    async fn take_over(&mut self, recovered: Input) -> Next {
        // The rows of undos were written by a process that may not have known of a decision.
        self.unwritten.undos.add_all();
        let next = self.take(recovered).await;
        if next == Next::LetGo || !self.is_saga() {
            return next;
        }
        // What was asked of it after its rows were read, and before it could be told.
        self.read_inbox().await
    }

    fn take_slot(&mut self, slot: Slot) {
        self.slot = Some(slot);
        self.arrival = None;
        self.execution.set_room(true);
    }

    /// What has ended or only waits holds nobody else up.
    fn give_slot_back_if_idle(&mut self) {
        let is_idle = self.running.is_empty() && !self.execution.has_work() && self.pending.is_empty();
        if is_idle && self.slot.take().is_some() {
            self.execution.set_room(false);
        }
    }

    /// Takes an input in, with everything that follows from it at once.
    pub(super) async fn take(&mut self, input: Input) -> Next {
        self.pending.push_back(input);
        self.advance().await
    }

    /// Passes what is pending through the machine, writes, then acts. Attempts get ready while that is being written.
    pub(super) async fn advance(&mut self) -> Next {
        let mut effects = Vec::new();
        for _ in 0..INPUTS {
            let Some(input) = self.pending.pop_front() else { break };
            let decision = match self.execution.handle(input, self.runner.clock.now()) {
                Ok(decision) => decision,
                Err(rejected) => {
                    debug!(execution = %self.execution.id(), %rejected, "an input changes nothing");
                    continue;
                }
            };
            self.note(&decision.changes);
            for effect in decision.effects {
                match effect {
                    Effect::Run { step } if self.only_computes(step) => {
                        let outcome = self.compute(step).await;
                        let input = self.finished(step, outcome);
                        self.pending.push_back(input);
                    }
                    other => effects.push(other),
                }
            }
        }
        let recorded = Recorded::default();
        effects.retain(|effect| match effect {
            Effect::Run { step } => {
                self.begin(*step, &recorded);
                false
            }
            _ => true,
        });
        if effects.is_empty() || self.execution.status().is_terminal() {
            // What is left of it is to be written down, which takes no room.
            self.give_slot_back_if_idle();
        }
        if self.write().await == Written::Refused {
            return Next::LetGo;
        }
        recorded.announce();
        let mut next = Next::GoOn;
        let mut reads_inbox = false;
        for effect in effects {
            match effect {
                Effect::Run { .. } => {}
                Effect::Stop { step } => self.stop(step),
                Effect::StartChild { step } => self.start_child(step).await,
                Effect::CancelChild { step } => self.cancel_child(step).await,
                Effect::UnwindChild { step, child } => self.unwind_child(step, child).await,
                Effect::AwaitSignal { .. } => reads_inbox = true,
                Effect::Release | Effect::End => next = Next::LetGo,
            }
        }
        if reads_inbox && next == Next::GoOn {
            self.ask_inbox().await;
        }
        next
    }

    fn note(&mut self, changes: &[Change]) {
        let wake_at = self.execution.next_wake_at();
        if !changes.is_empty() && wake_at != self.recorded_wake_at {
            self.recorded_wake_at = wake_at;
            self.unwritten.head = true;
        }
        for change in changes {
            self.unwritten.undos.note(&self.execution, change);
            match change.step() {
                Some(step) => {
                    self.unwritten.steps.insert(step);
                }
                None => self.unwritten.head = true,
            }
        }
    }

    pub(super) fn finished(&self, step: i32, outcome: Outcome) -> Input {
        let attempt = self.execution.step(step).map_or(0, |state| state.attempt);
        Input::Finished { step, attempt, outcome }
    }

    async fn attempt_ended(&mut self, ended: Ended) -> Next {
        self.running.retain(|running| running.step != ended.step);
        // What an attempt left that does not count any more is not the step's.
        let is_current = |state: &StepState| state.attempt == ended.attempt && !state.status.is_terminal();
        if self.execution.step(ended.step).is_some_and(is_current) {
            self.unwritten.artifacts.extend(ended.artifacts);
        }
        self.take(Input::Finished { step: ended.step, attempt: ended.attempt, outcome: ended.outcome }).await
    }

    async fn write_lines(&mut self, lines: Vec<(i32, i32, LogLine)>) -> Next {
        self.unwritten.logs.extend(lines);
        if self.write().await == Written::Refused { Next::LetGo } else { Next::GoOn }
    }

    /// Whoever owns an execution may write to it.
    async fn check_owner(&mut self) -> Next {
        self.unwritten.is_check = true;
        if self.write().await == Written::Refused { Next::LetGo } else { Next::GoOn }
    }

    fn stop(&self, step: i32) {
        for running in self.running.iter().filter(|running| running.step == step) {
            running.stop.cancel();
        }
    }

    /// Stops what runs, and tells those whom its end concerns; `line` is the number of its line.
    async fn wind_up(&mut self, line: u64) {
        if self.is_lost {
            // Whoever owns it has not heard what was told here, and must hear what comes from now on.
            self.runner.hang_up(self.execution.id(), line);
            self.runner.tell_everywhere(self.execution.id()).await;
        }
        self.stop_everything().await;
        if self.is_recorded && self.execution.status().is_terminal() && !self.is_lost {
            self.report_end();
            self.remove_work_dir().await;
            self.tell_of_end().await;
            self.undo_if_asked().await;
        }
    }

    /// Stops what still runs and waits until it is gone; its outcome is nobody's business any more.
    async fn stop_everything(&mut self) {
        for running in &self.running {
            running.stop.cancel();
        }
        while self.attempts.join_next().await.is_some() {}
        if self.is_nowhere {
            // Its first attempts got their places while its start was on its way.
            self.remove_work_dir().await;
        }
    }

    /// Lets go of an execution that waits: whoever has room takes it up when something comes for it.
    async fn release(&mut self) {
        self.unwritten.head = true;
        self.unwritten.lets_go = true;
        if self.write().await == Written::Refused {
            return;
        }
        // What came while it still had an owner did not make it due.
        if self.has_mail().await {
            self.wake_in_pool().await;
        } else if let Some(at) = self.execution.next_wake_at() {
            self.runner.is_due_at(at);
        }
    }

    /// One line for operators about an execution that did not do what it was for.
    fn report_end(&self) {
        let (id, workflow) = (self.execution.id(), &self.execution.workflow().name);
        let Some(error) = self.execution.error() else {
            debug!(execution = %id, workflow, "completed");
            return;
        };
        let status = self.execution.status().as_str();
        let step = error.step.as_deref().unwrap_or("-");
        warn!(execution = %id, workflow, status, step, error = error.title, "an execution did not complete");
    }

    async fn remove_work_dir(&self) {
        self.places.close();
        let path = self.work_dir();
        if let Err(error) = tokio::fs::remove_dir_all(&path).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            warn!(path = %path.display(), %error, "cannot remove the scratch folder");
        }
    }

    pub(super) fn work_dir(&self) -> std::path::PathBuf {
        self.runner.work_dir.join(self.execution.id().to_string())
    }

    pub(super) fn until(&self, at: DateTime<Utc>) -> Duration {
        (at - self.runner.clock.now()).to_std().unwrap_or_default()
    }

    pub(super) fn notify(&self) {
        self.runner.feed.notify(Changed { execution: self.execution.id(), workflow: self.workflow });
    }
}
