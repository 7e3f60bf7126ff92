//! What the server and its routes are told at the start.

use std::{net::SocketAddr, time::Duration};

use super::{
    body::BodyLimits,
    connection::{Limits, Timeouts, TrustedProxies},
};

/// How the server listens and what it takes.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub bind: SocketAddr,
    /// Where management, events and metrics are served. `None`: where everything else is.
    pub management_bind: Option<SocketAddr>,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// How many connections each listener takes.
    pub limits: Limits,
    pub proxies: TrustedProxies,
    pub timeouts: Timeouts,
    /// Largest relayed body, in bytes.
    pub max_body_bytes: usize,
    pub bodies: BodyLimits,
    /// Origins whose pages may open the event stream, besides our own.
    pub allowed_origins: Vec<String>,
    /// How often an event subscriber is asked whether it is still there.
    pub heartbeat: Duration,
    /// Requests whose way is remembered.
    pub traces: usize,
}
