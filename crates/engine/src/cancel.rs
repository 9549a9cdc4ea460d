//! The one way an execution is cancelled.

use cogwheel_machine::{CancelRequested, ExecutionId, ExecutionStatus};

use crate::ports::{CancelAnswer, CancelRequest, StoreError};
use crate::runner::Nudge;
use crate::{Engine, TenantId};

/// Why an execution was not cancelled.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CancelError {
    /// No such execution.
    #[error("there is no execution {id}")]
    Unknown {
        /// As asked for.
        id: ExecutionId,
    },
    /// Nothing is left to cancel.
    #[error("the execution has ended {}", status.as_str())]
    Ended {
        /// How it ended.
        status: ExecutionStatus,
    },
    /// The store could not record the request.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Asks an execution to end, on somebody's word, which is written to the audit log: what waits never begins, what
    /// runs is stopped, what a saga did is undone, then the workflow's `on_failure` and `finally` run. The request is
    /// durable when it returns, so that a crash does not undo it; the end follows. Asking again stops what runs after the
    /// workflow's steps.
    pub async fn cancel(&self, execution: ExecutionId, reason: Option<String>) -> Result<(), CancelError> {
        self.request_cancel(self.tenant(), execution, reason, true).await
    }

    /// Cancels an execution on behalf of another one.
    pub(crate) async fn cancel_in(
        &self,
        tenant: TenantId,
        execution: ExecutionId,
        reason: Option<String>,
    ) -> Result<(), CancelError> {
        self.request_cancel(tenant, execution, reason, false).await
    }

    async fn request_cancel(
        &self,
        tenant: TenantId,
        execution: ExecutionId,
        reason: Option<String>,
        is_audited: bool,
    ) -> Result<(), CancelError> {
        let request = CancelRequest { tenant, execution, reason: reason.clone(), is_audited, at: self.clock().now() };
        match self.store().request_cancel(request).await? {
            CancelAnswer::Requested => {
                if !self.runner().nudge(execution, Nudge::Cancel(CancelRequested { reason })) {
                    self.runner().tell(execution).await;
                }
            }
            CancelAnswer::Ended(status) => return Err(CancelError::Ended { status }),
            CancelAnswer::Unknown => return Err(CancelError::Unknown { id: execution }),
        }
        Ok(())
    }
}
