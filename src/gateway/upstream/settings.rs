//! What all HTTP clients share: trusted roots, time limits, proxies. Loaded once.

use std::{ffi::OsString, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

/// Why no client can be made.
#[derive(Debug, Error)]
pub enum UpstreamSetupError {
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    /// Does not show the value: it may hold a password.
    #[error(
        "{0} is not the address of a proxy: it must be http://, https://, socks5://, socks5h://, \
         socks4:// or socks4a:// with a host, or host and port alone; without a proxy, unset it"
    )]
    Proxy(&'static str),
}

/// What every [`Upstream`](super::Upstream) is made from. Cheap to clone.
#[derive(Clone)]
pub struct UpstreamSettings {
    /// Holds its roots and its cache of sessions behind pointers, so that clones share them.
    pub(super) tls: ClientConfig,
    pub(super) connect_timeout: Duration,
    /// Those of the proxies in the environment.
    pub(super) proxy_hosts: Arc<[String]>,
    /// Their addresses, which may hold passwords.
    pub(super) proxies: Arc<[SecretString]>,
}

impl UpstreamSettings {
    /// Reads the trusted roots and the proxy variables.
    ///
    /// Trusted are Mozilla's roots, so that a bare container works, and those of the system, so that
    /// a company's own do. Roots of the system that cannot be read are left out.
    ///
    /// Errors: [`UpstreamSetupError`].
    pub fn load(connect_timeout: Duration) -> Result<Self, UpstreamSetupError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::debug!(%error, "a trusted root of the system could not be read");
        }
        roots.add_parsable_certificates(native.certs);
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let proxy_hosts = proxy_hosts(|name| std::env::var_os(name))?.into();
        let proxies = PROXY_VARIABLES.into_iter().filter_map(|name| std::env::var(name).ok());
        let proxies = proxies.map(Into::into).collect();
        Ok(Self { tls, connect_timeout, proxy_hosts, proxies })
    }

    /// Looks whether the proxies that the environment names can be used.
    ///
    /// Errors: [`UpstreamSetupError::Proxy`].
    pub fn check_environment() -> Result<(), UpstreamSetupError> {
        proxy_hosts(|name| std::env::var_os(name)).map(drop)
    }

    /// Whether the environment names a proxy.
    pub(super) fn has_proxy(&self) -> bool {
        !self.proxy_hosts.is_empty()
    }

    /// For who says by itself which versions of HTTP it speaks.
    pub(super) fn tls_without_alpn(&self) -> ClientConfig {
        let mut tls = self.tls.clone();
        tls.alpn_protocols.clear();
        tls
    }
}

/// The variables that reqwest takes proxies from.
const PROXY_VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The schemes that it takes. A variable with another one it would ignore, and call past the proxy.
///
/// Source: hyper-util 0.1, `client::proxy::matcher` (read 2026-11).
const PROXY_SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// The hosts of the proxies that variables name. One that is empty names none.
///
/// Errors: [`UpstreamSetupError::Proxy`]. What cannot be used as a proxy is never taken to mean "no
/// proxy".
fn proxy_hosts(
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<String>, UpstreamSetupError> {
    let mut hosts = Vec::new();
    for name in PROXY_VARIABLES {
        let Some(value) = variable(name).filter(|value| !value.is_empty()) else { continue };
        let host = value.to_str().and_then(host_of_proxy);
        hosts.push(host.ok_or(UpstreamSetupError::Proxy(name))?);
    }
    Ok(hosts)
}

/// The host of a proxy as a variable names it, with or without a scheme.
fn host_of_proxy(value: &str) -> Option<String> {
    let url: Url = if value.contains("://") {
        value.parse().ok()?
    } else {
        format!("http://{value}").parse().ok()?
    };
    let host = url.host_str().filter(|host| !host.is_empty())?;
    PROXY_SCHEMES.contains(&url.scheme()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_proxy_is_found_with_and_without_a_scheme() {
        let host = Some("proxy.corp.test".to_owned());
        assert_eq!(host_of_proxy("http://u:p@Proxy.corp.test:3128/"), host);
        assert_eq!(host_of_proxy("proxy.corp.test:3128"), host);
        assert_eq!(host_of_proxy("socks5://proxy.corp.test"), host);
        assert_eq!(host_of_proxy(""), None);
    }

    #[test]
    fn a_variable_that_names_no_usable_proxy_is_an_error_and_never_no_proxy() {
        for wrong in ["socks9://p.test", "ftp://p.test", "htp://me:secret@p.test", "http://", "a b"]
        {
            for set in PROXY_VARIABLES {
                let read = proxy_hosts(|name| (name == set).then(|| wrong.into()));
                let said = read.expect_err(wrong).to_string();
                assert!(said.starts_with(set) && !said.contains("p.test"), "{said}");
            }
        }
        let set = |name: &str| match name {
            "HTTPS_PROXY" => Some("".into()),
            "all_proxy" => Some("socks5h://p.test:1080".into()),
            _ => None,
        };
        assert_eq!(proxy_hosts(set).unwrap(), ["p.test"]);
        assert_eq!(proxy_hosts(|_| None).unwrap(), [""; 0]);
    }
}
