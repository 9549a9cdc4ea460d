//! Starts workflows at their due instants: one timer to the earliest, none when nothing is planned.

mod agenda;
mod backfill;
mod plan;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::Engine;
use agenda::Agenda;
pub use backfill::{BackfillError, BackfillRequest, Backfilled};
use settle::Settler;

/// A timer does not see that the machine slept or that its clock was set; looking again this often does.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(15);

/// How many batches are settled side by side, so that they are committed together.
const AT_ONCE: usize = 512;

/// Keeps the schedules of the catalog until the engine stops.
pub(super) async fn keep(engine: Arc<Engine>) {
    let mut changes = engine.catalog().changes();
    let settler = Arc::new(Settler {
        started_at: engine.clock().now(),
        at_once: Semaphore::new(AT_ONCE),
        engine: Arc::clone(&engine),
    });
    let mut agenda = Agenda::default();
    agenda.plan(&engine.catalog().triggered(), settler.started_at);
    let mut settling = FuturesUnordered::new();
    loop {
        let now = engine.clock().now();
        while let Some(claimed) = agenda.claim(now) {
            settling.push(Arc::clone(&settler).settle(claimed));
        }
        let wait = agenda.next_due().map(|due| (due - now).to_std().unwrap_or_default().min(LOOK_AT_CLOCK));
        tokio::select! {
            biased;
            () = engine.stop().cancelled() => return,
            Ok(()) = changes.changed() => agenda.plan(&engine.catalog().triggered(), engine.clock().now()),
            Some((claim, schedule, position)) = settling.next(), if !settling.is_empty() => {
                agenda.give_back(claim, schedule, position);
            }
            () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}
