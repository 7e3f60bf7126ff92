//! Resolves names of upstreams and leaves out the addresses they may not have.
//!
//! The check stands here, between resolving and connecting, so that a name cannot pass it with one
//! address and be connected to with another.

use std::{io, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::check_address;
use crate::domain::provider::Location;

/// The resolver of the client for one location.
#[derive(Debug, Clone)]
pub(super) struct PermittedAddresses {
    pub location: Location,
    /// The proxies of this client. The operator chose them, and they are usually private. What a
    /// proxy connects to in turn is the proxy's to check: it resolves the upstream's name itself.
    pub proxy_hosts: Arc<[String]>,
}

impl Resolve for PermittedAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxy_hosts.iter().any(|host| host.eq_ignore_ascii_case(name.as_str()));
        let location = if is_proxy { Location::Local } else { self.location };
        Box::pin(async move {
            // The connector puts the port of the URL in place of 0.
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(permitted(found, location)?.into_iter()) as Addrs)
        })
    }
}

/// Those addresses that may be connected to.
///
/// Errors: why the first one may not, when none may.
fn permitted(
    mut addresses: Vec<SocketAddr>,
    location: Location,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut refused = None;
    addresses.retain(|address| match check_address(address.ip(), location) {
        Ok(()) => true,
        Err(reason) => {
            refused.get_or_insert(reason);
            false
        }
    });
    match refused {
        Some(reason) if addresses.is_empty() => Err(reason.into()),
        _ if addresses.is_empty() => {
            Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into())
        }
        _ => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| format!("{text}:0").parse().unwrap()).collect()
    }

    #[test]
    fn only_permitted_addresses_are_left_and_none_is_an_error() {
        let mixed = addresses(&["169.254.169.254", "8.8.8.8", "10.0.0.1"]);
        let left = permitted(mixed.clone(), Location::Cloud).unwrap();
        assert_eq!(left, addresses(&["8.8.8.8"]));
        assert_eq!(permitted(mixed, Location::Local).unwrap().len(), 2);
        let refused = permitted(addresses(&["10.0.0.1"]), Location::Cloud).unwrap_err();
        assert!(refused.to_string().starts_with("10.0.0.1 is a private"), "{refused}");
        assert!(permitted(vec![], Location::Local).is_err());
    }
}
