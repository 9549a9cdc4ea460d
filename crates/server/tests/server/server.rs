//! A server on a free port, and what a client says to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use cogwheel_access::{AdminKey, Authenticator, read_admin_key};
use cogwheel_server::{Server, ServerConfig, ServerError};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::fake::Fake;

/// A running server; dropping it ends it.
pub(crate) struct Running {
    pub(crate) fake: Fake,
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) agent: Agent,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServerError>>,
    runtime: Runtime,
}

/// An answer: status, headers, body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    response: Response<Body>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The code and message of the first error.
    pub(crate) fn error(&self) -> (&str, &str) {
        let error = &self.body["errors"][0];
        (error["extensions"]["code"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
    }
}

impl From<Response<Body>> for Answer {
    fn from(mut response: Response<Body>) -> Self {
        let text = response.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{text}` is no JSON: {error}"));
        Self { status: response.status().as_u16(), body, response }
    }
}

/// Settings on a free port.
pub(crate) fn config() -> ServerConfig {
    ServerConfig { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), workers: 1, ..ServerConfig::default() }
}

impl Running {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: ServerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, _) = AdminKey::load_or_create(folder.path()).unwrap();
        let authenticator = Authenticator::new(key);
        let key = read_admin_key(folder.path()).unwrap();
        let fake = Fake::with(1, 2);
        let server = Server::bind(config).unwrap();
        let address = server.address();
        let stop = CancellationToken::new();
        let runtime = Runtime::new().unwrap();
        let serving = runtime.spawn(server.serve(fake.schema(), authenticator, stop.clone()));
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Self { fake, address, key, agent, stop, serving, runtime }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// Posts a query with the key.
    pub(crate) fn ask(&self, query: &str) -> Answer {
        self.post(&json!({"query": query}).to_string(), "application/json")
    }

    /// Posts a body with the key.
    pub(crate) fn post(&self, body: &str, accept: &str) -> Answer {
        let request = self.agent.post(self.url("/graphql")).header("Authorization", self.bearer());
        request.header("Content-Type", "application/json").header("Accept", accept).send(body).unwrap().into()
    }

    /// Gets a path with the key.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.agent.get(self.url(path)).header("Authorization", self.bearer()).call().unwrap().into()
    }

    /// Tells it to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has stopped.
    pub(crate) fn wait(self) -> Result<(), ServerError> {
        let Self { serving, runtime, .. } = self;
        runtime.block_on(serving).unwrap()
    }
}
