//! How often each address was called. Counted in memory and written every second: a flood of bad calls must not become a
//! flood of writes.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::warn;

use crate::ports::CountedCalls;
use crate::{EndpointId, Engine};

/// How long calls are gathered before they are written.
const GATHERED: Duration = Duration::from_secs(1);

/// Calls that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    calls: Mutex<HashMap<EndpointId, CountedCalls>>,
    came: Notify,
}

impl Counts {
    /// Notes a call that started an execution, or found it.
    pub(super) fn accepted(&self, endpoint: EndpointId, at: DateTime<Utc>) {
        self.add(endpoint, 0, at);
    }

    /// Notes a call that was refused.
    pub(super) fn refused(&self, endpoint: EndpointId, at: DateTime<Utc>) {
        self.add(endpoint, 1, at);
    }

    fn add(&self, endpoint: EndpointId, rejected: i64, at: DateTime<Utc>) {
        self.merge(CountedCalls { endpoint, total: 1, rejected, last_at: at });
        self.came.notify_one();
    }

    fn merge(&self, more: CountedCalls) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = calls.entry(more.endpoint).or_insert(CountedCalls { total: 0, rejected: 0, ..more });
        calls.total += more.total;
        calls.rejected += more.rejected;
        calls.last_at = calls.last_at.max(more.last_at);
    }

    fn take(&self) -> Vec<CountedCalls> {
        mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner)).into_values().collect()
    }
}

/// Writes the counts until the engine stops, and once more then.
pub(crate) async fn keep(engine: Arc<Engine>) {
    while engine.stop().run_until_cancelled(engine.calls().came.notified()).await.is_some() {
        engine.stop().run_until_cancelled(sleep(GATHERED)).await;
        write(&engine).await;
    }
    write(&engine).await;
}

async fn write(engine: &Engine) {
    let counted = engine.calls().take();
    if counted.is_empty() {
        return;
    }
    if let Err(error) = engine.store().count_calls(&counted).await {
        warn!(%error, "calls of webhooks are not counted yet; trying again with the next");
        for calls in counted {
            engine.calls().merge(calls);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn calls_of_an_address_are_added_up() {
        let (counts, endpoint) = (Counts::default(), EndpointId(Uuid::from_u128(1)));
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        counts.accepted(endpoint, at(2));
        counts.refused(endpoint, at(3));
        counts.refused(endpoint, at(1));
        let expected = CountedCalls { endpoint, total: 3, rejected: 2, last_at: at(3) };
        assert_eq!(counts.take(), [expected]);
        assert_eq!(counts.take(), []);
    }
}
