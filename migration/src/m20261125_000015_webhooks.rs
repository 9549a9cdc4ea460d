//! Deliveries of webhooks that are to be sent, each webhook's by themselves: one that is slow keeps no other waiting.

use cogwheel_schema::Change;
use cogwheel_schema::build::index;
use cogwheel_schema::change::{add_index, drop_index};

const TABLE: &str = "webhook_deliveries";
const WAITING: &str = "status in ('pending', 'retrying')";

pub(super) fn changes() -> Vec<Change> {
    let due = index("idx_webhook_deliveries_due", "next_attempt_at, id").partial(WAITING).serves("send next");
    let waiting =
        index("idx_webhook_deliveries_waiting", "webhook_id, next_attempt_at, id").partial(WAITING).serves("send next");
    vec![drop_index(TABLE, due), add_index(TABLE, waiting)]
}
