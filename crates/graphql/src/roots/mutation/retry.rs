//! Doing ended executions over again.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{RerunError, RetryError, RetryRequest};
use serde_json::Value;

use super::start::stored;
use super::user_error::{UserError, UserErrorCode, not_started, object};
use crate::Services;
use crate::ids::execution_id;
use crate::types::Execution;

/// What does executions over again.
#[derive(Default)]
pub(super) struct RetryMutations;

/// What does executions over again.
#[Object]
impl RetryMutations {
    /// Does an ended execution over again, as a new execution of the same version: what completed is kept, with its
    /// outputs, and the rest is done anew. Both keep their histories. Durable when it answers.
    async fn retry_execution(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do over, and from where.")] input: RetryExecutionInput,
    ) -> Result<RetryExecutionPayload> {
        let execution = execution_id(&input.id)?;
        let inputs = match object(input.inputs) {
            Ok(inputs) => inputs,
            Err(problem) => return Ok(RetryExecutionPayload::refused(vec![problem])),
        };
        let request = RetryRequest { execution, from_step: input.from_step, inputs };
        match ctx.data::<Arc<dyn Services>>()?.retry(request).await {
            Ok(started) => {
                let execution = Some(stored(ctx, started.id).await?);
                Ok(RetryExecutionPayload { execution, user_errors: Vec::new() })
            }
            Err(refused) => Ok(RetryExecutionPayload::refused(not_retried(&refused)?)),
        }
    }
}

/// What to do over, and from where.
#[derive(InputObject)]
struct RetryExecutionInput {
    /// The id of the execution that ended.
    id: ID,
    /// The key of the step to go on from: it and all that needs it are done anew, whether or not they completed. A key
    /// inside of another step stands for the outermost step around it. Left out, whatever did not complete is done anew.
    from_step: Option<String>,
    /// Inputs in place of those that it had, an object; what is left out stays as it was.
    inputs: Option<Value>,
}

/// What came of a request to do an execution over.
#[derive(SimpleObject)]
struct RetryExecutionPayload {
    /// The new execution; null when there are errors.
    execution: Option<Execution>,
    /// What the caller can mend; empty when it was started.
    user_errors: Vec<UserError>,
}

impl RetryExecutionPayload {
    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { execution: None, user_errors }
    }
}

fn not_retried(refused: &RetryError) -> Result<Vec<UserError>> {
    let (code, field) = match refused {
        RetryError::Unknown { .. } => (UserErrorCode::UnknownExecution, "id"),
        RetryError::Refused(RerunError::NotEnded) => (UserErrorCode::NotEnded, "id"),
        RetryError::Refused(RerunError::NothingFailed) => (UserErrorCode::NothingToRetry, "fromStep"),
        RetryError::Refused(RerunError::UnknownStep(_)) => (UserErrorCode::UnknownStep, "fromStep"),
        RetryError::Refused(RerunError::NotAStart(_) | RerunError::Undone) => {
            (UserErrorCode::StepNotRetriable, "fromStep")
        }
        RetryError::Refused(RerunError::Undoable(_)) => (UserErrorCode::StepNotRetriable, "id"),
        RetryError::Refused(RerunError::Unfit(_)) | RetryError::Unusable(_) => (UserErrorCode::UnusableRecord, "id"),
        RetryError::Start(refused) => return not_started(refused, "id"),
    };
    Ok(vec![UserError::at(field, code, refused.to_string())])
}
