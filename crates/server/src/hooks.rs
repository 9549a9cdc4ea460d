//! Inbound webhooks over HTTP: `/hooks/<tenant>/<path>`. Who may call is decided by the call's signature.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use cogwheel_engine::{Call, CallAnswer, CallError, Hook, Reply, StartError};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use crate::state::State;

/// How long a sender waits before it calls again where the server cannot take the call for now, in seconds.
const RETRY_SECONDS: &str = "5";

/// Takes a call in.
pub(crate) async fn receive(
    state: web::Data<State>,
    place: web::Path<(String, String)>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let (tenant, path) = place.into_inner();
    let services = Arc::clone(state.schema.services());
    let Some(hook) = services.hook(&tenant, &path) else {
        return refused(StatusCode::NOT_FOUND, "unknown", "there is no webhook at this address");
    };
    match read(&state, &hook, path, &request, body).await {
        Ok(call) => {
            // The execution goes on, and a reply is waited for, on the engine's runtime.
            let task = state.runtime.spawn(async move { services.receive(&hook, call).await });
            match AbortOnDropHandle::new(task).await {
                Ok(Ok(answer)) => answered(answer),
                Ok(Err(refusal)) => not_taken(&refusal),
                Err(failed) => {
                    error!(error = %failed, "a call of a webhook failed");
                    refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
                }
            }
        }
        Err(refusal) => {
            services.refuse_call(&hook);
            refusal
        }
    }
}

async fn read(
    state: &State,
    hook: &Hook,
    path: String,
    request: &HttpRequest,
    body: web::Payload,
) -> Result<Call, HttpResponse> {
    let method = request.method().as_str().to_owned();
    if !hook.methods().iter().any(|known| known.as_str() == method) {
        let known: Vec<&str> = hook.methods().iter().map(|method| method.as_str()).collect();
        let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, "method", "this webhook takes other methods");
        if let Ok(known) = HeaderValue::from_str(&known.join(", ")) {
            answer.headers_mut().insert(ALLOW, known);
        }
        return Err(answer);
    }
    let body = read_body(state, hook.max_body(), request, body).await?;
    Ok(Call { method, path, query: request.query_string().to_owned(), headers: headers(request), body })
}

/// Values after one another where a header is there more than once, as HTTP allows; those that are no text are left out.
fn headers(request: &HttpRequest) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (name, value) in request.headers() {
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else { continue };
        if let Some(place) = places.get(name.as_str()) {
            let known = &mut headers[*place].1;
            known.push_str(", ");
            known.push_str(value);
        } else {
            places.insert(name.as_str(), headers.len());
            headers.push((name.as_str().to_owned(), value.to_owned()));
        }
    }
    headers
}

/// The whole body, unless it is larger than the limit or takes too long.
pub(crate) async fn read_body(
    state: &State,
    limit: u64,
    request: &HttpRequest,
    body: web::Payload,
) -> Result<Vec<u8>, HttpResponse> {
    let too_large = || {
        let message = format!("the body is larger than {limit} bytes");
        refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message)
    };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    match tokio::time::timeout(state.config.request_timeout, body.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(body))) => Ok(body.to_vec()),
        Ok(Ok(Err(_))) => Err(refused(StatusCode::BAD_REQUEST, "body", "the body broke off")),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, "body", "the body took too long")),
    }
}

fn answered(answer: CallAnswer) -> HttpResponse {
    match answer {
        CallAnswer::Accepted(started) => {
            let body = json!({ "executionId": started.id.to_string(), "isNew": started.is_new });
            HttpResponse::Accepted().json(body)
        }
        CallAnswer::Replied(execution, reply) => replied(&execution.to_string(), reply),
    }
}

fn replied(execution: &str, reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response: HttpResponseBuilder = HttpResponse::build(status);
    response.insert_header(("cogwheel-execution-id", execution));
    for (name, value) in reply.headers {
        // What is no header is left out: the workflow's author sees it in the result.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.insert_header((name, value));
        }
    }
    match reply.body {
        Value::Null => response.finish(),
        Value::String(text) => {
            let mut response = response.body(text);
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            if !response.headers().contains_key(CONTENT_TYPE) {
                response.headers_mut().insert(CONTENT_TYPE, plain);
            }
            response
        }
        body => response.json(body),
    }
}

fn not_taken(refusal: &CallError) -> HttpResponse {
    let message = refusal.to_string();
    match refusal {
        CallError::NotVerified(_) => refused(StatusCode::UNAUTHORIZED, "not_verified", &message),
        CallError::Invalid(_) | CallError::Start(StartError::InvalidIdempotencyKey(_)) => {
            refused(StatusCode::BAD_REQUEST, "invalid", &message)
        }
        CallError::Start(StartError::InvalidInputs(_)) => refused(StatusCode::BAD_REQUEST, "invalid_input", &message),
        CallError::Start(StartError::NotExecutable { .. }) => {
            refused(StatusCode::UNPROCESSABLE_ENTITY, "not_executable", &message)
        }
        CallError::Start(StartError::UnknownWorkflow { .. }) => {
            refused(StatusCode::NOT_FOUND, "unknown", "there is no webhook at this address")
        }
        // It ran once, and that is all a sender wants to know.
        CallError::Start(StartError::AlreadyRecorded) => HttpResponse::Accepted().json(json!({ "isNew": false })),
        CallError::Start(StartError::Draining) => not_now("the server is stopping; try again later"),
        CallError::NotReady => not_now(&message),
        CallError::Start(StartError::Store(error)) if error.is_transient() => {
            not_now("the database is unavailable; try again later")
        }
        CallError::Start(StartError::Store(failed)) => {
            error!(error = %failed, "a call of a webhook could not be recorded");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
        }
    }
}

pub(crate) fn not_now(message: &str) -> HttpResponse {
    let mut answer = refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    answer
}

pub(crate) fn refused(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": { "code": code, "message": message } }))
}
