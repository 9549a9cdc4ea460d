//! The one place where time is read.

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

/// Where the engine takes the time from; tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The current instant, cut to microseconds: what both databases store.
    fn now(&self) -> DateTime<Utc>;

    /// A new version 7 UUID of this instant.
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
