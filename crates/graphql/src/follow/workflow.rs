//! Follows all executions of a workflow.
//!
//! At first those that are live are told, oldest first; with a position, also those that ended since. Then each batch
//! of notices is read and told. Positions move on with the last execution of a batch only: before it, a client that
//! reconnects would miss the rest.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_graphql::Result;
use chrono::{DateTime, Utc};
use cogwheel_engine::views::{ExecutionFilter, ExecutionView, PageRequest, TimeCursor};
use cogwheel_engine::{ExecutionId, ExecutionStatus, Follower, WorkflowId};
use futures_util::stream::{self, Stream};

use super::{ExecutionChange, Heard, Position, hear};
use crate::Services;
use crate::cursor::MAX_PAGE;
use crate::errors::{not_found, store_failed};

/// Tells the workflow's live executions, those that the client may have missed since `after`, and then each that
/// changes.
pub(crate) async fn follow_workflow(
    services: Arc<dyn Services>,
    name: String,
    after: Option<Position>,
) -> Result<impl Stream<Item = Result<ExecutionChange>> + Send + 'static> {
    // Follow first: what changes after the first look is heard.
    let follower = services.follow();
    let found = services.reads().workflow_by_name(services.tenant(), &name).await;
    let Some(workflow) = found.map_err(|error| store_failed(&error))? else {
        return Err(not_found(format!("there is no workflow `{name}`")));
    };
    let follow = FollowWorkflow {
        services,
        follower,
        workflow: workflow.id,
        name,
        told: after.map(|after| after.newest),
        live: HashMap::new(),
        sweep: Some(Sweep { since: after, before: None }),
        ready: VecDeque::new(),
    };
    Ok(stream::unfold(Some(follow), |follow| async move {
        let mut follow = follow?;
        match follow.next_change().await {
            Ok(change) => change.map(|change| (Ok(change), Some(follow))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct FollowWorkflow {
    services: Arc<dyn Services>,
    follower: Follower,
    workflow: WorkflowId,
    name: String,
    /// Everything up to this instant was told.
    told: Option<DateTime<Utc>>,
    /// The live executions: when each was accepted, and its newest change that was told.
    live: HashMap<ExecutionId, (DateTime<Utc>, DateTime<Utc>)>,
    sweep: Option<Sweep>,
    ready: VecDeque<ExecutionChange>,
}

/// A look at everything that may be news, from the oldest on.
struct Sweep {
    /// What the client knows.
    since: Option<Position>,
    /// How far it is.
    before: Option<TimeCursor>,
}

impl FollowWorkflow {
    async fn next_change(&mut self) -> Result<Option<ExecutionChange>> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(Some(change));
            }
            if let Some(sweep) = self.sweep.take() {
                self.sweep = self.go_on_with(sweep).await?;
                continue;
            }
            let workflow = self.workflow;
            match hear(&mut self.follower, |changed| changed.workflow == workflow).await {
                None => return Ok(None),
                Some(Heard::Anything) => self.sweep = Some(Sweep { since: self.position(), before: None }),
                Some(Heard::Changes(changes)) => {
                    let ids: Vec<_> = changes.iter().map(|changed| changed.execution).collect();
                    self.tell_batch(&ids).await?;
                }
            }
        }
    }

    /// Reads the sweep's next page; `None` when it was the last one.
    async fn go_on_with(&mut self, sweep: Sweep) -> Result<Option<Sweep>> {
        let live_only = ExecutionStatus::ALL.into_iter().filter(|status| !status.is_terminal()).collect();
        let filter = ExecutionFilter {
            workflow: Some(self.name.clone()),
            status: if sweep.since.is_some() { Vec::new() } else { live_only },
            trigger_type: Vec::new(),
        };
        let request = match sweep {
            Sweep { since: None, before } => PageRequest::Backward { last: MAX_PAGE, before },
            // Lists run newest first; what was accepted before the floor ended before the position.
            Sweep { since: Some(_), before } => PageRequest::Forward { first: MAX_PAGE, after: before },
        };
        let (reads, tenant) = (self.services.reads(), self.services.tenant());
        let page = reads.executions(tenant, &filter, request).await.map_err(|error| store_failed(&error))?;
        let mut rows = page.items;
        if sweep.since.is_none() {
            rows.reverse();
        }
        let last = rows.last().map(|row| TimeCursor { at: row.created_at, id: row.id.0 });
        let mut has_more = page.has_more;
        if let Some(since) = sweep.since {
            has_more &= last.is_some_and(|last| last.at >= since.floor);
            rows.retain(|row| {
                row.created_at >= since.floor && (!row.status.is_terminal() || since.may_miss(row.updated_at))
            });
        } else if self.told.is_none() {
            self.told = rows.first().map(|oldest| oldest.created_at);
        }
        let newest = self.newest_changes(&rows).await?;
        for row in rows {
            self.note(&row, newest.get(&row.id).copied().unwrap_or(row.updated_at));
            let position = sweep.since.or_else(|| self.position());
            self.push(row, position);
        }
        Ok(if has_more { Some(Sweep { since: sweep.since, before: last }) } else { None })
    }

    /// Reads what was heard of and tells what is new about it.
    async fn tell_batch(&mut self, ids: &[ExecutionId]) -> Result<()> {
        let (reads, tenant) = (self.services.reads(), self.services.tenant());
        // The times first, so that the position is never ahead of the rows.
        let newest = reads.newest_changes(tenant, ids).await.map_err(|error| store_failed(&error))?;
        let mut rows = reads.executions_by_id(tenant, ids).await.map_err(|error| store_failed(&error))?;
        rows.retain(|row| {
            let known = self.live.get(&row.id).map(|(_, told)| *told);
            row.status.is_terminal() || known.is_none() || known != newest.get(&row.id).copied()
        });
        rows.sort_by_key(|row| row.id);
        if self.told.is_none() {
            self.told = rows.iter().map(|row| row.created_at).min();
        }
        let before = self.position();
        for row in &rows {
            self.note(row, newest.get(&row.id).copied().unwrap_or(row.updated_at));
        }
        let last_change = rows.iter().filter_map(|row| newest.get(&row.id)).max();
        self.told = self.told.max(last_change.copied());
        let after = self.position();
        let count = rows.len();
        for (at, row) in rows.into_iter().enumerate() {
            self.push(row, if at + 1 == count { after } else { before });
        }
        Ok(())
    }

    async fn newest_changes(&self, rows: &[ExecutionView]) -> Result<HashMap<ExecutionId, DateTime<Utc>>> {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let newest = self.services.reads().newest_changes(self.services.tenant(), &ids).await;
        newest.map_err(|error| store_failed(&error))
    }

    /// Keeps the live executions up to date.
    fn note(&mut self, row: &ExecutionView, newest: DateTime<Utc>) {
        if row.status.is_terminal() {
            self.live.remove(&row.id);
        } else {
            self.live.insert(row.id, (row.created_at, newest));
        }
    }

    /// Where the client stands once it has everything that is ready.
    fn position(&self) -> Option<Position> {
        let newest = self.told?;
        let floor = self.live.values().map(|(accepted, _)| *accepted).min().unwrap_or(newest).min(newest);
        Some(Position { newest, floor })
    }

    fn push(&mut self, row: ExecutionView, position: Option<Position>) {
        let position = position.unwrap_or(Position { newest: row.created_at, floor: row.created_at });
        self.ready.push_back(ExecutionChange { position: position.encode(), execution: row.into() });
    }
}
