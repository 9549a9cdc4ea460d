//! Workflows that events start: they are found without reading their texts.

use cogwheel_schema::Change;
use cogwheel_schema::build::int;
use cogwheel_schema::change::add_column;

pub(super) fn changes() -> Vec<Change> {
    vec![add_column("workflows", int("event_trigger_count").default("0"))]
}
