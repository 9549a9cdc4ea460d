//! Errors as clients see them: a code to act on, a message for people, no internals.

use std::fmt::Display;

use async_graphql::{Error, ErrorExtensionValues, Pos, Response, ServerError, Value};
use cogwheel_engine::ports::StoreError;
use tracing::error;
use uuid::Uuid;

/// What kind of error it is; `extensions.code` of a GraphQL error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request carries no valid credentials.
    Unauthenticated,
    /// What was named does not exist.
    NotFound,
    /// The request is malformed; sending it again will not help.
    BadUserInput,
    /// The request is over a limit that its message names.
    TooComplex,
    /// The server failed; its log has the details under the error's id.
    Internal,
}

impl ErrorCode {
    /// The word that clients read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::NotFound => "NOT_FOUND",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::TooComplex => "TOO_COMPLEX",
            Self::Internal => "INTERNAL",
        }
    }
}

/// An answer to a request that was not executed.
pub fn refusal(code: ErrorCode, message: impl Into<String>) -> Response {
    let mut error = ServerError::new(message, None);
    set_code(&mut error, code);
    Response::from_errors(vec![error])
}

/// The answer to a request that failed for reasons of ours: the cause goes to the log, its id to the client.
pub fn failure(cause: &dyn Display) -> Response {
    Response::from_errors(vec![internal(cause).into_server_error(Pos::default())])
}

/// Whether the answer says that nothing was executed: its errors belong to the request, not to a field.
pub fn is_refused(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// The client's mistake.
pub(crate) fn bad_input(message: impl Into<String>) -> Error {
    coded(ErrorCode::BadUserInput, message)
}

/// What was named does not exist.
pub(crate) fn not_found(message: impl Into<String>) -> Error {
    coded(ErrorCode::NotFound, message)
}

/// The answer would be too large.
pub(crate) fn too_complex(message: impl Into<String>) -> Error {
    coded(ErrorCode::TooComplex, message)
}

/// Gives the errors of the GraphQL library, which are all about the request itself, a code.
pub(crate) fn complete(mut response: Response) -> Response {
    for error in &mut response.errors {
        let has_code = error.extensions.as_ref().is_some_and(|values| values.get("code").is_some());
        if !has_code {
            set_code(error, ErrorCode::BadUserInput);
        }
    }
    response
}

/// A failed read, already logged; many fields may share it.
#[derive(Clone, Debug)]
pub(crate) struct ReadFailed {
    id: Uuid,
    is_transient: bool,
}

impl ReadFailed {
    /// Logs the cause once and keeps only what the client may see.
    pub(crate) fn log(cause: &StoreError) -> Self {
        let id = Uuid::now_v7();
        error!(error_id = %id, error = %cause, "an API read failed");
        Self { id, is_transient: cause.is_transient() }
    }
}

impl From<ReadFailed> for Error {
    fn from(failed: ReadFailed) -> Self {
        let id = failed.id;
        internal_with_id(
            id,
            if failed.is_transient {
                format!("the database is unavailable; try again later (error {id} in the server's log)")
            } else {
                internal_message(id)
            },
        )
    }
}

/// A store failure outside the loaders.
pub(crate) fn store_failed(cause: &StoreError) -> Error {
    ReadFailed::log(cause).into()
}

/// A failure that only the operators can look into.
pub(crate) fn internal(cause: &dyn Display) -> Error {
    let id = Uuid::now_v7();
    error!(error_id = %id, error = %cause, "an API request failed");
    internal_with_id(id, internal_message(id))
}

fn internal_message(id: Uuid) -> String {
    format!("internal error; the server's log has the details under error {id}")
}

fn internal_with_id(id: Uuid, message: String) -> Error {
    let mut error = coded(ErrorCode::Internal, message);
    error.extensions.get_or_insert_default().set("errorId", id.to_string());
    error
}

fn coded(code: ErrorCode, message: impl Into<String>) -> Error {
    let mut error = Error::new(message);
    error.extensions.get_or_insert_default().set("code", code.as_str());
    error
}

fn set_code(error: &mut ServerError, code: ErrorCode) {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code.as_str());
}
