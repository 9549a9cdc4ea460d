//! Asks a running server over its API.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use ureq::Agent;

use crate::settings::Settings;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that is asked with the admin key of the data folder.
pub(super) struct Api {
    agent: Agent,
    url: String,
    key: Option<String>,
}

impl Api {
    /// The server at `url`, or the one that the settings describe.
    ///
    /// # Errors
    ///
    /// The admin key cannot be read.
    pub(super) fn of(settings: &Settings, url: Option<String>) -> anyhow::Result<Self> {
        let url = url.unwrap_or_else(|| {
            let mut address = settings.listen;
            // One that listens everywhere is here as well.
            if address.ip().is_unspecified() {
                address.set_ip(if address.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    std::net::Ipv6Addr::LOCALHOST.into()
                });
            }
            format!("http://{address}")
        });
        let key =
            if settings.insecure_no_auth { None } else { Some(cogwheel_access::read_admin_key(&settings.data_dir)?) };
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Ok(Self { agent: config.into(), url: url.trim_end_matches('/').to_owned(), key })
    }

    /// The data of an answer.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or refuses the request.
    pub(super) fn ask(&self, query: &str, variables: &Value) -> anyhow::Result<Value> {
        let mut request = self.agent.post(format!("{}/graphql", self.url));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let answer = request.send_json(json!({ "query": query, "variables": variables }));
        let mut answer = answer.with_context(|| {
            format!("no server answers at {}; `--server` names another one, `cogwheel serve` starts one", self.url)
        })?;
        let status = answer.status();
        let mut body: Value = answer
            .body_mut()
            .read_json()
            .with_context(|| format!("the server at {} answers with {status} and no JSON", self.url))?;
        if let Some(error) = body["errors"][0]["message"].as_str() {
            bail!("{error}");
        }
        Ok(body["data"].take())
    }
}
