//! Schedules that are switched off one at a time, and the live executions of each.

use cogwheel_schema::Change;
use cogwheel_schema::build::{index, instant};
use cogwheel_schema::change::{add_column, add_index};

pub(super) fn changes() -> Vec<Change> {
    let live = index("idx_workflow_executions_scheduled", "workflow_id, trigger_key")
        .partial("trigger_type = 'schedule' and completed_at is null")
        .serves("live executions of a schedule");
    vec![add_column("schedules", instant("paused_at").null()), add_index("workflow_executions", live)]
}
