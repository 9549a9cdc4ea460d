//! What callers can mend, as they are told of it.

use async_graphql::{Enum, Result, SimpleObject};
use cogwheel_engine::StartError;
use serde_json::{Map, Value};

use crate::errors::store_failed;

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
    /// A mistake in one field of the input.
    pub(super) fn at(field: &str, code: UserErrorCode, message: impl Into<String>) -> Self {
        Self::new(code, message, vec![field.to_owned()])
    }

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
    /// The execution, or the delivery, has not ended yet.
    NotEnded,
    /// Every step of the execution completed: without a step to go on from, nothing is left to do.
    NothingToRetry,
    /// The execution has no step of this key.
    UnknownStep,
    /// The execution cannot be done over from this step: it never began, is part of `on_failure` or `finally`, or what it
    /// did was or can be undone.
    StepNotRetriable,
    /// No step of the execution's workflow says how it is undone.
    NotASaga,
    /// What the execution did cannot be undone as it stands.
    NotUndoable,
    /// Nobody waits for a decision about this.
    NothingToDecide,
    /// There is no such secret.
    UnknownSecret,
    /// It is needed.
    InUse,
    /// There is no such webhook.
    UnknownWebhook,
    /// There is no such delivery, or it was a test.
    UnknownDelivery,
    /// The webhook is switched off.
    WebhookDisabled,
    /// There is no such schedule, or its workflow defines it no more.
    UnknownSchedule,
    /// The range ends before it begins, or holds too much.
    InvalidRange,
    /// The file is larger than it may be.
    FileTooLarge,
    /// The file is of a type that may not be uploaded.
    FileTypeNotAllowed,
    /// The file's name cannot be used.
    InvalidFileName,
    /// The idempotency key was used for another file.
    IdempotencyKeyInUse,
    /// The server has no room for the file, or cannot keep it at the moment.
    StorageUnavailable,
    /// The record of the execution, or its definition, cannot be read by this release.
    UnusableRecord,
}

/// Reads inputs that must be an object; left out, there are none.
pub(super) fn object(inputs: Option<Value>) -> Result<Map<String, Value>, UserError> {
    match inputs {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(inputs)) => Ok(inputs),
        Some(_) => {
            let message = "`inputs` must be an object: {\"name\": value}";
            Err(UserError::at("inputs", UserErrorCode::InvalidInput, message))
        }
    }
}

/// What the caller can mend about a start; a failed store is nobody's input. `subject` is the field that tells what is to
/// be started.
pub(super) fn not_started(refused: &StartError, subject: &str) -> Result<Vec<UserError>> {
    let (code, path) = match refused {
        StartError::InvalidInputs(problems) => {
            let problems = problems.iter().map(|problem| {
                let path = std::iter::once("inputs".to_owned()).chain(problem.path.iter().cloned()).collect();
                UserError::new(UserErrorCode::InvalidInput, problem.message.clone(), path)
            });
            return Ok(problems.collect());
        }
        StartError::UnknownWorkflow { .. } => (UserErrorCode::UnknownWorkflow, vec![subject.to_owned()]),
        StartError::NotExecutable { .. } => (UserErrorCode::NotExecutable, vec![subject.to_owned()]),
        StartError::AlreadyRecorded => (UserErrorCode::AlreadyRecorded, vec!["idempotencyKey".to_owned()]),
        StartError::InvalidIdempotencyKey(_) => {
            (UserErrorCode::InvalidIdempotencyKey, vec!["idempotencyKey".to_owned()])
        }
        StartError::Draining => (UserErrorCode::ServerStopping, Vec::new()),
        StartError::Store(error) => return Err(store_failed(error)),
    };
    Ok(vec![UserError::new(code, refused.to_string(), path)])
}
