//! Decides what an input means: changes to record and effects to perform afterwards.

mod act;
mod begin;
mod finish;
mod outside;
mod phases;
mod recover;
mod resume;
mod retry;
mod stop;
mod undo;
mod unwind;
mod values;

pub(crate) use act::chosen_block;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use uuid::Uuid;

use crate::{CancelRequested, Change, Execution, ExecutionId, ExecutionStatus, Failure, UndoDecision};

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
        /// The step's ordinal.
        step: i32,
        /// The number of the attempt that reports.
        attempt: i32,
        /// How it ended.
        outcome: Outcome,
    },
    /// [`Execution::next_wake_at`] has come.
    Woken,
    /// A signal that a step waits for was taken for it.
    Signalled {
        /// The step's ordinal.
        step: i32,
        /// What the signal says.
        payload: Value,
        /// When it was received.
        received_at: DateTime<Utc>,
    },
    /// The execution that a step started has ended.
    ChildEnded {
        /// The step's ordinal.
        step: i32,
        /// That execution.
        child: ExecutionId,
        /// How it ended.
        status: ExecutionStatus,
        /// What it put out.
        result: Option<Value>,
        /// Why it did not complete.
        error: Option<Failure>,
    },
    /// Somebody asks for its end. The request is durable already.
    Cancel(CancelRequested),
    /// Somebody asks for everything to be undone: of a saga whose steps run, or of one that completed.
    Unwind {
        /// Who.
        by: UnwoundBy,
        /// Why, in the words of whoever asked.
        reason: Option<String>,
    },
    /// An operator decides what becomes of an undo.
    Undo {
        /// The ordinal of the step that is undone.
        step: i32,
        /// What is decided.
        decision: UndoDecision,
        /// Why.
        reason: String,
        /// Who decides.
        by: Option<Uuid>,
    },
    /// An execution that was asked to undo what it did has answered.
    ChildUndone {
        /// The ordinal of the undo that asked.
        step: i32,
        /// That execution.
        child: ExecutionId,
        /// What became of it.
        outcome: Unwound,
    },
    /// The node stops taking work.
    Drain,
}

/// Who asks for everything to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwoundBy {
    /// An operator.
    Operator,
    /// The execution that started this one, which is undone itself.
    Parent,
}

/// What became of an execution that was asked to undo what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwound {
    /// It ended compensated, now or before.
    Undone,
    /// It does not exist, is no saga, or has done nothing that is to be undone.
    Nothing,
    /// It could not undo everything, or nothing of it can be undone any more.
    Failed(Failure),
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
        /// The step's ordinal.
        step: i32,
    },
    /// Stop the current attempt of a step; its end is reported as usual.
    Stop {
        /// The step's ordinal.
        step: i32,
    },
    /// Start the execution that a step asks for, unless it was started before.
    StartChild {
        /// The step's ordinal.
        step: i32,
    },
    /// Cancel the execution that a step started. Its end is reported as usual; where there is none, the step's attempt
    /// is reported as stopped.
    CancelChild {
        /// The step's ordinal.
        step: i32,
    },
    /// Look for the signal that a step waits for.
    AwaitSignal {
        /// The step's ordinal.
        step: i32,
    },
    /// Ask an execution that a step started to undo what it did, and answer with [`Input::ChildUndone`] once it has. One
    /// that is still under way is waited for. Asking twice is the same as asking once.
    UnwindChild {
        /// The ordinal of the undo that asks.
        step: i32,
        /// That execution.
        child: ExecutionId,
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
    /// The step does not wait for what is reported.
    #[error("the step does not wait for that")]
    NotAwaited,
    /// No step of it can be undone.
    #[error("the execution is no saga: none of its steps has a `compensate`")]
    NoSaga,
    /// The pivot has completed.
    #[error("the pivot has completed: from there on nothing is undone")]
    PastPivot,
    /// None of its steps has done anything that is to be undone.
    #[error("there is nothing to undo")]
    NothingToUndo,
    /// Its last steps, `on_failure` or `finally`, run.
    #[error("the execution is about to end; ask again once it has")]
    Ending,
    /// The undo has not failed, so there is nothing to decide.
    #[error("the undo has not failed")]
    NotFailed,
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
            Input::Signalled { step, payload, received_at } => {
                self.signalled(step, &payload, received_at, now, &mut decision)?;
            }
            Input::ChildEnded { step, child, status, result, error } => {
                self.child_ended(step, child, status, result, error, now, &mut decision)?;
            }
            Input::Cancel(request) => self.cancel(request, now, &mut decision)?,
            Input::Unwind { by, reason } => self.unwind_asked(by, reason, now, &mut decision)?,
            Input::Undo { step, decision: decided, reason, by } => {
                self.undo_decided(step, decided, reason, by, now, &mut decision)?;
            }
            Input::ChildUndone { step, child, outcome } => {
                self.child_undone(step, child, outcome, now, &mut decision)?;
            }
            Input::Drain => self.draining = true,
        }
        self.go_on(now, &mut decision);
        Ok(decision)
    }

    fn claimed(&mut self, now: DateTime<Utc>, decision: &mut Decision) -> Result<(), Rejected> {
        if self.status != ExecutionStatus::Queued {
            return Err(Rejected::NotQueued);
        }
        if self.new.queue_deadline_at.is_some_and(|deadline| deadline <= now) {
            self.end_unclaimed(ExecutionStatus::TimedOut, phases::queue_timeout(), now, decision);
            return Ok(());
        }
        self.record(Change::Started { at: now, deadline_at: self.first_deadline(now) }, decision);
        self.begin_main(now, decision);
        Ok(())
    }

    /// When what begins now must have ended.
    fn deadline(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let limit = TimeDelta::from_std(self.new.workflow.timeout).unwrap_or(TimeDelta::MAX);
        now.checked_add_signed(limit).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// When the steps must have ended.
    fn first_deadline(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let saga = self.saga_deadline().and_then(|limit| now.checked_add_signed(TimeDelta::from_std(limit).ok()?));
        saga.into_iter().chain([self.deadline(now)]).min().unwrap_or(now)
    }

    /// The deadline of the saga, where it comes before the end of the execution's time.
    fn saga_deadline(&self) -> Option<std::time::Duration> {
        let workflow = &self.new.workflow;
        workflow.saga.as_ref()?.deadline.filter(|&deadline| deadline <= workflow.timeout)
    }

    fn require_live(&self) -> Result<(), Rejected> {
        if self.status.is_live() { Ok(()) } else { Err(Rejected::NotRunning) }
    }

    /// Everything that follows from the state by itself.
    fn go_on(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        if !self.draining && self.has_room {
            self.begin_work(now, decision);
        }
        if matches!(self.status, ExecutionStatus::Running | ExecutionStatus::Waiting) {
            let is_busy = self.running > 0 || self.has_work();
            let status = if is_busy { ExecutionStatus::Running } else { ExecutionStatus::Waiting };
            if status != self.status {
                self.record(Change::Moved { status }, decision);
            }
        }
        if self.draining && !self.status.is_terminal() && self.running == 0 {
            decision.effects.push(Effect::Release);
        }
    }

    fn record(&mut self, change: Change, decision: &mut Decision) {
        self.apply(&change);
        decision.changes.push(change);
    }
}
