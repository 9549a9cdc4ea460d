//! Decides what an input means: changes to record and effects to perform afterwards.

mod begin;
mod end;
mod retry;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::OnLost;
use serde_json::Value;

use crate::state::Stopping;
use crate::{CancelRequested, Change, Execution, ExecutionStatus, Failure, PastOutcome, StepStatus};

/// What someone reports or asks.
#[derive(Clone, Debug)]
pub enum Input {
    /// A node has room for it.
    Claimed,
    /// It was rebuilt after its node went away: attempts that were under way are lost.
    Recovered {
        /// The request to cancel it that was recorded by then: with it, nothing begins any more.
        cancel: Option<CancelRequested>,
    },
    /// An attempt ended.
    Finished {
        /// The step's place in the definition.
        step: usize,
        /// The number of the attempt that reports.
        attempt: i32,
        /// How it ended.
        outcome: Outcome,
    },
    /// [`Execution::next_wake_at`] has come.
    Woken,
    /// Somebody asks for its end. The request is durable already.
    Cancel(CancelRequested),
    /// The node stops taking work.
    Drain,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It succeeded.
    Completed {
        /// What it put out.
        output: Value,
    },
    /// It did not; what it had put out by then is kept.
    Failed {
        /// Why.
        failure: Failure,
        /// What it had put out.
        output: Option<Value>,
    },
    /// Its time limit passed and it was stopped.
    TimedOut {
        /// What it had put out.
        output: Option<Value>,
    },
    /// It was stopped because the machine asked for it.
    Stopped,
}

/// What must be done once the changes are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run the current attempt of a step.
    Run {
        /// The step's place in the definition.
        step: usize,
    },
    /// Stop the current attempt of a step; its end is reported as usual.
    Stop {
        /// The step's place in the definition.
        step: usize,
    },
    /// Let go of the execution: it goes on elsewhere or later.
    Release,
    /// Nothing is left to do.
    End,
}

/// The answer to an input.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// What became true, in order; already applied to the execution in memory.
    pub changes: Vec<Change>,
    /// What to do after the changes are durable.
    pub effects: Vec<Effect>,
}

/// Why an input changes nothing. Not an error: reports may come late or twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is not queued.
    #[error("the execution is not queued")]
    NotQueued,
    /// It is not running.
    #[error("the execution is not running")]
    NotRunning,
    /// The report is about another attempt than the current one.
    #[error("attempt {got} of the step was superseded; the current one is {current}")]
    Superseded {
        /// The attempt that reported.
        got: i32,
        /// The attempt that counts.
        current: i32,
    },
}

impl Execution {
    /// Decides and records what `input` means at `now`.
    pub fn handle(&mut self, input: Input, now: DateTime<Utc>) -> Result<Decision, Rejected> {
        let mut decision = Decision::default();
        match input {
            Input::Claimed => self.claimed(now, &mut decision)?,
            Input::Recovered { cancel } => self.recovered(cancel, now, &mut decision)?,
            Input::Finished { step, attempt, outcome } => self.finished(step, attempt, outcome, now, &mut decision)?,
            Input::Woken => self.woken(now, &mut decision)?,
            Input::Cancel(request) => self.cancel(request, now, &mut decision)?,
            Input::Drain => self.draining = true,
        }
        self.go_on(now, &mut decision);
        Ok(decision)
    }

    fn claimed(&mut self, now: DateTime<Utc>, decision: &mut Decision) -> Result<(), Rejected> {
        if self.status != ExecutionStatus::Queued {
            return Err(Rejected::NotQueued);
        }
        let limit = TimeDelta::from_std(self.new.workflow.timeout).unwrap_or(TimeDelta::MAX);
        let deadline_at = now.checked_add_signed(limit).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.record(Change::Started { at: now, deadline_at }, decision);
        Ok(())
    }

    /// A lost attempt is tried again, up to a limit: a step that takes the server down must not do so for ever.
    fn recovered(
        &mut self,
        cancel: Option<CancelRequested>,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        self.require_running()?;
        self.cancel_requested = cancel;
        let out_of_time = self.deadline_at.is_some_and(|deadline| deadline <= now);
        let was_stopping = self.steps.iter().any(|step| step.status == StepStatus::Cancelled);
        let stopping = if self.cancel_requested.is_some() {
            Some(Stopping::Cancelled)
        } else {
            (out_of_time || was_stopping).then_some(Stopping::DeadlinePassed)
        };
        for step in 0..self.steps.len() {
            if self.steps[step].status != StepStatus::Running {
                continue;
            }
            let lost_before = self.steps[step].times_lost();
            let may_retry = self.new.workflow.steps[step].on_lost == OnLost::Retry;
            if stopping.is_some() {
                self.end_step(step, StepStatus::Cancelled, None, Some(end::execution_ended()), now, decision);
            } else if may_retry && u32::try_from(lost_before).is_ok_and(|lost| lost < self.limits.lost_retries) {
                self.record(Change::StepLost { step, at: now }, decision);
            } else {
                self.end_step(step, StepStatus::Failed, None, Some(end::lost(lost_before + 1)), now, decision);
            }
        }
        if let Some(why) = stopping {
            self.stop_all(why, now, decision);
        }
        Ok(())
    }

    fn finished(
        &mut self,
        step: usize,
        attempt: i32,
        outcome: Outcome,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        self.require_running()?;
        let state = &self.steps[step];
        if state.status != StepStatus::Running || state.attempt != attempt {
            return Err(Rejected::Superseded { got: attempt, current: state.attempt });
        }
        match outcome {
            Outcome::Completed { output } => {
                self.end_step(step, StepStatus::Completed, Some(output), None, now, decision);
            }
            Outcome::Failed { failure, output } => {
                self.failed(step, StepStatus::Failed, output, failure, now, decision);
            }
            Outcome::TimedOut { output } => {
                let failure = end::step_timeout(self.new.workflow.steps[step].timeout);
                self.failed(step, StepStatus::TimedOut, output, failure, now, decision);
            }
            Outcome::Stopped => {
                self.end_step(step, StepStatus::Cancelled, None, Some(end::execution_ended()), now, decision);
            }
        }
        Ok(())
    }

    /// An attempt failed: another follows, or the step has ended.
    fn failed(
        &mut self,
        step: usize,
        status: StepStatus,
        output: Option<Value>,
        error: Failure,
        at: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        match self.retry_at(step, &error, at) {
            Some(wake_at) => {
                let outcome = if status == StepStatus::TimedOut { PastOutcome::TimedOut } else { PastOutcome::Failed };
                self.record(Change::StepRetrying { step, outcome, error, at, wake_at }, decision);
            }
            None => self.end_step(step, status, output, Some(error), at, decision),
        }
    }

    /// What is due begins in [`Self::go_on`]; here is what ends.
    fn woken(&mut self, now: DateTime<Utc>, decision: &mut Decision) -> Result<(), Rejected> {
        self.require_running()?;
        if self.deadline_at.is_some_and(|deadline_at| deadline_at <= now) {
            self.stop_all(Stopping::DeadlinePassed, now, decision);
        }
        // What is due waits for room from now on, no longer for the time.
        for step in &mut self.steps {
            step.wake_at = step.wake_at.filter(|wake_at| *wake_at > now);
        }
        Ok(())
    }

    /// The first request counts, and wins over everything but an end that is there already.
    fn cancel(
        &mut self,
        request: CancelRequested,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        if self.status.is_terminal() {
            return Err(Rejected::NotRunning);
        }
        self.cancel_requested.get_or_insert(request);
        if self.status == ExecutionStatus::Queued {
            self.end_cancelled(now, decision);
        } else {
            self.stop_all(Stopping::Cancelled, now, decision);
        }
        Ok(())
    }

    /// Ends what has not begun and asks what runs to stop.
    fn stop_all(&mut self, why: Stopping, now: DateTime<Utc>, decision: &mut Decision) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(why);
        for step in 0..self.steps.len() {
            match self.steps[step].status {
                StepStatus::Pending | StepStatus::Retrying | StepStatus::Waiting => {
                    self.end_step(step, StepStatus::Cancelled, None, Some(end::execution_ended()), now, decision);
                }
                StepStatus::Running => decision.effects.push(Effect::Stop { step }),
                StepStatus::Completed
                | StepStatus::Failed
                | StepStatus::Skipped
                | StepStatus::Cancelled
                | StepStatus::TimedOut => {}
            }
        }
    }

    fn require_running(&self) -> Result<(), Rejected> {
        if self.status == ExecutionStatus::Running { Ok(()) } else { Err(Rejected::NotRunning) }
    }

    /// Everything that follows from the state by itself.
    fn go_on(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        if self.status == ExecutionStatus::Running {
            if !self.draining && self.stopping.is_none() {
                self.begin_ready(now, decision);
            }
            if self.steps.iter().all(|step| step.status.is_terminal()) {
                self.end(now, decision);
            }
        }
        if self.draining && !self.status.is_terminal() && !self.has_running_steps() {
            decision.effects.push(Effect::Release);
        }
    }

    fn record(&mut self, change: Change, decision: &mut Decision) {
        self.apply(&change);
        decision.changes.push(change);
    }

    fn end_step(
        &mut self,
        step: usize,
        status: StepStatus,
        output: Option<Value>,
        error: Option<Failure>,
        at: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        self.record(Change::StepEnded { step, status, output, error, at }, decision);
    }
}
