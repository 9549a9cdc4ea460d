//! From a ready candidate to its execution.

use std::path::PathBuf;
use std::sync::Arc;

use cogwheel_definition::FileEvent;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::Shared;
use super::batch::Settled;
use super::candidates::Ready;
use super::examine::{Found, Look, Quiet, examine};
use super::identity::{Identity, end_fingerprint, fingerprint};
use super::spec::WatchSpec;
use crate::ports::{DecisionReason, FileVersion, StoreError};
use crate::triggers::digest;
use crate::triggers::filter::filtered;
use crate::{FileId, StartCause, StartError, StartRequest, WorkflowRef};

/// What came of a candidate.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is nothing to do.
    Drop,
    /// It is a folder.
    Folder,
    /// It is there no more.
    Gone,
    /// It is not whole yet.
    Changing(Identity),
    /// This version is in the ledger.
    Recorded(Identity),
    /// The end of the version that was handled last is in the ledger.
    EndRecorded,
    /// It is whole and starts an execution together with others.
    Settled(Identity, Box<FileVersion>),
    /// It is whole, and the trigger does not ask for it: why, and the same for people.
    Filtered(Identity, Box<FileVersion>, DecisionReason, String),
    /// It cannot be read, or is nothing that could be.
    Unreadable(String),
    /// The store was not there.
    TryAgain,
}

/// What examining a candidate needs to know.
pub(super) struct Known {
    /// The version that was handled last.
    pub(super) handled: Option<Identity>,
    /// The file that says that it is whole, if it takes one.
    pub(super) marker: Option<PathBuf>,
    /// Whether inode numbers last.
    pub(super) has_steady_inodes: bool,
}

/// Examines a candidate and starts the workflow for it, or hands it over for its batch.
pub(super) async fn start(
    shared: Arc<Shared>,
    spec: Arc<WatchSpec>,
    ready: &Ready,
    known: Known,
    stop: CancellationToken,
) -> Verdict {
    let Known { handled, marker, has_steady_inodes } = known;
    let is_marked = marker.is_some();
    let found = {
        // Never closed, so that it never fails.
        let Ok(_permit) = shared.hashing.acquire().await else { return Verdict::Drop };
        let look = Look {
            folder: spec.folder.clone(),
            path: ready.path.clone(),
            handled,
            quiet: ready.quiet,
            marker,
            has_steady_inodes,
            stop,
        };
        shared.engine.trigger_tasks().spawn_blocking(move || examine(&look)).await
    };
    let (identity, version) = match found {
        Ok(Found::Whole { identity, inode, sha256, media_type }) => {
            if !is_marked && !matches!(ready.quiet, Quiet::Closed) {
                if is_open(&shared, &spec, ready, (identity.device, inode)).await {
                    return Verdict::Changing(identity);
                }
                // Who wrote to it after it was read, and closed it before the question, was not seen.
                match look_again(&shared, ready, has_steady_inodes).await {
                    Some(now) if now == identity => {}
                    Some(now) => return Verdict::Changing(now),
                    None => return Verdict::Gone,
                }
            }
            (identity, version(&shared, &spec, ready, identity, Some((sha256, media_type)), handled.is_some()))
        }
        Ok(Found::Gone) => match handled {
            Some(identity) if spec.events.deleted => (identity, version(&shared, &spec, ready, identity, None, true)),
            _ => return Verdict::Gone,
        },
        Ok(Found::Folder) => return Verdict::Folder,
        Ok(Found::Changing(identity)) => return Verdict::Changing(identity),
        Ok(Found::Unreadable(why)) => return Verdict::Unreadable(why),
        Ok(Found::NotOurs(why)) => return Verdict::Unreadable(why.to_owned()),
        Ok(Found::Handled | Found::Stopped | Found::Unmarked) => return Verdict::Drop,
        Err(panic) => return Verdict::Unreadable(panic.to_string()),
    };
    let Some(version) = version else { return Verdict::Drop };
    if !spec.events.has(version.event) {
        let why = format!("the trigger does not ask for `{}` files", version.event.as_str());
        return Verdict::Filtered(identity, Box::new(version), DecisionReason::FilteredPattern, why);
    }
    if let Some(media_type) = &version.media_type
        && let Some((reason, why)) = filtered(&spec.content, identity.size, media_type)
    {
        return Verdict::Filtered(identity, Box::new(version), reason, why);
    }
    if spec.batch.is_some() {
        return Verdict::Settled(identity, Box::new(version));
    }
    let is_end = version.event == FileEvent::Deleted;
    match execute(&shared, &spec, vec![version]).await {
        Started::Recorded | Started::Known if is_end => Verdict::EndRecorded,
        Started::Recorded | Started::Known => Verdict::Recorded(identity),
        Started::Refused => Verdict::Drop,
        Started::NoStore => Verdict::TryAgain,
    }
}

/// What lies there now; `None` if nothing does.
async fn look_again(shared: &Shared, ready: &Ready, has_steady_inodes: bool) -> Option<Identity> {
    let path = ready.path.clone();
    let look = move || std::fs::metadata(path).ok();
    let metadata = shared.engine.trigger_tasks().spawn_blocking(look).await.ok().flatten()?;
    Some(Identity::of(&metadata).lasting(has_steady_inodes))
}

/// Whether some process has the file open for writing, as far as the kernel tells.
async fn is_open(shared: &Shared, spec: &WatchSpec, ready: &Ready, (device, inode): (u64, u64)) -> bool {
    let writer = shared.writers.who(device, inode).await;
    if let Some(pid) = writer {
        debug!(workflow = spec.workflow_name, file = %ready.path.display(), pid, "a file is still open for writing");
    }
    writer.is_some()
}

/// Starts one execution for many files. Those that changed since they settled go round again.
pub(super) async fn start_batch(
    shared: Arc<Shared>,
    spec: Arc<WatchSpec>,
    has_steady_inodes: bool,
    mut files: Vec<Settled>,
) -> Vec<(Ready, Verdict)> {
    let mut verdicts = Vec::new();
    let paths: Vec<_> = files.iter().map(|file| file.ready.path.clone()).collect();
    let look = move || paths.iter().map(|path| std::fs::metadata(path).ok()).collect::<Vec<_>>();
    let Ok(now) = shared.engine.trigger_tasks().spawn_blocking(look).await else { return Vec::new() };
    let mut still = Vec::new();
    for (file, now) in files.drain(..).zip(now) {
        let now = now.map(|metadata| Identity::of(&metadata).lasting(has_steady_inodes));
        match (file.version.event, now) {
            (FileEvent::Deleted, None) => still.push(file),
            (FileEvent::Deleted, Some(now)) => verdicts.push((file.ready, Verdict::Changing(now))),
            (_, Some(now)) if now == file.identity => still.push(file),
            (_, Some(now)) => verdicts.push((file.ready, Verdict::Changing(now))),
            (_, None) => verdicts.push((file.ready, Verdict::Gone)),
        }
    }
    while !still.is_empty() {
        let versions: Vec<FileVersion> = still.iter().map(|file| file.version.clone()).collect();
        let fingerprints: Vec<String> = versions.iter().map(|version| version.fingerprint.clone()).collect();
        let started = execute(&shared, &spec, versions).await;
        let known = match started {
            Started::Recorded => fingerprints.into_iter().collect(),
            Started::Known => match shared.engine.store().known_versions(spec.id, &fingerprints).await {
                Ok(known) if !known.is_empty() => known,
                Ok(_) | Err(_) => break,
            },
            Started::Refused => {
                verdicts.extend(still.drain(..).map(|file| (file.ready, Verdict::Drop)));
                break;
            }
            Started::NoStore => break,
        };
        // The others are a batch without those that somebody else has started.
        let (done, rest): (Vec<_>, Vec<_>) =
            still.into_iter().partition(|file| known.contains(&file.version.fingerprint));
        verdicts.extend(done.into_iter().map(|Settled { ready, identity, version }| {
            let is_end = version.event == FileEvent::Deleted;
            (ready, if is_end { Verdict::EndRecorded } else { Verdict::Recorded(identity) })
        }));
        still = rest;
    }
    verdicts.extend(still.into_iter().map(|file| (file.ready, Verdict::TryAgain)));
    verdicts
}

/// What came of a start.
enum Started {
    /// It is in the ledger.
    Recorded,
    /// All of it, or some, was in the ledger before.
    Known,
    /// It starts nothing now.
    Refused,
    /// The store was not there.
    NoStore,
}

async fn execute(shared: &Shared, spec: &WatchSpec, versions: Vec<FileVersion>) -> Started {
    let path = versions.first().map(|version| version.path.clone()).unwrap_or_default();
    let is_batch = spec.batch.is_some();
    let request = StartRequest {
        workflow: WorkflowRef::Id(spec.workflow),
        inputs: serde_json::Map::new(),
        idempotency_key: None,
        cause: StartCause::Files { trigger_key: spec.trigger_key.clone(), versions, is_batch },
    };
    match shared.engine.start(request).await {
        Ok(started) if started.is_new => Started::Recorded,
        Ok(_) | Err(StartError::AlreadyRecorded) => Started::Known,
        // Whatever the reason, the file is still there when the workflow can be started again.
        Err(StartError::Draining | StartError::UnknownWorkflow { .. } | StartError::NotExecutable { .. }) => {
            Started::Refused
        }
        Err(StartError::Store(error)) if StoreError::is_transient(&error) => {
            warn!(workflow = spec.workflow_name, file = path, %error, "a file waits for the store");
            Started::NoStore
        }
        Err(error) => {
            error!(workflow = spec.workflow_name, file = path, %error, "a file starts nothing before the next rescan");
            Started::Refused
        }
    }
}

/// The version as the ledger has it; without content, the end of it.
fn version(
    shared: &Shared,
    spec: &WatchSpec,
    ready: &Ready,
    identity: Identity,
    content: Option<(String, String)>,
    is_known: bool,
) -> Option<FileVersion> {
    let clock = shared.engine.clock();
    let path = ready.path.to_str()?;
    let filename = ready.path.file_name()?.to_str()?.to_owned();
    let (sha256, media_type) = content.unzip();
    let event = match (&sha256, is_known) {
        (None, _) => FileEvent::Deleted,
        (Some(_), true) => FileEvent::Modified,
        (Some(_), false) => FileEvent::Created,
    };
    let fingerprint = match &sha256 {
        Some(sha256) => fingerprint(path, identity, sha256),
        None => end_fingerprint(path, identity),
    };
    Some(FileVersion {
        id: FileId(clock.new_id()),
        tenant: spec.tenant,
        watch: spec.id,
        event,
        filename,
        path: path.to_owned(),
        path_hash: digest::of(path),
        size: i64::try_from(identity.size).ok()?,
        fingerprint,
        has_after: spec.has_after && sha256.is_some(),
        sha256,
        media_type,
        modified_at: identity.modified_at(),
        device: identity.device.to_string(),
        inode: identity.inode.to_string(),
        first_seen_at: ready.first_seen,
        settled_at: clock.now(),
    })
}
