//! Answers as HTTP: media types, status codes, JSON bodies.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, HttpResponseBuilder};
use async_graphql::Response;
use cogwheel_access::AuthError;
use cogwheel_graphql::{ErrorCode, is_refused, refusal};
use serde_json::json;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/graphql-response+json`: the status tells whether the request was executed.
    GraphQl,
    /// `application/json`: a well-formed request is answered with 200, whatever comes of it.
    Json,
}

impl Media {
    /// What the `Accept` header asks for: the first of those it likes best; `None` if it takes neither.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let mut accept = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).peekable();
        if accept.peek().is_none() {
            return Some(Self::Json);
        }
        let mut best: Option<(f32, Self)> = None;
        for range in accept.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/graphql-response+json" => Self::GraphQl,
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse().ok()).unwrap_or(1.0);
            if quality > best.map_or(0.0, |(quality, _)| quality) {
                best = Some((quality, media));
            }
        }
        best.map(|(_, media)| media)
    }

    fn name(self) -> &'static str {
        match self {
            Self::GraphQl => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }
}

/// The answer to a request that the schema has answered.
pub(crate) fn answered(media: Media, response: &Response) -> HttpResponse {
    let status = match media {
        Media::GraphQl if is_refused(response) => status_of(response),
        Media::GraphQl | Media::Json => StatusCode::OK,
    };
    write(HttpResponse::build(status), media, response)
}

/// The answer to a request that did not reach the schema.
pub(crate) fn refused(status: StatusCode, media: Media, code: ErrorCode, message: impl Into<String>) -> HttpResponse {
    write(HttpResponse::build(status), media, &refusal(code, message))
}

/// The answer to a request without valid credentials.
pub(crate) fn unauthenticated(media: Media, error: AuthError) -> HttpResponse {
    let mut response = HttpResponse::Unauthorized();
    response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"cogwheel\""));
    write(response, media, &refusal(ErrorCode::Unauthenticated, error.to_string()))
}

/// The answer to a method that is not for this.
pub(crate) fn method_not_allowed(allow: &'static str, message: &str) -> HttpResponse {
    let mut response = HttpResponse::MethodNotAllowed();
    response.insert_header((header::ALLOW, allow));
    write(response, Media::Json, &refusal(ErrorCode::BadUserInput, message))
}

fn write(mut http: HttpResponseBuilder, media: Media, response: &Response) -> HttpResponse {
    http.insert_header((header::CONTENT_TYPE, media.name())).insert_header((header::CACHE_CONTROL, "no-store"));
    http.body(to_json(response))
}

/// The JSON of an answer. One to a request that was not executed has no `data`, as the specification asks.
pub(crate) fn to_json(response: &Response) -> String {
    let json = if is_refused(response) {
        serde_json::to_string(&json!({"errors": response.errors}))
    } else {
        serde_json::to_string(response)
    };
    json.unwrap_or_else(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        json!({"errors": [{"message": "internal error", "extensions": {"code": "INTERNAL"}}]}).to_string()
    })
}

fn status_of(response: &Response) -> StatusCode {
    let is_internal = response.errors.iter().any(|error| {
        let code = error.extensions.as_ref().and_then(|values| values.get("code"));
        code == Some(&async_graphql::Value::from(ErrorCode::Internal.as_str()))
    });
    if is_internal { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{ACCEPT, HeaderMap, HeaderValue};

    use super::*;

    fn negotiated(accept: &'static str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        Media::negotiate(&headers)
    }

    #[test]
    fn the_media_type_is_what_the_client_likes_best() {
        assert_eq!(Media::negotiate(&HeaderMap::new()), Some(Media::Json));
        for (accept, media) in [
            ("application/graphql-response+json", Some(Media::GraphQl)),
            ("application/graphql-response+json, application/json;q=0.9", Some(Media::GraphQl)),
            ("application/json, application/graphql-response+json;q=0.5", Some(Media::Json)),
            ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", Some(Media::GraphQl)),
            ("*/*", Some(Media::Json)),
            ("text/html, application/*;q=0.1", Some(Media::Json)),
            ("application/json;q=0", None),
            ("text/html", None),
        ] {
            assert_eq!(negotiated(accept), media, "{accept}");
        }
    }
}
