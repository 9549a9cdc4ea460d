//! What becomes of a start while as many executions of its key are live as may be.

use cogwheel_definition::Overflow;
use cogwheel_engine::ports::{ConcurrencySlot, Head, NewRow, Record, Start, Started};
use cogwheel_machine::{ExecutionId, ExecutionStatus, Failure, FailureKind};

/// The limit of a start that is decided when it is recorded: one that waits its turn is limited when it is claimed.
pub(super) fn decided_now(start: &Start) -> Option<&ConcurrencySlot> {
    start.row.concurrency.as_ref().filter(|slot| match slot.overflow {
        Overflow::Skip | Overflow::Replace => true,
        Overflow::Queue => false,
    })
}

/// Whether one more is too many beside `live` ones.
pub(super) fn is_full(slot: &ConcurrencySlot, live: usize) -> bool {
    usize::try_from(slot.limit).is_ok_and(|limit| live >= limit)
}

/// What a start is that also replaces the earlier executions of its schedule, and those of them that are still to be told.
pub(super) fn also_replacing(started: Started, previous: Vec<ExecutionId>) -> (Started, Vec<ExecutionId>) {
    match started {
        // What never runs replaces nothing.
        Started::Skipped => (Started::Skipped, Vec::new()),
        Started::Replacing(others) => {
            let more: Vec<_> = previous.into_iter().filter(|other| !others.contains(other)).collect();
            (Started::Replacing(others.into_iter().chain(more.iter().copied()).collect()), more)
        }
        started if previous.is_empty() => (started, previous),
        _ => (Started::Replacing(previous.clone()), previous),
    }
}

/// Why those that a start replaces are cancelled.
pub(super) fn replaced_by(id: ExecutionId) -> String {
    format!("replaced by execution {id}")
}

/// The end of a start that never runs.
pub(super) fn skipped(row: &NewRow, slot: &ConcurrencySlot) -> Record {
    let live = if slot.limit == 1 { "one is".to_owned() } else { format!("{} are", slot.limit) };
    let title = format!("skipped: {live} live with the concurrency key `{}`", slot.key);
    let head = Head {
        status: ExecutionStatus::Cancelled,
        owner: None,
        started_at: None,
        deadline_at: None,
        next_wake_at: None,
        completed_at: Some(row.created_at),
        result: None,
        error: Some(Failure::permanent(FailureKind::Cancelled, title)),
    };
    Record {
        execution: row.id,
        tenant: row.tenant,
        workflow: row.workflow,
        epoch: 0,
        head: Some(head),
        steps: Vec::new(),
        saga: None,
        logs: Vec::new(),
        events: Vec::new(),
        artifacts: Vec::new(),
        parent: row.parent.map(|parent| parent.execution),
        at: row.created_at,
    }
}
