//! Reads what is to be asked out of a step's input.

use cogwheel_engine::Failure;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use reqwest::{Method, Url};
use serde_json::Value;

use super::expect::Expected;
use crate::input::{Fields, kind, malformed, scalar};

/// The largest answer that is taken where the step says nothing, and the most that it may say.
const DEFAULT_MAX_RESPONSE: usize = 1024 * 1024;
const MAX_MAX_RESPONSE: usize = 16 * 1024 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SAGA_ID: HeaderName = HeaderName::from_static("saga-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("correlation-id");

const CALLBACK_URL: HeaderName = HeaderName::from_static("callback-url");

const KNOWN: [&str; 9] =
    ["method", "url", "headers", "query", "body", "json", "expect", "max_response", "follow_redirects"];

/// A request and what its answer may be.
#[derive(Debug)]
pub(super) struct Call {
    /// `method`: GET, or POST with a body.
    pub(super) method: Method,
    /// `url` and `query`.
    pub(super) url: Url,
    /// `headers`, and the step's key unless nothing is changed or the author has a key.
    pub(super) headers: HeaderMap,
    /// Whether `headers` says something about the address for a later answer, if only that there is none.
    names_callback: bool,
    /// `body` as it is, or `json` as JSON.
    pub(super) body: Option<Vec<u8>>,
    /// `expect`: 2xx.
    pub(super) expected: Expected,
    /// `max_response` in bytes: 1 MiB.
    pub(super) max_response: usize,
    /// `follow_redirects`: true.
    pub(super) follows_redirects: bool,
}

impl Call {
    /// Reads the input of the step whose attempts all have the key `step_key`.
    pub(super) fn read(input: &Value, step_key: &str) -> Result<Self, Failure> {
        let fields = Fields::of(input, &KNOWN)?;
        let mut headers = headers(&fields)?;
        let body = body(&fields, &mut headers)?;
        let method = method(fields.text("method")?, body.is_some())?;
        if ![Method::GET, Method::HEAD].contains(&method) && !headers.contains_key(IDEMPOTENCY_KEY) {
            let key = HeaderValue::from_str(step_key).map_err(|_| malformed("the step's key is no header"))?;
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        Ok(Self {
            method,
            url: url(&fields)?,
            headers,
            names_callback: fields.map("headers")?.any(|(name, _)| name.eq_ignore_ascii_case(CALLBACK_URL.as_str())),
            body,
            expected: Expected::read(fields.given("expect"))?,
            max_response: max_response(fields.given("max_response"))?,
            follows_redirects: fields.flag("follow_redirects")?.unwrap_or(true),
        })
    }

    /// Tells the other side where it can answer later, unless it is only asked to show something or the author says
    /// otherwise.
    pub(super) fn may_be_answered_at(&mut self, url: &str) -> Result<(), Failure> {
        if self.names_callback || [Method::GET, Method::HEAD].contains(&self.method) {
            return Ok(());
        }
        let value = HeaderValue::from_str(url).map_err(|_| malformed("the address for a later answer is no header"))?;
        self.headers.insert(CALLBACK_URL, value);
        Ok(())
    }

    /// Tells the other side which saga the call belongs to, unless the author does.
    pub(super) fn name_saga(&mut self, saga: &str, correlation: &str) -> Result<(), Failure> {
        for (name, value) in [(SAGA_ID, saga), (CORRELATION_ID, correlation)] {
            let value = HeaderValue::from_str(value).map_err(|_| malformed("an id is no header"))?;
            self.headers.entry(name).or_insert(value);
        }
        Ok(())
    }
}

fn method(given: Option<&str>, has_body: bool) -> Result<Method, Failure> {
    let Some(given) = given else {
        return Ok(if has_body { Method::POST } else { Method::GET });
    };
    // A tunnel is no exchange.
    let method = Method::from_bytes(given.to_ascii_uppercase().as_bytes()).ok();
    method.filter(|method| *method != Method::CONNECT).ok_or_else(|| malformed(format!("`method`: `{given}` is none")))
}

fn url(fields: &Fields<'_>) -> Result<Url, Failure> {
    let given = fields.text("url")?.ok_or_else(|| malformed("`url` is missing"))?;
    let mut url = Url::parse(given).map_err(|error| malformed(format!("`url` is no address: {error}")))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(malformed(format!("`url` must begin with http:// or https://, not {}:", url.scheme())));
    }
    for (name, value) in fields.map("query")? {
        let values = match value {
            Value::Null => &[],
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let wrong = || {
                malformed(format!("`query.{name}` must be text, a number or a list of them, but is {}", kind(value)))
            };
            url.query_pairs_mut().append_pair(name, &scalar(value).ok_or_else(wrong)?);
        }
    }
    Ok(url)
}

fn headers(fields: &Fields<'_>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (given, value) in fields.map("headers")?.filter(|(_, value)| !value.is_null()) {
        let name =
            HeaderName::from_bytes(given.as_bytes()).map_err(|_| malformed(format!("`{given}` is no header")))?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            return Err(malformed(format!("`{given}` follows from the body and cannot be set")));
        }
        let text = scalar(value)
            .ok_or_else(|| malformed(format!("`headers.{given}` must be text, but is {}", kind(value))))?;
        // The value may be a secret.
        let value = HeaderValue::from_bytes(text.as_bytes())
            .map_err(|_| malformed(format!("`headers.{given}` has a line end or another control character in it")))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn body(fields: &Fields<'_>, headers: &mut HeaderMap) -> Result<Option<Vec<u8>>, Failure> {
    let (body, content_type) = match (fields.text("body")?, fields.value("json")) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(malformed("only one of `body` and `json` can be sent")),
        (Some(body), None) => (body.as_bytes().to_vec(), "text/plain; charset=utf-8"),
        (None, Some(json)) => (json.to_string().into_bytes(), "application/json"),
    };
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
    Ok(Some(body))
}

fn max_response(given: Option<&Value>) -> Result<usize, Failure> {
    let Some(given) = given else { return Ok(DEFAULT_MAX_RESPONSE) };
    let bytes = match given {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => size(text),
        _ => None,
    };
    let bytes =
        bytes.ok_or_else(|| malformed(format!("`max_response`: {given} is no size, such as 4096 or `10MiB`")))?;
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_MAX_RESPONSE);
    bytes.ok_or_else(|| malformed("`max_response` can be 16MiB at most"))
}

/// A whole number with its unit, in bytes.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len()));
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok().map(|number| number.saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use cogwheel_engine::FailureKind;
    use serde_json::json;

    use super::*;

    fn read(input: &Value) -> Call {
        Call::read(input, "key/1").unwrap()
    }

    #[test]
    fn the_method_follows_the_body_and_changes_carry_the_step_key() {
        let url = "http://localhost/a";
        let get = read(&json!({"url": url}));
        assert_eq!((get.method, get.body), (Method::GET, None));
        assert!(get.headers.is_empty() && get.follows_redirects && get.max_response == 1024 * 1024);
        let post = read(&json!({"url": url, "json": null}));
        assert_eq!((post.method, post.body), (Method::POST, Some(b"null".to_vec())));
        assert_eq!(post.headers["content-type"], "application/json");
        assert_eq!(post.headers["idempotency-key"], "key/1");
        let put = json!({"url": url, "method": "put", "body": "x", "headers": {"IDEMPOTENCY-KEY": "mine", "Content-Type": "a/b"}});
        let put = read(&put);
        assert_eq!((put.method, put.headers["idempotency-key"].as_bytes()), (Method::PUT, &b"mine"[..]));
        assert_eq!(put.headers["content-type"], "a/b");
        assert!(read(&json!({"url": url, "method": "HEAD"})).headers.is_empty());
    }

    #[test]
    fn whoever_changes_something_may_answer_later_unless_the_author_says_otherwise() {
        let asked = |input: Value| {
            let mut call = read(&input);
            call.may_be_answered_at("https://here/callbacks/t").unwrap();
            call.headers.get("callback-url").map(|value| value.to_str().unwrap().to_owned())
        };
        let url = "http://localhost/a";
        assert_eq!(asked(json!({"url": url, "json": 1})).as_deref(), Some("https://here/callbacks/t"));
        assert_eq!(asked(json!({"url": url, "json": 1, "headers": {"callback-URL": "mine"}})).as_deref(), Some("mine"));
        assert_eq!(asked(json!({"url": url, "json": 1, "headers": {"Callback-Url": null}})), None);
        assert_eq!(asked(json!({"url": url})), None, "it only asks to be shown something");
    }

    #[test]
    fn calls_of_sagas_name_them() {
        let mut call = read(&json!({"url": "http://localhost/a", "headers": {"Correlation-Id": "mine"}}));
        call.name_saga("saga", "other").unwrap();
        assert_eq!(
            (call.headers["saga-id"].as_bytes(), call.headers["correlation-id"].as_bytes()),
            (&b"saga"[..], &b"mine"[..])
        );
    }

    #[test]
    fn the_query_is_added_to_the_address() {
        let call = read(
            &json!({"url": "https://localhost/a?b=1", "query": {"c d": "ä&", "n": 2, "l": [1, true], "none": null}}),
        );
        assert_eq!(call.url.as_str(), "https://localhost/a?b=1&c+d=%C3%A4%26&l=1&l=true&n=2");
    }

    #[test]
    fn sizes_are_numbers_or_have_units() {
        for (given, bytes) in
            [(json!(10), 10), (json!("10"), 10), (json!("4 KiB"), 4096), (json!("16MiB"), MAX_MAX_RESPONSE)]
        {
            assert_eq!(max_response(Some(&given)).unwrap(), bytes);
        }
        for given in [json!("17MiB"), json!(-1), json!("1.5MiB"), json!("ten"), json!("99999999999GiB"), json!(true)] {
            assert!(max_response(Some(&given)).is_err(), "{given}");
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        let cases = [
            (json!({}), "`url` is missing"),
            (json!({"url": "nowhere"}), "`url` is no address"),
            (json!({"url": "ftp://a/b"}), "not ftp:"),
            (json!({"url": "http://a", "method": "GET IT"}), "`method`"),
            (json!({"url": "http://a", "method": "connect"}), "`method`"),
            (json!({"url": "http://a", "body": "x", "json": 1}), "only one of"),
            (json!({"url": "http://a", "body": {"x": 1}}), "`body` must be text"),
            (json!({"url": "http://a", "timeout": "1s"}), "`timeout` is unknown"),
            (json!({"url": "http://a", "headers": {"a b": "c"}}), "`a b` is no header"),
            (json!({"url": "http://a", "headers": {"a": "b\r\nc: d"}}), "`headers.a` has a line end"),
            (json!({"url": "http://a", "headers": {"a": ["b"]}}), "`headers.a` must be text"),
            (json!({"url": "http://a", "headers": {"Content-Length": 5}}), "cannot be set"),
            (json!({"url": "http://a", "query": {"a": {"b": 1}}}), "`query.a`"),
            (json!({"url": "http://a", "expect": "fine"}), "`expect`"),
            (json!({"url": "http://a", "follow_redirects": "no"}), "`follow_redirects`"),
        ];
        for (input, part) in cases {
            let failure = Call::read(&input, "key").unwrap_err();
            assert!(failure.title.contains(part), "{input}: {}", failure.title);
            assert!(failure.kind == FailureKind::Input && !failure.retriable);
        }
    }
}
