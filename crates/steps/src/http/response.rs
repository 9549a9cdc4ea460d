//! Makes a step's outcome of an answer.

use std::time::Duration;

use cogwheel_engine::{Failure, FailureKind, Outcome};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::expect::Expected;
use crate::text;

/// How much of a body that was not expected goes into the failure's detail, in bytes.
const MAX_DETAIL: usize = 2 * 1024;

/// As much of a body as was taken.
pub(super) struct Body {
    bytes: Vec<u8>,
    /// The limit, where the body is larger.
    cut_at: Option<usize>,
}

/// Reads the body, or the first `limit` bytes of a larger one.
pub(super) async fn read_body(response: &mut Response, limit: usize) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limit - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Body { bytes, cut_at: Some(limit) });
        }
    }
    Ok(Body { bytes, cut_at: None })
}

/// What the answer means for a step that expects these statuses.
pub(super) fn outcome(response: &Response, body: &Body, expected: &Expected, took: Duration) -> Outcome {
    let status = response.status();
    let (body_value, problem) = match value(response.headers(), body) {
        Ok(value) => (value, None),
        Err(failure) => (Value::Null, Some(failure)),
    };
    let output = json!({
        "status": status.as_u16(),
        "headers": headers(response.headers()),
        "body": body_value,
        "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "url": response.url().as_str(),
    });
    let unexpected = (!expected.has(status.as_u16())).then(|| unexpected(status, body));
    match unexpected.or(problem) {
        None => Outcome::Completed { output },
        Some(failure) => Outcome::Failed { failure, output: Some(output) },
    }
}

fn unexpected(status: StatusCode, body: &Body) -> Failure {
    let title = format!("the answer's status is {status}");
    let may_pass = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
    let failure = if may_pass {
        Failure::retriable(FailureKind::Http, title)
    } else {
        Failure::permanent(FailureKind::Http, title)
    };
    let failure = failure.with_code(status.as_u16());
    let head = text::readable(&body.bytes[..text::cut(&body.bytes, MAX_DETAIL)]);
    if head.is_empty() { failure } else { failure.with_detail(head) }
}

/// The body as JSON where its type says so, else as text; an empty JSON is null.
fn value(headers: &HeaderMap, body: &Body) -> Result<Value, Failure> {
    let wrong = |title: String| Failure::permanent(FailureKind::Output, title);
    if let Some(limit) = body.cut_at {
        return Err(wrong(format!("the answer is larger than {limit} bytes")));
    }
    if !is_json(headers) {
        return Ok(Value::String(text::readable(&body.bytes)));
    }
    if body.bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body.bytes)
        .map_err(|error| wrong(format!("the answer is said to be JSON, but is not: {error}")))
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

/// The headers by their names in lower case; what is repeated is one value.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    headers
        .keys()
        .map(|name| {
            let values = headers.get_all(name).iter().map(|value| text::readable(value.as_bytes()));
            (name.as_str().to_owned(), Value::String(values.collect::<Vec<_>>().join(", ")))
        })
        .collect()
}
