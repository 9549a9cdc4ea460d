//! Whether a failed attempt is followed by another, and when.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::{Backoff, Retry};

use crate::{Execution, Failure, PastOutcome};

impl Execution {
    /// When the attempt after the one that ended with `failure` at `now` begins; `None` when there is none.
    pub(super) fn retry_at(&self, ordinal: i32, failure: &Failure, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let state = self.at(ordinal);
        let retry = self.definition(state).retry.as_ref()?;
        // Attempts that were lost say nothing about the step.
        let failed = state.history.iter().filter(|past| past.outcome != PastOutcome::Lost).count();
        let failed = u32::try_from(failed).unwrap_or(u32::MAX).saturating_add(1);
        let covered = if retry.on.is_empty() { failure.retriable } else { retry.covers(failure.code()) };
        if !covered || failed >= retry.attempts || self.instance(ordinal).stopping.is_some() {
            return None;
        }
        let next = now.checked_add_signed(TimeDelta::from_std(self.pause(retry, ordinal, failed)).ok()?)?;
        let is_late = retry
            .max_elapsed
            .zip(state.started_at)
            .is_some_and(|(limit, started_at)| (next - started_at).to_std().is_ok_and(|elapsed| elapsed > limit));
        (!is_late).then_some(next)
    }

    /// The pause after `failed` attempts. Its random part is drawn from the attempt's identity, so that the same history
    /// always gives the same decision.
    fn pause(&self, retry: &Retry, ordinal: i32, failed: u32) -> Duration {
        let factor = match retry.backoff {
            Backoff::Fixed => 1,
            Backoff::Linear => failed,
            Backoff::Exponential => 1_u32.checked_shl(failed - 1).unwrap_or(u32::MAX),
        };
        let pause = retry.delay.saturating_mul(factor).min(retry.max_delay);
        if !retry.jitter {
            return pause;
        }
        let mut hasher = DefaultHasher::new();
        (self.new.id.0, ordinal, failed).hash(&mut hasher);
        let shortened = pause.as_micros().saturating_mul(u128::from(hasher.finish() % 501)) / 1000;
        pause.saturating_sub(Duration::from_micros(u64::try_from(shortened).unwrap_or(u64::MAX)).min(pause / 2))
    }
}
