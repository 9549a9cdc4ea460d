//! Where in the events each webhook was switched on: what was recorded before is not sent to it, however far the reading lags.
//! To webhooks that are there already, whatever is read from now on.

use cogwheel_schema::Change;
use cogwheel_schema::build::bigint;
use cogwheel_schema::change::add_column;

const TABLE: &str = "webhooks";

pub(super) fn changes() -> Vec<Change> {
    ["since_recorded_xid", "since_position"].map(|name| add_column(TABLE, bigint(name).default("0"))).to_vec()
}
