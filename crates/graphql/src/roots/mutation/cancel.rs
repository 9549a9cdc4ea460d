//! Ending executions.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::CancelError;

use super::user_error::{UserError, UserErrorCode};
use crate::Services;
use crate::errors::store_failed;
use crate::ids::execution_id;
use crate::loaders::load;
use crate::types::Execution;

/// The longest reason for a cancellation, in characters.
const LONGEST_REASON: usize = 1000;

/// What ends executions.
#[derive(Default)]
pub(super) struct CancelMutations;

/// What ends executions.
#[Object]
impl CancelMutations {
    /// Asks an execution to end: what waits never begins, what runs is stopped, what a saga did is undone,
    /// then the workflow's `on_failure` and `finally` run. The request is durable when it answers; the end follows, and shows as the status `CANCELLED`.
    /// Asking again stops what runs after the workflow's steps.
    async fn cancel_execution(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to cancel.")] input: CancelExecutionInput,
    ) -> Result<CancelExecutionPayload> {
        let id = execution_id(&input.id)?;
        if let Some(problem) = input.reason.as_deref().and_then(reason_problem) {
            return Ok(CancelExecutionPayload { execution: None, user_errors: vec![problem] });
        }
        let user_errors = match ctx.data::<Arc<dyn Services>>()?.cancel(id, input.reason).await {
            Ok(()) => Vec::new(),
            Err(refused) => vec![not_cancelled(&refused)?],
        };
        Ok(CancelExecutionPayload { execution: load(ctx, id).await?.map(Execution::from), user_errors })
    }
}

/// What to cancel.
#[derive(InputObject)]
struct CancelExecutionInput {
    /// The execution's id.
    id: ID,
    /// Why, for those who read its history; at most 1000 characters.
    reason: Option<String>,
}

/// What came of a request to cancel.
#[derive(SimpleObject)]
struct CancelExecutionPayload {
    /// The execution as it stands; it may not have ended yet.
    execution: Option<Execution>,
    /// What the caller can mend; empty when the request is recorded.
    user_errors: Vec<UserError>,
}

/// What is wrong with a reason.
pub(super) fn reason_problem(reason: &str) -> Option<UserError> {
    let message = if reason.contains('\0') {
        "the reason holds the character U+0000, which cannot be stored"
    } else if reason.chars().count() > LONGEST_REASON {
        "the reason is longer than 1000 characters"
    } else {
        return None;
    };
    Some(UserError::at("reason", UserErrorCode::InvalidInput, message))
}

fn not_cancelled(refused: &CancelError) -> Result<UserError> {
    let code = match refused {
        CancelError::Unknown { .. } => UserErrorCode::UnknownExecution,
        CancelError::Ended { .. } => UserErrorCode::AlreadyEnded,
        CancelError::Store(error) => return Err(store_failed(error)),
    };
    Ok(UserError::at("id", code, refused.to_string()))
}
