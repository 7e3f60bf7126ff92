//! `[server]`: where we listen, and how much we take.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use url::Url;

use super::bounds::Bounds;

/// Where we listen, and how much we take.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port. Any but a loopback address needs an admin key first.
    pub bind: SocketAddr,
    /// Threads that serve requests; 0 is one per core.
    pub workers: usize,
    /// How long streams may go on after a stop was asked for.
    pub drain_timeout_ms: u64,
    /// Largest request body.
    pub max_body_bytes: usize,
    /// Connections at once, over all threads.
    pub max_connections: usize,
    /// Web pages that may open the event stream, besides those served from our own address.
    pub allowed_origins: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 4100)),
            workers: 0,
            drain_timeout_ms: 30_000,
            max_body_bytes: 32 << 20,
            max_connections: 10_000,
            allowed_origins: Vec::new(),
        }
    }
}

impl Server {
    /// Whether only this machine can reach us.
    pub fn is_loopback(&self) -> bool {
        self.bind.ip().to_canonical().is_loopback()
    }

    pub(super) fn check(&self, bounds: &mut Bounds) {
        bounds.number("server.workers", self.workers, 0..=1024, "threads");
        bounds.number("server.drain_timeout_ms", self.drain_timeout_ms, 0..=3_600_000, "ms");
        bounds.number("server.max_body_bytes", self.max_body_bytes, 1024..=1 << 30, "bytes");
        bounds.number("server.max_connections", self.max_connections, 1..=1_000_000, "connections");
        for (index, origin) in self.allowed_origins.iter().enumerate() {
            if !is_origin(origin) {
                let key = format!("server.allowed_origins.{index}");
                let wanted = "must be scheme, host and port alone, like https://pool.example:8443";
                bounds.refuse(&key, origin, wanted);
            }
        }
    }
}

fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.origin().ascii_serialization() == text.trim_end_matches('/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_loopback() {
        let is_loopback =
            |bind: &str| Server { bind: bind.parse().unwrap(), ..Server::default() }.is_loopback();
        assert!(is_loopback("127.0.0.1:1") && is_loopback("127.9.9.9:1"));
        assert!(is_loopback("[::1]:1") && is_loopback("[::ffff:127.0.0.1]:1"));
        assert!(!is_loopback("0.0.0.0:1") && !is_loopback("[::]:1") && !is_loopback("10.0.0.1:1"));
    }

    #[test]
    fn an_origin_is_no_page_and_no_name() {
        assert!(is_origin("https://a.test") && is_origin("http://127.0.0.1:3000/"));
        assert!(!is_origin("a.test") && !is_origin("https://a.test/app") && !is_origin("*"));
    }
}
