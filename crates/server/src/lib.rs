//! HTTP: routes, authentication, GraphQL over HTTP and WebSocket, inbound webhooks, later answers to steps, health.
//!
//! Handlers run on single-threaded workers that only read and write; the work itself runs on the runtime that
//! [`Server::serve`] was called on, so that neither a slow worker nor a client that hangs up ends it half-way.

mod answer;
mod auth;
mod callbacks;
mod config;
mod files;
mod health;
mod hooks;
mod http;
mod server;
mod state;
mod work;
mod ws;

pub use config::ServerConfig;
pub use server::{Server, ServerError};
