//! What the store is told, and tells, of schedules.

use chrono::{DateTime, Utc};
use cogwheel_definition::Overlap;

use crate::{ScheduleId, TenantId};

/// A schedule as stored.
#[derive(Clone, Debug)]
pub struct ScheduleRecord {
    /// Its id.
    pub id: ScheduleId,
    /// Its key in the definition.
    pub trigger_key: String,
    /// The last due instant that has an outcome.
    pub last_due_at: Option<DateTime<Utc>>,
    /// The coming due instant.
    pub next_due_at: Option<DateTime<Utc>>,
    /// When its ledger began: due instants before it are nobody's concern.
    pub since: DateTime<Utc>,
    /// Whether somebody switched it off: its due instants start nothing.
    pub is_paused: bool,
}

/// Due instants of one schedule that get their outcome, and where the schedule goes from there.
#[derive(Clone, Debug)]
pub struct ScheduleTick {
    /// The schedule.
    pub schedule: ScheduleId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Due instants with their outcomes, in order.
    pub due: Vec<Due>,
    /// The coming due instant.
    pub next_due_at: Option<DateTime<Utc>>,
    /// When what is due then is started.
    pub next_fire_at: Option<DateTime<Utc>>,
    /// What becomes of the fired one while an earlier execution of the schedule is live: decided in the transaction that
    /// records it. [`Overlap::Queue`] is kept by whoever claims the execution.
    pub overlap: Overlap,
    /// Whether it makes up for instants of the past: the schedule stays where it is.
    pub is_backfill: bool,
    /// When this is decided.
    pub at: DateTime<Utc>,
}

impl ScheduleTick {
    /// The same, with its fired instant passed over.
    #[must_use]
    pub fn passed_over(&self, reason: SkipReason) -> Self {
        let mut tick = self.clone();
        for due in tick.due.iter_mut().filter(|due| due.outcome == DueOutcome::Fired) {
            due.outcome = DueOutcome::Skipped(reason);
        }
        tick
    }
}

/// One due instant with its outcome.
#[derive(Clone, Debug)]
pub struct Due {
    /// When it was due, in whole seconds.
    pub due_at: DateTime<Utc>,
    /// Whether it is made up for after a pause.
    pub is_catch_up: bool,
    /// What came of it.
    pub outcome: DueOutcome,
}

/// What came of a due instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueOutcome {
    /// It started the execution of the same transaction.
    Fired,
    /// It started nothing.
    Skipped(SkipReason),
}

/// Why a due instant started nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The previous run was still going.
    Overlap,
    /// The server was down and nothing is made up for.
    CatchUpNone,
    /// The server was down and a later missed instant stands for it.
    CatchUpSuperseded,
    /// It was missed longer ago than the window allows.
    OutsideWindow,
    /// It falls on an excluded day.
    Calendar,
    /// The schedule or its workflow is switched off.
    Disabled,
    /// The workflow could not be started.
    WorkflowNotExecutable,
}

/// A request to switch a schedule off or on.
#[derive(Clone, Copy, Debug)]
pub struct PauseSchedule {
    /// The tenant that the schedule must belong to.
    pub tenant: TenantId,
    /// The schedule.
    pub schedule: ScheduleId,
    /// Whether its due instants start nothing from now on.
    pub paused: bool,
    /// When.
    pub at: DateTime<Utc>,
}
