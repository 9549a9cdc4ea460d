//! Ends the parts of an execution, and the execution with the verdict they give.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Decision, Effect};
use crate::state::{Phase, Stopping};
use crate::{Change, Execution, ExecutionStatus, Failure, FailureKind, StepStatus, contains_nul};

impl Execution {
    pub(super) fn phase_ended(&mut self, scope: usize, now: DateTime<Utc>, decision: &mut Decision) {
        let workflow = &self.new.workflow;
        let (on_failure, finally) = (workflow.on_failure, workflow.finally);
        match self.phase {
            Phase::Main => {
                let (status, result, mut error) = self.verdict_of(scope, now);
                if let Some((cause, plan)) = self.to_unwind(status, &mut error) {
                    return self.begin_unwinding(cause, plan, now, decision);
                }
                let next = on_failure
                    .filter(|_| status != ExecutionStatus::Completed)
                    .map(|block| (Phase::OnFailure, block))
                    .or_else(|| finally.map(|block| (Phase::Finally, block)));
                match next {
                    None => self.end(status, result, error, now, decision),
                    Some((phase, block)) => {
                        let deadline_at = self.deadline(now);
                        self.record(Change::Decided { status, result, error, deadline_at }, decision);
                        self.open_phase(phase, block);
                    }
                }
            }
            // It has no scope that could end.
            Phase::Unwinding => {}
            Phase::OnFailure => match finally {
                None => self.end_as_decided(now, decision),
                Some(block) => {
                    let status = self.verdict.unwrap_or(ExecutionStatus::Failed);
                    let (result, error, deadline_at) = (self.result.clone(), self.error.clone(), self.deadline(now));
                    self.record(Change::Decided { status, result, error, deadline_at }, decision);
                    self.open_phase(Phase::Finally, block);
                }
            },
            Phase::Finally => {
                if self.verdict == Some(ExecutionStatus::Completed) {
                    let broken = match self.stopping {
                        Some(Stopping::Cancelled) => Some((ExecutionStatus::Cancelled, self.cancelled())),
                        Some(Stopping::DeadlinePassed | Stopping::Undone) => {
                            Some((ExecutionStatus::TimedOut, execution_timeout(self.new.workflow.timeout)))
                        }
                        None => self.first_failure(scope).map(|cause| (ExecutionStatus::Failed, cause)),
                    };
                    if let Some((status, mut cause)) = broken {
                        // The steps did what they were for: that stands.
                        if self.saga.is_some() {
                            cause.not_undone = self.keys_to_undo(&self.plan());
                        }
                        return self.end(status, None, Some(cause), now, decision);
                    }
                }
                self.end_as_decided(now, decision);
            }
        }
    }

    pub(super) fn open_phase(&mut self, phase: Phase, block: usize) {
        self.phase = phase;
        self.stopping = None;
        let scope = self.add_scope(block, None);
        self.phases[phase as usize] = Some(scope);
        self.begin_scope(scope);
    }

    /// How the main part ended.
    fn verdict_of(&self, scope: usize, now: DateTime<Utc>) -> (ExecutionStatus, Option<Value>, Option<Failure>) {
        let timed_out = || {
            let failure = match self.saga_deadline() {
                Some(deadline) => saga_timeout(deadline),
                None => execution_timeout(self.new.workflow.timeout),
            };
            (ExecutionStatus::TimedOut, None, Some(failure))
        };
        match self.stopping {
            Some(Stopping::DeadlinePassed) => return timed_out(),
            Some(Stopping::Cancelled) => return (ExecutionStatus::Cancelled, None, Some(self.cancelled())),
            Some(Stopping::Undone) => {
                let cause = self.recorded_saga().and_then(|saga| saga.cause.clone());
                let error = cause.map_or_else(|| self.cancelled(), |cause| cause.error);
                return (ExecutionStatus::Cancelled, None, Some(error));
            }
            None => {}
        }
        if let Some(cause) = self.first_failure(scope) {
            return (ExecutionStatus::Failed, None, Some(cause));
        }
        let mut states =
            self.scopes[scope].slots.iter().filter_map(|slot| slot.ordinal).map(|ordinal| self.at(ordinal));
        // Stopped before a restart after which the clock went back.
        if states.any(|state| state.status == StepStatus::Cancelled) {
            return timed_out();
        }
        let failed =
            |title: String| (ExecutionStatus::Failed, None, Some(Failure::permanent(FailureKind::Expression, title)));
        match self.outputs(now) {
            Ok(result) if contains_nul(&result) => {
                failed("outputs hold the character U+0000, which cannot be stored".to_owned())
            }
            Ok(result) => (ExecutionStatus::Completed, Some(result), None),
            Err(error) => failed(format!("outputs: {error}")),
        }
    }

    fn end_as_decided(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        let status = self.verdict.unwrap_or(ExecutionStatus::Failed);
        self.end(status, self.result.clone(), self.error.clone(), now, decision);
    }

    /// Ends an execution that never ran, with what it has kept of another one.
    pub(super) fn end_unclaimed(
        &mut self,
        status: ExecutionStatus,
        error: Failure,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        for step in 0..self.next_ordinal() {
            if !self.at(step).status.is_terminal() {
                let (status, error) = (StepStatus::Cancelled, Some(execution_ended()));
                self.record(Change::StepEnded { step, status, output: None, error, at: now }, decision);
            }
        }
        self.end(status, None, Some(error), now, decision);
    }

    pub(super) fn end(
        &mut self,
        status: ExecutionStatus,
        result: Option<Value>,
        error: Option<Failure>,
        at: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        self.record(Change::Ended { status, result, error, at }, decision);
        decision.effects.push(Effect::End);
    }

    pub(super) fn cancelled(&self) -> Failure {
        let failure = Failure::permanent(FailureKind::Cancelled, "the execution was cancelled");
        match self.cancel_requested.as_ref().and_then(|request| request.reason.clone()) {
            Some(reason) => failure.with_detail(reason),
            None => failure,
        }
    }
}

fn execution_timeout(limit: Duration) -> Failure {
    Failure::permanent(FailureKind::Timeout, format!("the execution took longer than its limit of {limit:?}"))
}

fn saga_timeout(deadline: Duration) -> Failure {
    Failure::permanent(FailureKind::Timeout, format!("the saga took longer than its deadline of {deadline:?}"))
        .with_code("saga")
}

pub(super) fn queue_timeout() -> Failure {
    Failure::permanent(FailureKind::Timeout, "the execution waited longer in the queue than its `queue_timeout`")
        .with_code("queue")
}

pub(super) fn step_timeout(limit: Option<Duration>) -> Failure {
    let limit = limit.unwrap_or_default();
    Failure::retriable(FailureKind::Timeout, format!("the step took longer than its limit of {limit:?}"))
}

pub(super) fn execution_ended() -> Failure {
    Failure::permanent(FailureKind::Cancelled, "the execution ended first")
}

pub(super) fn lost(times: usize) -> Failure {
    Failure::permanent(FailureKind::Lost, format!("the server stopped {times} times while the step ran"))
}
