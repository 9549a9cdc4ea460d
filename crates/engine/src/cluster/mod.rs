//! What this node has to do with the pool of executions that nobody owns, and with other nodes.

mod claim;
mod lease;
mod rebuild;

use std::collections::HashMap;
use std::sync::Arc;

use cogwheel_machine::ExecutionId;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{Engine, EngineError};

pub(crate) use lease::tell_changes;
pub(crate) use rebuild::Rebuilder;

/// Puts what dead nodes left behind into the pool, and clears away what nobody will need.
pub(crate) async fn take_over(engine: &Arc<Engine>) -> Result<(), EngineError> {
    let swept = engine.store().sweep(engine.node(), engine.clock().now()).await?;
    engine.note_company(swept.alive_nodes);
    if swept.freed > 0 {
        info!(
            executions = swept.freed,
            dead_nodes = swept.dead_nodes,
            "going on with executions from before the start"
        );
    }
    remove_stale_work_dirs(engine).await;
    Ok(())
}

/// Keeps the lease, hears other nodes, and takes work out of the pool until the engine stops.
pub(crate) fn spawn(engine: &Arc<Engine>) {
    let tasks = engine.trigger_tasks();
    tasks.spawn(claim::keep(Arc::clone(engine)));
    if let Some(lease) = engine.lease() {
        tasks.spawn(lease::keep(Arc::clone(engine), lease));
        tasks.spawn(lease::listen(Arc::clone(engine)));
    }
}

/// Scratch folders of executions that ended while nobody could clean up.
async fn remove_stale_work_dirs(engine: &Arc<Engine>) {
    let Ok(mut entries) = tokio::fs::read_dir(&engine.config().work_dir).await else { return };
    let mut folders = HashMap::new();
    while let Ok(Some(entry)) = entries.next_entry().await {
        let name = entry.file_name();
        if let Some(id) = name.to_str().and_then(|name| Uuid::parse_str(name).ok()) {
            folders.insert(ExecutionId(id), entry.path());
        }
    }
    let ids: Vec<ExecutionId> = folders.keys().copied().collect();
    let Ok(known) = engine.reads().executions_by_id(engine.tenant(), &ids).await else { return };
    for live in known.iter().filter(|execution| !execution.status.is_terminal()) {
        folders.remove(&live.id);
    }
    for path in folders.into_values() {
        if let Err(error) = tokio::fs::remove_dir_all(&path).await {
            warn!(path = %path.display(), %error, "cannot remove an old scratch folder");
        }
    }
}
