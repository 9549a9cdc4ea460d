//! The server over a real port, in front of an engine of made-up rows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[expect(dead_code, reason = "the tests of the GraphQL crate use more of it")]
#[path = "../../../graphql/tests/api/fake/mod.rs"]
mod fake;

mod health;
mod http;
mod lifecycle;
mod server;
mod websocket;
