//! Who a client is that comes through a proxy: what the proxies say that are trusted, and nobody else.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use actix_http::header::HeaderMap;
use ipnet::IpNet;

/// The proxies whose word counts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    pub fn new(proxies: &[IpNet]) -> Self {
        Self(proxies.into())
    }

    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Who has sent a request that came from `peer`: the last address in `x-forwarded-for` or
    /// `forwarded` (RFC 7239) that is not a trusted proxy's own. What stands before it may be
    /// invented.
    ///
    /// When both headers are there and do not agree, one of them is not the proxy's, and nobody can
    /// say which: then it is the proxy.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if self.0.is_empty() || !self.trusts(peer) {
            return peer;
        }
        // A line is read also when its beginning, which a client may have written, is no text.
        let lines = |name| -> Vec<_> {
            headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect()
        };
        let (lists, elements) = (lines("x-forwarded-for"), lines("forwarded"));
        let listed = lists.iter().flat_map(|value| value.split(',')).map(node);
        let listed = self.last_outside(listed.collect());
        let elements = elements.iter().flat_map(|value| value.split(','));
        let forwarded = self.last_outside(elements.map(forwarded_for).collect());
        match (listed, forwarded) {
            (Some(one), Some(other)) if one != other => peer,
            (one, other) => one.or(other).unwrap_or(peer),
        }
    }

    /// The last of these that is no proxy of ours; the first when all are. `None` when there is none,
    /// or one that hides its address.
    fn last_outside(&self, hops: Vec<Option<IpAddr>>) -> Option<IpAddr> {
        let mut found = None;
        for hop in hops.into_iter().rev() {
            found = Some(hop?);
            if !self.trusts(hop?) {
                break;
            }
        }
        found
    }
}

/// The address of one element of `forwarded`: `for=192.0.2.60;proto=http`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| node(value))?
    })
}

/// An address, with a port and quotation marks or without.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || {
        let text = text.strip_prefix('[')?.strip_suffix(']')?;
        text.parse::<Ipv6Addr>().ok().map(IpAddr::from)
    };
    let address = text.parse().ok().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

/// What of an address is counted: who has an IPv6 address has the whole /64 it is in.
pub fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use actix_http::header::{HeaderName, HeaderValue};

    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let nets = ["10.0.0.0/8", "127.0.0.1/32", "2001:db8::/32"].map(|net| net.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            map.append(HeaderName::from_static(name), value);
        }
        TrustedProxies::new(&nets).client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn who_is_not_trusted_speaks_for_nobody() {
        assert_eq!(client("192.0.2.1", &[("x-forwarded-for", "198.51.100.7")]), "192.0.2.1");
        assert_eq!(client("192.0.2.1", &[("forwarded", "for=198.51.100.7")]), "192.0.2.1");
    }

    #[test]
    fn the_last_address_that_is_not_a_proxy_is_the_client() {
        for (name, value) in [
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-for", "1.1.1.1, 198.51.100.7, 10.0.0.3"),
            ("x-forwarded-for", "nonsense, 198.51.100.7"),
            ("x-forwarded-for", "198.51.100.7:4711"),
            ("x-forwarded-for", "::ffff:198.51.100.7"),
            ("forwarded", "for=198.51.100.7;proto=https"),
            ("forwarded", "for=1.1.1.1, proto=https;For=\"198.51.100.7:4711\""),
            ("forwarded", "for=198.51.100.7, for=\"[2001:db8::1]:99\""),
        ] {
            assert_eq!(client("10.0.0.1", &[(name, value)]), "198.51.100.7", "{name}: {value}");
            assert_eq!(client("::ffff:10.0.0.1", &[(name, value)]), "198.51.100.7");
        }
        let twice = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(client("10.0.0.1", &twice), "198.51.100.7");
        let bracketed = [("forwarded", "for=\"[2001:db9::1]\"")];
        assert_eq!(client("10.0.0.1", &bracketed), "2001:db9::1");
    }

    #[test]
    fn a_proxy_that_does_not_say_who_it_is_speaks_for_itself() {
        for (name, value) in [
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", "198.51.100.7, unknown"),
            ("x-forwarded-for", ""),
            ("forwarded", "for=_hidden"),
            ("forwarded", "proto=https"),
        ] {
            assert_eq!(client("10.0.0.1", &[(name, value)]), "10.0.0.1", "{name}: {value}");
        }
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn of_two_headers_that_do_not_agree_none_is_believed() {
        let both = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=1.1.1.1")];
        assert_eq!(client("10.0.0.1", &both), "10.0.0.1");
        let same = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=198.51.100.7")];
        assert_eq!(client("10.0.0.1", &same), "198.51.100.7");
    }

    #[test]
    fn what_a_client_has_written_before_its_proxy_hides_no_line() {
        for (name, line) in [
            ("x-forwarded-for", &b"\xff, 203.0.113.5"[..]),
            ("x-forwarded-for", b"\xc3\xa9, 203.0.113.5"),
            ("forwarded", b"for=\xff, for=203.0.113.5"),
        ] {
            let mut map = HeaderMap::new();
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(line).unwrap());
            let nets = ["127.0.0.1/32".parse().unwrap()];
            let client = TrustedProxies::new(&nets).client("127.0.0.1".parse().unwrap(), &map);
            assert_eq!(client.to_string(), "203.0.113.5", "{name}");
        }
    }

    #[test]
    fn an_ipv6_network_is_counted_as_one() {
        let counted = |text: &str| counted(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("192.0.2.1"), "192.0.2.1");
    }
}
