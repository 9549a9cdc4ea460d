//! Proves that the event store is what was appended to it.

use cogwheel_engine::ports::StoreError;
use sea_orm::DatabaseConnection;

use super::report::{Finding, Part};
use crate::events::walk::{EventWalk, walk};
use crate::tx::Reading;

/// The table whose rows are chained.
pub(super) const TABLE: &str = "event_store";

/// Goes through one stream, or all of them, and computes every hash anew. Changes nothing.
///
/// A changed event, one that was put in or taken out between others, and one that changed its place are found. What nothing
/// refers to is not missed: the newest events of a stream, and a stream as a whole.
///
/// # Errors
/// When the database does not answer, or an event cannot be read.
pub async fn check(db: &DatabaseConnection, stream: Option<&str>) -> Result<EventWalk, StoreError> {
    walk(&mut Reading(db), stream).await
}

/// Every event that does not fit, as a finding.
pub(super) async fn findings(db: &DatabaseConnection) -> Vec<Finding> {
    match check(db, None).await {
        Ok(walked) => {
            let finding = |fault: &crate::events::walk::EventFault| {
                let message = format!(
                    "event {} ({} version {}, position {}): {}",
                    fault.event, fault.stream, fault.version, fault.position, fault.problem
                );
                Finding::new(Part::Data, "event_chain", TABLE, &fault.event, message)
            };
            walked.faults.iter().map(finding).collect()
        }
        Err(error) => {
            let message = format!("the chains of {TABLE} could not be checked: {error}");
            vec![Finding::new(Part::Data, "not_checked", TABLE, "event_chain", message)]
        }
    }
}
