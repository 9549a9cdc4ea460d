//! Sagas: requests to undo one, decisions about its undos, and completed executions that are undone after all.

use cogwheel_schema::Change;
use cogwheel_schema::build::{instant, int, text, varchar};
use cogwheel_schema::change::{add_column, add_refusal, drop_refusal};

const EXECUTIONS: &str = "workflow_executions";
const SAGAS: &str = "saga_instances";
const UNDOS: &str = "saga_compensations";

pub(super) fn changes() -> Vec<Change> {
    let final_before = "old.status in ('completed', 'failed', 'cancelled', 'timed_out', 'compensated') \
        and (new.status is distinct from old.status or new.result_data is distinct from old.result_data \
        or new.error is distinct from old.error or new.started_at is distinct from old.started_at \
        or new.completed_at is distinct from old.completed_at \
        or new.execution_time_ms is distinct from old.execution_time_ms)";
    let final_now = "old.status in ('completed', 'failed', 'cancelled', 'timed_out', 'compensated') \
        and not (old.status = 'completed' and new.status = 'compensating') \
        and (new.status is distinct from old.status or new.result_data is distinct from old.result_data \
        or new.error is distinct from old.error or new.started_at is distinct from old.started_at \
        or new.completed_at is distinct from old.completed_at \
        or new.execution_time_ms is distinct from old.execution_time_ms)";
    vec![
        drop_refusal(EXECUTIONS, "final", final_before),
        add_refusal(EXECUTIONS, "final", final_now),
        add_column(SAGAS, instant("unwind_requested_at").null()),
        add_column(SAGAS, varchar("unwind_requested_as", 20).null()),
        add_column(SAGAS, text("unwind_reason").null()),
        add_column(UNDOS, instant("resolved_at").null()),
        add_column(UNDOS, int("operator_retries").default("0")),
    ]
}
