//! What people ask of sagas, and what executions ask of those that they started: to undo what they did.

use cogwheel_definition::History;
use cogwheel_machine::{
    Cause, Execution, ExecutionId, ExecutionStatus, Failure, FailureKind, Input, Rejected, UndoDecision, UndoStatus,
    Unwound, UnwoundBy, contains_nul,
};
use serde_json::Value;

use crate::cluster::Rebuilder;
use crate::events::EventType;
use crate::ports::{NewEvent, StoreError, StoredExecution, UndoAnswer, UndoRequest, UnwindAnswer, UnwindRequest};
use crate::runner::undone_after_all;
use crate::{CancelError, Engine, TenantId};

/// How often an execution is looked at anew that changes while it is asked to undo what it did.
const LOOKS: usize = 16;

/// Why nothing came of what was asked of a saga.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SagaError {
    /// No such execution.
    #[error("there is no execution {id}")]
    Unknown {
        /// As asked for.
        id: ExecutionId,
    },
    /// Nothing says how what it did is undone.
    #[error("the execution is no saga: no step of its workflow says how it is undone")]
    NoSaga,
    /// It cannot be undone as it stands.
    #[error("the execution cannot be undone: {why}")]
    Refused {
        /// Why.
        why: Rejected,
    },
    /// The step is not undone.
    #[error("the execution undoes no step `{step}`")]
    NoSuchUndo {
        /// As asked for.
        step: String,
    },
    /// Nobody waits for a decision about this undo.
    #[error("the undo of `{step}` does not wait for a decision: it is {}", status.as_str())]
    NotFailed {
        /// The key of the step.
        step: String,
        /// Where its undo stands.
        status: UndoStatus,
    },
    /// Nobody waits for a decision about any undo.
    #[error(
        "the execution does not wait for a decision: it is not being undone, or goes on by itself after a failed undo"
    )]
    NotPaused,
    /// The decision has no reason that can be recorded.
    #[error("`reason` {why}")]
    Reason {
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be cancelled.
    #[error("the execution has ended {}", status.as_str())]
    Ended {
        /// How it ended.
        status: ExecutionStatus,
    },
    /// What is recorded of it cannot be understood.
    #[error("what is recorded of the execution cannot be used: {why}")]
    Unusable {
        /// What does not fit.
        why: String,
    },
    /// The store could not record it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Asks that everything an execution did be undone: of a saga whose steps run, which are stopped first, or of one
    /// that has completed. The request is durable when it returns, and in the audit log; what follows follows.
    ///
    /// # Errors
    ///
    /// Why it cannot be undone.
    pub async fn compensate(&self, execution: ExecutionId, reason: String) -> Result<(), SagaError> {
        check_reason(&reason)?;
        match self.unwind(self.tenant(), execution, Asker::Person, reason).await? {
            Asked::Requested => Ok(()),
            Asked::Unknown => Err(SagaError::Unknown { id: execution }),
            Asked::NoSaga => Err(SagaError::NoSaga),
            Asked::Ended(_) => Err(SagaError::Refused { why: Rejected::NotRunning }),
            Asked::Refused(why, _) => Err(SagaError::Refused { why }),
            Asked::Unusable(why) => Err(SagaError::Unusable { why }),
        }
    }

    /// Decides what becomes of an undo that failed and waits for somebody. The decision is durable when it returns, and
    /// in the audit log; what follows follows.
    ///
    /// # Errors
    ///
    /// Why there is nothing to decide.
    pub async fn decide_undo(
        &self,
        execution: ExecutionId,
        step: String,
        decision: UndoDecision,
        reason: String,
    ) -> Result<(), SagaError> {
        check_reason(&reason)?;
        let (tenant, at) = (self.tenant(), self.clock().now());
        let request = UndoRequest { tenant, execution, step_key: step.clone(), decision, reason, at };
        match self.store().decide_undo(request).await? {
            UndoAnswer::Recorded => {
                self.runner().tell_everywhere(execution).await;
                Ok(())
            }
            UndoAnswer::Unknown => Err(SagaError::Unknown { id: execution }),
            UndoAnswer::NoSaga => Err(SagaError::NoSaga),
            UndoAnswer::NoSuchUndo => Err(SagaError::NoSuchUndo { step }),
            UndoAnswer::NotFailed(status) => Err(SagaError::NotFailed { step, status }),
            UndoAnswer::NotPaused => Err(SagaError::NotPaused),
        }
    }

    /// Cancels a saga: what runs is stopped, and what was done is undone.
    ///
    /// # Errors
    ///
    /// Why there is nothing to cancel.
    pub async fn cancel_saga(&self, execution: ExecutionId, reason: String) -> Result<(), SagaError> {
        check_reason(&reason)?;
        let stored = self.store().execution(self.tenant(), execution).await?;
        let stored = stored.ok_or(SagaError::Unknown { id: execution })?;
        let definition = self.definitions().of_text(stored.version_id, &stored.workflow_name, &stored.source);
        let definition = definition.map_err(|problems| SagaError::Unusable { why: problems.to_string() })?;
        if definition.saga.is_none() {
            return Err(SagaError::NoSaga);
        }
        self.cancel(execution, Some(reason)).await.map_err(|error| match error {
            CancelError::Unknown { id } => SagaError::Unknown { id },
            CancelError::Ended { status } => SagaError::Ended { status },
            CancelError::Store(error) => SagaError::Store(error),
        })
    }

    /// Asks an execution to undo what it did for the sake of the one that started it. What became of it by now; nothing
    /// while that is still to come: its end is told to the one that started it.
    pub(crate) async fn unwind_child(
        &self,
        tenant: TenantId,
        child: ExecutionId,
        reason: String,
    ) -> Result<Option<Unwound>, StoreError> {
        Ok(match self.unwind(tenant, child, Asker::Parent, reason.clone()).await? {
            Asked::Ended(error) => Some(match error.filter(|error| !error.not_undone.is_empty()) {
                Some(error) => Unwound::Failed(*error),
                None => Unwound::Undone,
            }),
            // It has not begun: it need not.
            Asked::Refused(Rejected::NothingToUndo, ExecutionStatus::Queued) => {
                match self.cancel_in(tenant, child, Some(reason)).await {
                    Ok(()) => None,
                    Err(CancelError::Unknown { .. } | CancelError::Ended { .. }) => Some(Unwound::Nothing),
                    Err(CancelError::Store(error)) => return Err(error),
                }
            }
            Asked::Refused(why, ExecutionStatus::Completed) if why != Rejected::NothingToUndo => {
                let failure = Failure::permanent(FailureKind::Workflow, why.to_string());
                Some(Unwound::Failed(Failure { not_undone: vec![child.to_string()], ..failure }))
            }
            Asked::Unknown | Asked::NoSaga | Asked::Refused(Rejected::NothingToUndo, _) => Some(Unwound::Nothing),
            // It comes to its end, by itself or as it was asked, and is asked again then.
            Asked::Requested | Asked::Refused(..) => None,
            Asked::Unusable(why) => {
                let title = format!("what is recorded of the execution {child} cannot be used");
                Some(Unwound::Failed(Failure::permanent(FailureKind::Internal, title).with_detail(why)))
            }
        })
    }

    pub(crate) async fn unwind(
        &self,
        tenant: TenantId,
        id: ExecutionId,
        by: Asker,
        reason: String,
    ) -> Result<Asked, StoreError> {
        for _ in 0..LOOKS {
            let Some(stored) = self.store().execution(tenant, id).await? else { return Ok(Asked::Unknown) };
            let expected = stored.status;
            let (cause, told) = match self.look(stored, by.recorded(), &reason) {
                Looked::Undoable(cause, told) => (cause, told.map(|told| *told)),
                Looked::Otherwise(asked) => return Ok(asked),
            };
            let has_events = told.is_some();
            let request = UnwindRequest {
                tenant,
                execution: id,
                expected,
                by: by.recorded(),
                reason: Some(reason.clone()),
                is_audited: matches!(by, Asker::Person),
                cause,
                told,
                at: self.clock().now(),
            };
            match self.store().request_unwind(request).await? {
                UnwindAnswer::Requested => {
                    self.runner().tell_everywhere(id).await;
                    if expected == ExecutionStatus::Completed {
                        self.runner().tell_of_work().await;
                    }
                    if has_events {
                        self.tell_of_events();
                    }
                    return Ok(Asked::Requested);
                }
                UnwindAnswer::Unknown => return Ok(Asked::Unknown),
                UnwindAnswer::Moved => {}
            }
        }
        Err(StoreError::Unavailable(format!("the execution {id} does not stand still")))
    }

    /// Asks the machine what would come of the request.
    fn look(&self, stored: StoredExecution, by: UnwoundBy, reason: &str) -> Looked {
        // No expression is evaluated here: what the steps put out need not be read back.
        let mut execution: Execution = match Rebuilder::new(self).execution(&stored) {
            Ok(execution) => execution,
            Err(why) => return Looked::Otherwise(Asked::Unusable(why)),
        };
        let status = stored.status;
        if execution.recorded_saga().is_none() {
            return Looked::Otherwise(Asked::NoSaga);
        }
        match status {
            ExecutionStatus::Compensating => return Looked::Otherwise(Asked::Requested),
            ExecutionStatus::Failed
            | ExecutionStatus::Cancelled
            | ExecutionStatus::TimedOut
            | ExecutionStatus::Compensated => {
                return Looked::Otherwise(Asked::Ended(stored.error.map(Box::new)));
            }
            ExecutionStatus::Queued
            | ExecutionStatus::Running
            | ExecutionStatus::Waiting
            | ExecutionStatus::Completed => {}
        }
        // Nothing may begin here: whoever owns it then does what follows.
        execution.set_room(false);
        let input = Input::Unwind { by, reason: Some(reason.to_owned()) };
        if let Err(why) = execution.handle(input, self.clock().now()) {
            return Looked::Otherwise(Asked::Refused(why, status));
        }
        let cause = execution.recorded_saga().and_then(|saga| saga.cause.clone());
        // What is being stopped for another reason is undone for that one.
        let Some(cause) = cause else { return Looked::Otherwise(Asked::Requested) };
        let is_full = execution.workflow().history == History::Full;
        let is_told = is_full || self.wants_event(EventType::WorkflowCompensating.as_str());
        let told = (is_told && status == ExecutionStatus::Completed)
            .then(|| Box::new(undone_after_all(&execution, self.clock().new_id(), stored.correlation_id)));
        Looked::Undoable(cause, told)
    }
}

/// Who asks for everything to be undone.
#[derive(Clone, Copy)]
pub(crate) enum Asker {
    /// A person, whose act is audited.
    Person,
    /// The execution that started the one that is to be undone.
    Parent,
    /// The engine, once more for whoever asked before.
    Again(UnwoundBy),
}

impl Asker {
    fn recorded(self) -> UnwoundBy {
        match self {
            Self::Person => UnwoundBy::Operator,
            Self::Parent => UnwoundBy::Parent,
            Self::Again(by) => by,
        }
    }
}

/// What came of a request to undo everything.
pub(crate) enum Asked {
    Requested,
    Unknown,
    NoSaga,
    /// It had ended otherwise than completed, with this.
    Ended(Option<Box<Failure>>),
    /// The machine refuses, where the execution stands.
    Refused(Rejected, ExecutionStatus),
    Unusable(String),
}

/// What was found when an execution was looked at.
enum Looked {
    /// For this cause; with what is to be told of it at once.
    Undoable(Cause, Option<Box<NewEvent>>),
    Otherwise(Asked),
}

fn check_reason(reason: &str) -> Result<(), SagaError> {
    if reason.trim().is_empty() {
        return Err(SagaError::Reason { why: "is empty; say why, it is recorded" });
    }
    if contains_nul(&Value::from(reason)) {
        return Err(SagaError::Reason { why: "holds the character U+0000, which cannot be stored" });
    }
    Ok(())
}
