//! The server's settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where the server listens and what it takes from one client.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Threads that read requests and write answers.
    pub workers: usize,
    /// Open connections of one worker; more wait to be accepted.
    pub max_connections: usize,
    /// How long a request may take, from its first byte of body to its answer.
    pub request_timeout: Duration,
    /// How long a client may take to send the head of a request.
    pub head_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Bytes of a request's body, and of a message over a WebSocket.
    pub body_limit: usize,
    /// How long an upload may take, whatever it brings.
    pub upload_timeout: Duration,
    /// How long an upload may bring nothing.
    pub upload_idle_timeout: Duration,
    /// Files of one request.
    pub upload_max_files: usize,
    /// Operations at once over one WebSocket.
    pub max_subscriptions: usize,
    /// How long a WebSocket may take to say who it is.
    pub init_timeout: Duration,
    /// How often a WebSocket is asked for a sign of life; the second without one ends it.
    pub ping_interval: Duration,
    /// How long open requests may take to end when the server stops.
    pub shutdown_grace: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8420)),
            workers: 2,
            max_connections: 1_024,
            request_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(30),
            body_limit: 1024 * 1024,
            upload_timeout: Duration::from_hours(1),
            upload_idle_timeout: Duration::from_secs(30),
            upload_max_files: 20,
            max_subscriptions: 100,
            init_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(20),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}
