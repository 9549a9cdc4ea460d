//! The pool of executions that nobody owns, and the limits of how many of a kind are live at once.

use cogwheel_schema::Change;
use cogwheel_schema::build::{index, int};
use cogwheel_schema::change::{add_column, add_index, drop_index};

const TABLE: &str = "workflow_executions";

pub(super) fn changes() -> Vec<Change> {
    let gone = [
        index("idx_workflow_executions_claim", "priority_rank desc, id").partial("status = 'queued'"),
        index("idx_workflow_executions_next_wake_at", "next_wake_at").partial("next_wake_at is not null"),
        index("idx_workflow_executions_concurrency_key", "concurrency_key, tenant_id").partial(
            "concurrency_key is not null and status in ('queued', 'running', \
             'waiting', 'compensating')",
        ),
    ];
    let come = [
        index("idx_workflow_executions_queue", "priority_rank desc, id")
            .partial("owner_node_id is null and status = 'queued' and concurrency_key is null")
            .serves("take the next"),
        index("idx_workflow_executions_keyed_queue", "tenant_id, concurrency_key, priority_rank desc, id")
            .partial("owner_node_id is null and status = 'queued' and concurrency_key is not null")
            .serves("take the next of each key"),
        index("idx_workflow_executions_slots", "tenant_id, concurrency_key")
            .partial(
                "concurrency_key is not null and completed_at is null and \
                 (owner_node_id is not null or status <> 'queued')",
            )
            .serves("slots of a key in use"),
        index("idx_workflow_executions_due", "next_wake_at")
            .partial("owner_node_id is null and next_wake_at is not null and status = 'waiting'")
            .serves("what nobody owns and is due"),
        index("idx_workflow_executions_queue_deadline", "next_wake_at")
            .partial("owner_node_id is null and next_wake_at is not null and status = 'queued'")
            .serves("what was queued for too long"),
        index("idx_workflow_executions_adrift", "priority_rank desc, id")
            .partial("owner_node_id is null and status in ('running', 'compensating')")
            .serves("what nobody owns and can go on at once"),
    ];
    let limit = add_column(TABLE, int("concurrency_limit").null());
    let gone = gone.map(|index| drop_index(TABLE, index));
    let come = come.map(|index| add_index(TABLE, index));
    std::iter::once(limit).chain(gone).chain(come).collect()
}
