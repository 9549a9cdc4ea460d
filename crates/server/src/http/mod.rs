//! GraphQL over HTTP: POST for everything, GET for queries, as the GraphQL-over-HTTP draft says.

mod multipart;
mod params;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, UPGRADE};
use actix_web::{HttpRequest, HttpResponse, web};
use async_graphql::parser::types::OperationType;
use cogwheel_access::Principal;
use cogwheel_graphql::ErrorCode;

use crate::answer::{Media, answered, method_not_allowed, refused, unauthenticated};
use crate::auth::authenticate;
use crate::files::{Parts, Refusal, RefusalCode, is_foreign, is_multipart, receive};
use crate::state::State;
use crate::work::execute;
use crate::ws;

use multipart::WithFiles;
pub(crate) use params::Params;

/// Answers any operation but subscriptions.
pub(crate) async fn post(state: web::Data<State>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    answer_post(state, request, body).await.unwrap_or_else(|refused| refused)
}

/// Answers queries, and upgrades to the WebSocket protocol.
pub(crate) async fn get(state: web::Data<State>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let is_upgrade = request
        .headers()
        .get(UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if is_upgrade {
        return ws::upgrade(state, &request, body);
    }
    answer_get(state, request).await.unwrap_or_else(|refused| refused)
}

/// Any other method on `/graphql`.
pub(crate) async fn other_method(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    if let Err(error) = authenticate(&state, &request) {
        return unauthenticated(Media::Json, error);
    }
    method_not_allowed("GET, POST", "use POST, or GET for queries")
}

/// Any other path: strangers are not told what there is.
pub(crate) async fn nothing_here(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    if let Err(error) = authenticate(&state, &request) {
        return unauthenticated(Media::Json, error);
    }
    let message = format!("there is nothing at {}; the API is at /graphql", request.path());
    refused(StatusCode::NOT_FOUND, Media::Json, ErrorCode::NotFound, message)
}

async fn answer_post(
    state: web::Data<State>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, HttpResponse> {
    let (media, principal) = admit(&state, &request)?;
    if is_multipart(request.headers()) {
        return with_files(state, &request, body, media, principal).await;
    }
    let is_json = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            media,
            ErrorCode::BadUserInput,
            "send the request as JSON with `Content-Type: application/json`, or as multipart/form-data if it has files",
        ));
    }
    let body = read_body(&state, &request, body, media).await?;
    let params = Params::from_json(&body).map_err(|why| bad_request(media, why))?;
    let response = execute(state.into_inner(), principal, params.into_request()).await;
    Ok(answered(media, &response))
}

/// A request with files, which go to their place as they come.
async fn with_files(
    state: web::Data<State>,
    request: &HttpRequest,
    body: web::Payload,
    media: Media,
    principal: Principal,
) -> Result<HttpResponse, HttpResponse> {
    let told = |refusal: Refusal| {
        let code = match refusal.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooComplex,
            status if status.is_server_error() => ErrorCode::Internal,
            _ => ErrorCode::BadUserInput,
        };
        refused(refusal.status(), media, code, refusal.message)
    };
    if is_foreign(request.headers()) {
        return Err(told(Refusal::new(RefusalCode::Foreign, "pages of other sites may not send files")));
    }
    let parts = Parts::of(request.headers()).map_err(|error| told(error.into()))?;
    let services = Arc::clone(state.schema.services());
    let (text_limit, max_files) = (state.config.body_limit, state.config.upload_max_files);
    let read = receive(&state, body, move |body| async move {
        multipart::read(services.as_ref(), parts(body), text_limit, max_files).await
    });
    let WithFiles { request, uploads } = read.await.unwrap_or_else(|| Err(Refusal::internal())).map_err(told)?;
    let response = execute(state.into_inner(), principal, request.data(uploads)).await;
    Ok(answered(media, &response))
}

async fn answer_get(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, HttpResponse> {
    let (media, principal) = admit(&state, &request)?;
    let params = Params::from_query(request.query_string()).map_err(|why| bad_request(media, why))?;
    let mut graphql = params.into_request();
    match state.schema.operation(&mut graphql) {
        Ok(OperationType::Query | OperationType::Subscription) => {}
        Ok(OperationType::Mutation) => {
            return Err(method_not_allowed("POST", "GET is for queries; send mutations with POST"));
        }
        Err(response) => return Err(answered(media, &response)),
    }
    let response = execute(state.into_inner(), principal, graphql).await;
    Ok(answered(media, &response))
}

/// How to answer, and whom.
#[expect(clippy::result_large_err, reason = "the error is the answer, moved once")]
fn admit(state: &State, request: &HttpRequest) -> Result<(Media, Principal), HttpResponse> {
    let media = Media::negotiate(request.headers());
    let principal =
        authenticate(state, request).map_err(|error| unauthenticated(media.unwrap_or(Media::Json), error))?;
    let media = media.ok_or_else(|| {
        refused(
            StatusCode::NOT_ACCEPTABLE,
            Media::Json,
            ErrorCode::BadUserInput,
            "answers are application/graphql-response+json or application/json; accept one of them",
        )
    })?;
    Ok((media, principal))
}

async fn read_body(
    state: &State,
    request: &HttpRequest,
    body: web::Payload,
    media: Media,
) -> Result<web::Bytes, HttpResponse> {
    let limit = state.config.body_limit;
    let too_large = || {
        let message = format!("the request's body is over the limit of {limit} bytes");
        refused(StatusCode::PAYLOAD_TOO_LARGE, media, ErrorCode::TooComplex, message)
    };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(state.config.request_timeout, body.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => Err(bad_request(media, format!("the request's body broke off: {error}"))),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(refused(
            StatusCode::REQUEST_TIMEOUT,
            media,
            ErrorCode::BadUserInput,
            format!(
                "the request's body took longer than the time limit of {} ms",
                state.config.request_timeout.as_millis()
            ),
        )),
    }
}

fn bad_request(media: Media, why: String) -> HttpResponse {
    refused(StatusCode::BAD_REQUEST, media, ErrorCode::BadUserInput, why)
}
