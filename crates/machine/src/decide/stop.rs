//! Stops what goes on: because somebody asks for it, or because time is up.

use chrono::{DateTime, Utc};

use super::{Decision, Effect, Rejected, phases};
use crate::scope::{Inside, Place, outermost};
use crate::state::{Phase, Stopping};
use crate::{CancelRequested, Execution, ExecutionStatus, Failure, StepStatus};

impl Execution {
    /// The first request counts, and wins over everything but an end that is there already. A later one stops what
    /// runs after the main part.
    pub(super) fn cancel(
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
            let failure = self.cancelled();
            self.end_unclaimed(ExecutionStatus::Cancelled, failure, now, decision);
        } else {
            self.stop_phase(Stopping::Cancelled, now, decision);
        }
        Ok(())
    }

    /// Ends what has not begun in the current phase and asks what runs to stop.
    pub(super) fn stop_phase(&mut self, why: Stopping, now: DateTime<Utc>, decision: &mut Decision) {
        // What undoes is not cut short: it has limits of its own.
        if self.stopping.is_some() || self.phase == Phase::Unwinding {
            return;
        }
        self.stopping = Some(why);
        if let Some(scope) = self.phases[self.phase as usize] {
            self.stop_scope(scope, &phases::execution_ended(), now, decision);
        }
    }

    fn stop_scope(&mut self, scope: usize, why: &Failure, now: DateTime<Utc>, decision: &mut Decision) {
        let (phase, block) = (self.phase, self.scopes[scope].block);
        for position in 0..self.scopes[scope].slots.len() {
            if let Some(ordinal) = self.scopes[scope].slots[position].ordinal {
                self.stop_step(ordinal, StepStatus::Cancelled, why.clone(), now, decision);
            } else {
                let step = self.new.workflow.blocks[block].steps[position];
                let layer = outermost(&self.new.workflow.steps[step]);
                let ordinal = self.create(scope, step, layer, self.scopes[scope].owner, Place::Slot);
                self.end_step(ordinal, StepStatus::Cancelled, None, Some(why.clone()), now, decision);
            }
        }
        debug_assert!(phase == self.phase || self.scopes[scope].open == 0, "a phase ends once its scope has");
    }

    /// Makes an instance end in this way, once nothing of it goes on.
    pub(super) fn stop_step(
        &mut self,
        ordinal: i32,
        status: StepStatus,
        why: Failure,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        let state = self.at(ordinal);
        if state.status.is_terminal() || self.instance(ordinal).stopping.is_some() {
            return;
        }
        let runs = self.takes_room(state.step, state.layer) && state.status == StepStatus::Running;
        let awaits_child = self.awaits_child(state);
        let inner = Failure::permanent(crate::FailureKind::Cancelled, "the step around it ended first");
        let instance = self.instance_mut(ordinal);
        instance.stopping = Some((status, why));
        if let Inside::Items(items) = &mut instance.inside {
            while items.take_kept().is_some() {}
        }
        match self.instance(ordinal).inside.clone() {
            Inside::Nothing if runs => decision.effects.push(Effect::Stop { step: ordinal }),
            Inside::Nothing if awaits_child => decision.effects.push(Effect::CancelChild { step: ordinal }),
            Inside::Nothing => self.end_stopped(ordinal, now, decision),
            Inside::Items(items) => {
                let open = items.open;
                for value in items.begun.into_iter().flatten() {
                    self.stop_step(value, StepStatus::Cancelled, inner.clone(), now, decision);
                }
                if open == 0 {
                    self.end_stopped(ordinal, now, decision);
                }
            }
            Inside::Rounds { current } => match current.filter(|&current| !self.at(current).status.is_terminal()) {
                Some(current) => self.stop_step(current, StepStatus::Cancelled, inner, now, decision),
                None => self.end_stopped(ordinal, now, decision),
            },
            Inside::Scope(scope) => self.stop_scope(scope, &inner, now, decision),
        }
    }

    /// What is due goes on, or ends.
    pub(super) fn woken(&mut self, now: DateTime<Utc>, decision: &mut Decision) -> Result<(), Rejected> {
        if self.status == ExecutionStatus::Queued {
            if self.new.queue_deadline_at.is_some_and(|deadline| deadline <= now) {
                self.end_unclaimed(ExecutionStatus::TimedOut, phases::queue_timeout(), now, decision);
            }
            return Ok(());
        }
        self.require_live()?;
        if self.deadline_at.is_some_and(|deadline_at| deadline_at <= now) {
            let phase = self.phase;
            self.stop_phase(Stopping::DeadlinePassed, now, decision);
            if phase != self.phase || phase == Phase::Main && self.status.is_terminal() {
                return Ok(());
            }
        }
        while let Some(&(at, ordinal)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            self.due(ordinal, now, decision);
        }
        Ok(())
    }
}
