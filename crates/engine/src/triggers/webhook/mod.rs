//! Inbound webhooks: a call is checked, starts its workflow once, and is answered at once or with the result.

mod body;
mod counts;
mod reply;
mod signature;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cogwheel_definition::{Method, Signature, WebhookTrigger};
use cogwheel_machine::ExecutionId;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tracing::{error, warn};

use crate::secrets::{SecretError, variable};
use crate::start::{StartCause, StartError, StartRequest, StartedExecution, WorkflowRef};
use crate::{EndpointId, Engine, LoadedWorkflow};

pub(crate) use counts::{Counts, keep as keep_counts};
pub use reply::Reply;
pub(crate) use signature::{STANDARD_SECRET, standard_signature};

/// The headers that expressions do not see: they say who the caller is, not what it wants.
const HIDDEN: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// The longest id that is taken as it is into an idempotency key.
const LONGEST_MESSAGE: usize = 128;

/// An address that calls may be sent to.
#[derive(Clone, Debug)]
pub struct Hook {
    workflow: Arc<LoadedWorkflow>,
    endpoint: EndpointId,
    trigger: Arc<WebhookTrigger>,
}

impl Hook {
    /// The largest body that is taken, in bytes.
    pub fn max_body(&self) -> u64 {
        self.trigger.max_body
    }

    /// The HTTP methods that are taken.
    pub fn methods(&self) -> &[Method] {
        &self.trigger.methods
    }
}

/// A call as it came.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The HTTP method.
    pub method: String,
    /// The path below the tenant's slug.
    pub path: String,
    /// What stands behind the `?`.
    pub query: String,
    /// The headers, with names in lower case. One that is there more than once is there with its values after one another.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a call is answered with.
#[derive(Clone, Debug)]
pub enum CallAnswer {
    /// The execution is recorded and runs.
    Accepted(StartedExecution),
    /// The execution has ended, and this is what it says.
    Replied(ExecutionId, Reply),
}

/// Why a call starts nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// It is not believed.
    #[error("the call was refused: {0}")]
    NotVerified(&'static str),
    /// What it says cannot be read.
    #[error("{0}")]
    Invalid(String),
    /// The server cannot check it for now, and its log says why.
    #[error("the server cannot check the call for now; try again later")]
    NotReady,
    /// The workflow does not take it.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Engine {
    /// The address of this path, if a workflow that can be started has it. `tenant` is the tenant's slug.
    pub fn hook(&self, tenant: &str, path: &str) -> Option<Hook> {
        if tenant != crate::DEFAULT_TENANT {
            return None;
        }
        let (workflow, endpoint, trigger) = self.catalog().hook(path)?;
        workflow.is_enabled.then_some(Hook { workflow, endpoint, trigger })
    }

    /// Notes a call that was refused before it was read.
    pub fn refuse_call(&self, hook: &Hook) {
        self.calls().refused(hook.endpoint, self.clock().now());
    }

    /// Takes a call in. The execution is durable when it returns; a call that is repeated finds that of the first time.
    ///
    /// # Errors
    ///
    /// Why it starts nothing.
    pub async fn receive(self: &Arc<Self>, hook: &Hook, call: Call) -> Result<CallAnswer, CallError> {
        let received = self.receive_call(hook, call).await;
        match &received {
            Ok(_) => self.calls().accepted(hook.endpoint, self.clock().now()),
            Err(_) => self.refuse_call(hook),
        }
        received
    }

    async fn receive_call(self: &Arc<Self>, hook: &Hook, call: Call) -> Result<CallAnswer, CallError> {
        let trigger = &hook.trigger;
        let now = self.clock().now();
        let secrets = self.secrets_of(trigger).await?;
        let verified = signature::verify(&call, trigger.signature, &secrets, trigger.tolerance, now)
            .map_err(|refused| CallError::NotVerified(refused.0))?;
        let seen = seen(&call, verified.message.as_deref(), now).map_err(CallError::Invalid)?;
        let request = StartRequest {
            workflow: WorkflowRef::Id(hook.workflow.id),
            inputs: Map::new(),
            idempotency_key: verified.message.map(|message| idempotency_key(&trigger.key, &message)),
            cause: StartCause::Webhook { trigger_key: trigger.key.clone(), seen },
        };
        let Some(limit) = trigger.reply else {
            return Ok(CallAnswer::Accepted(self.start(request).await?));
        };
        // Followed from before the start, so that no end is missed.
        let follower = self.feed().follow();
        let started = self.start(request).await?;
        Ok(match tokio::time::timeout(limit, reply::of(self, started.id, follower)).await {
            Ok(Some(reply)) => CallAnswer::Replied(started.id, reply),
            Ok(None) | Err(_) => CallAnswer::Accepted(started),
        })
    }

    async fn secrets_of(&self, trigger: &WebhookTrigger) -> Result<Vec<String>, CallError> {
        let Some(name) = trigger.secret.as_ref().filter(|_| trigger.signature != Signature::None) else {
            return Ok(Vec::new());
        };
        match self.secret_values(name).await {
            Ok(values) if values.is_empty() => {
                let variable = variable(name);
                warn!(
                    webhook = trigger.path,
                    secret = name,
                    "a call cannot be checked: set the secret with `cogwheel secrets set`, or start the server with {variable}"
                );
                Err(CallError::NotReady)
            }
            Ok(values) => Ok(values),
            Err(SecretError::Store(error)) => Err(CallError::Start(StartError::Store(error))),
            Err(error) => {
                error!(webhook = trigger.path, secret = name, %error, "a call cannot be checked");
                Err(CallError::NotReady)
            }
        }
    }
}

/// What expressions see as `trigger.webhook`.
fn seen(call: &Call, message: Option<&str>, now: DateTime<Utc>) -> Result<Value, String> {
    let headers: Map<String, Value> = call
        .headers
        .iter()
        .filter(|(name, value)| !HIDDEN.contains(&name.as_str()) && !value.contains('\0'))
        .map(|(name, value)| (name.clone(), Value::String(value.clone())))
        .collect();
    let query = body::fields(&call.query);
    if cogwheel_machine::contains_nul(&query) {
        return Err("the query holds the character U+0000, which cannot be stored".to_owned());
    }
    Ok(json!({
        "id": message,
        "method": call.method,
        "path": call.path,
        "query": query,
        "headers": headers,
        "content_type": call.header("content-type"),
        "body": body::value(call)?,
        "received_at": now,
    }))
}

/// The same message to the same trigger is the same execution.
fn idempotency_key(trigger: &str, message: &str) -> String {
    let is_plain = message.len() <= LONGEST_MESSAGE && message.chars().all(|c| c.is_ascii_graphic());
    if is_plain {
        return format!("webhook/{trigger}/{message}");
    }
    let digest = Sha256::digest(message.as_bytes());
    let hex = digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("webhook/{trigger}/sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_who_the_caller_is_is_not_seen() {
        let call = Call {
            method: "POST".to_owned(),
            path: "orders".to_owned(),
            query: "a=1&b=2".to_owned(),
            headers: [("authorization", "Bearer s3cret"), ("cookie", "s3cret"), ("x-event", "paid")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: Vec::new(),
        };
        let seen = seen(&call, Some("m-1"), DateTime::UNIX_EPOCH).unwrap();
        assert!(!seen.to_string().contains("s3cret"), "{seen}");
        assert_eq!(seen["headers"], json!({"x-event": "paid"}));
        assert_eq!((&seen["id"], &seen["query"]), (&json!("m-1"), &json!({"a": "1", "b": "2"})));
    }

    #[test]
    fn any_message_has_a_key_that_can_be_stored() {
        assert_eq!(idempotency_key("hook", "msg_1"), "webhook/hook/msg_1");
        for odd in ["x".repeat(1000), "a b".to_owned(), "é\0".to_owned()] {
            let key = idempotency_key("hook", &odd);
            assert!(key.len() < 255 && key.starts_with("webhook/hook/sha256:"), "{key}");
        }
    }
}
