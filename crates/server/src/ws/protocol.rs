//! The messages and close codes of `graphql-transport-ws`.

use actix_ws::{CloseCode, CloseReason};
use async_graphql::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::to_json;

/// How long an operation's id may be.
const MAX_ID: usize = 256;

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ClientMessage {
    /// Who it is.
    ConnectionInit { payload: Option<Map<String, Value>> },
    /// Begins an operation.
    Subscribe { id: String, payload: Value },
    /// Ends an operation.
    Complete { id: String },
    /// Asks for a sign of life.
    Ping {},
    /// Gives one.
    Pong {},
}

impl ClientMessage {
    /// Reads a message.
    pub(crate) fn parse(text: &str) -> Result<Self, Close> {
        match serde_json::from_str(text) {
            Ok(Self::Subscribe { id, .. }) if id.is_empty() || id.len() > MAX_ID => {
                Err(Close::BadRequest(format!("an operation's id has 1 to {MAX_ID} bytes")))
            }
            Ok(message) => Ok(message),
            Err(error) => Err(Close::BadRequest(format!("invalid message: {error}"))),
        }
    }
}

pub(crate) fn connection_ack() -> String {
    json!({"type": "connection_ack"}).to_string()
}

pub(crate) fn pong() -> String {
    json!({"type": "pong"}).to_string()
}

pub(crate) fn complete(id: &str) -> String {
    json!({"type": "complete", "id": id}).to_string()
}

/// One answer of an operation.
pub(crate) fn next(id: &str, response: &Response) -> String {
    format!("{{\"type\":\"next\",\"id\":{},\"payload\":{}}}", Value::from(id), to_json(response))
}

/// The operation was not executed; nothing follows.
pub(crate) fn error(id: &str, response: &Response) -> String {
    json!({"type": "error", "id": id, "payload": response.errors}).to_string()
}

/// Why the server ends a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// The client does not keep to the protocol.
    BadRequest(String),
    /// It began an operation before it said who it is.
    Unauthorized,
    /// Its credentials are not valid.
    Forbidden(String),
    /// It did not say in time who it is.
    InitTimeout,
    /// It began an operation under an id that is in use.
    DuplicateId(String),
    /// It said twice who it is.
    TooManyInits,
    /// A message is over the limit.
    TooLarge,
    /// It gives no sign of life, or does not read.
    Silent,
    /// The server is stopping.
    Stopping,
}

impl From<Close> for CloseReason {
    fn from(close: Close) -> Self {
        let (code, description) = match close {
            Close::BadRequest(why) => (CloseCode::Other(4400), why),
            Close::Unauthorized => (CloseCode::Other(4401), "Unauthorized".to_owned()),
            Close::Forbidden(why) => (CloseCode::Other(4403), why),
            Close::InitTimeout => (CloseCode::Other(4408), "Connection initialisation timeout".to_owned()),
            Close::DuplicateId(id) => (CloseCode::Other(4409), format!("Subscriber for {id} already exists")),
            Close::TooManyInits => (CloseCode::Other(4429), "Too many initialisation requests".to_owned()),
            Close::TooLarge => (CloseCode::Size, "the message is over the size limit".to_owned()),
            Close::Silent => (CloseCode::Policy, "no sign of life".to_owned()),
            Close::Stopping => (CloseCode::Away, "the server is stopping".to_owned()),
        };
        Self { code, description: Some(description) }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::Response;
    use cogwheel_graphql::{ErrorCode, refusal};

    use super::*;

    #[test]
    fn messages_are_written_as_the_protocol_says() {
        let response = Response::new(async_graphql::value!({"a": 1}));
        assert_eq!(next("1\"", &response), r#"{"type":"next","id":"1\"","payload":{"data":{"a":1}}}"#);
        let refused: Value = serde_json::from_str(&error("1", &refusal(ErrorCode::NotFound, "no"))).unwrap();
        assert_eq!(refused["payload"][0]["extensions"]["code"], "NOT_FOUND");
        assert_eq!(complete("1"), r#"{"id":"1","type":"complete"}"#);
    }

    #[test]
    fn messages_that_are_none_are_refused() {
        assert!(matches!(ClientMessage::parse(r#"{"type": "ping", "payload": {}}"#), Ok(ClientMessage::Ping {})));
        assert!(matches!(
            ClientMessage::parse(r#"{"type": "connection_init"}"#),
            Ok(ClientMessage::ConnectionInit { payload: None })
        ));
        let long = format!(r#"{{"type": "subscribe", "id": "{}", "payload": {{}}}}"#, "x".repeat(300));
        for text in ["", "[]", r#"{"type": "start", "id": "1"}"#, r#"{"type": "subscribe", "id": "1"}"#, &long] {
            assert!(matches!(ClientMessage::parse(text), Err(Close::BadRequest(_))), "{text}");
        }
    }
}
