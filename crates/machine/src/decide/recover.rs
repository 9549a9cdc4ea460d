//! Goes on with an execution whose node went away.

use chrono::{DateTime, Utc};
use cogwheel_definition::OnLost;

use super::{Decision, Effect, Rejected, phases};
use crate::state::{Phase, Stopping};
use crate::work::Work;
use crate::{CancelRequested, Change, Execution, StepStatus};

impl Execution {
    /// A lost attempt is tried again, up to a limit: a step that takes the server down must not do so for ever.
    pub(super) fn recovered(
        &mut self,
        cancel: Option<CancelRequested>,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        self.require_live()?;
        let is_cancelled = cancel.is_some() && self.phase == Phase::Main;
        self.cancel_requested = cancel;
        let out_of_time = self.deadline_at.is_some_and(|deadline| deadline <= now);
        let stopping =
            if is_cancelled { Some(Stopping::Cancelled) } else { out_of_time.then_some(Stopping::DeadlinePassed) };
        self.enqueue_all();
        for ordinal in 0..self.next_ordinal() {
            let state = self.at(ordinal);
            if state.status == StepStatus::Running && self.takes_room(state.step, state.layer) {
                self.lost(ordinal, stopping.is_some(), now, decision);
            } else if state.status == StepStatus::Waiting && state.signal.is_some() {
                decision.effects.push(Effect::AwaitSignal { step: ordinal });
            } else if self.awaits_child(state) {
                decision.effects.push(Effect::StartChild { step: ordinal });
            }
        }
        if let Some(why) = stopping {
            self.stop_phase(why, now, decision);
        }
        Ok(())
    }

    fn lost(&mut self, ordinal: i32, is_stopping: bool, now: DateTime<Utc>, decision: &mut Decision) {
        let state = self.at(ordinal);
        let lost_before = state.times_lost();
        let may_retry = self.definition(state).on_lost == OnLost::Retry;
        if is_stopping {
            self.end_step(ordinal, StepStatus::Cancelled, None, Some(phases::execution_ended()), now, decision);
        } else if may_retry && u32::try_from(lost_before).is_ok_and(|lost| lost < self.limits.lost_retries) {
            self.record(Change::StepLost { step: ordinal, at: now }, decision);
            self.enqueue(Work::Attempt(ordinal), true);
        } else {
            self.end_step(ordinal, StepStatus::Failed, None, Some(phases::lost(lost_before + 1)), now, decision);
        }
    }
}
