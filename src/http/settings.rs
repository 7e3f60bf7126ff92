//! What the server and its routes are told at the start.

use std::{net::SocketAddr, time::Duration};

/// How the server listens and what it takes.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub bind: SocketAddr,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Most connections at once, over all workers.
    pub max_connections: usize,
    /// Largest relayed body, in bytes.
    pub max_body_bytes: usize,
    /// Longest time a body may take to arrive.
    pub body_timeout: Duration,
    /// Origins whose pages may open the event stream, besides our own.
    pub allowed_origins: Vec<String>,
    /// How often an event subscriber is asked whether it is still there.
    pub heartbeat: Duration,
    /// Requests whose way is remembered.
    pub traces: usize,
}
