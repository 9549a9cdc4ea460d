//! Who sent a request.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use cogwheel_access::{AuthError, Principal};

use crate::state::State;

/// Finds out who sent the request by its `Authorization` header.
pub(crate) fn authenticate(state: &State, request: &HttpRequest) -> Result<Principal, AuthError> {
    let header = match request.headers().get(AUTHORIZATION).map(|value| value.to_str()) {
        None => None,
        Some(Ok(text)) => Some(text),
        Some(Err(_)) => return Err(AuthError::MalformedCredentials),
    };
    state.authenticator.authenticate(header)
}
