//! From a ready candidate to its execution.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::Shared;
use super::candidates::Ready;
use super::examine::{Found, Look, examine, fingerprint};
use super::identity::Identity;
use super::spec::WatchSpec;
use crate::ports::FileVersion;
use crate::triggers::digest;
use crate::{FileId, StartCause, StartError, StartRequest, WorkflowRef};

/// What came of a candidate.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is nothing to do.
    Drop,
    /// It is a folder.
    Folder,
    /// It is not whole yet.
    Changing(Identity),
    /// This version is in the ledger.
    Recorded(Identity),
    /// It cannot be read.
    Unreadable(String),
    /// The store was not there.
    TryAgain,
}

/// Examines a candidate and starts the workflow for it.
pub(super) async fn start(
    shared: Arc<Shared>,
    spec: Arc<WatchSpec>,
    ready: &Ready,
    handled: Option<Identity>,
    stop: CancellationToken,
) -> Verdict {
    let engine = &shared.engine;
    let found = {
        // Never closed, so that it never fails.
        let Ok(_permit) = shared.hashing.acquire().await else { return Verdict::Drop };
        let look = Look { folder: spec.folder.clone(), path: ready.path.clone(), handled, quiet: ready.quiet, stop };
        engine.trigger_tasks().spawn_blocking(move || examine(&look)).await
    };
    let (identity, sha256) = match found {
        Ok(Found::Whole { identity, sha256 }) => (identity, sha256),
        Ok(Found::Folder) => return Verdict::Folder,
        Ok(Found::Changing(identity)) => return Verdict::Changing(identity),
        Ok(Found::Unreadable(why)) => return Verdict::Unreadable(why),
        Ok(Found::Gone | Found::NotOurs | Found::Handled | Found::Stopped) => return Verdict::Drop,
        Err(panic) => return Verdict::Unreadable(panic.to_string()),
    };
    let Some(version) = version(&shared, &spec, ready, identity, sha256, handled.is_some()) else {
        return Verdict::Drop;
    };
    let request = StartRequest {
        workflow: WorkflowRef::Id(spec.workflow),
        inputs: serde_json::Map::new(),
        idempotency_key: None,
        cause: StartCause::File { trigger_key: spec.trigger_key.clone(), version: Box::new(version) },
    };
    match engine.start(request).await {
        Ok(_) | Err(StartError::AlreadyRecorded) => Verdict::Recorded(identity),
        // Whatever the reason, the file is still there when the workflow can be started again.
        Err(StartError::Draining | StartError::UnknownWorkflow { .. } | StartError::NotExecutable { .. }) => {
            Verdict::Drop
        }
        Err(StartError::Store(error)) if error.is_transient() => {
            warn!(workflow = spec.workflow_name, file = %ready.path.display(), %error, "a file waits for the store");
            Verdict::TryAgain
        }
        Err(error) => {
            error!(workflow = spec.workflow_name, file = %ready.path.display(), %error, "a file starts nothing before the next rescan");
            Verdict::Drop
        }
    }
}

fn version(
    shared: &Shared,
    spec: &WatchSpec,
    ready: &Ready,
    identity: Identity,
    sha256: String,
    is_change: bool,
) -> Option<FileVersion> {
    let clock = shared.engine.clock();
    let path = ready.path.to_str()?;
    let filename = PathBuf::from(path).file_name()?.to_str()?.to_owned();
    Some(FileVersion {
        id: FileId(clock.new_id()),
        tenant: spec.tenant,
        watch: spec.id,
        is_change,
        filename,
        path: path.to_owned(),
        path_hash: digest::of(path),
        size: i64::try_from(identity.size).ok()?,
        fingerprint: fingerprint(path, identity, &sha256),
        sha256,
        modified_at: identity.modified_at(),
        device: identity.device.to_string(),
        inode: identity.inode.to_string(),
        first_seen_at: ready.first_seen,
        settled_at: clock.now(),
    })
}
