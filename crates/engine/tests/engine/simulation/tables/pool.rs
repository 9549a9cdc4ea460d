//! Who owns what.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{Claim, Claimed, Lease, StoreError, Swept};
use cogwheel_engine::{ExecutionId, ExecutionStatus, NodeId};

use super::{Row, Tables, conflict};

impl Tables {
    pub(in super::super) fn renew_lease(&mut self, node: NodeId, until: DateTime<Utc>) -> Result<Lease, StoreError> {
        let Some(known) = self.nodes.get_mut(&node) else { return conflict("the node was never recorded") };
        known.lease_until = Some(until);
        if known.is_alive {
            return Ok(Lease::Kept);
        }
        known.is_alive = true;
        // What it began while it was taken for dead is not its own either.
        self.free(|owner| owner == node, until);
        Ok(Lease::Lost)
    }

    pub(in super::super) fn sweep(&mut self, node: NodeId, at: DateTime<Utc>) -> Swept {
        let mut dead_nodes = 0;
        for (id, other) in &mut self.nodes {
            let has_lapsed = other.lease.is_none() || other.lease_until.is_none_or(|until| until < at);
            if *id != node && other.is_alive && has_lapsed {
                other.is_alive = false;
                dead_nodes += 1;
            }
        }
        let alive: Vec<NodeId> = self.nodes.iter().filter(|(_, node)| node.is_alive).map(|(id, _)| *id).collect();
        let freed = self.free(|owner| !alive.contains(&owner), at);
        self.freed += freed;
        Swept { dead_nodes, freed, alive_nodes: 0 }
    }

    pub(in super::super) fn leave(&mut self, node: NodeId, at: DateTime<Utc>) {
        self.free(|owner| owner == node, at);
        if let Some(node) = self.nodes.get_mut(&node) {
            node.is_alive = false;
        }
    }

    /// Puts what these nodes own into the pool: what has begun is due, what is queued keeps its deadline.
    fn free(&mut self, is_gone: impl Fn(NodeId) -> bool, at: DateTime<Utc>) -> u64 {
        let mut freed = 0;
        for row in self.executions.values_mut().filter(|row| row.is_live() && row.owner.is_some_and(&is_gone)) {
            row.owner = None;
            row.epoch += 1;
            freed += 1;
            if row.status != ExecutionStatus::Queued || row.cancel.is_some() {
                row.next_wake_at = Some(at);
            }
        }
        freed
    }

    pub(in super::super) fn claim(&mut self, claim: &Claim) -> Claimed {
        if !self.nodes.get(&claim.node).is_some_and(|node| node.is_alive) {
            return Claimed::default();
        }
        let is_due = |row: &Row| row.next_wake_at.is_some_and(|wake_at| wake_at <= claim.at);
        let pool = || self.executions.values().filter(|row| row.is_live() && row.owner.is_none());
        let is_queued = |row: &Row| row.status == ExecutionStatus::Queued;
        let mut chosen: Vec<ExecutionId> =
            pool().filter(|row| is_queued(row) && is_due(row)).map(|row| row.new.id).collect();
        if let Some(runs) = &claim.runs {
            let own = self.executions.values().filter(|row| row.is_live() && row.owner == Some(claim.node));
            let claimed = own.filter(|row| row.epoch > 0 && !runs.contains(&(row.new.id, row.epoch)));
            chosen.extend(claimed.map(|row| row.new.id));
        }
        let mut candidates: Vec<&Row> = pool()
            .filter(|row| match row.status {
                ExecutionStatus::Queued => !is_due(row),
                ExecutionStatus::Waiting => is_due(row),
                _ => true,
            })
            .collect();
        candidates.sort_by_key(|row| (Reverse(row.new.priority), is_queued(row), row.new.id));
        let mut taken: Vec<&Row> = Vec::new();
        let mut has_more = false;
        for row in candidates {
            if is_queued(row)
                && let Some(slot) = &row.new.concurrency
            {
                let of_key = |row: &&Row| row.has_key(slot) && (row.takes_slot() || chosen.contains(&row.new.id));
                let used = self.executions.values().filter(of_key).count();
                let claimed = taken.iter().filter(|row| is_queued(row) && row.has_key(slot)).count();
                if usize::try_from(slot.limit).is_ok_and(|limit| used + claimed >= limit) {
                    continue;
                }
            }
            if taken.len() == claim.limit {
                has_more = true;
                break;
            }
            taken.push(row);
        }
        chosen.extend(taken.iter().map(|row| row.new.id));
        for id in &chosen {
            let row = self.row(*id);
            row.is_overdue = is_queued(row) && is_due(row);
            row.owner = Some(claim.node);
            row.epoch += 1;
        }
        let left = self.executions.values().filter(|row| row.is_live() && row.owner.is_none());
        let timed = left.filter(|row| matches!(row.status, ExecutionStatus::Queued | ExecutionStatus::Waiting));
        Claimed {
            next_due_at: timed.filter_map(|row| row.next_wake_at).min(),
            executions: chosen.iter().filter_map(|id| self.stored(*id)).collect(),
            has_more,
        }
    }
}
