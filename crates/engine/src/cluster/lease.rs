//! Stays alive in the eyes of other nodes, notices those that are not, and hears what others tell.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::ports::{Lease, Notice, StoreError};
use crate::runner::Nudge;
use crate::{Changed, Engine, Followed};

/// How often in its time a lease is renewed: two renewals may fail before it lapses.
const RENEWALS: u32 = 3;

/// How long changes are gathered before other nodes are told: a running execution changes many times a second.
const GATHERED: Duration = Duration::from_millis(50);

/// More changed executions than these are told as one notice.
const MOST_TOLD: usize = 16;

/// The pause before other nodes are listened to again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Renews this node's lease and looks for lapsed ones until the engine stops.
pub(super) async fn keep(engine: Arc<Engine>, lease: Duration) {
    let mut held_since = Instant::now();
    while engine.stop().run_until_cancelled(sleep(lease / RENEWALS)).await.is_some() {
        match renew(&engine, lease).await {
            Ok(Lease::Kept) => {}
            Ok(Lease::Lost) => {
                warn!("this node was taken for dead; what it ran belongs to other nodes now");
                engine.runner().nudge_all(&Nudge::CheckOwner);
                engine.runner().work().notify_one();
                held_since = Instant::now();
            }
            Err(error) => {
                warn!(%error, "cannot renew the lease of this node");
                held_since = Instant::now();
                continue;
            }
        }
        // After the database was away for everybody, nobody is dead before having had the time to come back.
        if held_since.elapsed() > lease {
            sweep(&engine).await;
        }
    }
}

async fn renew(engine: &Arc<Engine>, lease: Duration) -> Result<Lease, StoreError> {
    let now = engine.clock().now();
    let until = now + TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
    let renewed = tokio::time::timeout(lease, engine.store().renew_lease(engine.node(), now, until)).await;
    renewed.unwrap_or_else(|_| Err(StoreError::Unavailable(format!("no answer in {} s", lease.as_secs_f32()))))
}

async fn sweep(engine: &Arc<Engine>) {
    match engine.store().sweep(engine.node(), engine.clock().now()).await {
        Ok(swept) => {
            engine.note_company(swept.alive_nodes);
            if swept.dead_nodes > 0 {
                warn!(nodes = swept.dead_nodes, "the leases of other nodes lapsed");
            }
            if swept.freed > 0 {
                info!(executions = swept.freed, "executions of dead nodes go on elsewhere");
                engine.runner().tell_of_work().await;
            }
        }
        Err(error) => warn!(%error, "cannot look for lapsed leases"),
    }
}

/// Hears other nodes until the engine stops.
pub(super) async fn listen(engine: Arc<Engine>) {
    while !engine.is_draining() {
        match engine.store().listen().await {
            Ok(mut notices) => {
                while let Some(Some(notice)) = engine.stop().run_until_cancelled(notices.recv()).await {
                    hear(&engine, notice).await;
                }
            }
            Err(error) => warn!(%error, "cannot hear other nodes; trying again"),
        }
        if engine.stop().run_until_cancelled(sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

async fn hear(engine: &Arc<Engine>, notice: Notice) {
    let runner = engine.runner();
    match notice {
        Notice::Work => runner.work().notify_one(),
        Notice::Inbox(execution) => {
            if !runner.nudge(execution, Nudge::Inbox) {
                runner.work().notify_one();
            }
        }
        Notice::Changed(execution, workflow) => {
            engine.feed().pass_on(Followed::Changed(Changed { execution, workflow }));
        }
        Notice::ManyChanged => engine.feed().pass_on(Followed::Missed),
        Notice::Workflows => {
            crate::triggers::reload_workflows(engine).await;
            // Their definitions tell of it, and whoever hands events out again says so as well.
            engine.tell_of_events();
        }
        Notice::Webhooks => crate::outgoing::reload(engine).await,
        Notice::Missed => {
            runner.nudge_all(&Nudge::Inbox);
            runner.work().notify_one();
            engine.feed().pass_on(Followed::Missed);
            crate::triggers::reload_workflows(engine).await;
            crate::outgoing::reload(engine).await;
        }
    }
}

/// Tells other nodes what changed, for those who follow it there, until the engine stops.
pub(crate) async fn tell_changes(engine: Arc<Engine>, mut changes: mpsc::UnboundedReceiver<Changed>) {
    while let Some(Some(first)) = engine.stop().run_until_cancelled(changes.recv()).await {
        let mut gathered = BTreeSet::from([first]);
        sleep(GATHERED).await;
        while let Ok(more) = changes.try_recv() {
            gathered.insert(more);
        }
        let notices: Vec<Notice> = if gathered.len() > MOST_TOLD {
            vec![Notice::ManyChanged]
        } else {
            gathered.into_iter().map(|changed| Notice::Changed(changed.execution, changed.workflow)).collect()
        };
        for notice in notices {
            if let Err(error) = engine.store().notify(notice).await {
                debug!(%error, "other nodes were not told of a change");
            }
        }
    }
}
