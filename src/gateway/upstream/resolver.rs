//! Resolves names of upstreams and leaves out the addresses they may not have.
//!
//! The check stands here, between resolving and connecting, so that a name cannot pass it with one
//! address and be connected to with another.

use std::{io, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::address::check_address;
use crate::domain::provider::Location;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The resolver of the client for one location.
#[derive(Debug, Clone)]
pub(super) struct PermittedAddresses {
    pub location: Location,
    /// The proxies of this client. The operator chose them, and they are usually private. What a
    /// proxy connects to in turn is the proxy's to check: it resolves the upstream's name itself.
    pub proxy_hosts: Arc<[String]>,
}

/// The name of a host does not resolve.
#[derive(Debug, Error)]
#[error("the name of the host does not resolve")]
pub(super) struct Unresolved(#[source] io::Error);

impl PermittedAddresses {
    /// Errors: [`Unresolved`], or [`AddressRefused`](super::address::AddressRefused).
    pub(super) fn find(
        &self,
        name: String,
    ) -> impl Future<Output = Result<Vec<SocketAddr>, BoxError>> + Send + use<> {
        let is_proxy = self.proxy_hosts.iter().any(|host| host.eq_ignore_ascii_case(&name));
        let location = if is_proxy { Location::Local } else { self.location };
        async move {
            // The connector puts the port of the URL in place of 0.
            let found = tokio::net::lookup_host((name, 0)).await.map_err(Unresolved)?;
            permitted(found.collect(), location)
        }
    }
}

impl Resolve for PermittedAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let finding = self.find(name.as_str().to_owned());
        Box::pin(async move { Ok(Box::new(finding.await?.into_iter()) as Addrs) })
    }
}

/// Those addresses that may be connected to.
///
/// Errors: why the first one may not, when none may.
fn permitted(
    mut addresses: Vec<SocketAddr>,
    location: Location,
) -> Result<Vec<SocketAddr>, BoxError> {
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
            let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            Err(Unresolved(none).into())
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
