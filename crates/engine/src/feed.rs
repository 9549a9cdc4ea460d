//! Tells whoever follows that something changed, so that they look again.

use cogwheel_machine::ExecutionId;
use tokio::sync::{broadcast, mpsc};

use crate::WorkflowId;

/// How many notices a slow follower may fall behind before it is told to look at everything again.
const BACKLOG: usize = 1024;

/// An execution whose rows changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// The notices of all nodes. They carry no data: the database is the truth, and a lost notice loses nothing.
#[derive(Clone, Debug)]
pub struct Feed {
    notices: broadcast::Sender<Followed>,
    /// Where changes are passed on to other nodes, if there may be any.
    others: Option<mpsc::UnboundedSender<Changed>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { notices: broadcast::channel(BACKLOG).0, others: None }
    }
}

impl Feed {
    /// A feed whose changes are also told to other nodes, by whoever has the other end.
    pub(crate) fn shared() -> (Self, mpsc::UnboundedReceiver<Changed>) {
        let (others, changes) = mpsc::unbounded_channel();
        (Self { others: Some(others), ..Self::default() }, changes)
    }

    /// Tells all followers. Call it after the change is durable.
    pub fn notify(&self, changed: Changed) {
        self.pass_on(Followed::Changed(changed));
        if let Some(others) = &self.others {
            // Its other end goes when the engine stops.
            let _ = others.send(changed);
        }
    }

    /// Tells the followers of this node what another one told.
    pub(crate) fn pass_on(&self, followed: Followed) {
        // Nobody listening is no error.
        let _ = self.notices.send(followed);
    }

    /// Begins to follow: everything that changes from now on is heard.
    pub fn follow(&self) -> Follower {
        Follower { notices: self.notices.subscribe() }
    }
}

/// One follower's place in the feed.
#[derive(Debug)]
pub struct Follower {
    notices: broadcast::Receiver<Followed>,
}

impl Follower {
    /// Waits for the next notice; `None` when the engine is gone.
    pub async fn next(&mut self) -> Option<Followed> {
        match self.notices.recv().await {
            Ok(followed) => Some(followed),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Followed::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
