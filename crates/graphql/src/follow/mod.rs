//! Follows executions: each change brings their present state, together with a position to go on from.
//!
//! The engine's feed only says that something changed; the rows are read when the client is ready for them, so a slow
//! client skips intermediate states but never misses the newest one.

mod one;
mod position;
mod workflow;

use std::collections::HashSet;

use async_graphql::SimpleObject;
use cogwheel_engine::{Changed, Followed, Follower};
use futures_util::FutureExt;

pub(crate) use one::follow_execution;
pub(crate) use position::Position;
pub(crate) use workflow::follow_workflow;

use crate::types::Execution;

/// An execution that changed.
#[derive(SimpleObject)]
pub(crate) struct ExecutionChange {
    /// Where the subscription stands; give it as `after` to go on from here.
    position: String,
    /// The execution as it is now.
    execution: Execution,
}

/// What was heard since the last look.
enum Heard {
    /// These changed, in order of their first notice.
    Changes(Vec<Changed>),
    /// Notices were lost: anything may have changed.
    Anything,
}

/// Waits for a notice of interest and takes those along that are already there; `None` when the engine is gone.
async fn hear(follower: &mut Follower, is_of_interest: impl Fn(&Changed) -> bool) -> Option<Heard> {
    let mut heard: Vec<Changed> = Vec::new();
    let mut known = HashSet::new();
    while heard.is_empty() {
        let mut next = Some(follower.next().await?);
        while let Some(followed) = next {
            match followed {
                Followed::Missed => return Some(Heard::Anything),
                Followed::Changed(changed) if is_of_interest(&changed) && known.insert(changed.execution) => {
                    heard.push(changed);
                }
                Followed::Changed(_) => {}
            }
            next = follower.next().now_or_never().flatten();
        }
    }
    Some(Heard::Changes(heard))
}
