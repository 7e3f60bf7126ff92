//! The exchange of a GitHub token for one that the API of GitHub Copilot takes: whether it is needed,
//! where it is made, and what its answer says.
//!
//! The token, its end and the address that it is for are one value: they come together, and none of
//! them is of use with another's.
//!
//! Sources, read 2026-11: <https://github.com/microsoft/vscode-copilot-chat> for the request and its
//! answer, <https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency> for hosts below
//! ghe.com. Neither the path nor the form of a token is documented as an API.

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::upstream::{Upstream, UpstreamRequest, UpstreamResponse, Waits, check_base_url};
use crate::domain::{
    credential::CredentialSettings,
    failure::{Failure, FailureClass},
    provider::{ApiFormat, Endpoint, Location, Provider, SecretHeader},
    time::Timestamp,
};

/// Longest answer of an exchange, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A token of Copilot's. Has no `Debug`: it lets in whoever holds it.
pub struct CopilotToken {
    pub secret: SecretString,
    /// When it is of no more use.
    pub expires_at: Timestamp,
    /// Where Chat Completions are asked for with it. `None`: at the provider's own address.
    pub chat_url: Option<Url>,
}

/// Whether a credential is GitHub's and has to be exchanged for what is sent to a provider of these
/// endpoints, in whichever of its formats.
pub fn is_exchanged(endpoints: &[Endpoint], secret: &SecretString) -> bool {
    endpoints.iter().any(|endpoint| endpoint.format == ApiFormat::Copilot) && is_githubs(secret)
}

/// What is a Copilot token already, `tid=…;exp=…`, is sent as it is; whatever else it is, it is GitHub's.
fn is_githubs(secret: &SecretString) -> bool {
    let is_pair = |part: &str| part.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    let mut parts = secret.expose_secret().split(';');
    let is_copilots = parts.next().is_some_and(is_pair) && parts.next().is_some_and(is_pair);
    !is_copilots
}

/// Where the tokens for an API are given out: by GitHub for its own, and else, for a gateway, by the
/// very server that the API is on.
pub fn exchange_url(base: &Url) -> Url {
    let host = base.host_str().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host);
    let tenant = host.strip_prefix("copilot-api.").and_then(|rest| rest.strip_suffix(".ghe.com"));
    let origin = match tenant {
        _ if host.ends_with(".githubcopilot.com") => "https://api.github.com".parse().ok(),
        Some(tenant) => format!("https://api.{tenant}.ghe.com").parse().ok(),
        None => None,
    };
    let mut url: Url = origin.unwrap_or_else(|| base.clone());
    url.set_path("/copilot_internal/v2/token");
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Exchanges a GitHub token. The headers of provider and credential are sent, and win.
///
/// Errors: [`FailureClass::Auth`] when GitHub takes the token for none, or the account may not use
/// Copilot; [`FailureClass::RateLimit`] of the whole account; [`FailureClass::Server`] when a good
/// answer cannot be read; else as [`Upstream::send`]. None holds a word of the answer.
pub async fn exchange(
    upstream: &Upstream,
    url: &Url,
    provider: &Provider,
    settings: &CredentialSettings,
    github_token: &SecretString,
    deadline: Instant,
) -> Result<CopilotToken, Failure> {
    let authorization = format!("token {}", github_token.expose_secret());
    let mut headers =
        vec![SecretHeader { name: "authorization".to_owned(), value: authorization.into() }];
    headers.extend(provider.headers.iter().cloned());
    let rest = deadline.duration_since(Instant::now());
    let request = UpstreamRequest {
        url,
        // Nothing of an editor's is said here.
        format: ApiFormat::Openai,
        credential: None,
        forwarded: &[],
        headers: &headers,
        own_headers: &settings.headers,
        egress: &settings.egress,
        rules: &[],
        body: Bytes::new(),
        stream: false,
        location: provider.location,
        waits: Waits { deadline, head: rest, idle: rest },
    };
    let response = upstream.fetch(request).await.map_err(of_exchange)?;
    if response.status() != 200 {
        return Err(refused(response).await);
    }
    response.check_head().map_err(of_exchange)?;
    let body = response.read_whole(MAX_ANSWER_BYTES).await.map_err(of_exchange)?;
    parse(&body, provider.location).ok_or_else(|| {
        let detail = "the answer to the exchange of the GitHub token cannot be read";
        Failure { status: Some(200), ..Failure::new(FailureClass::Server, detail) }
    })
}

/// What an answer that is no token means.
///
/// Source: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api> (read
/// 2026-11): a rate limit may come as 403, with `retry-after` or with nothing remaining.
async fn refused(response: UpstreamResponse) -> Failure {
    let status = response.status();
    let is_spent = response.header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0");
    let is_limit = is_spent || response.header("retry-after").is_some();
    let failure = of_exchange(response.into_failure(ApiFormat::Copilot, &[]).await);
    let auth = |detail: &str| Failure {
        class: FailureClass::Auth,
        detail: format!("{detail} (the exchange answered {status})"),
        ..failure.clone()
    };
    match (status, failure.class) {
        (403, FailureClass::Auth) if is_limit => {
            Failure { class: FailureClass::RateLimit, account_wide: true, ..failure }
        }
        (_, FailureClass::RateLimit) => Failure { account_wide: true, ..failure },
        (_, FailureClass::Payment | FailureClass::Overload) => failure,
        (401, _) => auth("GitHub does not accept the token"),
        (403 | 404, _) => auth("the GitHub account has no access to Copilot"),
        // There is nothing else in the request that could be wrong, and it is not the client's.
        (400..500, class) if !matches!(class, FailureClass::Server) => {
            auth("GitHub does not take the token")
        }
        _ => failure,
    }
}

/// A failure of the exchange. It says nothing about the request that waits for it, nor about formats.
fn of_exchange(mut failure: Failure) -> Failure {
    failure.detail.insert_str(0, "the exchange of the GitHub token: ");
    Failure { reason: None, wrong_format: None, ..failure }
}

#[derive(Deserialize)]
struct Answer {
    token: SecretString,
    /// Unix seconds.
    expires_at: i64,
    endpoints: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    api: Option<String>,
}

/// Reads a good answer. An address that may not be called is left out.
fn parse(body: &[u8], location: Location) -> Option<CopilotToken> {
    let Answer { token, expires_at, endpoints } = serde_json::from_slice(body).ok()?;
    let text = token.expose_secret();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let expires_at = Timestamp::from_millis(expires_at.checked_mul(1_000)?);
    let api = endpoints.and_then(|named| named.api);
    let chat_url = api.and_then(|api| chat_url(&api, location));
    Some(CopilotToken { secret: token, expires_at, chat_url })
}

/// The token goes there, so that nobody on the way may read it, unless all of it is near by.
fn chat_url(api: &str, location: Location) -> Option<Url> {
    let mut url: Url = api.parse().ok()?;
    check_base_url(&url, location).ok()?;
    if url.scheme() != "https" && location != Location::Local {
        return None;
    }
    url.set_path(&format!("{}/chat/completions", url.path().trim_end_matches('/')));
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copilot_token_is_known_by_its_form_and_everything_else_is_githubs() {
        let is_githubs = |text: &str| is_githubs(&text.to_owned().into());
        for github in ["gho_a1", "ghu_a1", "ghp_a1", "github_pat_a_1", "0123abcd", "a=b", "a;b", ""]
        {
            assert!(is_githubs(github), "{github}");
        }
        for copilot in ["tid=1;exp=2", "tid=a1;exp=1767225600;sku=free:9f=", "a=;b="] {
            assert!(!is_githubs(copilot), "{copilot}");
        }
    }

    #[test]
    fn tokens_are_given_out_by_github_or_by_the_server_that_is_called() {
        let at = |base: &str| exchange_url(&base.parse().unwrap()).to_string();
        let path = "copilot_internal/v2/token";
        let githubs = format!("https://api.github.com/{path}");
        assert_eq!(at("https://api.githubcopilot.com"), githubs);
        assert_eq!(at("http://api.individual.githubcopilot.com:8080/x"), githubs);
        assert_eq!(
            at("https://copilot-api.acme.ghe.com"),
            format!("https://api.acme.ghe.com/{path}")
        );
        for other in ["https://gate.test:8443", "https://copilot-api.ghe.com", "http://127.0.0.1:9"]
        {
            assert_eq!(at(&format!("{other}/below/v1")), format!("{other}/{path}"));
        }
        // Whoever has a name that only looks like GitHub's is not sent to GitHub, and keeps his own.
        let other = "https://evilgithubcopilot.com";
        assert_eq!(at(other), format!("{other}/{path}"));
    }

    fn parsed(answer: &str, location: Location) -> Option<(String, i64, Option<String>)> {
        let token = parse(answer.as_bytes(), location)?;
        let url = token.chat_url.map(String::from);
        Some((token.secret.expose_secret().to_owned(), token.expires_at.as_millis(), url))
    }

    #[test]
    fn token_end_and_address_are_read_together() {
        let answer = r#"{"token":"tid=1;exp=2","expires_at":1767225600,"refresh_in":1500,
            "endpoints":{"api":"https://api.business.githubcopilot.com","proxy":"https://p.test"}}"#;
        let url = "https://api.business.githubcopilot.com/chat/completions";
        let expected = ("tid=1;exp=2".into(), 1_767_225_600_000, Some(url.into()));
        assert_eq!(parsed(answer, Location::Cloud), Some(expected));
        let bare = r#"{"token":"t","expires_at":1}"#;
        assert_eq!(parsed(bare, Location::Cloud), Some(("t".into(), 1_000, None)));
    }

    #[test]
    fn an_address_that_may_not_be_called_is_left_out() {
        let url = |api: &str, location| {
            let answer = format!(r#"{{"token":"t","expires_at":1,"endpoints":{{"api":"{api}"}}}}"#);
            parsed(&answer, location).unwrap().2
        };
        for api in
            ["http://api.test", "https://10.0.0.1", "https://u:p@api.test", "no", "ftp://a.test"]
        {
            assert_eq!(url(api, Location::Cloud), None, "{api}");
        }
        assert_eq!(url("https://169.254.169.254", Location::Local), None);
        let near = url("http://127.0.0.1:9/base/", Location::Local);
        assert_eq!(near.as_deref(), Some("http://127.0.0.1:9/base/chat/completions"));
    }

    #[test]
    fn what_is_no_token_is_not_taken_for_one() {
        for answer in [
            "",
            "{}",
            "[]",
            r#"{"token":"","expires_at":1}"#,
            r#"{"token":"a\nb","expires_at":1}"#,
            r#"{"token":"t"}"#,
            r#"{"token":"t","expires_at":9223372036854775807}"#,
            r#"{"token":5,"expires_at":1}"#,
        ] {
            assert!(parse(answer.as_bytes(), Location::Cloud).is_none(), "{answer}");
        }
    }
}
