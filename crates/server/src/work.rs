//! Runs requests on the engine's runtime, within the time limit, and survives their panics.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Request, Response};
use cogwheel_access::Principal;
use cogwheel_graphql::{ErrorCode, Schema, failure, refusal};
use futures_util::FutureExt;
use tokio_util::task::AbortOnDropHandle;

use crate::state::State;

/// Answers a query or mutation. Whoever stops waiting ends it; a start that the engine has taken goes on all the same.
pub(crate) async fn execute(state: Arc<State>, principal: Principal, request: Request) -> Response {
    let (schema, limit) = (state.schema.clone(), state.config.request_timeout);
    let task = state.runtime.spawn(async move { execute_here(&schema, principal, request, limit).await });
    match AbortOnDropHandle::new(task).await {
        Ok(response) => response,
        Err(_) => refusal(ErrorCode::Internal, "the server is stopping"),
    }
}

/// The same for a caller that already is on the engine's runtime.
pub(crate) async fn execute_here(schema: &Schema, principal: Principal, request: Request, limit: Duration) -> Response {
    let answer = tokio::time::timeout(limit, schema.execute(principal, request));
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => over_time(limit),
        Err(panic) => panicked(panic.as_ref()),
    }
}

/// The answer to a request that took too long.
pub(crate) fn over_time(limit: Duration) -> Response {
    let message = format!("the request took longer than the time limit of {} ms", limit.as_millis());
    refusal(ErrorCode::TooComplex, message)
}

/// The answer to a request that brought its code down; the details go to the log.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    failure(&format_args!("panicked: {}", said.unwrap_or("for reasons unknown")))
}
