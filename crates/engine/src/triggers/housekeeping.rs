//! The engine's own regular work: it only tells the triggers to look again.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::warn;

use crate::{Engine, EngineError};

/// Who is told to look again, and when: each notice is a change of the value.
pub(super) struct Rescans {
    /// For the workflow folders.
    pub(super) workflows: watch::Receiver<()>,
    /// For the watched folders.
    pub(super) files: watch::Receiver<()>,
}

/// Plans the jobs and runs them until the engine stops.
pub(super) async fn spawn(engine: &Arc<Engine>) -> Result<Rescans, EngineError> {
    let mut scheduler = scheduler().await.map_err(|error| refused("scheduler", &error))?;
    let workflows = plan(&scheduler, "workflow_rescan", &engine.config().workflow_rescan).await?;
    let files = plan(&scheduler, "file_rescan", &engine.config().file_rescan).await?;
    scheduler.start().await.map_err(|error| refused("scheduler", &error))?;
    let stop = engine.stop().clone();
    engine.trigger_tasks().spawn(async move {
        stop.cancelled().await;
        if let Err(error) = scheduler.shutdown().await {
            warn!(%error, "the housekeeping jobs did not end properly");
        }
    });
    Ok(Rescans { workflows, files })
}

async fn scheduler() -> Result<JobScheduler, JobSchedulerError> {
    let mut scheduler = JobScheduler::new().await?;
    scheduler.init().await?;
    Ok(scheduler)
}

/// A job that does nothing but give notice; how long the work takes is no concern of the scheduler's.
async fn plan(scheduler: &JobScheduler, job: &'static str, cron: &str) -> Result<watch::Receiver<()>, EngineError> {
    let (notice, receiver) = watch::channel(());
    let planned = Job::new_async(cron, move |_, _| {
        notice.send_replace(());
        Box::pin(std::future::ready(()))
    });
    let planned = planned.map_err(|error| refused(job, &error))?;
    scheduler.add(planned).await.map_err(|error| refused(job, &error))?;
    Ok(receiver)
}

fn refused(job: &'static str, error: &JobSchedulerError) -> EngineError {
    EngineError::Housekeeping { job, why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::{plan, scheduler};

    #[tokio::test]
    async fn a_job_gives_notice_and_a_bad_line_is_named() {
        let scheduler = scheduler().await.unwrap();
        let mut notices = plan(&scheduler, "file_rescan", "* * * * * *").await.unwrap();
        scheduler.start().await.unwrap();
        notices.changed().await.unwrap();
        let error = plan(&scheduler, "file_rescan", "every now and then").await.unwrap_err().to_string();
        assert!(error.starts_with("cannot plan the housekeeping job `file_rescan`: "), "{error}");
    }
}
