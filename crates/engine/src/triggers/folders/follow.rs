//! Notices changes of the workflow folders while the engine runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::load::Passed;
use super::read::is_workflow;
use crate::Engine;
use crate::triggers::file::FolderIdentity;

/// Editors write a file in several steps; a pass waits until they have been quiet for this long.
const QUIET: Duration = Duration::from_millis(100);

/// A folder in which something happens all the time is looked at this often.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Passes over the folders whenever something changed in them, and when housekeeping says so.
///
/// What the kernel reports is only a reason to look; each pass sees everything.
pub(in crate::triggers) async fn follow(engine: Arc<Engine>, mut rescans: watch::Receiver<()>) {
    let changed = Arc::new(Notify::new());
    let mut observer = Observer::default();
    loop {
        let folders = engine.config().workflow_folders.clone();
        let hint = Arc::clone(&changed);
        // Before the pass, so that it sees what changed until the watch was there.
        observer = match tokio::task::spawn_blocking(move || observer.renew(&folders, &hint)).await {
            Ok(observer) => observer,
            Err(panic) => {
                error!(%panic, "watching the workflow folders failed");
                Observer::default()
            }
        };
        let passed = engine.files().loader.lock().await.pass(&engine).await;
        // A folder that was not there before the pass, but for it, is not watched yet.
        let needs_retry = passed == Passed::TryAgain || !observer.watches_all();
        tokio::select! {
            () = engine.stop().cancelled() => return,
            () = changed.notified() => {
                let quiet = async { while timeout(QUIET, changed.notified()).await.is_ok() {} };
                // Running into the limit is as good a reason to look as quiet.
                let _ = timeout(MAX_DELAY, quiet).await;
            }
            Ok(()) = rescans.changed() => {}
            () = sleep(engine.config().watch_retry), if needs_retry => {}
        }
    }
}

/// The kernel's watch over the folders that are there.
#[derive(Default)]
struct Observer {
    watcher: Option<RecommendedWatcher>,
    folders: Vec<Option<FolderIdentity>>,
    has_complained: bool,
}

impl Observer {
    /// Watches the folders, anew if one came, went or was replaced.
    fn renew(mut self, folders: &[PathBuf], changed: &Arc<Notify>) -> Self {
        let identities: Vec<_> = folders.iter().map(|folder| FolderIdentity::of(folder).ok()).collect();
        if self.watcher.is_some() && self.folders == identities {
            return self;
        }
        // The old one first: it counts against the kernel's limits.
        self.watcher = None;
        self.folders = identities;
        match watch(folders, changed) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) if !self.has_complained => {
                warn!(%error, "cannot watch the workflow folders; until it works, changes are found by looking regularly");
                self.has_complained = true;
            }
            Err(_) => {}
        }
        self
    }

    fn watches_all(&self) -> bool {
        self.watcher.is_some() && self.folders.iter().all(Option::is_some)
    }
}

fn watch(folders: &[PathBuf], changed: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let own: Vec<PathBuf> = folders.iter().filter_map(|folder| std::path::absolute(folder).ok()).collect();
    let hint = Arc::clone(changed);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, |event| matters(event, &own)) {
            hint.notify_one();
        }
    })?;
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Whether an event can mean another set of workflows. Reading the files makes events as well.
fn matters(event: &Event, folders: &[PathBuf]) -> bool {
    let only_reads = matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
    let concerns = |path: &Path| is_workflow(path) || folders.iter().any(|folder| folder == path);
    !only_reads && (event.paths.is_empty() || event.paths.iter().any(|path| concerns(path)))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RenameMode};

    use super::*;

    #[test]
    fn reading_and_strangers_do_not_matter() {
        let folders = [PathBuf::from("/w")];
        let event = |kind, path: &str| Event::new(kind).add_path(path.into());
        assert!(!matters(&event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/w/a.yaml"), &folders));
        assert!(!matters(&event(EventKind::Create(CreateKind::File), "/w/.a.yaml.swp"), &folders));
        assert!(matters(&event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/w/a.yaml"), &folders));
        assert!(matters(&event(EventKind::Modify(ModifyKind::Name(RenameMode::To)), "/w/a.yml"), &folders));
        assert!(matters(&event(EventKind::Modify(ModifyKind::Name(RenameMode::From)), "/w"), &folders));
        assert!(matters(&Event::new(EventKind::Other), &folders));
    }
}
