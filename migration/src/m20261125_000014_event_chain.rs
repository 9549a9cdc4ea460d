//! Events are chained, each stream for itself, and nothing but retention removes them.

use cogwheel_schema::Change;
use cogwheel_schema::build::char;
use cogwheel_schema::change::{add_column, keep};

pub(super) const TABLE: &str = "event_store";

pub(super) fn changes() -> Vec<Change> {
    vec![add_column(TABLE, char("hash", 64).default("")), keep(TABLE, "event-retention")]
}
