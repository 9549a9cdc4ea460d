//! Why a file is not taken or given, as HTTP tells it.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse};
use cogwheel_engine::UploadError;
use cogwheel_engine::ports::{BlobError, StoreError};
use serde_json::json;
use tracing::error;

use super::{BodyError, MultipartError};
use crate::auth::authenticate;
use crate::state::State;

/// How long a client waits before it tries again where the server cannot help for now, in seconds.
const RETRY_SECONDS: &str = "5";

/// A status with a code for programs and a message for people.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
    }

    fn not_now(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// As an answer.
    pub(crate) fn answer(&self) -> HttpResponse {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut answer = HttpResponse::build(self.status).json(body);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
        }
        answer
    }
}

impl From<UploadError> for Refusal {
    fn from(refused: UploadError) -> Self {
        let message = refused.to_string();
        let (status, code) = match refused {
            UploadError::BadName(_) => (StatusCode::BAD_REQUEST, "bad_name"),
            UploadError::InvalidIdempotencyKey(_) => (StatusCode::BAD_REQUEST, "invalid_idempotency_key"),
            UploadError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            UploadError::TypeNotAllowed { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "type_not_allowed"),
            UploadError::KeyInUse => (StatusCode::CONFLICT, "idempotency_key_in_use"),
            UploadError::NotShared => (StatusCode::SERVICE_UNAVAILABLE, "not_shared"),
            UploadError::Draining => return Self::not_now(&message),
            UploadError::Blob(error) => return error.into(),
            UploadError::Store(error) => return error.into(),
        };
        Self::new(status, code, message)
    }
}

impl From<BlobError> for Refusal {
    fn from(failed: BlobError) -> Self {
        // Where bytes are kept is for the log alone.
        error!(error = %failed, "the bytes of a file cannot be kept or read");
        match failed {
            BlobError::NoSpace { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "no_space", "the server has no room for the file")
            }
            BlobError::Unavailable { .. } => Self::not_now("the server cannot keep or read files for now"),
            _ => Self::internal(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(failed: StoreError) -> Self {
        error!(error = %failed, "a file cannot be recorded or looked up");
        if failed.is_transient() {
            Self::not_now("the database is unavailable; try again later")
        } else {
            Self::internal()
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken => Self::bad_request(error.to_string()),
            BodyError::Idle(_) | BodyError::Slow(_) => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", error.to_string())
            }
        }
    }
}

impl From<MultipartError> for Refusal {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::Body(error) => error.into(),
            malformed @ MultipartError::Malformed(_) => Self::bad_request(malformed.to_string()),
        }
    }
}

/// Whether a page of another site had a browser send this: forms may be sent anywhere without asking.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

/// Whether a request is from somebody known; the answer if not.
#[expect(clippy::result_large_err, reason = "the error is the answer, moved once")]
pub(super) fn admit(state: &State, request: &HttpRequest) -> Result<(), HttpResponse> {
    if let Err(error) = authenticate(state, request) {
        let mut answer = Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", error.to_string()).answer();
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cogwheel\""));
        return Err(answer);
    }
    if is_foreign(request.headers()) {
        let message = "pages of other sites may not send or read files";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "foreign", message).answer());
    }
    Ok(())
}

/// The answer to a method that is not for this.
pub(super) fn method_not_allowed(state: &State, request: &HttpRequest, allow: &'static str) -> HttpResponse {
    if let Err(answer) = admit(state, request) {
        return answer;
    }
    let message = format!("this address takes {allow}");
    let mut answer = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", message).answer();
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}
