//! What is done with a file once its execution has ended.

use cogwheel_schema::Change;
use cogwheel_schema::build::{index, varchar};
use cogwheel_schema::change::{add_column, add_index};

const TABLE: &str = "files";

pub(super) fn changes() -> Vec<Change> {
    let pending = index("idx_files_after", "status, id")
        .partial("after_state = 'pending'")
        .serves("files whose executions have ended and with which something is to be done");
    vec![add_column(TABLE, varchar("after_target", 4096).null()), add_index(TABLE, pending)]
}
