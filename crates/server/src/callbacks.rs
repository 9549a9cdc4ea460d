//! Later answers to `http` steps: `/callbacks/<token>`. The token says which step is answered, and that its sender may.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use cogwheel_engine::{ExecutionId, SentSignal, SignalError, SignalRequest};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use crate::hooks::{not_now, read_body, refused};
use crate::state::State;

/// The largest body of an answer, in bytes.
const LARGEST_BODY: u64 = 1024 * 1024;

/// Refuses other methods.
pub(crate) async fn only_post() -> HttpResponse {
    let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, "method", "an answer is sent with POST");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    answer
}

/// Takes an answer in. One that came before, and one that comes when nobody waits any more, are accepted and change nothing.
pub(crate) async fn receive(
    state: web::Data<State>,
    token: web::Path<String>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let known = state.authenticator.callback(&token);
    let known = known.and_then(|callback| Some((callback.execution.parse().ok().map(ExecutionId)?, callback.step)));
    let Some((execution, step)) = known else {
        return refused(StatusCode::NOT_FOUND, "unknown", "nobody waits for an answer at this address");
    };
    let body = match read_body(&state, LARGEST_BODY, &request, body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let payload = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    let Ok(payload) = payload else {
        return refused(StatusCode::BAD_REQUEST, "invalid", "the body is not JSON");
    };
    let services = Arc::clone(state.schema.services());
    // Once it is read it is taken in, whether or not the sender waits.
    let answer = SignalRequest::answer(execution, &step, payload);
    let task = state.runtime.spawn(async move { services.signal(answer).await });
    match AbortOnDropHandle::new(task).await {
        Ok(Ok(SentSignal { is_new: true, .. })) => HttpResponse::Accepted().json(json!({ "isNew": true })),
        Ok(
            Ok(SentSignal { is_new: false, .. })
            | Err(SignalError::Ended { .. } | SignalError::UnknownExecution { .. }),
        ) => HttpResponse::Ok().json(json!({ "isNew": false })),
        Ok(Err(invalid @ SignalError::Invalid { .. })) => {
            refused(StatusCode::BAD_REQUEST, "invalid", &invalid.to_string())
        }
        Ok(Err(SignalError::Store(away))) if away.is_transient() => {
            not_now("the database is unavailable; try again later")
        }
        Ok(Err(SignalError::Store(failed))) => {
            error!(error = %failed, "the answer to a step could not be recorded");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
        }
        Err(failed) => {
            error!(error = %failed, "the answer to a step failed");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
        }
    }
}
