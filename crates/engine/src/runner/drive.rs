//! Drives one execution: inputs go through the machine, its changes become durable, then its effects are performed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_machine::{CancelRequested, Change, Effect, Execution, ExecutionStatus, Input, Outcome};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::attempt::{Ended, Running};
use super::journal::Written;
use super::{Job, Runner};
use crate::ports::LogLine;
use crate::{Changed, TenantId, WorkflowId};

/// How many log lines an execution may be ahead of the journal before its processes have to wait.
const LOG_BACKLOG: usize = 256;

/// How many bytes of log lines fill a write: long lines must not make it larger than memory, or the database, takes.
const LOG_BYTES: usize = 1024 * 1024;

/// An execution under way.
pub(super) struct Drive<'a> {
    pub(super) runner: &'a Arc<Runner>,
    pub(super) execution: Execution,
    pub(super) tenant: TenantId,
    pub(super) workflow: WorkflowId,
    pub(super) epoch: i64,
    pub(super) next_log_sequence: i64,
    /// The recorded time to look at it next.
    pub(super) recorded_wake_at: Option<DateTime<Utc>>,
    /// What became true since the last write.
    pub(super) unwritten: Unwritten,
    pub(super) lines: mpsc::Sender<(usize, i32, LogLine)>,
    pub(super) attempts: JoinSet<Ended>,
    pub(super) running: Vec<Running>,
}

/// What the next write carries.
#[derive(Default)]
pub(super) struct Unwritten {
    pub(super) head: bool,
    pub(super) steps: BTreeSet<usize>,
    pub(super) logs: Vec<(usize, i32, LogLine)>,
}

impl Unwritten {
    pub(super) fn is_empty(&self) -> bool {
        !self.head && self.steps.is_empty() && self.logs.is_empty()
    }
}

/// What a driven execution hears.
enum Heard {
    Lines(Vec<(usize, i32, LogLine)>),
    Ended(Box<Ended>),
    /// Something is due; with it comes the slot that a new attempt takes, where there was none.
    Woken(Option<OwnedSemaphorePermit>),
    Cancel(CancelRequested),
    Drain,
    Kill,
}

/// Whether the execution is still ours to drive.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    LetGo,
}

/// Runs an execution until it ended or is let go of.
pub(super) async fn drive(
    runner: &Arc<Runner>,
    job: Job,
    mut cancels: watch::Receiver<Option<CancelRequested>>,
    mut slot: Option<OwnedSemaphorePermit>,
) {
    let (lines, mut heard_lines) = mpsc::channel(LOG_BACKLOG);
    let requested = cancels.borrow().clone();
    let first = match (job.execution.status(), requested) {
        (ExecutionStatus::Queued, Some(request)) => Input::Cancel(request),
        (ExecutionStatus::Queued, None) => Input::Claimed,
        (_, cancel) => Input::Recovered { cancel },
    };
    let mut drive = Drive {
        runner,
        execution: job.execution,
        tenant: job.tenant,
        workflow: job.workflow,
        epoch: job.epoch,
        next_log_sequence: job.next_log_sequence,
        recorded_wake_at: None,
        unwritten: Unwritten::default(),
        lines,
        attempts: JoinSet::new(),
        running: Vec::new(),
    };
    let mut next = drive.handle(first).await;
    let mut draining = false;
    let mut cancelled = false;
    while next == Next::GoOn {
        // What only waits for its next attempt holds nobody else up.
        if drive.running.is_empty() {
            slot = None;
        }
        let heard = drive.hear(&mut heard_lines, &mut cancels, draining, cancelled, slot.is_some()).await;
        next = match heard {
            Heard::Lines(lines) => drive.write_lines(lines).await,
            Heard::Ended(ended) => {
                // Those of the ended attempt are among the waiting ones; those of others may never come to an end.
                for _ in 0..heard_lines.len() {
                    drive.unwritten.logs.extend(heard_lines.try_recv());
                }
                drive.attempt_ended(*ended).await
            }
            Heard::Woken(taken) => {
                slot = taken.or(slot);
                drive.handle(Input::Woken).await
            }
            Heard::Cancel(request) => {
                cancelled = true;
                drive.handle(Input::Cancel(request)).await
            }
            Heard::Drain => {
                draining = true;
                drive.handle(Input::Drain).await
            }
            Heard::Kill => Next::LetGo,
        };
    }
    // Nobody reads lines any more: an attempt that waits to hand one over must not wait for ever.
    drop(heard_lines);
    drive.stop_everything().await;
    if drive.execution.status().is_terminal() {
        drive.report_end();
        drive.remove_work_dir().await;
    }
}

/// Sleeps for a while; for ever where there is nothing to wait for.
async fn sleep_for(time: Option<Duration>) {
    match time {
        Some(Duration::ZERO) => {}
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

impl Drive<'_> {
    async fn hear(
        &mut self,
        lines: &mut mpsc::Receiver<(usize, i32, LogLine)>,
        cancels: &mut watch::Receiver<Option<CancelRequested>>,
        draining: bool,
        cancelled: bool,
        has_slot: bool,
    ) -> Heard {
        // What is due while nothing may begin would be heard for ever.
        let is_heard = !draining && !self.execution.is_stopping();
        let until_deadline = self.execution.deadline_at().filter(|_| is_heard).map(|at| self.until(at));
        let until_attempt = self.execution.next_attempt_at().filter(|_| is_heard).map(|at| self.until(at));
        let attempt = async {
            sleep_for(until_attempt).await;
            // The semaphore is never closed.
            if has_slot { None } else { Arc::clone(&self.runner.slots).acquire_owned().await.ok() }
        };
        let cancel = async { cancels.wait_for(Option::is_some).await.ok()?.clone() };
        // The lines come last: a step that writes without end must not keep anything else from being heard.
        tokio::select! {
            biased;
            () = self.runner.killing.cancelled() => Heard::Kill,
            () = self.runner.draining.cancelled(), if !draining => Heard::Drain,
            Some(ended) = self.attempts.join_next() => match ended {
                Ok(ended) => Heard::Ended(Box::new(ended)),
                // An attempt catches its own panics and is aborted by nobody.
                Err(_) => Heard::Kill,
            },
            Some(request) = cancel, if !cancelled => Heard::Cancel(request),
            () = sleep_for(until_deadline) => Heard::Woken(None),
            slot = attempt => Heard::Woken(slot),
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

    /// Passes an input and everything that follows from it at once through the machine, writes, then acts.
    async fn handle(&mut self, input: Input) -> Next {
        let mut inputs = VecDeque::from([input]);
        let mut effects = Vec::new();
        while let Some(input) = inputs.pop_front() {
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
                        inputs.push_back(self.finished(step, outcome));
                    }
                    other => effects.push(other),
                }
            }
        }
        if self.write().await == Written::Refused {
            return Next::LetGo;
        }
        let mut next = Next::GoOn;
        for effect in effects {
            match effect {
                Effect::Run { step } => self.begin(step).await,
                Effect::Stop { step } => self.stop(step),
                Effect::Release | Effect::End => next = Next::LetGo,
            }
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
            match change.step() {
                Some(step) => {
                    self.unwritten.steps.insert(step);
                }
                None => self.unwritten.head = true,
            }
        }
    }

    fn finished(&self, step: usize, outcome: Outcome) -> Input {
        Input::Finished { step, attempt: self.execution.steps()[step].attempt, outcome }
    }

    async fn attempt_ended(&mut self, ended: Ended) -> Next {
        self.running.retain(|running| running.step != ended.step);
        self.handle(Input::Finished { step: ended.step, attempt: ended.attempt, outcome: ended.outcome }).await
    }

    async fn write_lines(&mut self, lines: Vec<(usize, i32, LogLine)>) -> Next {
        self.unwritten.logs.extend(lines);
        if self.write().await == Written::Refused { Next::LetGo } else { Next::GoOn }
    }

    fn stop(&self, step: usize) {
        for running in self.running.iter().filter(|running| running.step == step) {
            running.stop.cancel();
        }
    }

    /// Stops what still runs and waits until it is gone; its outcome is nobody's business any more.
    async fn stop_everything(&mut self) {
        for running in &self.running {
            running.stop.cancel();
        }
        while self.attempts.join_next().await.is_some() {}
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
