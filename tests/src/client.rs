//! GraphQL and plain HTTP, as a client sees them.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::{Subscription, until};

/// A client of one server with one credential.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    address: String,
    key: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `www-authenticate`, if it is there.
    pub challenge: Option<String>,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it was sent.
    pub text: String,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

impl Client {
    pub(crate) fn new(address: &str, key: Option<&str>) -> Self {
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_mins(1))).build();
        Self { agent: config.into(), address: address.to_owned(), key: key.map(str::to_owned) }
    }

    /// The same server with another credential.
    #[must_use]
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self.clone() }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The credential.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// `GET`s a path.
    pub fn get(&self, path: &str) -> Answer {
        let mut request = self.agent.get(format!("http://{}{path}", self.address));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        answer(request.call())
    }

    /// Sends a request of another kind, without the key.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(self.agent.run(request.body(body).expect("a request")))
    }

    /// Asks over GraphQL; the answer as HTTP gives it.
    pub fn post(&self, query: &str, variables: &Value) -> Answer {
        let mut request = self.agent.post(format!("http://{}/graphql", self.address));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        answer(request.send_json(json!({"query": query, "variables": variables})))
    }

    /// Asks over GraphQL.
    ///
    /// # Panics
    ///
    /// When anything but data comes back.
    pub fn ask(&self, query: &str, variables: &Value) -> Value {
        let mut body = self.post(query, variables).json();
        assert!(body["errors"].is_null(), "{query}: {body:#}");
        body["data"].take()
    }

    /// Asks until `found` finds what it looks for.
    pub fn ask_until<T>(
        &self,
        what: &str,
        query: &str,
        variables: &Value,
        mut found: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let mut last = Value::Null;
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(what, || {
                last = self.ask(query, variables);
                found(&last)
            })
        }));
        asked.unwrap_or_else(|_| panic!("{what} did not come; the last answer was {last:#}"))
    }

    /// Opens a subscription over WebSocket.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub fn subscribe(&self, query: &str, variables: &Value) -> Subscription {
        Subscription::open(self, query, variables).unwrap_or_else(|refused| panic!("{query}: {refused}"))
    }

    /// Opens a subscription over WebSocket, or tells how it was refused.
    pub fn try_subscribe(&self, query: &str) -> Result<Subscription, String> {
        Subscription::open(self, query, &Value::Null)
    }
}

fn answer(sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = sent.expect("the server answers");
    let challenge = response.headers().get("www-authenticate").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text_of = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text_of(value))).collect();
    let text = response.body_mut().with_config().limit(128 << 20).read_to_string().expect("the body is text");
    Answer { status: response.status().as_u16(), challenge, headers, text }
}
