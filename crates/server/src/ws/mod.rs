//! GraphQL over WebSocket: the sub-protocol `graphql-transport-ws`, and no other.

mod connection;
mod operation;
mod protocol;

use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use actix_web::{HttpRequest, HttpResponse, web};
use cogwheel_access::AuthError;
use cogwheel_graphql::ErrorCode;

use crate::answer::{Media, refused, unauthenticated};
use crate::auth::authenticate;
use crate::state::State;

use connection::Connection;

const PROTOCOL: &str = "graphql-transport-ws";

/// Opens a WebSocket. Credentials may come with the upgrade or with the first message.
pub(crate) fn upgrade(state: web::Data<State>, request: &HttpRequest, body: web::Payload) -> HttpResponse {
    if !is_same_origin(request) {
        let message = "pages of other hosts may not open this WebSocket";
        return refused(StatusCode::FORBIDDEN, Media::Json, ErrorCode::BadUserInput, message);
    }
    if !offers_protocol(request) {
        let message =
            "this WebSocket speaks the sub-protocol graphql-transport-ws only; offer it in Sec-WebSocket-Protocol";
        return refused(StatusCode::BAD_REQUEST, Media::Json, ErrorCode::BadUserInput, message);
    }
    let principal = match authenticate(&state, request) {
        Ok(principal) => Some(principal),
        Err(AuthError::MissingCredentials) => None,
        Err(error) => return unauthenticated(Media::Json, error),
    };
    match actix_ws::handle_with_protocols(request, body, &[PROTOCOL]) {
        Ok((response, session, messages)) => {
            let limit = state.config.body_limit;
            let messages = messages.max_frame_size(limit).aggregate_continuations().max_continuation_size(limit);
            actix_web::rt::spawn(Connection::new(state.into_inner(), session, principal).run(messages));
            response
        }
        Err(error) => refused(
            StatusCode::BAD_REQUEST,
            Media::Json,
            ErrorCode::BadUserInput,
            format!("the WebSocket handshake is not complete: {error}"),
        ),
    }
}

/// Whether the request comes from a page of this very host, or from no page at all.
fn is_same_origin(request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else { return true };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

fn offers_protocol(request: &HttpRequest) -> bool {
    let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).filter_map(|value| value.to_str().ok());
    offers.flat_map(|value| value.split(',')).any(|offer| offer.trim() == PROTOCOL)
}
