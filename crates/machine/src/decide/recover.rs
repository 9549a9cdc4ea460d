//! Goes on with an execution whose node went away.

use chrono::{DateTime, Utc};
use cogwheel_definition::OnLost;

use super::{Decision, Effect, Rejected, phases};
use crate::state::{Phase, Stopping};
use crate::work::Work;
use crate::{CancelRequested, Change, Execution, ExecutionStatus, StepStatus};

impl Execution {
    /// A lost attempt is tried again, up to a limit: a step that takes the server down must not do so for ever. What was
    /// being stopped ends.
    pub(super) fn recovered(
        &mut self,
        cancel: Option<CancelRequested>,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        self.require_live()?;
        let is_cancelled = cancel.is_some() && self.is_cancel_due();
        self.cancel_requested = cancel;
        self.enqueue_all();
        let is_to_be_undone = self.recorded_saga().is_some_and(|saga| saga.cause.is_some());
        if self.phase == Phase::Unwinding {
            self.resume_unwinding();
        } else if is_to_be_undone && self.phase == Phase::Main {
            self.stop_phase(Stopping::Undone, now, decision);
        } else if is_cancelled {
            self.stop_phase(Stopping::Cancelled, now, decision);
        } else if self.was_cut_short(self.phase) {
            self.stop_phase(Stopping::DeadlinePassed, now, decision);
        }
        if self.require_live().is_ok() {
            self.woken(now, decision)?;
        }
        for ordinal in 0..self.next_ordinal() {
            let state = self.at(ordinal);
            let is_stopping = self.instance(ordinal).stopping.is_some();
            if state.status == StepStatus::Running && self.takes_room(state.step, state.layer) {
                self.lost(ordinal, now, decision);
            } else if state.status == StepStatus::Waiting && state.signal.is_some() {
                decision.effects.push(Effect::AwaitSignal { step: ordinal });
            } else if self.awaits_unwinding(state) {
                self.ask_children(ordinal, decision);
            } else if self.awaits_child(state) && !is_stopping {
                decision.effects.push(Effect::StartChild { step: ordinal });
            }
        }
        // Nothing is left of the attempts that were to be stopped.
        decision.effects.retain(|effect| !matches!(effect, Effect::Stop { .. }));
        Ok(())
    }

    /// Whether a recorded request to cancel is about the part under way, and not about one that it has stopped already.
    fn is_cancel_due(&self) -> bool {
        let has_stopped_handling = self.phase == Phase::Finally && self.was_cut_short(Phase::OnFailure);
        // What was undone since says that somebody had asked before, or that nobody could have stopped it.
        let was_undone = self.recorded_saga().is_some_and(|saga| saga.unwind_number > 0);
        self.verdict != Some(ExecutionStatus::Cancelled) && !has_stopped_handling && !was_undone
    }

    /// Whether steps of a part were ended before their time.
    fn was_cut_short(&self, phase: Phase) -> bool {
        let slots = self.phases[phase as usize].into_iter().flat_map(|scope| &self.scopes[scope].slots);
        let mut states = slots.filter_map(|slot| slot.ordinal).map(|ordinal| self.at(ordinal));
        states.any(|state| state.status == StepStatus::Cancelled)
    }

    fn lost(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        if self.instance(ordinal).stopping.is_some() {
            return self.end_stopped(ordinal, now, decision);
        }
        let state = self.at(ordinal);
        let lost_before = state.times_lost();
        let may_retry = self.definition(state).on_lost == OnLost::Retry;
        if may_retry && u32::try_from(lost_before).is_ok_and(|lost| lost < self.limits.lost_retries) {
            self.record(Change::StepLost { step: ordinal, at: now }, decision);
            self.enqueue(Work::Attempt(ordinal), true);
        } else {
            self.end_step(ordinal, StepStatus::Failed, None, Some(phases::lost(lost_before + 1)), now, decision);
        }
    }
}
