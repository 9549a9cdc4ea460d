//! Why a file is not taken or given, as HTTP tells it.

use std::fmt::Write as _;

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

/// A refusal's name for programs, and its status.
macro_rules! codes {
    ($($code:ident = $word:literal, $status:ident;)+) => {
        /// Why a file is not taken or given; `docs/errors.md` explains each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum RefusalCode { $($code),+ }

        impl RefusalCode {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$code),+];

            fn as_str(self) -> &'static str {
                match self { $(Self::$code => $word),+ }
            }

            fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status),+ }
            }
        }
    };
}

codes! {
    Invalid = "invalid", BAD_REQUEST;
    BadName = "bad_name", BAD_REQUEST;
    InvalidIdempotencyKey = "invalid_idempotency_key", BAD_REQUEST;
    Unauthenticated = "unauthenticated", UNAUTHORIZED;
    Foreign = "foreign", FORBIDDEN;
    Unknown = "unknown", NOT_FOUND;
    NotStored = "not_stored", NOT_FOUND;
    Method = "method", METHOD_NOT_ALLOWED;
    Timeout = "timeout", REQUEST_TIMEOUT;
    IdempotencyKeyInUse = "idempotency_key_in_use", CONFLICT;
    TooLarge = "too_large", PAYLOAD_TOO_LARGE;
    TypeNotAllowed = "type_not_allowed", UNSUPPORTED_MEDIA_TYPE;
    Range = "range", RANGE_NOT_SATISFIABLE;
    Internal = "internal", INTERNAL_SERVER_ERROR;
    Recorded = "recorded", INTERNAL_SERVER_ERROR;
    Unavailable = "unavailable", SERVICE_UNAVAILABLE;
    NotShared = "not_shared", SERVICE_UNAVAILABLE;
    NoSpace = "no_space", INSUFFICIENT_STORAGE;
}

/// A code for programs with a message for people.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: RefusalCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(RefusalCode::Invalid, message)
    }

    pub(crate) fn internal() -> Self {
        Self::new(RefusalCode::Internal, "internal error")
    }

    /// The refusal of a file of a form of which this many are recorded by now.
    pub(super) fn behind(mut self, recorded: usize) -> Self {
        if recorded > 0 {
            let _ = write!(self.message, "; of the form's files the first {recorded} are recorded, and stay so");
        }
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// As an answer.
    pub(crate) fn answer(&self) -> HttpResponse {
        let body = json!({ "error": { "code": self.code.as_str(), "message": self.message } });
        let mut answer = HttpResponse::build(self.status()).json(body);
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
        }
        answer
    }
}

impl From<UploadError> for Refusal {
    fn from(refused: UploadError) -> Self {
        let message = refused.to_string();
        let code = match refused {
            UploadError::BadName(_) => RefusalCode::BadName,
            UploadError::InvalidField { .. } => RefusalCode::Invalid,
            UploadError::InvalidIdempotencyKey(_) => RefusalCode::InvalidIdempotencyKey,
            UploadError::TooLarge { .. } => RefusalCode::TooLarge,
            UploadError::TypeNotAllowed { .. } => RefusalCode::TypeNotAllowed,
            UploadError::KeyInUse => RefusalCode::IdempotencyKeyInUse,
            UploadError::NotShared => RefusalCode::NotShared,
            UploadError::Draining => RefusalCode::Unavailable,
            UploadError::Blob(error) => return error.into(),
            UploadError::Store(error) => return error.into(),
        };
        Self::new(code, message)
    }
}

impl From<BlobError> for Refusal {
    fn from(failed: BlobError) -> Self {
        // Where bytes are kept is for the log alone.
        error!(error = %failed, "the bytes of a file cannot be kept or read");
        match failed {
            BlobError::NoSpace { .. } => Self::new(RefusalCode::NoSpace, "the server has no room for the file"),
            BlobError::Unavailable { .. } => {
                Self::new(RefusalCode::Unavailable, "the server cannot keep or read files for now; try again later")
            }
            _ => Self::internal(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(failed: StoreError) -> Self {
        error!(error = %failed, "a file cannot be recorded or looked up");
        if failed.is_transient() {
            Self::new(RefusalCode::Unavailable, "the database is unavailable; try again later")
        } else {
            Self::internal()
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken => Self::bad_request(error.to_string()),
            BodyError::Idle(_) | BodyError::Slow(_) => Self::new(RefusalCode::Timeout, error.to_string()),
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
        let mut answer = Refusal::new(RefusalCode::Unauthenticated, error.to_string()).answer();
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cogwheel\""));
        return Err(answer);
    }
    if is_foreign(request.headers()) {
        let message = "pages of other sites may not send or read files";
        return Err(Refusal::new(RefusalCode::Foreign, message).answer());
    }
    Ok(())
}

/// The answer to a method that is not for this.
pub(super) fn method_not_allowed(state: &State, request: &HttpRequest, allow: &'static str) -> HttpResponse {
    if let Err(answer) = admit(state, request) {
        return answer;
    }
    let message = format!("this address takes {allow}");
    let mut answer = Refusal::new(RefusalCode::Method, message).answer();
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

#[cfg(test)]
mod tests {
    use super::RefusalCode;

    #[test]
    fn every_code_has_an_entry_in_the_reference() {
        let page = include_str!("../../../../docs/errors.md");
        let section = page.split("\n## Refusals of files\n").nth(1).expect("a section about them");
        for code in RefusalCode::ALL {
            let entry = format!("| {} | `{}` |", code.status().as_u16(), code.as_str());
            assert!(section.contains(&entry), "no entry that begins with {entry}");
        }
    }
}
