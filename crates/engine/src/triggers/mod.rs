//! What sets executions off, and the folders that workflows come from.

mod digest;
mod file;
mod folders;
mod housekeeping;
mod location;
mod schedule;
mod workflow_files;

use std::sync::Arc;

use crate::{Engine, EngineError};

pub(crate) use workflow_files::WorkflowFiles;
pub use workflow_files::{FileProblem, WorkflowFile};

/// Reads the workflow folders for the first time.
pub(crate) async fn load_workflows(engine: &Arc<Engine>) -> Result<(), EngineError> {
    folders::load(engine).await
}

/// Lets schedules, watches, folder watching and housekeeping go.
pub(crate) async fn spawn(engine: &Arc<Engine>) -> Result<(), EngineError> {
    let rescans = housekeeping::spawn(engine).await?;
    let tasks = engine.trigger_tasks();
    tasks.spawn(folders::follow(Arc::clone(engine), rescans.workflows));
    tasks.spawn(file::supervise(Arc::clone(engine), rescans.files));
    tasks.spawn(schedule::keep(Arc::clone(engine)));
    Ok(())
}
