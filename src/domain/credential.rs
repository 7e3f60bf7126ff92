//! A credential: what lets us in at a provider.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::Url;

use super::{
    id::{CredentialId, ProviderId},
    provider::{Origin, SecretHeader},
    time::Timestamp,
};

/// Longest address of a proxy taken, in bytes.
const MAX_PROXY_URL_LEN: usize = 2048;

/// A secret as storage gives it back: readable, or sealed under a key that is not here.
#[derive(Clone)]
pub enum StoredSecret {
    /// Shared with the leases of it.
    Open(Arc<SecretString>),
    /// The row is kept as it is, reported, and not used.
    Locked { key_id: String },
}

impl StoredSecret {
    pub fn open(secret: impl Into<SecretString>) -> Self {
        Self::Open(Arc::new(secret.into()))
    }
}

/// An API key of one provider.
#[derive(Clone)]
pub struct Credential {
    pub id: CredentialId,
    pub provider_id: ProviderId,
    pub settings: CredentialSettings,
    pub origin: Origin,
    pub secret: StoredSecret,
    /// What may be shown of it.
    pub mask: String,
    /// Keyed hash of the secret: equal for equal keys, useless without the master key.
    pub fingerprint: String,
    pub created_at: Timestamp,
}

/// What a user can set for a credential.
#[derive(Clone, PartialEq)]
pub struct CredentialSettings {
    /// The user's name for it.
    pub label: Option<String>,
    /// What is disabled is never used, whatever else fails.
    pub enabled: bool,
    /// Higher is preferred: others are used only when none of a higher priority can be.
    pub priority: i32,
    /// Share under the weighted strategy, 0 to [`MAX_WEIGHT`](super::route::MAX_WEIGHT).
    pub weight: u32,
    /// Most requests at once. Absent: any number.
    pub max_in_flight: Option<u32>,
    pub egress: Egress,
    /// Sent with every request made with it, above the provider's own.
    pub headers: Vec<SecretHeader>,
}

impl Default for CredentialSettings {
    fn default() -> Self {
        Self {
            label: None,
            enabled: true,
            priority: 0,
            weight: 1,
            max_in_flight: None,
            egress: Egress::default(),
            headers: Vec::new(),
        }
    }
}

/// The way out for the requests of one credential.
#[derive(Clone, Default)]
pub enum Egress {
    /// As the environment's proxy variables say.
    #[default]
    Usual,
    /// Past every proxy.
    Direct,
    Proxy(ProxyUrl),
}

/// The address of a proxy. It may hold a password, so it is a secret.
#[derive(Clone)]
pub struct ProxyUrl(SecretString);

/// Why a text is not the address of a proxy. Does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a proxy is http://, https://, socks5:// or socks5h:// with a host, in 2048 bytes at most, or \
     \"direct\""
)]
pub struct ProxyError;

impl ProxyUrl {
    /// The address whole, to connect with.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// Scheme, host and port: what else there is may be a secret.
    pub fn shown(&self) -> String {
        let Ok(mut url) = Url::parse(self.0.expose_secret()) else { return "****".to_owned() };
        // Fails only for addresses that have no place for them.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_path("");
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
    }
}

impl Egress {
    /// Reads what a user writes: `direct` (or `none`), or the address of a proxy.
    ///
    /// Errors: [`ProxyError`]. What cannot be used as a proxy is never taken to mean "no proxy".
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        if matches!(text, "direct" | "none") {
            return Ok(Self::Direct);
        }
        if text.len() > MAX_PROXY_URL_LEN {
            return Err(ProxyError);
        }
        let url = Url::parse(text).map_err(|_| ProxyError)?;
        let is_known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        if !is_known || url.host_str().is_none_or(str::is_empty) {
            return Err(ProxyError);
        }
        Ok(Self::Proxy(ProxyUrl(url.to_string().into())))
    }

    /// What [`Self::parse`] reads back. `None`: the usual way.
    pub fn to_secret(&self) -> Option<SecretString> {
        match self {
            Self::Usual => None,
            Self::Direct => Some("direct".into()),
            Self::Proxy(url) => Some(url.0.clone()),
        }
    }

    /// What may be shown: `direct`, or the proxy as [`ProxyUrl::shown`] has it. `None`: the usual way.
    pub fn shown(&self) -> Option<String> {
        match self {
            Self::Usual => None,
            Self::Direct => Some("direct".to_owned()),
            Self::Proxy(url) => Some(url.shown()),
        }
    }
}

impl PartialEq for Egress {
    fn eq(&self, other: &Self) -> bool {
        let text = |egress: &Self| egress.to_secret().map(|url| url.expose_secret().to_owned());
        text(self) == text(other)
    }
}

impl Credential {
    pub fn is_usable(&self) -> bool {
        self.settings.enabled && matches!(self.secret, StoredSecret::Open(_))
    }
}

/// Shows the two ends of a long key and nothing of a short one. Cut on characters, never inside one.
pub fn mask(secret: &str) -> String {
    let characters: Vec<char> = secret.chars().collect();
    if characters.len() < 24 {
        return "****".to_owned();
    }
    let head: String = characters[..4].iter().collect();
    let tail: String = characters[characters.len() - 4..].iter().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_and_never_no_proxy() {
        for wrong in ["", "proxy.test:3128", "ftp://proxy.test", "http://", "socks4://a"] {
            assert!(Egress::parse(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(Egress::parse("direct"), Ok(Egress::Direct)));
        let Ok(Egress::Proxy(url)) = Egress::parse("socks5h://me:secret@proxy.test:1080") else {
            panic!("no proxy")
        };
        assert_eq!(url.shown(), "socks5h://proxy.test:1080");
        assert!(url.secret().expose_secret().contains("secret"));
        let egress = Egress::parse("http://a.test:3128/secret?token=secret#secret").unwrap();
        assert_eq!(egress.shown().as_deref(), Some("http://a.test:3128/"));
        let long = format!("http://a.test/{}", "x".repeat(MAX_PROXY_URL_LEN));
        assert!(Egress::parse(&long).is_err());
    }

    #[test]
    fn a_mask_shows_a_third_of_a_long_key_at_most_and_nothing_of_a_short_one() {
        assert_eq!(mask("sk-abcdefghijklmnopqrstuvwxyz"), "sk-a…wxyz");
        assert_eq!(mask("sk-abcdefghijklmnop"), "****");
        assert_eq!(mask(""), "****");
        assert_eq!(mask(&"é".repeat(24)), "éééé…éééé");
    }
}
