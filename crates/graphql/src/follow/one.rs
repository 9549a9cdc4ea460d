//! Follows one execution to its end.

use std::sync::Arc;

use async_graphql::Result;
use chrono::{DateTime, Utc};
use cogwheel_engine::views::ExecutionView;
use cogwheel_engine::{ExecutionId, ExecutionStatus, Follower};
use futures_util::stream::{self, Stream};

use super::{ExecutionChange, Position, hear};
use crate::Services;
use crate::errors::{not_found, store_failed};

/// Tells the execution's state now, unless the client has it, and after each change; ends after its end.
pub(crate) async fn follow_execution(
    services: Arc<dyn Services>,
    id: ExecutionId,
    after: Option<Position>,
) -> Result<impl Stream<Item = Result<ExecutionChange>> + Send + 'static> {
    // Follow first: what changes after the first look is heard.
    let follower = services.follow();
    let mut follow =
        FollowOne { services, follower, id, told: after.map(|after| (after.newest, None)), is_final: false };
    let Some(first) = follow.look().await? else {
        return Err(not_found(format!("there is no execution `{id}`")));
    };
    let first = follow.tell(first);
    Ok(stream::unfold((Some(follow), first), |(follow, ready)| async move {
        let mut follow = follow?;
        if let Some(change) = ready {
            return Some((Ok(change), (Some(follow), None)));
        }
        match follow.next_change().await {
            Ok(change) => change.map(|change| (Ok(change), (Some(follow), None))),
            Err(error) => Some((Err(error), (None, None))),
        }
    }))
}

struct FollowOne {
    services: Arc<dyn Services>,
    follower: Follower,
    id: ExecutionId,
    /// The newest change that the client knows of, and the status it was told.
    told: Option<(DateTime<Utc>, Option<ExecutionStatus>)>,
    is_final: bool,
}

impl FollowOne {
    async fn next_change(&mut self) -> Result<Option<ExecutionChange>> {
        while !self.is_final {
            let id = self.id;
            if hear(&mut self.follower, |changed| changed.execution == id).await.is_none() {
                return Ok(None);
            }
            let Some(seen) = self.look().await? else { return Ok(None) };
            if let Some(change) = self.tell(seen) {
                return Ok(Some(change));
            }
        }
        Ok(None)
    }

    /// Reads the execution. The time of its newest change is read first, so that the position is never ahead of the row.
    async fn look(&self) -> Result<Option<(DateTime<Utc>, ExecutionView)>> {
        let (reads, tenant, ids) = (self.services.reads(), self.services.tenant(), [self.id]);
        let newest = reads.newest_changes(tenant, &ids).await.map_err(|error| store_failed(&error))?.remove(&self.id);
        let rows = reads.executions_by_id(tenant, &ids).await.map_err(|error| store_failed(&error))?;
        Ok(newest.zip(rows.into_iter().next()))
    }

    /// What there is to tell about what was seen; nothing if the client knows it.
    fn tell(&mut self, (newest, view): (DateTime<Utc>, ExecutionView)) -> Option<ExecutionChange> {
        self.is_final = view.status.is_terminal();
        let is_known = self
            .told
            .is_some_and(|(known, status)| known == newest && status.is_none_or(|status| status == view.status));
        self.told = Some((newest, Some(view.status)));
        if is_known {
            return None;
        }
        let position = Position { newest, floor: view.created_at };
        Some(ExecutionChange { position: position.encode(), execution: view.into() })
    }
}
