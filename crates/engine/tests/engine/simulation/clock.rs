//! The clock of a simulated node: simulated time, and what the node's clock is off by.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use cogwheel_engine::clock::Clock;
use tokio::time::Instant;
use uuid::{Builder, Uuid};

use super::draw::Draw;

/// When simulated time began.
pub(super) fn epoch() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time that exists")
}

pub(super) struct NodeClock {
    began_at: Instant,
    /// Milliseconds.
    off_by: AtomicI64,
    ids: AtomicU64,
    draw: Draw,
    node: u64,
}

impl NodeClock {
    pub(super) fn new(began_at: Instant, off_by: i64, draw: Draw, node: u64) -> Self {
        Self { began_at, off_by: AtomicI64::new(off_by), ids: AtomicU64::new(0), draw, node }
    }

    /// Sets the clock forward, or back.
    pub(super) fn jump(&self, milliseconds: i64) {
        self.off_by.fetch_add(milliseconds, Ordering::Relaxed);
    }

    pub(super) fn off_by(&self) -> i64 {
        self.off_by.load(Ordering::Relaxed)
    }
}

impl Clock for NodeClock {
    fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.began_at.elapsed()).unwrap_or_default();
        (epoch() + elapsed + TimeDelta::milliseconds(self.off_by())).trunc_subsecs(6)
    }

    fn new_id(&self) -> Uuid {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.draw.number(("id", self.node, number)).to_be_bytes());
        let at = Duration::from_millis(u64::try_from(self.now().timestamp_millis()).unwrap_or_default());
        Builder::from_unix_timestamp_millis(u64::try_from(at.as_millis()).unwrap_or_default(), &random).into_uuid()
    }
}
