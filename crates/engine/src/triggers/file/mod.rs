//! Starts workflows for the files of watched folders.
//!
//! What the kernel reports are hints, a scan of the folder is the truth, and the ledger of handled versions decides.

mod after;
mod batch;
mod candidates;
mod decisions;
mod examine;
mod health;
mod identity;
mod matching;
mod mounts;
mod observe;
mod relocate;
mod scan;
mod spec;
mod start;
mod watch;
mod writers;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch as notice};
use tokio_util::sync::CancellationToken;

use super::kept;
use crate::{Engine, WatchId};
use spec::WatchSpec;
use writers::Writers;

pub(super) use after::keep as keep_afters;
pub(super) use identity::FolderIdentity;
pub(super) use matching::{Matcher, Named};

/// How many files are read side by side, over all watches.
const HASHED_AT_ONCE: usize = 4;

/// What all watches share.
struct Shared {
    engine: Arc<Engine>,
    hashing: Semaphore,
    writers: Arc<Writers>,
}

/// Keeps one task for each enabled watch of the catalog, as its workflow defines it now.
pub(super) async fn supervise(engine: Arc<Engine>, rescans: notice::Receiver<()>) {
    let mut changes = engine.catalog().changes();
    let shared = Arc::new(Shared {
        engine: Arc::clone(&engine),
        hashing: Semaphore::new(HASHED_AT_ONCE),
        writers: Arc::default(),
    });
    let mut running: HashMap<WatchId, (WatchSpec, CancellationToken)> = HashMap::new();
    loop {
        let mut wanted = spec::of_workflows(&engine.catalog().triggered(), &engine.config().root);
        running.retain(|id, (spec, stop)| {
            let stays = wanted.get(id) == Some(spec);
            if !stays {
                stop.cancel();
            }
            stays
        });
        wanted.retain(|id, _| !running.contains_key(id));
        for (id, spec) in wanted {
            let stop = engine.stop().child_token();
            running.insert(id, (spec.clone(), stop.clone()));
            let (shared, rescans, token) = (Arc::clone(&shared), rescans.clone(), stop.clone());
            let watch = move || watch::run(Arc::clone(&shared), spec.clone(), token.clone(), rescans.clone());
            engine.trigger_tasks().spawn(kept("file watch", engine.config().watch_retry, stop, watch));
        }
        tokio::select! {
            () = engine.stop().cancelled() => return,
            Ok(()) = changes.changed() => {}
        }
    }
}
