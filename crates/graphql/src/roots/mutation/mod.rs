//! What can be done.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{CancelError, StartError, StartRequest};
use serde_json::{Map, Value};

use crate::Services;
use crate::errors::{internal, store_failed};
use crate::ids::execution_id;
use crate::loaders::load;
use crate::types::Execution;

/// The longest reason for a cancellation, in characters.
const LONGEST_REASON: usize = 1000;

/// What can be done.
pub(crate) struct Mutation;

/// What can be done.
#[Object]
impl Mutation {
    /// Starts a workflow. Durable when it answers; the execution goes on whether or not anybody follows it.
    async fn start_workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to start.")] input: StartWorkflowInput,
    ) -> Result<StartWorkflowPayload> {
        let request = match input.read() {
            Ok(request) => request,
            Err(problem) => return Ok(StartWorkflowPayload::refused(vec![problem])),
        };
        match ctx.data::<Arc<dyn Services>>()?.start(request).await {
            Ok(started) => {
                let id = started.id;
                let row =
                    load(ctx, id).await?.ok_or_else(|| internal(&format_args!("execution {id} was not stored")))?;
                Ok(StartWorkflowPayload { execution: Some(row.into()), user_errors: Vec::new() })
            }
            Err(refused) => Ok(StartWorkflowPayload::refused(user_errors(&refused)?)),
        }
    }

    /// Asks an execution to end: what waits never begins, what runs is stopped. The request is durable when it answers;
    /// the end follows, and shows as the status `CANCELLED`. Asking again changes nothing.
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
            Err(refused) => {
                let code = match &refused {
                    CancelError::Unknown { .. } => UserErrorCode::UnknownExecution,
                    CancelError::Ended { .. } => UserErrorCode::AlreadyEnded,
                    CancelError::Store(error) => return Err(store_failed(error)),
                };
                vec![UserError::new(code, refused.to_string(), vec!["id".to_owned()])]
            }
        };
        Ok(CancelExecutionPayload { execution: load(ctx, id).await?.map(Execution::from), user_errors })
    }
}

/// What to start.
#[derive(InputObject)]
pub(crate) struct StartWorkflowInput {
    /// The workflow's name.
    workflow: String,
    /// Its inputs, an object; what is left out takes its default.
    inputs: Option<Value>,
    /// The same key of the same workflow is the same execution: starting again answers with the first one.
    idempotency_key: Option<String>,
}

impl StartWorkflowInput {
    fn read(self) -> Result<StartRequest, UserError> {
        let inputs = match self.inputs {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(inputs)) => inputs,
            Some(_) => {
                return Err(UserError::new(
                    UserErrorCode::InvalidInput,
                    "`inputs` must be an object: {\"name\": value}",
                    vec!["inputs".to_owned()],
                ));
            }
        };
        Ok(StartRequest::manual(self.workflow, inputs, self.idempotency_key))
    }
}

/// What came of a start.
#[derive(SimpleObject)]
pub(crate) struct StartWorkflowPayload {
    /// The execution; null when there are errors.
    execution: Option<Execution>,
    /// What the caller can mend; empty when it was started.
    user_errors: Vec<UserError>,
}

impl StartWorkflowPayload {
    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { execution: None, user_errors }
    }
}

/// What to cancel.
#[derive(InputObject)]
pub(crate) struct CancelExecutionInput {
    /// The execution's id.
    id: ID,
    /// Why, for those who read its history; at most 1000 characters.
    reason: Option<String>,
}

/// What is wrong with a reason.
fn reason_problem(reason: &str) -> Option<UserError> {
    let message = if reason.contains('\0') {
        "the reason holds the character U+0000, which cannot be stored"
    } else if reason.chars().count() > LONGEST_REASON {
        "the reason is longer than 1000 characters"
    } else {
        return None;
    };
    Some(UserError::new(UserErrorCode::InvalidInput, message, vec!["reason".to_owned()]))
}

/// What came of a request to cancel.
#[derive(SimpleObject)]
pub(crate) struct CancelExecutionPayload {
    /// The execution as it stands; it may not have ended yet.
    execution: Option<Execution>,
    /// What the caller can mend; empty when the request is recorded.
    user_errors: Vec<UserError>,
}

/// Something that the caller can mend.
#[derive(SimpleObject)]
pub(crate) struct UserError {
    /// What kind of mistake it is.
    code: UserErrorCode,
    /// What is wrong, for people.
    message: String,
    /// The way to the wrong value from `input`.
    path: Vec<String>,
    /// The line in the text that was sent, from 1; null where no text is at fault.
    line: Option<i32>,
    /// The column in the text that was sent, in characters from 1; null where no text is at fault.
    column: Option<i32>,
}

impl UserError {
    fn new(code: UserErrorCode, message: impl Into<String>, path: Vec<String>) -> Self {
        Self { code, message: message.into(), path, line: None, column: None }
    }
}

/// What kind of mistake it is.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum UserErrorCode {
    /// There is no such workflow.
    UnknownWorkflow,
    /// The workflow may not be started now.
    NotExecutable,
    /// An input is missing, unknown or of the wrong form.
    InvalidInput,
    /// The idempotency key is empty, too long, or cannot be stored.
    InvalidIdempotencyKey,
    /// The same start was recorded before, and its execution has been cleaned away.
    AlreadyRecorded,
    /// The server is stopping and takes no new work.
    ServerStopping,
    /// There is no such execution.
    UnknownExecution,
    /// The execution has ended.
    AlreadyEnded,
}

/// What the caller can mend about it; a failed store is nobody's input.
fn user_errors(refused: &StartError) -> Result<Vec<UserError>> {
    let (code, path) = match refused {
        StartError::InvalidInputs(problems) => {
            let problems = problems.iter().map(|problem| {
                let path = std::iter::once("inputs".to_owned()).chain(problem.path.iter().cloned()).collect();
                UserError::new(UserErrorCode::InvalidInput, problem.message.clone(), path)
            });
            return Ok(problems.collect());
        }
        StartError::UnknownWorkflow { .. } => (UserErrorCode::UnknownWorkflow, vec!["workflow".to_owned()]),
        StartError::NotExecutable { .. } => (UserErrorCode::NotExecutable, vec!["workflow".to_owned()]),
        StartError::AlreadyRecorded => (UserErrorCode::AlreadyRecorded, vec!["idempotencyKey".to_owned()]),
        StartError::InvalidIdempotencyKey(_) => {
            (UserErrorCode::InvalidIdempotencyKey, vec!["idempotencyKey".to_owned()])
        }
        StartError::Draining => (UserErrorCode::ServerStopping, Vec::new()),
        StartError::Store(error) => return Err(store_failed(error)),
    };
    Ok(vec![UserError::new(code, refused.to_string(), path)])
}
