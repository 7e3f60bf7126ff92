//! `[server]`: where we listen, and how much we take.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    bounds::Bounds,
    listen::{listen, listen_if_set},
};

/// Where we listen, and how much we take.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port; a port alone is one of 127.0.0.1. Any but a loopback address needs an admin key first.
    #[serde(deserialize_with = "listen")]
    pub bind: SocketAddr,
    /// Address and port of management, events and metrics, which are served there alone when it is
    /// set; health is served at both. Any but a loopback address needs an admin key first.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "listen_if_set")]
    pub management_bind: Option<SocketAddr>,
    /// Threads that serve requests; 0 is one per core.
    pub workers: usize,
    /// How long streams may go on after a stop was asked for.
    pub drain_timeout_ms: u64,
    /// Largest request body.
    pub max_body_bytes: usize,
    /// Bytes of all request bodies at once.
    pub max_bodies_bytes: usize,
    /// How long a request body may take to come, before it has to come at a pace, and how far it may
    /// fall behind that pace.
    pub body_timeout_ms: u64,
    /// Longest silence within a request body.
    pub body_idle_timeout_ms: u64,
    /// The pace: of a request body after that time, and of an answer that the client does not take.
    pub min_bytes_per_second: u64,
    /// Connections at once, over all threads, at each address that is listened on.
    pub max_connections: usize,
    /// How many of them are kept for clients on this machine; at most half of all are.
    pub reserved_connections: usize,
    /// Connections at once from one address, of IPv6 from one /64; behind a trusted proxy, requests
    /// at once. 0: no limit. Clients on this machine have none.
    pub max_connections_per_address: usize,
    /// Proxies, as addresses or networks, whose `x-forwarded-for` or `forwarded` says who a client is.
    pub trusted_proxies: Vec<String>,
    /// Time for the head of a request.
    pub head_timeout_ms: u64,
    /// Time from one request of a connection to the next.
    pub keep_alive_timeout_ms: u64,
    /// Time in which a client takes nothing of what is written to it.
    pub write_timeout_ms: u64,
    /// Time in which nothing comes of a body that was refused (six times as long for all of it), and for
    /// the end of a connection.
    pub linger_timeout_ms: u64,
    /// Web pages that may open the event stream, besides those served from our own address.
    pub allowed_origins: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 4100)),
            management_bind: None,
            workers: 0,
            drain_timeout_ms: 30_000,
            max_body_bytes: 32 << 20,
            max_bodies_bytes: 1 << 30,
            body_timeout_ms: 30_000,
            body_idle_timeout_ms: 30_000,
            min_bytes_per_second: 4096,
            max_connections: 10_000,
            reserved_connections: 64,
            max_connections_per_address: 0,
            trusted_proxies: Vec::new(),
            head_timeout_ms: 10_000,
            keep_alive_timeout_ms: 75_000,
            write_timeout_ms: 30_000,
            linger_timeout_ms: 5_000,
            allowed_origins: Vec::new(),
        }
    }
}

impl Server {
    /// The first address that we listen on and that others can reach.
    pub fn reachable_by_others(&self) -> Option<SocketAddr> {
        let is_loopback = |bind: &SocketAddr| bind.ip().to_canonical().is_loopback();
        [Some(self.bind), self.management_bind].into_iter().flatten().find(|it| !is_loopback(it))
    }

    /// The proxies that are trusted.
    pub fn trusted_networks(&self) -> Vec<IpNet> {
        self.trusted_proxies.iter().filter_map(|text| parse_network(text)).collect()
    }

    pub(super) fn check(&self, bounds: &mut Bounds) {
        bounds.number("server.workers", self.workers, 0..=1024, "threads");
        bounds.number("server.drain_timeout_ms", self.drain_timeout_ms, 0..=3_600_000, "ms");
        bounds.number("server.max_body_bytes", self.max_body_bytes, 1024..=1 << 30, "bytes");
        let bytes = self.max_bodies_bytes;
        bounds.number("server.max_bodies_bytes", bytes, self.max_body_bytes..=1 << 40, "bytes");
        for (key, ms) in [
            ("server.body_timeout_ms", self.body_timeout_ms),
            ("server.body_idle_timeout_ms", self.body_idle_timeout_ms),
            ("server.head_timeout_ms", self.head_timeout_ms),
            ("server.keep_alive_timeout_ms", self.keep_alive_timeout_ms),
            ("server.write_timeout_ms", self.write_timeout_ms),
            ("server.linger_timeout_ms", self.linger_timeout_ms),
        ] {
            bounds.number(key, ms, 10..=3_600_000, "ms");
        }
        let pace = self.min_bytes_per_second;
        bounds.number("server.min_bytes_per_second", pace, 1..=1 << 30, "bytes per second");
        let reserved = self.reserved_connections;
        bounds.number("server.reserved_connections", reserved, 0..=1_000_000, "connections");
        let most = self.max_connections_per_address;
        bounds.number("server.max_connections_per_address", most, 0..=1_000_000, "connections");
        if self.management_bind.is_some_and(|bind| bind == self.bind && bind.port() != 0) {
            let wanted = "must be another than server.bind, or unset";
            bounds.refuse("server.management_bind", self.bind, wanted);
        }
        for (index, proxy) in self.trusted_proxies.iter().enumerate() {
            if parse_network(proxy).is_none() {
                let key = format!("server.trusted_proxies.{index}");
                let wanted = "must be an address or a network, like 10.0.0.7 or 10.0.0.0/8";
                bounds.refuse(&key, proxy, wanted);
            }
        }
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

fn parse_network(text: &str) -> Option<IpNet> {
    let one = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    text.parse().ok().or_else(one)
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
    fn others_reach_every_address_but_loopback() {
        for loopback in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let bind = loopback.parse().unwrap();
            let server = Server { bind, management_bind: Some(bind), ..Server::default() };
            assert_eq!(server.reachable_by_others(), None, "{loopback}");
        }
        for other in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            let bind = other.parse().unwrap();
            let server = Server { bind, ..Server::default() };
            assert_eq!(server.reachable_by_others(), Some(bind));
            let server = Server { management_bind: Some(bind), ..Server::default() };
            assert_eq!(server.reachable_by_others(), Some(bind));
        }
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        let shown = |text| parse_network(text).map(|net| net.to_string());
        assert_eq!(shown("10.0.0.7").as_deref(), Some("10.0.0.7/32"));
        assert_eq!(shown("10.0.0.0/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(shown("2001:db8::/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(shown("proxy.example").or(shown("10.0.0.0/33")), None);
    }

    #[test]
    fn an_origin_is_no_page_and_no_name() {
        assert!(is_origin("https://a.test") && is_origin("http://127.0.0.1:3000/"));
        assert!(!is_origin("a.test") && !is_origin("https://a.test/app") && !is_origin("*"));
    }
}
