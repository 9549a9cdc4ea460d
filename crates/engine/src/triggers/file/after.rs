//! Moves or deletes files once their executions have ended: what is going to be done is recorded first.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::{After, FileEvent};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::decisions::own;
use super::identity::Identity;
use super::relocate::{Intent, Obstacle, carry_out, give_up, prepare};
use crate::feed::Followed;
use crate::ports::{AFTER_PAUSES, AfterEnd, AfterPlan, EndedAfter, FileDecision, PendingAfter, StoreError};
use crate::{Engine, WorkflowId};

/// How often files are looked for whatever was heard.
const SWEEP: Duration = Duration::from_secs(30);

/// How long is waited for more ends after one was heard of.
const GATHER: Duration = Duration::from_millis(20);

/// How long another node may take before its work is taken up.
const ABANDONED: Duration = Duration::from_mins(1);

/// Looks after the files of ended executions until the engine stops.
pub(in crate::triggers) async fn keep(engine: Arc<Engine>) {
    let mut follower = engine.feed().follow();
    let mut changes = engine.catalog().changes();
    // What an earlier life left comes first.
    let mut look_at = Some(Instant::now());
    let mut has_postponed = false;
    loop {
        let concerned = concerned(&engine);
        if look_at.is_none() && (has_postponed || !concerned.is_empty()) {
            look_at = Some(Instant::now() + SWEEP);
        }
        tokio::select! {
            () = engine.stop().cancelled() => return,
            Ok(()) = changes.changed() => {}
            heard = follower.next(), if !concerned.is_empty() => {
                let is_ours = match heard {
                    Some(Followed::Changed(execution)) => concerned.contains(&execution.workflow),
                    Some(Followed::Missed) => true,
                    None => return,
                };
                if is_ours {
                    let soon = Instant::now() + GATHER;
                    look_at = Some(look_at.map_or(soon, |at| at.min(soon)));
                }
            }
            () = async { if let Some(at) = look_at { sleep_until(at).await } }, if look_at.is_some() => {
                look_at = None;
                match work(&engine).await {
                    Ok(None) => {}
                    Ok(Some(pause)) => {
                        has_postponed = true;
                        look_at = Some(Instant::now() + pause.min(SWEEP));
                    }
                    Err(error) => {
                        warn!(%error, "files of ended executions wait for the store");
                        look_at = Some(Instant::now() + engine.config().watch_retry);
                    }
                }
            }
        }
    }
}

/// The workflows that have something done with their files.
fn concerned(engine: &Engine) -> Vec<WorkflowId> {
    let has_after = |after: &After| *after != After::Keep;
    let workflows = engine.catalog().triggered();
    let concerned = workflows.iter().filter(|workflow| {
        let watches = workflow.triggers.iter().flat_map(|triggers| &triggers.watches);
        watches.into_iter().any(|(_, watch)| has_after(&watch.after_success) || has_after(&watch.after_failure))
    });
    concerned.map(|workflow| workflow.id).collect()
}

/// Does all there is to be done. Answers the shortest pause before something is tried again.
async fn work(engine: &Arc<Engine>) -> Result<Option<Duration>, StoreError> {
    let mut shortest: Option<Duration> = None;
    while !engine.is_draining() {
        let now = engine.clock().now();
        // The only node of a database has nobody else to wait for.
        let before = if engine.is_clustered() { now - ABANDONED } else { now };
        let pending = engine.store().pending_afters(before, now).await?;
        if pending.is_empty() {
            break;
        }
        let pauses = some(engine, pending).await?;
        if pauses.is_empty() {
            break;
        }
        shortest = pauses.into_iter().flatten().chain(shortest).min();
    }
    Ok(shortest)
}

/// Does what is to be done with some files; answers, for each with which it was tried, the pause before the next try.
async fn some(engine: &Arc<Engine>, pending: Vec<PendingAfter>) -> Result<Vec<Option<Duration>>, StoreError> {
    let tasks = engine.trigger_tasks();
    let prepared = tasks.spawn_blocking(move || pending.into_iter().map(|file| (prepare(&file), file)).collect());
    let prepared: Vec<(Intent, PendingAfter)> = prepared.await.map_err(|panic| StoreError::Bug(panic.to_string()))?;
    // Two of one name must not be given the same free one.
    let mut taken = HashSet::new();
    let (now, later): (Vec<_>, Vec<_>) =
        prepared.into_iter().partition(|(intent, _)| target_of(intent).is_none_or(|target| taken.insert(target)));
    for (intent, _) in &later {
        give_up(intent);
    }
    let plans = now.iter().map(|(intent, file)| plan(engine, intent, file)).collect();
    let ours = match engine.store().plan_afters(plans).await {
        Ok(ours) => ours,
        Err(error) => {
            for (intent, _) in &now {
                give_up(intent);
            }
            return Err(error);
        }
    };
    let clock = Arc::clone(engine.clock());
    let act = move || {
        let (ours, others): (Vec<_>, Vec<_>) = now.into_iter().partition(|(_, file)| ours.contains(&file.id));
        for (intent, _) in &others {
            give_up(intent);
        }
        let acted = ours.into_iter().map(|(intent, file)| {
            let (end, pause) = end(&file, carry_out(&file, intent));
            if let AfterEnd::Failed(why) | AfterEnd::Postponed(why) = &end {
                debug!(file = file.path, why, ?pause, "a file of an ended execution is left as it is");
            }
            (EndedAfter { id: file.id, end, at: clock.now() }, pause)
        });
        acted.unzip::<_, _, Vec<EndedAfter>, Vec<Option<Duration>>>()
    };
    let (ended, pauses) = tasks.spawn_blocking(act).await.map_err(|panic| StoreError::Bug(panic.to_string()))?;
    engine.store().end_afters(ended).await?;
    Ok(pauses)
}

fn target_of(intent: &Intent) -> Option<PathBuf> {
    match intent {
        Intent::Rename(target) | Intent::Replace { target, .. } => Some(target.clone()),
        Intent::Done(_) | Intent::Leave(_) => None,
    }
}

/// What a try means, with the pause before the next one.
fn end(file: &PendingAfter, outcome: Result<Option<PathBuf>, Obstacle>) -> (AfterEnd, Option<Duration>) {
    match outcome {
        Ok(target) => (AfterEnd::Done(target.map(|target| target.to_string_lossy().into_owned())), None),
        Err(Obstacle::Lasting(why)) => (AfterEnd::Failed(why), None),
        Err(Obstacle::Passing(why)) => {
            let pause = usize::try_from(file.tries).ok().and_then(|tries| AFTER_PAUSES.get(tries)).copied();
            let end = match pause {
                Some(_) => AfterEnd::Postponed(why),
                None => AfterEnd::Failed(format!("{why}; tried {} times", AFTER_PAUSES.len() + 1)),
            };
            (end, pause)
        }
    }
}

/// The record of what is going to be done, with what the watch must not take for somebody else's doing.
fn plan(engine: &Engine, intent: &Intent, file: &PendingAfter) -> AfterPlan {
    let text = |target: PathBuf| target.to_string_lossy().into_owned();
    let target = match intent {
        Intent::Done(target) => target.clone().map(text),
        // The next try still has to look there.
        Intent::Leave(_) => file.planned.clone(),
        Intent::Rename(_) | Intent::Replace { .. } => target_of(intent).map(text),
    };
    let mut own_doing: Vec<FileDecision> = Vec::new();
    if let (Some(target), Some(version), true) =
        (&target, Identity::of_seen(&file.version), target_of(intent).is_some())
    {
        let arrives = match intent {
            Intent::Replace { copied, .. } => copied.lasting(version.inode != 0),
            _ => version,
        };
        let relative = Path::new(target).strip_prefix(&file.folder).ok();
        let is_watched = relative.is_some_and(|relative| file.is_recursive || relative.components().count() == 1);
        if is_watched && matches!(file.action, After::Move(_)) {
            own_doing.push(own(file, &**engine.clock(), FileEvent::Created, target, arrives));
        }
        if file.tells_deletions {
            own_doing.push(own(file, &**engine.clock(), FileEvent::Deleted, &file.path, version));
        }
    }
    AfterPlan { id: file.id, seen_at: file.updated_at, target, own: own_doing, at: engine.clock().now() }
}
