//! Undoing what executions did, and deciding about undos that failed.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{ExecutionId, SagaError};

use super::cancel::reason_problem;
use super::user_error::{UserError, UserErrorCode};
use crate::Services;
use crate::errors::store_failed;
use crate::ids::execution_id;
use crate::loaders::{SagaOf, load};
use crate::types::{CompensationDecision, Saga};

/// What operators do with sagas.
#[derive(Default)]
pub(super) struct SagaMutations;

/// What operators do with sagas.
#[Object]
impl SagaMutations {
    /// Asks for everything that an execution did to be undone: of a saga whose steps run, which are stopped first, or of
    /// one that has completed. The request is durable when it answers, and in the audit log; what follows follows.
    async fn compensate_saga(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to undo.")] input: CompensateSagaInput,
    ) -> Result<SagaPayload> {
        let id = execution_id(&input.id)?;
        if let Some(problem) = reason_problem(&input.reason) {
            return payload(ctx, id, vec![problem]).await;
        }
        let done = services(ctx)?.compensate(id, input.reason).await;
        answer(ctx, id, done).await
    }

    /// Cancels a saga: what runs is stopped, and what was done is undone, with the cause `CANCELLED`.
    async fn cancel_saga(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to cancel.")] input: CancelSagaInput,
    ) -> Result<SagaPayload> {
        let id = execution_id(&input.id)?;
        if let Some(problem) = reason_problem(&input.reason) {
            return payload(ctx, id, vec![problem]).await;
        }
        let done = services(ctx)?.cancel_saga(id, input.reason).await;
        answer(ctx, id, done).await
    }

    /// Decides what becomes of an undo that has failed: it is tried again, given up, or counts as done. Only of a saga
    /// that waits for it (`on_undo_failure: pause`). The decision is durable when it answers, and in the audit log.
    async fn resolve_compensation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to decide about what.")] input: ResolveCompensationInput,
    ) -> Result<SagaPayload> {
        let id = execution_id(&input.id)?;
        if let Some(problem) = reason_problem(&input.reason) {
            return payload(ctx, id, vec![problem]).await;
        }
        let decision = input.decision.into();
        let done = services(ctx)?.decide_undo(id, input.step_key, decision, input.reason).await;
        answer(ctx, id, done).await
    }
}

/// What to undo.
#[derive(InputObject)]
struct CompensateSagaInput {
    /// The execution's id.
    id: ID,
    /// Why, for those who read its history; at most 1000 characters.
    reason: String,
}

/// What to cancel.
#[derive(InputObject)]
struct CancelSagaInput {
    /// The execution's id.
    id: ID,
    /// Why, for those who read its history; at most 1000 characters.
    reason: String,
}

/// What to decide about which undo.
#[derive(InputObject)]
struct ResolveCompensationInput {
    /// The execution's id.
    id: ID,
    /// The key of the step that is undone, as `compensations` of the saga shows it.
    step_key: String,
    /// What becomes of its undo.
    decision: CompensationDecision,
    /// Why, for those who read its history; at most 1000 characters.
    reason: String,
}

/// What came of what was asked of a saga.
#[derive(SimpleObject)]
struct SagaPayload {
    /// The saga as it stands; what was asked may not have been done yet.
    saga: Option<Saga>,
    /// What the caller can mend; empty when the request is recorded.
    user_errors: Vec<UserError>,
}

fn services<'c>(ctx: &'c Context<'_>) -> Result<&'c Arc<dyn Services>> {
    ctx.data::<Arc<dyn Services>>()
}

async fn answer(ctx: &Context<'_>, id: ExecutionId, done: Result<(), SagaError>) -> Result<SagaPayload> {
    let user_errors = match done {
        Ok(()) => Vec::new(),
        Err(refused) => vec![not_done(&refused)?],
    };
    payload(ctx, id, user_errors).await
}

async fn payload(ctx: &Context<'_>, id: ExecutionId, user_errors: Vec<UserError>) -> Result<SagaPayload> {
    Ok(SagaPayload { saga: load(ctx, SagaOf(id)).await?.map(Saga::from), user_errors })
}

fn not_done(refused: &SagaError) -> Result<UserError> {
    let (field, code) = match refused {
        SagaError::Unknown { .. } => ("id", UserErrorCode::UnknownExecution),
        SagaError::NoSaga => ("id", UserErrorCode::NotASaga),
        SagaError::Refused { .. } => ("id", UserErrorCode::NotUndoable),
        SagaError::Ended { .. } => ("id", UserErrorCode::AlreadyEnded),
        SagaError::NotPaused => ("id", UserErrorCode::NothingToDecide),
        SagaError::NoSuchUndo { .. } => ("stepKey", UserErrorCode::UnknownStep),
        SagaError::NotFailed { .. } => ("stepKey", UserErrorCode::NothingToDecide),
        SagaError::Reason { .. } => ("reason", UserErrorCode::InvalidInput),
        SagaError::Unusable { .. } => ("id", UserErrorCode::UnusableRecord),
        SagaError::Store(error) => return Err(store_failed(error)),
    };
    Ok(UserError::at(field, code, refused.to_string()))
}
