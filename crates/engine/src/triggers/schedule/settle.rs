//! Gives the due instants of one schedule their outcomes, in order, each in one transaction with what it starts.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use cogwheel_definition::{Overlap, ScheduleTrigger};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::agenda::{Claimed, Line};
use super::plan::{Batch, Past, missed_until};
use crate::ports::{Due, DueOutcome, ScheduleTick, SkipReason, StoreError};
use crate::{Engine, Followed, ScheduleId, StartCause, StartError, StartRequest, WorkflowRef};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How long a notice that a run ended may be missing before the store is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// What settling needs from outside.
pub(super) struct Settler {
    pub(super) engine: Arc<Engine>,
    /// What was due by then was missed.
    pub(super) started_at: DateTime<Utc>,
    pub(super) at_once: Semaphore,
}

/// Nothing more is to be settled: the engine stops, or the schedule changed or went.
struct Ended;

impl Settler {
    /// Settles everything that is due, and answers how far it came.
    pub(super) async fn settle(self: Arc<Self>, claimed: Claimed) -> (u64, ScheduleId, DateTime<Utc>) {
        let Claimed { claim, line, mut position, stop } = claimed;
        let id = line.id;
        let settled = async {
            let mut past = self.past(self.started_at);
            while let ControlFlow::Continue(()) = self.step(&line, &mut position, &mut past).await {}
        };
        // What is being written goes on in its own task and in the store; the ledger shows it to whoever comes next.
        stop.run_until_cancelled(settled).await;
        (claim, id, position)
    }

    fn past(&self, missed_until: DateTime<Utc>) -> Past {
        Past { missed_until, busy_until: missed_until, now: self.engine.clock().now() }
    }

    /// Settles one batch.
    async fn step(&self, line: &Line, position: &mut DateTime<Utc>, past: &mut Past) -> ControlFlow<()> {
        // Held while a batch is in memory: however many schedules have missed however much, only so many are.
        let Ok(mut permit) = self.permit().await else { return ControlFlow::Break(()) };
        let now = self.engine.clock().now();
        let Some(first) = line.rule.next_after(*position).filter(|first| line.rule.fires_at(*first) <= now) else {
            return ControlFlow::Break(());
        };
        let fires_at = line.rule.fires_at(first);
        if fires_at > past.busy_until {
            let missed_until = missed_until(fires_at, past.missed_until, now);
            if missed_until > past.missed_until {
                // This node was still. If another one was not, the ledger has come further.
                match self.decided_elsewhere(line, *position).await {
                    Ok(Some(further)) => {
                        *position = further;
                        return ControlFlow::Continue(());
                    }
                    Ok(None) => {}
                    Err(Ended) => return ControlFlow::Break(()),
                }
            }
            *past = self.past(missed_until);
        }
        past.now = now;
        let Some(mut batch) = line.rule.next_batch(*position, *past) else { return ControlFlow::Break(()) };
        if batch.skipped.iter().any(|due| due.is_catch_up) {
            debug!(
                workflow = line.workflow_name,
                schedule = line.trigger.key,
                instants = batch.skipped.len(),
                "not making up for missed due instants"
            );
        }
        if line.trigger.overlap == Overlap::Skip
            && line.rule.catches_up_with_all()
            && batch.fire.as_ref().is_some_and(|due| due.is_catch_up)
        {
            drop((batch, permit));
            if self.until_idle(line).await.is_err() {
                return ControlFlow::Break(());
            }
            let Ok(again) = self.permit().await else { return ControlFlow::Break(()) };
            permit = again;
            let Some(same) = line.rule.next_batch(*position, *past) else { return ControlFlow::Break(()) };
            batch = same;
            past.busy_until = self.engine.clock().now();
        }
        let last = batch.fire.as_ref().or_else(|| batch.skipped.last()).map(|due| due.due_at);
        let recorded = self.record(line, batch).await;
        drop(permit);
        match recorded {
            Ok(()) => {
                *position = last.unwrap_or(first);
                ControlFlow::Continue(())
            }
            Err(Ended) => ControlFlow::Break(()),
        }
    }

    /// Waits for the previous run: when every missed instant is to be run and none beside another, they wait for each other.
    /// What comes due meanwhile passes.
    async fn until_idle(&self, line: &Line) -> Result<(), Ended> {
        let mut follower = self.engine.feed().follow();
        while self.is_busy(line).await? {
            let ended = async {
                while let Some(Followed::Changed(changed)) = follower.next().await {
                    if changed.workflow == line.workflow {
                        return;
                    }
                }
            };
            // Running into the limit is as good a reason to look again as a notice.
            let _ = timeout(ASK_AGAIN, ended).await;
        }
        Ok(())
    }

    /// The last instant with an outcome, if it lies after `position`.
    async fn decided_elsewhere(&self, line: &Line, position: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Ended> {
        let mut retry = Retry::new(line);
        loop {
            match self.engine.store().last_due_at(line.id).await {
                Ok(last) => return Ok(last.filter(|last| *last > position)),
                Err(error) => retry.after(&error).await,
            }
        }
    }

    async fn is_busy(&self, line: &Line) -> Result<bool, Ended> {
        let mut retry = Retry::new(line);
        loop {
            let answer = {
                let _permit = self.permit().await?;
                self.engine.store().schedule_is_busy(line.id).await
            };
            match answer {
                Ok(is_busy) => return Ok(is_busy),
                Err(error) => retry.after(&error).await,
            }
        }
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, Ended> {
        // Never closed, so that it never fails.
        self.at_once.acquire().await.map_err(|_| Ended)
    }

    async fn record(&self, line: &Line, batch: Batch) -> Result<(), Ended> {
        let Batch { skipped, fire, next } = batch;
        let mut retry = Retry::new(line);
        let Some(fire) = fire else { return self.tick(line, skipped, next, &mut retry).await };
        let mut due = skipped;
        due.push(fire.clone());
        loop {
            match self.engine.start(self.request(line, &fire, due.clone(), next)).await {
                // Recorded now, or before by an earlier life or another node.
                Ok(_) | Err(StartError::AlreadyRecorded) => return Ok(()),
                Err(StartError::Draining | StartError::UnknownWorkflow { .. }) => return Err(Ended),
                Err(StartError::Store(error)) => retry.after(&error).await,
                Err(
                    error @ (StartError::NotExecutable { .. }
                    | StartError::InvalidInputs(_)
                    | StartError::InvalidIdempotencyKey(_)),
                ) => {
                    let (workflow, schedule) = (&line.workflow_name, &line.trigger.key);
                    warn!(workflow, schedule, due_at = %fire.due_at, %error, "a due instant starts nothing");
                    if let Some(last) = due.last_mut() {
                        last.outcome = DueOutcome::Skipped(SkipReason::WorkflowNotExecutable);
                    }
                    return self.tick(line, due, next, &mut retry).await;
                }
            }
        }
    }

    fn request(&self, line: &Line, fire: &Due, due: Vec<Due>, next: Option<DateTime<Utc>>) -> StartRequest {
        let seen = seen(&line.trigger, fire.due_at);
        StartRequest {
            workflow: WorkflowRef::Id(line.workflow),
            inputs: line.trigger.inputs.clone(),
            idempotency_key: None,
            cause: StartCause::Schedule {
                trigger_key: line.trigger.key.clone(),
                seen,
                tick: self.new_tick(line, due, next),
            },
        }
    }

    fn new_tick(&self, line: &Line, due: Vec<Due>, next: Option<DateTime<Utc>>) -> ScheduleTick {
        let at = self.engine.clock().now();
        ScheduleTick {
            schedule: line.id,
            tenant: line.tenant,
            due,
            next_due_at: next,
            next_fire_at: next.map(|next| line.rule.fires_at(next)),
            overlap: line.trigger.overlap,
            is_backfill: false,
            at,
        }
    }

    async fn tick(
        &self,
        line: &Line,
        due: Vec<Due>,
        next: Option<DateTime<Utc>>,
        retry: &mut Retry<'_>,
    ) -> Result<(), Ended> {
        loop {
            match self.engine.store().tick(self.new_tick(line, due.clone(), next)).await {
                // Refused because another node was faster: its outcomes stand.
                Ok(()) | Err(StoreError::Conflict(_)) => return Ok(()),
                Err(error) => retry.after(&error).await,
            }
        }
    }
}

/// What expressions see as `trigger.schedule`.
pub(super) fn seen(trigger: &ScheduleTrigger, due_at: DateTime<Utc>) -> Value {
    json!({
        "due_at": due_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "cron": trigger.timing.expression(),
        "every_ms": trigger.timing.interval().map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
        "timezone": trigger.timing.timezone.name(),
    })
}

/// Waits longer and longer between attempts.
struct Retry<'a> {
    line: &'a Line,
    delay: Duration,
}

impl<'a> Retry<'a> {
    fn new(line: &'a Line) -> Self {
        Self { line, delay: FIRST_RETRY }
    }

    async fn after(&mut self, error: &StoreError) {
        let (workflow, schedule) = (&self.line.workflow_name, &self.line.trigger.key);
        warn!(workflow, schedule, %error, retry_in = ?self.delay, "a due instant waits for the store");
        sleep(self.delay).await;
        self.delay = (self.delay * 2).min(LAST_RETRY);
    }
}
