//! One operation over a WebSocket: runs on the engine's runtime and hands its answers on as fast as they are taken.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response};
use cogwheel_access::Principal;
use cogwheel_graphql::is_refused;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::protocol;
use crate::state::State;
use crate::work::{execute_here, panicked};

/// A message of an operation to its client.
pub(crate) struct Outgoing {
    /// Which operation; ids are used again, these numbers never.
    pub(crate) number: u64,
    /// The operation's id.
    pub(crate) id: String,
    /// The message.
    pub(crate) text: String,
    /// Whether nothing follows.
    pub(crate) is_last: bool,
}

/// Where the messages of one operation go; waits while the client does not take them.
pub(crate) struct Outbox {
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) sender: mpsc::Sender<Outgoing>,
}

impl Outbox {
    async fn send(&self, text: String, is_last: bool) {
        let outgoing = Outgoing { number: self.number, id: self.id.clone(), text, is_last };
        // The receiver is gone with the connection; then nobody waits for the message.
        let _ = self.sender.send(outgoing).await;
    }

    async fn refuse(&self, response: &Response) {
        self.send(protocol::error(&self.id, response), true).await;
    }
}

/// Runs an operation to its end.
pub(crate) async fn run(state: Arc<State>, principal: Principal, mut request: Request, outbox: Outbox) {
    let schema = &state.schema;
    match schema.operation(&mut request) {
        Err(response) => outbox.refuse(&response).await,
        Ok(OperationType::Query | OperationType::Mutation) => {
            let response = execute_here(schema, principal, request, state.config.request_timeout).await;
            if is_refused(&response) {
                return outbox.refuse(&response).await;
            }
            outbox.send(protocol::next(&outbox.id, &response), false).await;
            outbox.send(protocol::complete(&outbox.id), true).await;
        }
        Ok(OperationType::Subscription) => {
            let mut answers = schema.subscribe(principal, request);
            let mut is_first = true;
            loop {
                match AssertUnwindSafe(answers.next()).catch_unwind().await {
                    Ok(None) => return outbox.send(protocol::complete(&outbox.id), true).await,
                    Ok(Some(response)) if is_first && !response.errors.is_empty() && is_empty(&response) => {
                        return outbox.refuse(&response).await;
                    }
                    Ok(Some(response)) => outbox.send(protocol::next(&outbox.id, &response), false).await,
                    Err(panic) => return outbox.refuse(&panicked(panic.as_ref())).await,
                }
                is_first = false;
            }
        }
    }
}

fn is_empty(response: &Response) -> bool {
    response.data == async_graphql::Value::Null
}
