//! Addresses to listen on, as people write them: a port alone is one of this machine's own address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// Reads an address and a port, `localhost` and a port, or a port alone.
///
/// Errors: words for the person who wrote it.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port.parse().ok().filter(|_| matches!(host, "" | "localhost"));
    let wanted = || "must be an address and a port, as 127.0.0.1:4100, or a port alone".to_owned();
    port.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).ok_or_else(wanted)
}

pub(super) fn listen<'de, D: Deserializer<'de>>(value: D) -> Result<SocketAddr, D::Error> {
    parse_listen(&String::deserialize(value)?).map_err(D::Error::custom)
}

pub(super) fn listen_if_set<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<SocketAddr>, D::Error> {
    listen(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it() {
        for (text, expected) in [
            ("127.0.0.1:4100", "127.0.0.1:4100"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:4100", "[::1]:4100"),
            ("localhost:4100", "127.0.0.1:4100"),
            (":4100", "127.0.0.1:4100"),
            ("4100", "127.0.0.1:4100"),
        ] {
            assert_eq!(parse_listen(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", ":", "localhost", "localhost:", "127.0.0.1", "a.example:80", "65536", "-1"]
        {
            assert!(parse_listen(text).is_err(), "{text}");
        }
    }
}
