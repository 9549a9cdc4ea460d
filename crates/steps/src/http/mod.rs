//! `http`: one HTTP exchange.

pub(crate) mod client;
mod expect;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::time::Instant;

use async_trait::async_trait;
use cogwheel_engine::ports::{StepContext, StepType};
use cogwheel_engine::{Failure, Outcome};
use serde_json::Value;

use crate::CallbackUrl;
use client::Clients;
use request::Call;

/// Input: `url`, and what [`Call`] says. Output: `status`, `headers`, `body`, `duration_ms` and the final `url`.
///
/// A status that is not expected fails the step and still leaves the outputs.
pub(crate) struct Http {
    clients: Clients,
    callback_url: CallbackUrl,
}

impl Http {
    /// Proxies of the server's environment are not used.
    pub(crate) fn new(callback_url: CallbackUrl) -> Self {
        Self { clients: Clients::default(), callback_url }
    }

    async fn exchange(&self, context: &StepContext, input: &Value) -> Result<Outcome, Failure> {
        let mut call = Call::read(input, &context.step_key)?;
        if context.is_saga {
            call.name_saga(&context.execution.to_string(), &context.correlation_id.to_string())?;
        }
        if let Some(url) = (self.callback_url)(context.execution, &context.step) {
            call.may_be_answered_at(&url)?;
        }
        let client = self.clients.get(call.follows_redirects).await?;
        let host = call.url.host_str().unwrap_or_default().to_owned();
        let broken = |error| client::failure(&host, error);

        let started = Instant::now();
        let mut request = client.request(call.method, call.url).headers(call.headers);
        if let Some(body) = call.body {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(broken)?;
        let body = response::read_body(&mut response, call.max_response).await.map_err(broken)?;
        Ok(response::outcome(&response, &body, &call.expected, started.elapsed()))
    }
}

#[async_trait]
impl StepType for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn only_computes(&self) -> bool {
        false
    }

    async fn run(&self, context: StepContext, input: Value) -> Outcome {
        // A dropped exchange closes its connection.
        tokio::select! {
            biased;
            () = context.stop.cancelled() => Outcome::Stopped,
            outcome = self.exchange(&context, &input) => {
                outcome.unwrap_or_else(|failure| Outcome::Failed { failure, output: None })
            }
        }
    }
}
