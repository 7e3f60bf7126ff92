//! Which addresses an upstream may have.
//!
//! A base URL is typed by a user and a name resolves to whatever its owner likes, so that without
//! this check the pool could be pointed at the host's own services or at a cloud's metadata.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use url::{Host, Url};

use crate::domain::provider::Location;

/// An address that is not connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressRefused {
    /// Whatever the provider's location.
    #[error("{0} is a link-local, metadata, multicast or reserved address, which is never called")]
    Never(IpAddr),
    /// Allowed once the provider is marked local.
    #[error(
        "{0} is a private or loopback address, which is only called for a local provider (location = \"local\")"
    )]
    OnlyLocal(IpAddr),
}

/// Says whether an upstream of this location may have this address.
///
/// An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo) is judged as itself.
///
/// Errors: [`AddressRefused`] with the reason.
pub fn check_address(address: IpAddr, location: Location) -> Result<(), AddressRefused> {
    let reach = match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    };
    match (reach, location) {
        (Reach::Public, _) | (Reach::Private, Location::Local) => Ok(()),
        (Reach::Private, Location::Cloud) => Err(AddressRefused::OnlyLocal(address)),
        (Reach::Never, _) => Err(AddressRefused::Never(address)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Public,
    Private,
    Never,
}

/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry> (2026-11). Metadata
/// outside link-local: 100.100.100.200 (Alibaba), 192.0.0.192 (Oracle), 168.63.129.16 (Azure).
fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    let is_metadata = matches!(address.octets(), [100, 100, 100, 200] | [168, 63, 129, 16]);
    if is_metadata || address.is_link_local() || a == 0 || a >= 224 || (a, b, c) == (192, 0, 0) {
        return Reach::Never;
    }
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_benchmark = a == 198 && (b == 18 || b == 19);
    if address.is_loopback() || address.is_private() || is_shared || is_benchmark {
        return Reach::Private;
    }
    Reach::Public
}

/// Source: <https://www.iana.org/assignments/iana-ipv6-special-registry> (2026-11). Metadata in
/// unique-local space: fd00:ec2::/32 (AWS: instance metadata, credentials of pods), fd20:ce::254
/// (Google).
fn reach_v6(address: Ipv6Addr) -> Reach {
    const GOOGLE_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    let segments = address.segments();
    if address.is_loopback() {
        return Reach::Private;
    }
    if let Some(inner) = embedded_v4(segments) {
        return reach_v4(inner);
    }
    let is_link_local = segments[0] & 0xffc0 == 0xfe80;
    let is_metadata = segments[..2] == [0xfd00, 0xec2] || address == GOOGLE_METADATA;
    let is_site_local = segments[0] & 0xffc0 == 0xfec0;
    if is_link_local || address.is_multicast() || is_metadata {
        return Reach::Never;
    }
    if address.is_unique_local() || is_site_local {
        return Reach::Private;
    }
    Reach::Public
}

fn embedded_v4(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match segments {
        // Mapped; compatible, the unspecified address among them; translated (RFC 2765); both NAT64
        // prefixes; 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => Some(from(high, low)),
        // Teredo hides the client's address by inverting it.
        [0x2001, 0, .., high, low] => Some(from(!high, !low)),
        _ => None,
    }
}

/// What is wrong with a base URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BaseUrlError {
    #[error("the base URL must begin with http:// or https://, not {0}:")]
    Scheme(String),
    #[error("the base URL names no host")]
    NoHost,
    #[error("the base URL must not hold a user name or password: add them as a header")]
    UserInfo,
    #[error("the base URL must not hold a query: add what it says as a header")]
    Query,
    #[error("the base URL must not hold a fragment")]
    Fragment,
    #[error("the base URL cannot be used: {0}")]
    Address(#[from] AddressRefused),
}

/// Checks the base URL of a provider before it is stored. A name is only resolved, and its addresses
/// checked, when connecting.
///
/// Errors: [`BaseUrlError`].
pub fn check_base_url(url: &Url, location: Location) -> Result<(), BaseUrlError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BaseUrlError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BaseUrlError::UserInfo);
    }
    if url.query().is_some() {
        return Err(BaseUrlError::Query);
    }
    if url.fragment().is_some() {
        return Err(BaseUrlError::Fragment);
    }
    if url.host().is_none() {
        return Err(BaseUrlError::NoHost);
    }
    Ok(check_literal(url, location)?)
}

/// Checks a host that is an address already, and so is never resolved, or that means this host
/// wherever it is resolved, behind a proxy too.
pub(super) fn check_literal(url: &Url, location: Location) -> Result<(), AddressRefused> {
    match url.host() {
        Some(Host::Ipv4(address)) => check_address(address.into(), location),
        Some(Host::Ipv6(address)) => check_address(address.into(), location),
        Some(Host::Domain(name)) if is_localhost(name) => {
            check_address(Ipv4Addr::LOCALHOST.into(), location)
        }
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

/// Whether a name means this host by definition (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::{Location::*, *};

    fn permits(address: &str, location: Location) -> bool {
        check_address(address.parse().unwrap(), location).is_ok()
    }

    #[test]
    fn public_addresses_are_for_everyone() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(permits(address, Cloud) && permits(address, Local), "{address}");
        }
    }

    #[test]
    fn private_and_loopback_addresses_are_for_local_providers() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "2001:0:1:2:3:4:f5ff:fffe",
        ] {
            assert!(!permits(address, Cloud), "{address} for a cloud provider");
            assert!(permits(address, Local), "{address} for a local provider");
        }
    }

    #[test]
    fn link_local_metadata_and_reserved_addresses_are_for_nobody() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001:0:1:2:3:4:5601:5601",
        ] {
            assert!(!permits(address, Cloud) && !permits(address, Local), "{address}");
        }
    }

    #[test]
    fn a_base_url_is_checked_when_it_is_typed() {
        let check = |url: &str, location| check_base_url(&url.parse().unwrap(), location);
        for url in ["https://api.acme.test/v1", "http://acme.test:8080", "https://8.8.8.8/"] {
            assert_eq!(check(url, Cloud), Ok(()), "{url}");
        }
        assert_eq!(check("ftp://acme.test", Local), Err(BaseUrlError::Scheme("ftp".into())));
        assert_eq!(check("data:x", Local), Err(BaseUrlError::Scheme("data".into())));
        assert_eq!(check("https://u@acme.test", Local), Err(BaseUrlError::UserInfo));
        assert_eq!(check("https://:p@acme.test", Local), Err(BaseUrlError::UserInfo));
        assert_eq!(check("https://acme.test?key=x", Local), Err(BaseUrlError::Query));
        assert_eq!(check("https://acme.test#x", Local), Err(BaseUrlError::Fragment));
    }

    #[test]
    fn a_literal_address_is_found_out_in_any_spelling() {
        for url in [
            "http://127.0.0.1:11434",
            "http://127.1",
            "http://0x7f000001",
            "http://2130706433",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
            "http://localhost",
            "http://LOCALHOST.",
            "http://api.localhost",
        ] {
            let url = url.parse().unwrap();
            assert!(
                matches!(
                    check_base_url(&url, Cloud),
                    Err(BaseUrlError::Address(AddressRefused::OnlyLocal(_)))
                ),
                "{url}"
            );
            assert_eq!(check_base_url(&url, Local), Ok(()), "{url}");
        }
        let metadata = "http://169.254.169.254/latest".parse().unwrap();
        assert!(check_base_url(&metadata, Local).is_err());
    }
}
