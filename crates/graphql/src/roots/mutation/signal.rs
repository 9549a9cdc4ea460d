//! Sending signals to executions that wait for them.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{SignalError, SignalRequest};
use serde_json::Value;

use super::user_error::{UserError, UserErrorCode};
use crate::Services;
use crate::errors::store_failed;
use crate::ids::execution_id;

/// What executions are told.
#[derive(Default)]
pub(super) struct SignalMutations;

/// What executions are told.
#[Object]
impl SignalMutations {
    /// Sends a signal: to one execution, or to whichever waits for it under a correlation. Exactly one step takes it. It is
    /// durable when it answers, whether or not anybody waits for it yet; what nobody takes within 30 days is dropped.
    async fn signal_execution(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to send, and to whom.")] input: SignalExecutionInput,
    ) -> Result<SignalExecutionPayload> {
        let SignalExecutionInput { id, name, correlation, payload, idempotency_key } = input;
        let execution = id.as_ref().map(execution_id).transpose()?;
        let payload = payload.unwrap_or_default();
        let request = SignalRequest { name, execution, correlation, payload, idempotency_key };
        Ok(match ctx.data::<Arc<dyn Services>>()?.signal(request).await {
            Ok(sent) => SignalExecutionPayload {
                is_new: Some(sent.is_new),
                woken_executions: Some(sent.woken),
                user_errors: Vec::new(),
            },
            Err(refused) => {
                let user_errors = vec![not_sent(&refused)?];
                SignalExecutionPayload { is_new: None, woken_executions: None, user_errors }
            }
        })
    }
}

/// What to send, and to whom.
#[derive(InputObject)]
struct SignalExecutionInput {
    /// The id of the only execution that may take it. Without it, `correlation` must be given.
    id: Option<ID>,
    /// The signal's name, as in `wait: {signal: …}`; at most 255 characters.
    name: String,
    /// What tells those who wait for the same name apart, as in `wait: {correlation: …}`; at most 255 characters.
    correlation: Option<String>,
    /// What it says: any JSON, which the step that takes it puts out as `payload`.
    payload: Option<Value>,
    /// The same key of the same name is the same signal: sending it again changes nothing.
    idempotency_key: Option<String>,
}

/// What became of a signal.
#[derive(SimpleObject)]
struct SignalExecutionPayload {
    /// Whether this request made it; false when the same signal was received before; null when there are errors.
    is_new: Option<bool>,
    /// How many executions were waiting for it and look at it now; one of them takes it. With none it is kept until one
    /// waits. Null when there are errors.
    woken_executions: Option<usize>,
    /// What the caller can mend; empty when the signal is kept.
    user_errors: Vec<UserError>,
}

fn not_sent(refused: &SignalError) -> Result<UserError> {
    let (code, field) = match refused {
        SignalError::Invalid { field: "idempotencyKey", .. } => {
            (UserErrorCode::InvalidIdempotencyKey, "idempotencyKey")
        }
        SignalError::Invalid { field, .. } => (UserErrorCode::InvalidInput, *field),
        SignalError::UnknownExecution { .. } => (UserErrorCode::UnknownExecution, "id"),
        SignalError::Ended { .. } => (UserErrorCode::AlreadyEnded, "id"),
        SignalError::Store(error) => return Err(store_failed(error)),
    };
    Ok(UserError::at(field, code, refused.to_string()))
}
