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
    let mut is_answer_lost = false;
    loop {
        let has_more = match claim(&engine, is_answer_lost).await {
            Ok(has_more) => {
                is_answer_lost = false;
                has_more
            }
            Err(error) => {
                is_answer_lost |= error.is_transient();
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

/// Takes as many executions as there is room for; answers whether there are more. What an earlier claim took without
/// being answered is nobody else's: it is asked for by naming what runs.
async fn claim(engine: &Arc<Engine>, is_answer_lost: bool) -> Result<bool, StoreError> {
    let runner = engine.runner();
    // What becomes known while the store is asked must not be forgotten for its answer.
    runner.next_due().send_replace(None);
    let limit = match runner.room() {
        0 => 0,
        // What waits here is nobody else's to run, so that each round trip brings as much as it can.
        room if !engine.has_company() => room.max(BATCH),
        room => room.min(BATCH),
    };
    let runs = is_answer_lost.then(|| runner.all());
    let claimed = engine.store().claim(Claim { node: engine.node(), limit, runs, at: engine.clock().now() }).await?;
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
    for mut stored in executions {
        // Whoever takes it up after the server's end reads it.
        let Some(read) = read_back(engine, &rebuilder, &mut stored).await else { continue };
        match read.and_then(|()| rebuilder.job(&stored)) {
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

/// Reads back what the rows of an execution only refer to; waits while it cannot be read, until the engine stops.
async fn read_back(
    engine: &Arc<Engine>,
    rebuilder: &Rebuilder<'_>,
    stored: &mut StoredExecution,
) -> Option<Result<(), String>> {
    loop {
        match rebuilder.read_back(stored).await {
            Err(error) if error.is_transient() => {
                warn!(execution = %stored.id, %error, "an output cannot be read; trying again");
                engine.stop().run_until_cancelled(sleep(PAUSE)).await?;
            }
            done => return Some(done.map_err(|error| error.to_string())),
        }
    }
}
