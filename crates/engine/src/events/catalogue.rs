//! The closed catalogue of event types: what happened, in words that readers may rely on.

use std::fmt;
use std::str::FromStr;

use cogwheel_definition::is_own_event_type;

/// What the names of authors' own types begin with.
const CUSTOM: &str = "custom.";

macro_rules! catalogue {
    ($($variant:ident $name:literal [$($field:literal),*] $about:literal;)+) => {
        /// A type of events.
        ///
        /// The list is closed: nothing else can be recorded, but for `custom.<name>`, which the authors of workflows add.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum EventType {
            $(#[doc = $about] $variant,)+
            /// An author's own type.
            Custom(CustomType),
        }

        /// Every type but the authors' own.
        pub const EVENT_TYPES: &[EventType] = &[$(EventType::$variant),+];

        impl EventType {
            /// Its name, as it is recorded.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Custom(custom) => &custom.0,
                }
            }

            /// What it tells, for people.
            pub fn about(&self) -> &'static str {
                match self {
                    $(Self::$variant => $about,)+
                    Self::Custom(_) => "What a step of type `emit` records.",
                }
            }

            /// The names of what its data holds; of an author's own type nobody but the author knows.
            pub fn fields(&self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$($field),*],)+
                    Self::Custom(_) => &[],
                }
            }

            fn known(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

catalogue! {
    WorkflowCreated "workflow.created" ["workflow", "workflow_id", "version"] "A workflow was saved for the first time.";
    WorkflowUpdated "workflow.updated" ["workflow", "workflow_id", "version"] "A workflow was saved anew, with another text.";
    WorkflowVersionActivated "workflow.version_activated" ["workflow", "workflow_id", "version", "checksum"] "A version became the one that is started from now on.";
    WorkflowEnabled "workflow.enabled" ["workflow", "workflow_id"] "Executions of a workflow may be started again.";
    WorkflowDisabled "workflow.disabled" ["workflow", "workflow_id"] "No executions of a workflow are started for now.";
    WorkflowDeleted "workflow.deleted" ["workflow", "workflow_id"] "A workflow was deleted; its executions go on.";
    WorkflowStarted "workflow.started" ["workflow", "execution_id", "status", "trigger"] "An execution left the queue.";
    WorkflowWaiting "workflow.waiting" ["workflow", "execution_id", "status", "trigger"] "An execution waits: for a time, a signal, another execution or its next attempt.";
    WorkflowResumed "workflow.resumed" ["workflow", "execution_id", "status", "trigger"] "An execution that waited goes on.";
    WorkflowCompensating "workflow.compensating" ["workflow", "execution_id", "status", "trigger"] "What an execution did is being undone.";
    WorkflowCompleted "workflow.completed" ["workflow", "execution_id", "status", "trigger", "error"] "An execution ended well.";
    WorkflowFailed "workflow.failed" ["workflow", "execution_id", "status", "trigger", "error"] "An execution failed.";
    WorkflowCancelled "workflow.cancelled" ["workflow", "execution_id", "status", "trigger", "error"] "An execution was cancelled.";
    WorkflowTimedOut "workflow.timed_out" ["workflow", "execution_id", "status", "trigger", "error"] "An execution took longer than it may.";
    WorkflowCompensated "workflow.compensated" ["workflow", "execution_id", "status", "trigger", "error"] "What an execution did was undone.";
    StepStarted "step.started" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt"] "An attempt of a step began.";
    StepWaiting "step.waiting" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt"] "A step waits: for a time, a signal or another execution.";
    StepRetrying "step.retrying" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt", "error"] "An attempt of a step failed and another one follows.";
    StepCompleted "step.completed" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt"] "A step ended well.";
    StepFailed "step.failed" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt", "error"] "A step failed for good.";
    StepSkipped "step.skipped" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt"] "A step was passed over.";
    StepCancelled "step.cancelled" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt", "error"] "A step was ended because its execution ends.";
    StepTimedOut "step.timed_out" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt", "error"] "A step took longer than it may.";
    StepKept "step.kept" ["workflow", "execution_id", "step", "ordinal", "step_type", "attempt"] "A step was taken over, as it had ended, from the execution that is done over.";
    SagaStarted "saga.started" ["workflow", "execution_id", "status", "cause", "unwind_number"] "An execution began whose steps can be undone.";
    SagaProgressed "saga.progressed" ["workflow", "execution_id", "status", "cause", "unwind_number"] "A saga got on, and stands where it stood.";
    SagaUnwindRequested "saga.unwind_requested" ["workflow", "execution_id", "requested_as", "reason"] "Somebody asked that everything a saga did be undone.";
    SagaCompensating "saga.compensating" ["workflow", "execution_id", "status", "cause", "unwind_number"] "What a saga did begins to be undone.";
    SagaCompleted "saga.completed" ["workflow", "execution_id", "status", "cause", "unwind_number"] "A saga did all of its steps.";
    SagaCompensated "saga.compensated" ["workflow", "execution_id", "status", "cause", "unwind_number"] "Nothing is left of what a saga did.";
    SagaFailed "saga.failed" ["workflow", "execution_id", "status", "cause", "unwind_number"] "A saga has ended, and something is left of what it did.";
    SagaGivenUp "saga.given_up" ["workflow", "execution_id", "not_undone"] "A saga has failed because nothing more can be told of it.";
    SagaTimeoutScheduled "saga.timeout_scheduled" ["workflow", "execution_id", "step", "kind", "at"] "A time limit of a saga, a step or an undo was set.";
    SagaTimeoutFired "saga.timeout_fired" ["workflow", "execution_id", "step", "kind", "at"] "A time limit of a saga, a step or an undo passed.";
    SagaTimeoutCancelled "saga.timeout_cancelled" ["workflow", "execution_id", "step", "kind"] "What a time limit was for ended before.";
    CompensationPlanned "compensation.planned" ["workflow", "execution_id", "step", "ordinal", "unwind_number", "status", "error"] "A step is to be undone.";
    CompensationStarted "compensation.started" ["workflow", "execution_id", "step", "ordinal", "unwind_number", "status", "error"] "An attempt to undo a step began.";
    CompensationRetrying "compensation.retrying" ["workflow", "execution_id", "step", "ordinal", "unwind_number", "status", "error"] "An attempt to undo a step failed and another one follows.";
    CompensationCompleted "compensation.completed" ["workflow", "execution_id", "step", "ordinal", "unwind_number", "status", "error"] "A step is undone.";
    CompensationFailed "compensation.failed" ["workflow", "execution_id", "step", "ordinal", "unwind_number", "status", "error"] "A step could not be undone.";
    CompensationSkipped "compensation.skipped" ["workflow", "execution_id", "step", "ordinal", "unwind_number", "status", "error"] "An operator gave up the undoing of a step.";
    CompensationResolved "compensation.resolved" ["workflow", "execution_id", "step", "ordinal", "unwind_number", "decision", "reason"] "An operator decided what becomes of an undo that failed.";
    WebhookCreated "webhook.created" ["name", "webhook_id"] "An outgoing webhook was made.";
    WebhookUpdated "webhook.updated" ["name", "webhook_id"] "An outgoing webhook was changed.";
    WebhookDisabled "webhook.disabled" ["name", "webhook_id", "reason"] "An outgoing webhook was switched off.";
    WebhookDeleted "webhook.deleted" ["name", "webhook_id"] "An outgoing webhook was deleted.";
    WebhookDeliveryDied "webhook.delivery_died" ["name", "webhook_id", "delivery_id", "event_id", "event_type", "attempts"] "A delivery was given up after its last attempt.";
    EventDeadLettered "event.dead_lettered" ["consumer", "event_id", "event_type", "reasons"] "A consumer gave up on an event.";
    EventReplayed "event.replayed" ["consumer", "from_position", "to_position", "events"] "Events are handed to a consumer again.";
}

/// The name of an author's own type: `custom.` and one part or more, of letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CustomType(String);

/// Why a name is no type's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownEventType {
    /// It is not in the catalogue.
    #[error(
        "there is no event type `{0}`: authors' own types begin with `custom.`, as in `custom.order.shipped`; the others are \
         listed by `cogwheel events types`"
    )]
    NotInCatalogue(String),
    /// It begins with `custom.`, and what follows is no name.
    #[error(
        "`{0}` is not a type: after `custom.` come parts of letters, digits, `_` and `-`, with points between them, and all \
         of it has at most 100 bytes"
    )]
    InvalidCustom(String),
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(name: &str) -> Result<Self, UnknownEventType> {
        if let Some(known) = Self::known(name) {
            return Ok(known);
        }
        if !name.starts_with(CUSTOM) {
            return Err(UnknownEventType::NotInCatalogue(name.to_owned()));
        }
        if is_own_event_type(name) {
            Ok(Self::Custom(CustomType(name.to_owned())))
        } else {
            Err(UnknownEventType::InvalidCustom(name.to_owned()))
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_type_is_found_by_its_name() {
        for known in EVENT_TYPES {
            assert_eq!(known.as_str().parse(), Ok(known.clone()));
            let (subject, fact) = known.as_str().split_once('.').unwrap();
            let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(is_word(subject) && is_word(fact), "{known}");
            assert!(known.about().ends_with('.'));
        }
        let names: HashSet<&str> = EVENT_TYPES.iter().map(EventType::as_str).collect();
        assert_eq!(names.len(), EVENT_TYPES.len());
    }

    #[test]
    fn authors_add_types_of_their_own_and_no_others() {
        for name in ["custom.paid", "custom.order.shipped-late", "custom.a_b.2"] {
            let parsed: EventType = name.parse().unwrap();
            assert_eq!(parsed.as_str(), name);
        }
        let too_long = format!("custom.{}", "x".repeat(94));
        for name in
            ["custom.", "custom", "custom..a", "custom.a b", "custom.ü", &too_long, "order.paid", "workflow.done"]
        {
            assert!(name.parse::<EventType>().is_err(), "{name}");
        }
    }
}
