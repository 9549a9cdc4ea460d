//! Wakes executions that wait for an event which has come.
//!
//! A step that begins to wait looks for its event among those that are recorded, so only what comes later has to be told.
//! Who records an event tells the correlation id; what was told to nobody, since the server died or another one recorded
//! it and died, is found by looking at all that wait, every now and then.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::warn;
use uuid::Uuid;

use crate::ports::EventWaiters;
use crate::{Engine, TenantId};

/// How long until all that wait are looked at again.
const LOOK: Duration = Duration::from_secs(30);

/// Correlation ids of events that were recorded, until those who wait for them are woken.
#[derive(Debug, Default)]
pub(crate) struct Emitted {
    ids: Mutex<HashMap<TenantId, HashSet<Uuid>>>,
    came: Notify,
}

impl Emitted {
    /// An event with this correlation id was recorded.
    pub(crate) fn tell(&self, tenant: TenantId, correlation: Uuid) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).entry(tenant).or_default().insert(correlation);
        self.came.notify_one();
    }

    fn take(&self) -> Vec<EventWaiters> {
        let ids = std::mem::take(&mut *self.ids.lock().unwrap_or_else(PoisonError::into_inner));
        let of =
            |(tenant, ids): (_, HashSet<Uuid>)| EventWaiters::Of { tenant, correlations: ids.into_iter().collect() };
        ids.into_iter().map(of).collect()
    }
}

/// Wakes whoever waits for an event until the engine stops.
pub(in crate::triggers) async fn keep(engine: Arc<Engine>) {
    let mut of = vec![EventWaiters::All];
    loop {
        for of in of {
            wake(&engine, of).await;
        }
        let come = async {
            tokio::select! {
                () = engine.emitted().came.notified() => engine.emitted().take(),
                () = sleep(LOOK) => vec![EventWaiters::All],
            }
        };
        match engine.stop().run_until_cancelled(come).await {
            Some(come) => of = come,
            None => return,
        }
    }
}

async fn wake(engine: &Engine, of: EventWaiters) {
    match engine.store().wake_event_waiters(of, engine.clock().now()).await {
        Ok(woken) => {
            for execution in woken {
                engine.runner().tell(execution).await;
            }
        }
        Err(error) => warn!(%error, "who waits for an event that came is not told; it is looked for again"),
    }
}
