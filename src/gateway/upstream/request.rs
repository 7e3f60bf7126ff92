//! A request to an upstream, and its form on the wire.

use std::time::Duration;

use bytes::Bytes;
use http::{
    Method, Request, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST,
        HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use crate::{
    domain::{
        credential::Egress,
        failure::{Failure, FailureClass},
        provider::{ApiFormat, Location, SecretHeader},
        rule::FailureRule,
    },
    gateway::secret_mask::Secrets,
};

/// As what the pool calls.
const OWN_NAME: &str = concat!("providerpool/", env!("CARGO_PKG_VERSION"));

/// One request to an upstream: a POST of JSON.
pub struct UpstreamRequest<'a> {
    pub url: &'a Url,
    /// Decides how the credential is sent, and what else the API wants to have said.
    pub format: ApiFormat,
    pub credential: Option<&'a SecretString>,
    /// Headers of the client's, names in lower case. All others win over them.
    pub forwarded: &'a [(&'static str, String)],
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

impl<'a> UpstreamRequest<'a> {
    /// What of it nobody but the upstream may see.
    pub fn secrets(&self) -> Secrets<'a> {
        Secrets {
            credential: self.credential,
            headers: [self.headers, self.own_headers],
            egress: Some(self.egress),
            ..Secrets::default()
        }
    }
}

impl UpstreamRequest<'_> {
    /// Errors: [`FailureClass::Connect`] for a header, [`FailureClass::Auth`] for a credential that
    /// HTTP cannot carry.
    pub(super) fn to_wire(&self) -> Result<Request<Bytes>, Failure> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::try_from(self.url.as_str()).map_err(|_| {
            Failure::new(FailureClass::Connect, "the address cannot be asked by HTTP")
        })?;
        let headers = request.headers_mut();
        headers.reserve(6 + self.headers.len() + self.own_headers.len());
        headers.insert(USER_AGENT, HeaderValue::from_static(OWN_NAME));
        // Bodies go through as they are, so they must come as they are meant.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if self.stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        for (name, value) in usual_headers(self.format) {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        for (name, value) in self.forwarded {
            // What no header may hold was none of the client's either.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(*name, value);
            }
        }
        if let Some(credential) = self.credential {
            let own_header = own_key_header(self.format);
            if let Some(name) = own_header {
                headers.insert(name, key_value(credential.expose_secret().to_owned())?);
            }
            if own_header.is_none() || takes_bearer_too(self.format, self.url) {
                let bearer = format!("Bearer {}", credential.expose_secret());
                headers.insert(AUTHORIZATION, key_value(bearer)?);
            }
        }
        for header in self.headers.iter().chain(self.own_headers) {
            insert(headers, header)?;
        }
        Ok(request)
    }
}

/// What an API wants to be told with every request.
///
/// Sources: <https://docs.anthropic.com/en/api/versioning>; for GitHub Copilot the headers of its
/// editors, <https://github.com/microsoft/vscode-copilot-chat> (2026-11).
fn usual_headers(format: ApiFormat) -> &'static [(&'static str, &'static str)] {
    match format {
        ApiFormat::Anthropic => &[("anthropic-version", "2023-06-01")],
        ApiFormat::Copilot => &[
            ("copilot-integration-id", "vscode-chat"),
            ("editor-version", "vscode/1.106.0"),
            ("editor-plugin-version", "copilot-chat/0.33.0"),
            ("openai-intent", "conversation-panel"),
        ],
        ApiFormat::Openai
        | ApiFormat::Responses
        | ApiFormat::Google
        | ApiFormat::Cloudcode
        | ApiFormat::Ollama => &[],
    }
}

/// The header an API has of its own for a key.
///
/// Sources: <https://docs.anthropic.com/en/api/overview>,
/// <https://ai.google.dev/gemini-api/docs/api-key> (2026-11).
fn own_key_header(format: ApiFormat) -> Option<&'static str> {
    match format {
        ApiFormat::Anthropic => Some("x-api-key"),
        ApiFormat::Google => Some("x-goog-api-key"),
        ApiFormat::Openai
        | ApiFormat::Responses
        | ApiFormat::Cloudcode
        | ApiFormat::Copilot
        | ApiFormat::Ollama => None,
    }
}

/// Whether the key goes as a bearer token as well: others who speak Anthropic's API take one or the
/// other.
fn takes_bearer_too(format: ApiFormat, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    format == ApiFormat::Anthropic && host != "api.anthropic.com"
}

fn key_value(value: String) -> Result<HeaderValue, Failure> {
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

    fn wire(credential: Option<&str>, headers: &[(&str, &str)]) -> Result<Request<Bytes>, Failure> {
        wire_with_own(credential, headers, &[])
    }

    fn wire_with_own(
        credential: Option<&str>,
        headers: &[(&str, &str)],
        own_headers: &[(&str, &str)],
    ) -> Result<Request<Bytes>, Failure> {
        UpstreamRequest {
            url: &"https://acme.test/v1/chat/completions".parse().unwrap(),
            format: ApiFormat::Openai,
            forwarded: &[],
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

    fn wire_as(format: ApiFormat, url: &str, forwarded: &[(&'static str, String)]) -> HeaderMap {
        let request = UpstreamRequest {
            url: &url.parse().unwrap(),
            format,
            credential: Some(&"sk-1".to_owned().into()),
            forwarded,
            headers: &[],
            own_headers: &[],
            egress: &Egress::Usual,
            rules: &[],
            body: Bytes::from_static(b"{}"),
            stream: false,
            location: Location::Cloud,
            waits: Waits { deadline: Instant::now(), head: Duration::ZERO, idle: Duration::ZERO },
        };
        request.to_wire().unwrap().headers().clone()
    }

    #[test]
    fn a_key_is_sent_as_each_api_wants_it() {
        let google = wire_as(ApiFormat::Google, "https://g.test/v1beta/models/m:x", &[]);
        assert_eq!(google["x-goog-api-key"], "sk-1");
        assert!(!google.contains_key("authorization"));
        let own = wire_as(ApiFormat::Anthropic, "https://api.anthropic.com/v1/messages", &[]);
        assert_eq!(
            (&own["x-api-key"], &own["anthropic-version"]),
            (&"sk-1".parse().unwrap(), &"2023-06-01".parse().unwrap())
        );
        assert!(!own.contains_key("authorization"));
        let other = wire_as(ApiFormat::Anthropic, "https://other.test/v1/messages", &[]);
        assert_eq!(other["authorization"], "Bearer sk-1");
        assert_eq!(other["x-api-key"], "sk-1");
    }

    #[test]
    fn what_a_client_says_of_its_body_goes_on() {
        let forwarded =
            [("anthropic-beta", "a,b".to_owned()), ("anthropic-version", "2024".into())];
        let url = "https://api.anthropic.com/v1/messages";
        let headers = wire_as(ApiFormat::Anthropic, url, &forwarded);
        assert_eq!(headers["anthropic-beta"], "a,b");
        assert_eq!(headers["anthropic-version"], "2024");
    }

    #[test]
    fn secrets_do_not_show() {
        let request = wire(Some("sk-1"), &[("x-api-key", "sk-2")]).unwrap();
        let shown = format!("{:?}", request.headers());
        assert!(!shown.contains("sk-"), "{shown}");
    }

    #[test]
    fn what_cannot_be_sent_is_a_failure_that_does_not_show_it() {
        let class = |result: Result<Request<Bytes>, Failure>| {
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
