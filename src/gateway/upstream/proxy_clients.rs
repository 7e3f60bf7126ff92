//! The clients for proxies of single credentials.

use std::{net::IpAddr, sync::Arc};

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::{Host, Url};

use super::{
    address::{AddressRefused, check_address},
    client::{Through, proxied},
    settings::UpstreamSettings,
};
use crate::domain::{credential::ProxyUrl, provider::Location};

/// Most clients kept. Each has connections of its own.
pub(super) const MAX_CLIENTS: usize = 64;

/// Why a proxy cannot be used. Shows nothing of its address but an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum ProxyUnusable {
    #[error("the credential's proxy cannot be used: check its address")]
    Address,
    #[error("the credential's proxy cannot be used: {0}")]
    Refused(#[from] AddressRefused),
}

/// The clients made so far, the last used last. When there are too many, the first is let go: its
/// requests that are under way still end well.
pub(super) struct ProxyClients {
    settings: UpstreamSettings,
    clients: Vec<ProxyClient>,
}

#[derive(Clone)]
pub(super) struct ProxyClient {
    location: Location,
    proxy: SecretString,
    pub client: Client,
    /// The host of the proxy.
    pub proxy_hosts: Arc<[String]>,
}

impl ProxyClients {
    pub(super) fn new(settings: UpstreamSettings) -> Self {
        Self { settings, clients: Vec::new() }
    }

    /// The client that sends through a proxy, made now if need be.
    ///
    /// Errors: [`ProxyUnusable`]. There is no other way out then.
    pub(super) fn take(
        &mut self,
        location: Location,
        proxy: &ProxyUrl,
    ) -> Result<ProxyClient, ProxyUnusable> {
        let address = proxy.secret().expose_secret();
        let known = self
            .clients
            .iter()
            .position(|known| known.location == location && known.proxy.expose_secret() == address);
        let found = match known {
            Some(at) => self.clients.remove(at),
            None => self.make(location, proxy.secret())?,
        };
        if self.clients.len() == MAX_CLIENTS {
            self.clients.remove(0);
        }
        self.clients.push(found.clone());
        Ok(found)
    }

    fn make(&self, location: Location, proxy: &SecretString) -> Result<ProxyClient, ProxyUnusable> {
        let host = host_of(proxy)?;
        // The operator chose it, so that it may be near by; metadata services are never called.
        if let Ok(address) = host.parse::<IpAddr>() {
            check_address(address, Location::Local)?;
        }
        let through = reqwest::Proxy::all(proxy.expose_secret());
        // The errors would show the address.
        let through = through.map_err(|_| ProxyUnusable::Address)?;
        let proxy_hosts: Arc<[String]> = [host].into();
        let through = Through::Own { proxy: Box::new(through), hosts: proxy_hosts.clone() };
        let client =
            proxied(&self.settings, location, through).map_err(|_| ProxyUnusable::Address)?;
        Ok(ProxyClient { location, proxy: proxy.clone(), client, proxy_hosts })
    }
}

fn host_of(proxy: &SecretString) -> Result<String, ProxyUnusable> {
    let url = Url::parse(proxy.expose_secret()).map_err(|_| ProxyUnusable::Address)?;
    match url.host() {
        Some(Host::Domain(name)) => Ok(name.to_ascii_lowercase()),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        None => Err(ProxyUnusable::Address),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::credential::Egress;

    fn proxy(text: &str) -> ProxyUrl {
        let Ok(Egress::Proxy(url)) = Egress::parse(text) else { panic!("{text} is no proxy") };
        url
    }

    fn clients() -> ProxyClients {
        ProxyClients::new(UpstreamSettings::load(Duration::from_secs(1)).unwrap())
    }

    #[test]
    fn the_clients_are_bounded_and_the_last_used_stay() {
        let mut clients = clients();
        let nth = |n: usize| proxy(&format!("http://proxy-{n}.test:3128"));
        let kept = |clients: &ProxyClients| -> Vec<String> {
            clients.clients.iter().map(|kept| kept.proxy_hosts[0].clone()).collect()
        };
        for n in 0..MAX_CLIENTS {
            clients.take(Location::Cloud, &nth(n)).unwrap();
        }
        clients.take(Location::Cloud, &nth(0)).unwrap();
        assert_eq!(clients.clients.len(), MAX_CLIENTS, "a known proxy has a client already");
        clients.take(Location::Cloud, &nth(MAX_CLIENTS)).unwrap();
        let kept = kept(&clients);
        assert_eq!(kept.len(), MAX_CLIENTS);
        assert!(kept.contains(&"proxy-0.test".to_owned()));
        assert!(!kept.contains(&"proxy-1.test".to_owned()));
    }

    #[test]
    fn a_location_and_a_password_have_clients_of_their_own() {
        let mut clients = clients();
        for (location, address) in [
            (Location::Cloud, "http://me:one@proxy.test"),
            (Location::Cloud, "http://me:two@proxy.test"),
            (Location::Local, "http://me:one@proxy.test"),
            (Location::Cloud, "http://me:one@proxy.test"),
        ] {
            clients.take(location, &proxy(address)).unwrap();
        }
        assert_eq!(clients.clients.len(), 3);
    }

    #[test]
    fn a_proxy_at_an_address_that_is_never_called_is_refused() {
        let mut clients = clients();
        for address in [
            "http://me:secret@169.254.169.254",
            "socks5://me:secret@169.254.169.254:80",
            "socks5h://me:secret@[fe80::1]:80",
        ] {
            let error = clients.take(Location::Local, &proxy(address)).err().expect(address);
            assert!(matches!(error, ProxyUnusable::Refused(_)), "{address}");
            assert!(!error.to_string().contains("secret"));
        }
        assert!(clients.clients.is_empty());
    }
}
