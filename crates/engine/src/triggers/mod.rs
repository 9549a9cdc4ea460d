//! What sets executions off, and the folders that workflows come from.

mod digest;
mod event;
mod file;
mod filter;
mod folders;
mod housekeeping;
mod location;
mod schedule;
mod upload;
mod webhook;
mod workflow_files;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{Engine, EngineError};

pub(crate) use digest::of as checksum;
pub(crate) use event::{Emitted, depth_of, is_too_deep};
pub(crate) use folders::triggers as saved;
pub use schedule::{BackfillError, BackfillRequest, Backfilled};
pub(crate) use upload::{Given, given};
pub use upload::{MAX_FIELD_BYTES, ReceivedUpload, Receiving, UploadError, UploadFields, UploadLimits, Uploaded};
pub(crate) use webhook::Counts as Calls;
pub use webhook::{Call, CallAnswer, CallError, Hook, Reply};
pub(crate) use webhook::{STANDARD_SECRET, standard_signature};
pub(crate) use workflow_files::WorkflowFiles;
pub use workflow_files::{FileProblem, WorkflowFile};

/// Reads the workflow folders for the first time.
pub(crate) async fn load_workflows(engine: &Arc<Engine>) -> Result<(), EngineError> {
    folders::load(engine).await
}

/// Brings the catalog in line with what other nodes stored.
pub(crate) async fn reload_workflows(engine: &Arc<Engine>) {
    folders::reload(engine).await;
}

/// Lets schedules, watches, folder watching and housekeeping go.
pub(crate) async fn spawn(engine: &Arc<Engine>) -> Result<(), EngineError> {
    let rescans = housekeeping::spawn(engine).await?;
    let tasks = engine.trigger_tasks();
    let retry = engine.config().watch_retry;
    let this = Arc::clone(engine);
    let follow = move || folders::follow(Arc::clone(&this), rescans.workflows.clone());
    tasks.spawn(kept("workflow folders", retry, engine.stop().clone(), follow));
    tasks.spawn(file::supervise(Arc::clone(engine), rescans.files));
    tasks.spawn(webhook::keep_counts(Arc::clone(engine)));
    let this = Arc::clone(engine);
    let hold = move || event::keep(Arc::clone(&this));
    tasks.spawn(kept("events", retry, engine.stop().clone(), hold));
    spawn_waits(engine);
    let this = Arc::clone(engine);
    let afters = move || file::keep_afters(Arc::clone(&this));
    tasks.spawn(kept("files of ended executions", retry, engine.stop().clone(), afters));
    let this = Arc::clone(engine);
    let keep = move || schedule::keep(Arc::clone(&this));
    tasks.spawn(kept("schedules", retry, engine.stop().clone(), keep));
    Ok(())
}

/// Lets steps that wait for events hear of them.
pub(crate) fn spawn_waits(engine: &Arc<Engine>) {
    let this = Arc::clone(engine);
    let waits = move || event::keep_waits(Arc::clone(&this));
    engine.trigger_tasks().spawn(kept("waits for events", engine.config().watch_retry, engine.stop().clone(), waits));
}

/// Begins a task anew when it panics: otherwise what it looks after would be still until the next start, unnoticed.
pub(crate) async fn kept<F: Future<Output = ()>>(
    task: &'static str,
    retry: Duration,
    stop: CancellationToken,
    mut begin: impl FnMut() -> F,
) {
    while AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
        error!(task, ?retry, "a task of the triggers panicked; it begins anew");
        if stop.run_until_cancelled(sleep(retry)).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_begins_anew_and_one_that_ends_does_not() {
        let mut times = 0;
        let begin = || {
            times += 1;
            let panics = times < 3;
            async move { assert!(!panics, "asked for") }
        };
        kept("test", Duration::from_millis(1), CancellationToken::new(), begin).await;
        assert_eq!(times, 3);
    }
}
