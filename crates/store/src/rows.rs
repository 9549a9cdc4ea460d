//! The one place where stored words and rows meet the words of machine and engine.
//!
//! Each pair of vocabularies is matched word by word in both directions, so a new word does not compile until it is
//! mapped.

use cogwheel_definition::{FileEvent, OnUndoFailure, Priority};
use cogwheel_engine::ports::{
    ArtifactKind, DecisionReason, DeliveryStatus, DisabledReason, LogLevel, LogStream, SkipReason, StepEffect,
    StoreError, TimeoutKind, TriggerType,
};
use cogwheel_engine::views::{FileStatus, WorkflowStatus};
use cogwheel_entity::{
    artifacts, enums, execution_logs, files, saga_compensations, saga_instances, saga_timeouts, schedule_fires,
    step_executions, webhook_deliveries, webhooks, workflow_executions, workflows,
};
use cogwheel_machine::{CauseKind, ExecutionStatus, SagaStatus, StepStatus, UndoDecision, UndoStatus};
use sea_orm::ActiveEnum;

/// A vocabulary with its stored counterpart.
pub(crate) trait Stored: Sized {
    /// The entity's vocabulary.
    type Word: ActiveEnum<Value = String>;

    /// As the entity has it.
    fn stored(self) -> Self::Word;

    /// As the engine has it.
    fn from_stored(word: Self::Word) -> Self;

    /// The stored text.
    fn word(self) -> String {
        self.stored().to_value()
    }

    /// Reads a stored text of `column`.
    fn from_word(word: &String, table: &'static str, id: impl ToString) -> Result<Self, StoreError> {
        Self::Word::try_from_value(word)
            .map(Self::from_stored)
            .map_err(|_| corrupt(table, &id, format!("`{word}` is no word of {}", std::any::type_name::<Self>())))
    }
}

macro_rules! same_words {
    ($engine:ty, $stored:ty: $($word:ident)+) => {
        impl Stored for $engine {
            type Word = $stored;

            fn stored(self) -> $stored {
                match self { $(Self::$word => <$stored>::$word,)+ }
            }

            fn from_stored(word: $stored) -> Self {
                match word { $(<$stored>::$word => Self::$word,)+ }
            }
        }
    };
}

same_words!(ExecutionStatus, workflow_executions::ExecutionStatus:
    Queued Running Waiting Completed Failed Cancelled TimedOut Compensating Compensated);
same_words!(Priority, enums::Priority: Low Normal High Critical);
same_words!(StepStatus, step_executions::StepStatus:
    Pending Running Waiting Retrying Completed Failed Skipped Cancelled TimedOut);
same_words!(ArtifactKind, artifacts::ArtifactKind: Artifact StepOutput LogArchive);
same_words!(StepEffect, step_executions::EffectState: None Applied Unknown);
same_words!(TriggerType, workflow_executions::TriggerType: Manual Schedule File Webhook Event Workflow JobFlow);
same_words!(LogLevel, execution_logs::LogLevel: Debug Info Warn Error);
same_words!(LogStream, execution_logs::LogStream: Engine Stdout Stderr);
same_words!(WorkflowStatus, workflows::WorkflowStatus: Draft Active Paused Inactive);
same_words!(FileEvent, files::ChangeKind: Created Modified Deleted);
same_words!(SagaStatus, enums::SagaStatus: Pending Running Completed Compensating Compensated Failed);
same_words!(CauseKind, saga_instances::SagaCause: StepFailed TimedOut Cancelled Operator Parent);
same_words!(UndoStatus, saga_compensations::CompensationStatus: Pending Running Completed Failed Skipped);
same_words!(DeliveryStatus, webhook_deliveries::DeliveryStatus:
    Pending Delivering Delivered Retrying Dead Cancelled);
same_words!(DisabledReason, webhooks::DisabledReason: User ConsecutiveFailures Gone);
same_words!(FileStatus, files::FileStatus: Detected Settling Ready Processing Processed Failed Skipped Deleted);

impl Stored for UndoDecision {
    type Word = saga_compensations::CompensationResolution;

    fn stored(self) -> Self::Word {
        match self {
            Self::Retry => saga_compensations::CompensationResolution::Retried,
            Self::Skip => saga_compensations::CompensationResolution::Skipped,
            Self::Force => saga_compensations::CompensationResolution::Forced,
        }
    }

    fn from_stored(word: Self::Word) -> Self {
        match word {
            saga_compensations::CompensationResolution::Retried => Self::Retry,
            saga_compensations::CompensationResolution::Skipped => Self::Skip,
            saga_compensations::CompensationResolution::Forced => Self::Force,
        }
    }
}

/// The stored form of what follows when an undo fails.
pub(crate) fn on_undo_failure(follows: OnUndoFailure) -> saga_instances::OnUndoFailure {
    match follows {
        OnUndoFailure::Pause => saga_instances::OnUndoFailure::Pause,
        OnUndoFailure::Fail => saga_instances::OnUndoFailure::Fail,
    }
}

/// What a time limit is one of, as the engine has it.
pub(crate) fn timeout_kind(stored: saga_timeouts::TimeoutType) -> TimeoutKind {
    match stored {
        saga_timeouts::TimeoutType::Saga => TimeoutKind::Saga,
        saga_timeouts::TimeoutType::Step => TimeoutKind::Step,
        saga_timeouts::TimeoutType::Compensation => TimeoutKind::Compensation,
    }
}

/// The stored form of what a time limit is one of.
pub(crate) fn timeout_type(kind: TimeoutKind) -> saga_timeouts::TimeoutType {
    match kind {
        TimeoutKind::Saga => saga_timeouts::TimeoutType::Saga,
        TimeoutKind::Step => saga_timeouts::TimeoutType::Step,
        TimeoutKind::Compensation => saga_timeouts::TimeoutType::Compensation,
    }
}

/// The stored form of a reason; the ledger knows more of them than this engine decides.
pub(crate) fn skip_reason(reason: SkipReason) -> schedule_fires::SkipReason {
    match reason {
        SkipReason::Overlap => schedule_fires::SkipReason::Overlap,
        SkipReason::CatchUpNone => schedule_fires::SkipReason::CatchUpNone,
        SkipReason::CatchUpSuperseded => schedule_fires::SkipReason::CatchUpSuperseded,
        SkipReason::OutsideWindow => schedule_fires::SkipReason::OutsideWindow,
        SkipReason::Calendar => schedule_fires::SkipReason::Calendar,
        SkipReason::Disabled => schedule_fires::SkipReason::Disabled,
        SkipReason::WorkflowNotExecutable => schedule_fires::SkipReason::WorkflowNotExecutable,
    }
}

/// The stored form of a reason; the ledger knows more of them than this engine decides.
pub(crate) fn decision_reason(reason: DecisionReason) -> files::DecisionReason {
    match reason {
        DecisionReason::DuplicateVersion => files::DecisionReason::DuplicateVersion,
        DecisionReason::FilteredPattern => files::DecisionReason::FilteredPattern,
        DecisionReason::FilteredMime => files::DecisionReason::FilteredMime,
        DecisionReason::FilteredSize => files::DecisionReason::FilteredSize,
        DecisionReason::HiddenOrTemporary => files::DecisionReason::HiddenOrTemporary,
        DecisionReason::Vanished => files::DecisionReason::Vanished,
        DecisionReason::Unreadable => files::DecisionReason::Unreadable,
        DecisionReason::WorkflowNotExecutable => files::DecisionReason::WorkflowNotExecutable,
    }
}

/// What an ended execution makes of its input files.
pub(crate) fn file_status_after(end: ExecutionStatus) -> files::FileStatus {
    match end {
        ExecutionStatus::Completed => files::FileStatus::Processed,
        ExecutionStatus::Failed
        | ExecutionStatus::Cancelled
        | ExecutionStatus::TimedOut
        | ExecutionStatus::Compensated => files::FileStatus::Failed,
        ExecutionStatus::Queued
        | ExecutionStatus::Running
        | ExecutionStatus::Waiting
        | ExecutionStatus::Compensating => files::FileStatus::Processing,
    }
}

/// What an ended execution adds to its workflow's counters of successes and failures.
pub(crate) fn counted(end: ExecutionStatus) -> (i64, i64) {
    match end {
        ExecutionStatus::Completed => (1, 0),
        ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Compensated => (0, 1),
        ExecutionStatus::Cancelled
        | ExecutionStatus::Queued
        | ExecutionStatus::Running
        | ExecutionStatus::Waiting
        | ExecutionStatus::Compensating => (0, 0),
    }
}

/// A row that cannot be understood.
pub(crate) fn corrupt(table: &'static str, id: &impl ToString, why: impl Into<String>) -> StoreError {
    StoreError::CorruptRow { table, id: id.to_string(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_machine() {
        for status in ExecutionStatus::ALL {
            assert_eq!(status.as_str(), status.word());
            assert_eq!(ExecutionStatus::from_word(&status.word(), "workflow_executions", 1).expect("known"), status);
        }
        for status in StepStatus::ALL {
            assert_eq!(status.as_str(), status.word());
        }
        assert!(ExecutionStatus::from_word(&"lost".to_owned(), "workflow_executions", 7).is_err());
    }
}
