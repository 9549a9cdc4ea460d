//! Subscriptions in the sub-protocol `graphql-transport-ws`.

use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::handshake::client::Request;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::Client;
use crate::wait::PATIENCE;

const PROTOCOL: &str = "graphql-transport-ws";

/// One subscription on a WebSocket of its own.
#[derive(Debug)]
pub struct Subscription {
    socket: WebSocket<TcpStream>,
}

impl Subscription {
    pub(crate) fn open(client: &Client, query: &str, variables: &Value) -> Result<Self, String> {
        let stream = TcpStream::connect(client.address()).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has time-outs");
        let (socket, response) = tungstenite::client(request(client), stream).map_err(|error| error.to_string())?;
        assert_eq!(response.headers()["sec-websocket-protocol"], PROTOCOL);
        let mut subscription = Self { socket };
        subscription.send(&json!({"type": "connection_init"}));
        assert_eq!(subscription.receive()?["type"], "connection_ack");
        subscription.send(&json!({
            "type": "subscribe", "id": "1", "payload": {"query": query, "variables": variables},
        }));
        Ok(subscription)
    }

    /// The next value.
    ///
    /// # Panics
    ///
    /// When the subscription fails, or nothing comes.
    pub fn next_value(&mut self) -> Option<Value> {
        let mut message = self.receive().unwrap_or_else(|closed| panic!("{closed}"));
        match message["type"].as_str() {
            Some("next") => {
                assert!(message["payload"]["errors"].is_null(), "{message:#}");
                Some(message["payload"]["data"].take())
            }
            Some("complete") => None,
            _ => panic!("an unexpected message: {message:#}"),
        }
    }

    fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).expect("the socket is open");
    }

    fn receive(&mut self) -> Result<Value, String> {
        loop {
            match self.socket.read().expect("a message comes") {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).expect("messages are JSON");
                    if message["type"] == "ping" {
                        self.send(&json!({"type": "pong"}));
                    } else if message["type"] != "pong" {
                        return Ok(message);
                    }
                }
                Message::Close(Some(reason)) => return Err(format!("closed: {} {}", reason.code, reason.reason)),
                Message::Close(None) => return Err("closed".to_owned()),
                _ => {}
            }
        }
    }
}

fn request(client: &Client) -> Request {
    let mut request = format!("ws://{}/graphql", client.address()).into_client_request().expect("a valid address");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
    if let Some(key) = client.key() {
        let value = HeaderValue::from_str(&format!("Bearer {key}")).expect("a key is plain text");
        headers.insert("authorization", value);
    }
    request
}
