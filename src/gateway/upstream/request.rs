//! A request to an upstream, and its form for reqwest.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Method,
    header::{
        ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap,
        HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use crate::domain::{
    credential::Egress,
    failure::{Failure, FailureClass},
    provider::{Location, SecretHeader},
    rule::FailureRule,
};

/// One request to an upstream: a POST of JSON.
pub struct UpstreamRequest<'a> {
    pub url: &'a Url,
    /// Sent as a bearer token.
    pub credential: Option<&'a SecretString>,
    /// The provider's own headers. They win over those of the pool.
    pub headers: &'a [SecretHeader],
    /// The credential's own headers. They win over those of the provider.
    pub own_headers: &'a [SecretHeader],
    /// The way out. One that cannot be taken is a failure, and never another way.
    pub egress: &'a Egress,
    /// What the provider's errors lead to. The first that fits counts.
    pub rules: &'a [FailureRule],
    pub body: Bytes,
    /// Whether an event stream is asked for.
    pub stream: bool,
    /// Decides which addresses may be connected to.
    pub location: Location,
    pub waits: Waits,
}

/// How long an upstream is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// When everything is over.
    pub deadline: Instant,
    /// The longest wait for the head of the answer, connecting included.
    pub head: Duration,
    /// The longest pause within the body. Time in which nobody reads does not count.
    pub idle: Duration,
}

impl Waits {
    pub(super) fn head_by(&self, now: Instant) -> Instant {
        self.deadline.min(now + self.head)
    }
}

impl UpstreamRequest<'_> {
    /// Errors: [`FailureClass::Connect`] for a header, [`FailureClass::Auth`] for a credential that
    /// HTTP cannot carry.
    pub(super) fn to_wire(&self) -> Result<reqwest::Request, Failure> {
        let mut request = reqwest::Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.reserve(4 + self.headers.len() + self.own_headers.len());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if self.stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(credential) = self.credential {
            headers.insert(AUTHORIZATION, bearer(credential)?);
        }
        for header in self.headers.iter().chain(self.own_headers) {
            insert(headers, header)?;
        }
        *request.body_mut() = Some(self.body.clone().into());
        Ok(request)
    }
}

fn bearer(credential: &SecretString) -> Result<HeaderValue, Failure> {
    let value = format!("Bearer {}", credential.expose_secret());
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        Failure::new(FailureClass::Auth, "the credential holds characters that no header may hold")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Headers that say how the message is framed and where it goes, which is not a provider's to set.
const FRAMING: [HeaderName; 7] =
    [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

fn insert(headers: &mut HeaderMap, header: &SecretHeader) -> Result<(), Failure> {
    let unusable = || {
        let detail = format!("the header {:?} cannot be sent", header.name);
        Failure::new(FailureClass::Connect, detail)
    };
    let name = HeaderName::try_from(&header.name).map_err(|_| unusable())?;
    let mut value = HeaderValue::try_from(header.value.expose_secret()).map_err(|_| unusable())?;
    if FRAMING.contains(&name) {
        return Err(unusable());
    }
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(headers: &[(&str, &str)]) -> Vec<SecretHeader> {
        let secret = |(name, value): &(&str, &str)| SecretHeader {
            name: (*name).to_owned(),
            value: (*value).to_owned().into(),
        };
        headers.iter().map(secret).collect()
    }

    fn wire(
        credential: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<reqwest::Request, Failure> {
        wire_with_own(credential, headers, &[])
    }

    fn wire_with_own(
        credential: Option<&str>,
        headers: &[(&str, &str)],
        own_headers: &[(&str, &str)],
    ) -> Result<reqwest::Request, Failure> {
        UpstreamRequest {
            url: &"https://acme.test/v1/chat/completions".parse().unwrap(),
            credential: credential.map(|text| text.to_owned().into()).as_ref(),
            headers: &secret(headers),
            own_headers: &secret(own_headers),
            egress: &Egress::Usual,
            rules: &[],
            body: Bytes::from_static(b"{}"),
            stream: true,
            location: Location::Cloud,
            waits: Waits { deadline: Instant::now(), head: Duration::ZERO, idle: Duration::ZERO },
        }
        .to_wire()
    }

    #[test]
    fn the_providers_own_headers_win() {
        let request = wire(Some("sk-1"), &[("Accept", "*/*"), ("x-extra", "1")]).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer sk-1");
        assert_eq!(request.headers()["accept"], "*/*");
        assert_eq!(request.headers()["x-extra"], "1");
        let request = wire(Some("sk-1"), &[("authorization", "Basic x")]).unwrap();
        assert_eq!(request.headers()["authorization"], "Basic x");
    }

    #[test]
    fn the_credentials_own_headers_win_over_the_providers() {
        let headers = [("x-org", "provider"), ("x-extra", "1")];
        let request = wire_with_own(Some("sk-1"), &headers, &[("X-Org", "own")]).unwrap();
        let values: Vec<_> = request.headers().get_all("x-org").iter().collect();
        assert_eq!(values, ["own"]);
        assert_eq!(request.headers()["x-extra"], "1");
        let own = [("authorization", "Basic own")];
        let request = wire_with_own(Some("sk-1"), &[("authorization", "Basic x")], &own).unwrap();
        assert_eq!(request.headers()["authorization"], "Basic own");
    }

    #[test]
    fn secrets_do_not_show() {
        let request = wire(Some("sk-1"), &[("x-api-key", "sk-2")]).unwrap();
        let shown = format!("{:?}", request.headers());
        assert!(!shown.contains("sk-"), "{shown}");
    }

    #[test]
    fn what_cannot_be_sent_is_a_failure_that_does_not_show_it() {
        let class = |result: Result<reqwest::Request, Failure>| {
            let failure = result.unwrap_err();
            assert!(!failure.detail.contains("sk-"), "{}", failure.detail);
            failure.class
        };
        assert_eq!(class(wire(Some("sk-\n1"), &[])), FailureClass::Auth);
        assert_eq!(class(wire(None, &[("x-a", "sk-\r\nx: y")])), FailureClass::Connect);
        assert_eq!(class(wire(None, &[("x a", "1")])), FailureClass::Connect);
        for name in ["Host", "content-length", "Transfer-Encoding", "connection"] {
            assert_eq!(class(wire(None, &[(name, "1")])), FailureClass::Connect, "{name}");
        }
    }
}
