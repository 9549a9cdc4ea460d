//! Tells whoever follows that something changed, so that they look again.

use cogwheel_machine::ExecutionId;
use tokio::sync::broadcast;

use crate::WorkflowId;

/// How many notices a slow follower may fall behind before it is told to look at everything again.
const BACKLOG: usize = 1024;

/// An execution whose rows changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The execution.
    pub execution: ExecutionId,
    /// Its workflow.
    pub workflow: WorkflowId,
}

/// What a follower hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// These rows changed.
    Changed(Changed),
    /// Notices were missed: anything may have changed.
    Missed,
}

/// The notices of this node. They carry no data: the database is the truth, and a lost notice loses nothing.
#[derive(Clone, Debug)]
pub struct Feed {
    notices: broadcast::Sender<Changed>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { notices: broadcast::channel(BACKLOG).0 }
    }
}

impl Feed {
    /// Tells all followers. Call it after the change is durable.
    pub fn notify(&self, changed: Changed) {
        // Nobody listening is no error.
        let _ = self.notices.send(changed);
    }

    /// Begins to follow: everything that changes from now on is heard.
    pub fn follow(&self) -> Follower {
        Follower { notices: self.notices.subscribe() }
    }
}

/// One follower's place in the feed.
#[derive(Debug)]
pub struct Follower {
    notices: broadcast::Receiver<Changed>,
}

impl Follower {
    /// Waits for the next notice; `None` when the engine is gone.
    pub async fn next(&mut self) -> Option<Followed> {
        match self.notices.recv().await {
            Ok(changed) => Some(Followed::Changed(changed)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Followed::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
