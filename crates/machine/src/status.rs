//! The states of executions and steps, and the moves between them.

use serde::{Deserialize, Serialize};

/// Where an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// Accepted, waiting for a slot.
    Queued,
    /// Steps run or may run.
    Running,
    /// Nothing can go on before a timer, a signal, a decision or a child.
    Waiting,
    /// Every branch ended well.
    Completed,
    /// A step failed for good.
    Failed,
    /// Ended on request.
    Cancelled,
    /// Its time limit passed.
    TimedOut,
    /// Finished steps are being undone.
    Compensating,
    /// Everything that had to be undone was.
    Compensated,
}

impl ExecutionStatus {
    /// Every status, in the order of the schema.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Compensating,
        Self::Compensated,
    ];

    /// The word that logs, the database and the API use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Compensating => "compensating",
            Self::Compensated => "compensated",
        }
    }

    /// Whether nothing follows it by itself.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting | Self::Compensating => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut | Self::Compensated => true,
        }
    }

    /// Whether steps of it may be under way.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Waiting | Self::Compensating)
    }

    /// Whether `next` may follow it.
    pub fn may_become(self, next: Self) -> bool {
        use ExecutionStatus as S;
        match self {
            S::Queued => matches!(next, S::Running | S::Cancelled | S::TimedOut | S::Failed),
            S::Running => matches!(
                next,
                S::Waiting | S::Queued | S::Completed | S::Failed | S::TimedOut | S::Cancelled | S::Compensating
            ),
            S::Waiting => matches!(next, S::Running | S::TimedOut | S::Cancelled | S::Compensating),
            S::Compensating => matches!(next, S::Compensated | S::Failed),
            // An operator may let a completed saga be undone; of itself nothing follows an end.
            S::Completed => next == S::Compensating,
            S::Failed | S::Cancelled | S::TimedOut | S::Compensated => false,
        }
    }
}

/// Where a step instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Its turn has not come.
    Pending,
    /// An attempt is under way.
    Running,
    /// It waits for something outside.
    Waiting,
    /// An attempt failed or was lost and another follows.
    Retrying,
    /// It succeeded.
    Completed,
    /// It failed for good.
    Failed,
    /// A step it needs did not complete.
    Skipped,
    /// The execution ended first.
    Cancelled,
    /// Its time limit passed.
    TimedOut,
}

impl StepStatus {
    /// Every status, in the order of the schema.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Retrying,
        Self::Completed,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// Whether nothing follows it.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Waiting | Self::Retrying => false,
            Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled | Self::TimedOut => true,
        }
    }

    /// The word that expressions, the database and the API use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }

    /// Whether `next` may follow it.
    pub fn may_become(self, next: Self) -> bool {
        use StepStatus as S;
        match self {
            S::Pending => matches!(next, S::Running | S::Skipped | S::Cancelled),
            S::Running => {
                matches!(next, S::Completed | S::Waiting | S::Retrying | S::Failed | S::TimedOut | S::Cancelled)
            }
            S::Waiting => {
                matches!(next, S::Running | S::Completed | S::Retrying | S::Failed | S::TimedOut | S::Cancelled)
            }
            S::Retrying => matches!(next, S::Running | S::TimedOut | S::Cancelled),
            S::Completed | S::Failed | S::Skipped | S::Cancelled | S::TimedOut => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_is_final() {
        for from in ExecutionStatus::ALL {
            let moves: Vec<_> = ExecutionStatus::ALL.into_iter().filter(|to| from.may_become(*to)).collect();
            // Of a completed saga an operator may ask that it be undone.
            let may_be_undone = from == ExecutionStatus::Completed && moves == [ExecutionStatus::Compensating];
            assert_eq!(moves.is_empty() || may_be_undone, from.is_terminal(), "{from:?}");
        }
        for from in StepStatus::ALL {
            let moves = StepStatus::ALL.iter().filter(|to| from.may_become(**to)).count();
            assert_eq!(moves == 0, from.is_terminal(), "{from:?}");
        }
    }

    #[test]
    fn nothing_returns_to_pending_and_only_running_goes_back_to_the_queue() {
        for from in StepStatus::ALL {
            assert!(!from.may_become(StepStatus::Pending));
        }
        for from in ExecutionStatus::ALL {
            assert_eq!(from.may_become(ExecutionStatus::Queued), from == ExecutionStatus::Running);
        }
    }
}
