//! Takes executions out of the pool as there is room for them, and when they become due.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_machine::StepStatus;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::Rebuilder;
use crate::Engine;
use crate::ports::{Claim, StoreError, StoredExecution};
use crate::runner::Job;

/// How many executions are claimed at once: enough to hide the round trip, few enough to begin soon.
const BATCH: usize = 512;

/// How often the pool is looked at whatever was heard: the safety net under lost notices.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The pause after the database could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// Claims until the engine stops.
pub(super) async fn keep(engine: Arc<Engine>) {
    let runner = engine.runner();
    let mut next_due = runner.next_due().subscribe();
    loop {
        let has_more = match claim(&engine).await {
            Ok(has_more) => has_more,
            Err(error) => {
                warn!(%error, "cannot look for work; trying again");
                if engine.stop().run_until_cancelled(sleep(PAUSE)).await.is_none() {
                    return;
                }
                continue;
            }
        };
        if has_more && runner.room() > 0 {
            continue;
        }
        wait(&engine, &mut next_due, has_more).await;
        if engine.is_draining() {
            return;
        }
    }
}

/// Waits until the pool may have something for this node.
async fn wait(engine: &Arc<Engine>, next_due: &mut watch::Receiver<Option<DateTime<Utc>>>, has_more: bool) {
    let runner = engine.runner();
    let look_again = sleep(LOOK_AGAIN);
    tokio::pin!(look_again);
    loop {
        let due_at = *next_due.borrow_and_update();
        tokio::select! {
            () = engine.stop().cancelled() => return,
            () = runner.work().notified() => return,
            () = runner.freed().notified(), if has_more => return,
            () = sleep_until(engine, due_at), if due_at.is_some() => return,
            _ = next_due.changed() => {}
            () = &mut look_again => return,
        }
    }
}

async fn sleep_until(engine: &Arc<Engine>, at: Option<DateTime<Utc>>) {
    if let Some(at) = at {
        sleep((at - engine.clock().now()).to_std().unwrap_or_default()).await;
    }
}

/// Takes as many executions as there is room for; answers whether there are more.
async fn claim(engine: &Arc<Engine>) -> Result<bool, StoreError> {
    let runner = engine.runner();
    // What becomes known while the store is asked must not be forgotten for its answer.
    runner.next_due().send_replace(None);
    let limit = runner.room().min(BATCH);
    let claimed = engine.store().claim(Claim { node: engine.node(), limit, at: engine.clock().now() }).await?;
    if let Some(at) = claimed.next_due_at {
        runner.is_due_at(at);
    }
    if !claimed.executions.is_empty() {
        debug!(executions = claimed.executions.len(), "took executions from the pool");
        take(engine, claimed.executions).await;
    }
    Ok(claimed.has_more)
}

/// Runs what was claimed, once what is left of lost attempts has been ended.
async fn take(engine: &Arc<Engine>, executions: Vec<StoredExecution>) {
    let rebuilder = Rebuilder::new(engine);
    let mut jobs: Vec<Job> = Vec::with_capacity(executions.len());
    let mut lost = HashSet::new();
    for stored in executions {
        match rebuilder.job(&stored) {
            Ok(job) => {
                let running = job.execution.steps().iter().filter(|step| step.status == StepStatus::Running);
                let lost_here = running.filter(|step| job.execution.definition(step).action.is_run());
                lost.extend(lost_here.map(|step| job.execution.step_key(step.ordinal)));
                jobs.push(job);
            }
            Err(why) => rebuilder.end_unusable(&stored, why).await,
        }
    }
    if !lost.is_empty() {
        engine.steps().reap(&lost).await;
    }
    for job in jobs {
        engine.runner().submit(job);
    }
}
