//! Makes up for instants of the past that a schedule has no outcome for, on request.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::schedule::Calendar;
use cogwheel_definition::{Overlap, ScheduleTrigger};
use futures_util::{StreamExt, stream};

use super::plan::BATCH;
use super::settle::seen;
use crate::ports::{Due, DueOutcome, ScheduleTick, SkipReason, StoreError};
use crate::{
    Engine, ExecutionId, LoadedWorkflow, ScheduleId, StartCause, StartError, StartRequest, StartedExecution,
    WorkflowRef,
};

/// How many instants one request may cover.
const MOST: usize = 10_000;

/// How many starts are written side by side.
const AT_ONCE: usize = 64;

/// Which instants to make up for.
#[derive(Clone, Copy, Debug)]
pub struct BackfillRequest {
    /// The schedule.
    pub schedule: ScheduleId,
    /// The first instant that counts.
    pub from: DateTime<Utc>,
    /// The last instant that counts; what is not yet due does not.
    pub until: DateTime<Utc>,
}

/// What came of a request to make up for instants.
#[derive(Clone, Debug, Default)]
pub struct Backfilled {
    /// The due instants of the range.
    pub due: usize,
    /// Those that had their outcome already: nothing was done about them.
    pub known: usize,
    /// Those on excluded days: recorded as skipped.
    pub excluded: usize,
    /// The executions that were started for the others, in the order of their instants.
    pub started: Vec<(DateTime<Utc>, ExecutionId)>,
}

/// Why nothing, or not everything, was made up for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BackfillError {
    /// No such schedule, or its workflow defines it no more.
    #[error("there is no schedule {id}")]
    UnknownSchedule {
        /// As asked for.
        id: ScheduleId,
    },
    /// The range ends before it begins.
    #[error("the range ends before it begins")]
    Backwards,
    /// The range holds more instants than one request may cover.
    #[error("the range has more than {MOST} due instants; make several requests of it")]
    TooMany,
    /// One of them could not be started; those before it were. Asking again goes on from there.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<StoreError> for BackfillError {
    fn from(error: StoreError) -> Self {
        Self::Start(error.into())
    }
}

impl Engine {
    /// Starts the schedule's workflow for each due instant of a range in the past that has no outcome yet. Each instant gets
    /// one outcome however often, and by however many nodes, it is asked for. Where the schedule does not allow several
    /// executions at once, they wait for one another.
    ///
    /// # Errors
    ///
    /// Why nothing, or not everything, was done.
    pub async fn backfill(self: &Arc<Self>, request: BackfillRequest) -> Result<Backfilled, BackfillError> {
        let unknown = BackfillError::UnknownSchedule { id: request.schedule };
        let (workflow, trigger) = self.catalog().of_schedule(request.schedule).ok_or(unknown)?;
        if request.until < request.from {
            return Err(BackfillError::Backwards);
        }
        let calendar =
            Calendar::new(&trigger.timing).map_err(|why| StoreError::Bug(format!("{}: {why}", trigger.key)))?;
        let until = request.until.min(self.clock().now());
        let before = request.from - TimeDelta::microseconds(1);
        let instants = std::iter::successors(calendar.next_after(before), |due| calendar.next_after(*due));
        let instants: Vec<DateTime<Utc>> = instants.take_while(|due| *due <= until).take(MOST + 1).collect();
        if instants.len() > MOST {
            return Err(BackfillError::TooMany);
        }
        let due = instants.len();
        let (excluded, wanted): (Vec<_>, Vec<_>) = instants.into_iter().partition(|due| calendar.is_excluded(*due));
        for days in excluded.chunks(BATCH) {
            let skipped = days.iter().map(|due| one(*due, DueOutcome::Skipped(SkipReason::Calendar))).collect();
            self.store().tick(self.backfill_tick(request.schedule, &workflow, &trigger, skipped)).await?;
        }
        let starts: Vec<_> = wanted
            .into_iter()
            .map(|due| {
                let start = self.backfill_start(request.schedule, &workflow, &trigger, due);
                async move { (due, self.start(start).await) }
            })
            .collect();
        let mut starts = stream::iter(starts).buffered(AT_ONCE);
        let mut done = Backfilled { due, excluded: excluded.len(), ..Backfilled::default() };
        let mut refused = None;
        // Those that are under way are waited for, so that the answer says what became of all.
        while let Some((due, started)) = starts.next().await {
            match started {
                Ok(StartedExecution { id, is_new: true }) => done.started.push((due, id)),
                Ok(_) | Err(StartError::AlreadyRecorded) => done.known += 1,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        refused.map_or(Ok(done), |error| Err(error.into()))
    }

    fn backfill_start(
        &self,
        schedule: ScheduleId,
        workflow: &LoadedWorkflow,
        trigger: &ScheduleTrigger,
        due: DateTime<Utc>,
    ) -> StartRequest {
        StartRequest {
            workflow: WorkflowRef::Id(workflow.id),
            inputs: trigger.inputs.clone(),
            idempotency_key: Some(format!("backfill:{schedule}:{}", due.timestamp())),
            cause: StartCause::Schedule {
                trigger_key: trigger.key.clone(),
                seen: seen(trigger, due),
                tick: self.backfill_tick(schedule, workflow, trigger, vec![one(due, DueOutcome::Fired)]),
            },
        }
    }

    fn backfill_tick(
        &self,
        schedule: ScheduleId,
        workflow: &LoadedWorkflow,
        trigger: &ScheduleTrigger,
        due: Vec<Due>,
    ) -> ScheduleTick {
        let overlap = if trigger.overlap == Overlap::Allow { Overlap::Allow } else { Overlap::Queue };
        ScheduleTick {
            schedule,
            tenant: workflow.tenant,
            due,
            next_due_at: None,
            next_fire_at: None,
            overlap,
            is_backfill: true,
            at: self.clock().now(),
        }
    }
}

fn one(due_at: DateTime<Utc>, outcome: DueOutcome) -> Due {
    Due { due_at, is_catch_up: true, outcome }
}
