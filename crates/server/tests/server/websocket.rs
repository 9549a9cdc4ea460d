//! GraphQL over WebSocket.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use cogwheel_engine::{ExecutionId, ExecutionStatus};
use cogwheel_server::ServerConfig;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Bytes, Error, Message, WebSocket};

use crate::fake::at;
use crate::server::{Running, config};

/// A client.
struct Client(WebSocket<TcpStream>);

impl Client {
    /// Opens a WebSocket with the sub-protocol and these headers.
    fn try_open(server: &Running, headers: &[(&'static str, &str)]) -> Result<Self, Box<Error>> {
        let mut request = format!("ws://{}/graphql", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(error)) => Err(Box::new(error)),
            Err(HandshakeError::Interrupted(_)) => panic!("no answer to the handshake"),
        }
    }

    fn open(server: &Running) -> Self {
        Self::try_open(server, &[PROTOCOL]).unwrap()
    }

    /// Opens a WebSocket and is let in.
    fn acknowledged(server: &Running) -> Self {
        let mut client = Self::open(server);
        client.say(&json!({"type": "connection_init", "payload": {"authorization": server.bearer()}}));
        assert_eq!(client.hear(), json!({"type": "connection_ack"}));
        client
    }

    fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    fn subscribe(&mut self, id: &str, query: &str) {
        self.say(&json!({"type": "subscribe", "id": id, "payload": {"query": query}}));
    }

    /// The next message.
    fn hear(&mut self) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// The code that the server closes with.
    fn close_code(&mut self) -> u16 {
        loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => return frame.unwrap().code.into(),
                Ok(_) => {}
                Err(error) => panic!("the server left without a code: {error}"),
            }
        }
    }
}

const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

fn running(server: &Running) -> ExecutionId {
    let workflow = server.fake.rows(|rows| rows.workflows[0].id);
    server.fake.add_execution(workflow, ExecutionStatus::Running)
}

fn follow(id: ExecutionId) -> String {
    format!("subscription {{ executionChanged(id: \"{id}\") {{ execution {{ status }} }} }}")
}

fn status(message: &Value) -> &Value {
    &message["payload"]["data"]["executionChanged"]["execution"]["status"]
}

fn handshake_status(refused: Result<Client, Box<Error>>) -> u16 {
    match refused.map(|_| ()).unwrap_err().as_ref() {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("unexpected: {other}"),
    }
}

#[test]
fn an_execution_is_followed_to_its_end() {
    let server = Running::new();
    let id = running(&server);
    let mut client = Client::acknowledged(&server);
    client.subscribe("1", &follow(id));
    assert_eq!(status(&client.hear()), "RUNNING");
    server.fake.change(id, ExecutionStatus::Completed, at(100));
    let message = client.hear();
    assert_eq!(
        (&message["type"], &message["id"], status(&message)),
        (&"next".into(), &"1".into(), &"COMPLETED".into())
    );
    assert_eq!(client.hear(), json!({"type": "complete", "id": "1"}));
    client.subscribe("1", &follow(id));
    assert_eq!(status(&client.hear()), "COMPLETED", "the id is free again");
}

#[test]
fn queries_are_answered_too_and_mistakes_told_by_id() {
    let server = Running::new();
    let mut client = Client::acknowledged(&server);
    client.subscribe("q", "{ viewer { kind } }");
    assert_eq!(client.hear(), json!({"type": "next", "id": "q", "payload": {"data": {"viewer": {"kind": "ADMIN"}}}}));
    assert_eq!(client.hear(), json!({"type": "complete", "id": "q"}));
    for (query, code) in [
        ("{ nope }", "BAD_USER_INPUT"),
        ("subscription { executionChanged(workflow: \"nope\") { position } }", "NOT_FOUND"),
        ("subscription { executionChanged { position } }", "BAD_USER_INPUT"),
    ] {
        client.subscribe("e", query);
        let message = client.hear();
        assert_eq!((&message["type"], &message["id"]), (&"error".into(), &"e".into()), "{query}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code);
    }
    client.say(&json!({"type": "ping", "payload": {"at": 1}}));
    assert_eq!(client.hear(), json!({"type": "pong"}));
}

#[test]
fn the_key_may_come_with_the_upgrade() {
    let server = Running::new();
    let bearer = server.bearer();
    let mut client = Client::try_open(&server, &[PROTOCOL, ("authorization", &bearer)]).unwrap();
    client.say(&json!({"type": "connection_init"}));
    assert_eq!(client.hear(), json!({"type": "connection_ack"}));
    assert_eq!(handshake_status(Client::try_open(&server, &[PROTOCOL, ("authorization", "Bearer x")])), 401);
}

#[test]
fn only_the_one_sub_protocol_is_spoken() {
    let server = Running::new();
    assert_eq!(handshake_status(Client::try_open(&server, &[])), 400);
    let legacy = ("sec-websocket-protocol", "graphql-ws");
    assert_eq!(handshake_status(Client::try_open(&server, &[legacy])), 400);
}

#[test]
fn pages_of_other_hosts_are_kept_out() {
    let server = Running::new();
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(handshake_status(Client::try_open(&server, &[PROTOCOL, ("origin", origin)])), 403, "{origin}");
    }
    let own = format!("http://{}", server.address);
    assert!(Client::try_open(&server, &[PROTOCOL, ("origin", &own)]).is_ok());
}

#[test]
fn a_wrong_key_is_forbidden_and_a_missing_one_is_waited_for() {
    let server = Running::with(ServerConfig { init_timeout: Duration::from_millis(50), ..config() });
    let mut client = Client::open(&server);
    client.say(&json!({"type": "connection_init", "payload": {"authorization": "Bearer nonsense"}}));
    assert_eq!(client.close_code(), 4403);
    let mut client = Client::open(&server);
    client.say(&json!({"type": "connection_init"}));
    assert_eq!(client.close_code(), 4403);
    assert_eq!(Client::open(&server).close_code(), 4408);
}

#[test]
fn a_goodbye_is_answered() {
    let server = Running::with(config());
    let mut client = Client::acknowledged(&server);
    client.0.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).unwrap();
    assert_eq!(client.close_code(), 1000);
}

#[test]
fn who_breaks_the_protocol_is_told_how() {
    let server = Running::with(ServerConfig { body_limit: 2_000, ..config() });
    let id = running(&server);
    let mut client = Client::open(&server);
    client.subscribe("1", &follow(id));
    assert_eq!(client.close_code(), 4401);
    let mut client = Client::acknowledged(&server);
    client.say(&json!({"type": "connection_init"}));
    assert_eq!(client.close_code(), 4429);
    let mut client = Client::acknowledged(&server);
    client.subscribe("1", &follow(id));
    client.subscribe("1", &follow(id));
    assert_eq!(client.close_code(), 4409);
    for message in [
        Message::text("nonsense"),
        Message::text("{\"type\": \"start\", \"id\": \"1\"}"),
        Message::text("{\"type\": \"subscribe\", \"id\": \"1\", \"payload\": {}}"),
        Message::binary(Bytes::from_static(b"x")),
    ] {
        let mut client = Client::acknowledged(&server);
        client.0.send(message).unwrap();
        assert_eq!(client.close_code(), 4400);
    }
    let mut client = Client::acknowledged(&server);
    client.say(&json!({"type": "ping", "payload": {"long": "x".repeat(3_000)}}));
    assert_eq!(client.close_code(), 1009);
}

#[test]
fn one_connection_has_so_many_operations_and_no_more() {
    let server = Running::with(ServerConfig { max_subscriptions: 2, ..config() });
    let id = running(&server);
    let mut client = Client::acknowledged(&server);
    for n in ["1", "2"] {
        client.subscribe(n, &follow(id));
        assert_eq!(status(&client.hear()), "RUNNING");
    }
    client.subscribe("3", &follow(id));
    let message = client.hear();
    assert_eq!(message["payload"][0]["message"], "the connection is over the limit of 2 operations at once");
    client.say(&json!({"type": "complete", "id": "1"}));
    client.subscribe("3", &follow(id));
    let message = client.hear();
    assert_eq!((&message["id"], status(&message)), (&"3".into(), &"RUNNING".into()));
}

#[test]
fn a_client_without_a_sign_of_life_is_let_go() {
    let server = Running::with(ServerConfig { ping_interval: Duration::from_millis(50), ..config() });
    let mut client = Client::acknowledged(&server);
    let mut frames = Vec::new();
    // Reading past the library: nobody answers the pings.
    client.0.get_mut().read_to_end(&mut frames).unwrap();
    let goodbye = 1008_u16.to_be_bytes();
    assert!(frames.windows(2).any(|bytes| bytes == goodbye), "{frames:?}");
}

#[test]
fn a_stop_says_goodbye_to_open_connections() {
    let server = Running::new();
    let id = running(&server);
    let mut client = Client::acknowledged(&server);
    client.subscribe("1", &follow(id));
    assert_eq!(status(&client.hear()), "RUNNING");
    server.stop();
    assert_eq!(client.close_code(), 1001);
    server.wait().unwrap();
}
