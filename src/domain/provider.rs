//! A provider: where it is, what it speaks, what it serves.

mod endpoint;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

pub use self::endpoint::{ApiFormat, Endpoint, Endpoints, FormatBasis, USUAL_FORMATS};
use self::endpoint::{locked_format, usual_path};
use super::{
    cooling::CoolingSettings,
    id::{ModelName, ProviderId},
    model::ServedModel,
    route::CredentialStrategy,
    rule::FailureRule,
    time::Timestamp,
};

/// Where a provider runs. Only a local one may have a private address, and only a local one is
/// used without a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    Cloud,
    Local,
}

/// What sort of provider it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// A vendor of its own models, from the built-in catalogue.
    Builtin,
    /// A reseller of many vendors' models, from the built-in catalogue.
    Platform,
    /// Made by the user.
    Custom,
}

/// Who owns a definition, and so where it can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The built-in catalogue; settings of the user lie above it.
    Catalog,
    /// The configuration file; read-only in the API.
    Config,
    /// The environment: a key found in a vendor's usual variable. Never stored.
    Environment,
    /// The API.
    Api,
}

/// How a provider is doing: `active` when requests can go there, `error` when it is enabled and the
/// last that is known of it is a failure, else `inactive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderStatus {
    Active,
    Inactive,
    Error,
}

/// A header sent with every request to a provider. The value may be a credential.
#[derive(Clone)]
pub struct SecretHeader {
    pub name: String,
    pub value: SecretString,
}

/// Why a header cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    #[error("{0:?} is not a header name")]
    Name(String),
    #[error("the header {0} is set by the pool itself")]
    Reserved(String),
    #[error("the value of {0} is longer than 4096 bytes or holds what a header may not")]
    Value(String),
}

/// Headers that frame a message or a connection: set by hand, they would break or smuggle requests.
const RESERVED_HEADERS: [&str; 10] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl SecretHeader {
    /// Parses a header: the name a token of RFC 9110 §5.6.2, the value visible ASCII and spaces.
    pub fn parse(name: &str, value: SecretString) -> Result<Self, HeaderError> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
            return Err(HeaderError::Name(name.chars().take(128).collect()));
        }
        let name = name.to_ascii_lowercase();
        if RESERVED_HEADERS.contains(&name.as_str()) {
            return Err(HeaderError::Reserved(name));
        }
        let bytes = value.expose_secret().as_bytes();
        if bytes.len() > 4096 || !bytes.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
            return Err(HeaderError::Value(name));
        }
        Ok(Self { name, value })
    }
}

/// What is known to have gone wrong last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    pub message: String,
    pub at: Timestamp,
}

/// What a user has set for a provider. An absent field is the catalogue's to say.
#[derive(Clone, Default)]
pub struct ProviderSettings {
    pub name: Option<String>,
    pub location: Option<Location>,
    pub base_url: Option<Url>,
    pub chat_path: Option<String>,
    pub api_format: Option<ApiFormat>,
    pub also_speaks: Option<Vec<ApiFormat>>,
    pub priority: Option<i32>,
    pub enabled: Option<bool>,
    pub models: Option<Vec<ServedModel>>,
    pub headers: Option<StoredHeaders>,
    pub credential_strategy: Option<CredentialStrategy>,
    pub rules: Option<Vec<FailureRule>>,
    pub attempt_timeout_ms: Option<u32>,
    pub cooling: Option<CoolingSettings>,
}

/// Headers as storage gives them back: readable, or sealed under a key that is not here.
#[derive(Clone)]
pub enum StoredHeaders {
    Open(Vec<SecretHeader>),
    /// The row is kept as it is and the provider is not used.
    Locked {
        key_id: String,
    },
}

/// A provider's row: settings above the catalogue (or all there is, for one made by the API).
#[derive(Clone)]
pub struct StoredProvider {
    pub id: ProviderId,
    /// Made by the API; otherwise the row only holds settings above a catalogue entry.
    pub custom: bool,
    pub settings: ProviderSettings,
    /// What detection has found it to speak, the surest first.
    pub detected_formats: Option<Vec<ApiFormat>>,
    pub last_error: Option<LastError>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A provider, catalogue and settings merged. Immutable: a change makes a new one.
#[derive(Clone)]
pub struct Provider {
    pub id: ProviderId,
    pub name: String,
    pub kind: ProviderKind,
    pub origin: Origin,
    pub location: Location,
    /// Absent only for a catalogue entry whose user must set it.
    pub base_url: Option<Url>,
    /// Path of Chat Completions below the base URL, where it is not the usual one.
    pub chat_path: Option<String>,
    /// What it considers its own. Absent: nobody has said so.
    pub api_format: Option<ApiFormat>,
    /// What it speaks beside that, as well.
    pub also_speaks: Vec<ApiFormat>,
    /// What detection has found it to speak, the surest first. Counts where nothing is set.
    pub detected_formats: Option<Vec<ApiFormat>>,
    /// Higher is preferred.
    pub priority: i32,
    /// The user's choice. Absent: on as soon as there is a credential.
    pub enabled: Option<bool>,
    /// What it serves. Empty: any model name is tried there.
    pub models: Vec<ServedModel>,
    pub headers: Vec<SecretHeader>,
    /// How its credentials take turns.
    pub credential_strategy: CredentialStrategy,
    /// What its errors lead to, where the operator knows better. The first that fits counts.
    pub rules: Vec<FailureRule>,
    /// Milliseconds for one attempt at a whole answer while another candidate is left. Absent: the
    /// pool's own.
    pub attempt_timeout_ms: Option<u32>,
    /// When its failures cool. Absent: the pool's own.
    pub cooling: Option<CoolingSettings>,
    /// Why it cannot be used although it is stored: the key id its secrets are sealed under.
    pub locked: Option<String>,
    pub last_error: Option<LastError>,
    pub beta: bool,
    pub website: Option<String>,
    pub api_key_url: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Reads a base URL that a person has typed. Whether it can be called is looked at elsewhere.
///
/// Errors: what is wrong with it, without a word of it.
pub fn parse_base_url(text: &str) -> Result<Url, &'static str> {
    text.trim().parse().map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "must begin with http:// or https://",
        _ => "must be a URL as https://host/path",
    })
}

impl Provider {
    /// Whether requests may go there, given how many usable credentials it has.
    pub fn is_enabled(&self, credentials: usize) -> bool {
        self.enabled.unwrap_or(credentials > 0)
    }

    /// Whether it can be called at all: enabled, reachable by name, and with what it needs to be let in.
    pub fn is_usable(&self, credentials: usize) -> bool {
        self.is_enabled(credentials)
            && self.locked.is_none()
            && self.base_url.is_some()
            && (credentials > 0 || self.location == Location::Local)
    }

    pub fn status(&self, credentials: usize) -> ProviderStatus {
        if self.locked.is_some() || (self.is_enabled(credentials) && self.last_error.is_some()) {
            ProviderStatus::Error
        } else if self.is_usable(credentials) {
            ProviderStatus::Active
        } else {
            ProviderStatus::Inactive
        }
    }

    /// The upstream name of a model, when this provider serves it.
    pub fn upstream_model(&self, asked: &ModelName) -> Option<ModelName> {
        if self.models.is_empty() {
            return Some(asked.clone());
        }
        let served = self.models.iter().find(|model| model.name == *asked)?;
        Some(served.upstream().clone())
    }

    /// Whether nobody has set what it speaks, so that it has to be found out.
    pub fn is_auto(&self) -> bool {
        let locked = self.base_url.as_ref().and_then(locked_format);
        self.api_format.is_none() && self.also_speaks.is_empty() && locked.is_none()
    }

    /// Where it takes requests. Empty without a base URL.
    ///
    /// A base URL that is itself an address of one format takes that one alone. Else what is set
    /// counts, and where nothing is set what was detected, or what is usual.
    pub fn endpoints(&self) -> Endpoints {
        let Some(base) = &self.base_url else { return Endpoints::new(FormatBasis::Pinned, []) };
        if let Some(format) = locked_format(base) {
            let only = Endpoint { format, url: base.clone() };
            return Endpoints::new(FormatBasis::Locked, [only]);
        }
        let set: Vec<ApiFormat> =
            self.api_format.iter().chain(&self.also_speaks).copied().collect();
        let detected = self.detected_formats.as_deref().unwrap_or_default();
        let (basis, formats) = match (set.is_empty(), detected.is_empty()) {
            (false, _) => (FormatBasis::Pinned, set.as_slice()),
            (true, false) => (FormatBasis::Detected, detected),
            (true, true) => (FormatBasis::Unknown, USUAL_FORMATS.as_slice()),
        };
        Endpoints::new(basis, formats.iter().map(|format| self.endpoint_below(base, *format)))
    }

    fn endpoint_below(&self, base: &Url, format: ApiFormat) -> Endpoint {
        let own_path = self.chat_path.as_deref().filter(|_| format == ApiFormat::Openai);
        let path = own_path.unwrap_or_else(|| usual_path(base, format));
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        Endpoint { format, url }
    }

    /// Where it would take requests of each of the usual formats, whatever it is said to speak.
    pub fn usual_endpoints(&self) -> Vec<Endpoint> {
        let Some(base) = &self.base_url else { return Vec::new() };
        USUAL_FORMATS.iter().map(|format| self.endpoint_below(base, *format)).collect()
    }
}

impl PartialEq for SecretHeader {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value.expose_secret() == other.value.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Provider {
        let at = Timestamp::from_millis(0);
        Provider {
            id: ProviderId::parse("acme").unwrap(),
            name: "Acme".into(),
            kind: ProviderKind::Custom,
            origin: Origin::Api,
            location: Location::Cloud,
            base_url: Some("https://acme.test/openai/".parse().unwrap()),
            chat_path: Some("/v1/chat/completions".into()),
            api_format: Some(ApiFormat::Openai),
            also_speaks: vec![],
            detected_formats: None,
            priority: 0,
            enabled: None,
            models: vec![],
            headers: vec![],
            credential_strategy: CredentialStrategy::default(),
            rules: vec![],
            attempt_timeout_ms: None,
            cooling: None,
            locked: None,
            last_error: None,
            beta: false,
            website: None,
            api_key_url: None,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn without_the_users_word_a_provider_is_on_when_it_has_a_credential() {
        let mut provider = provider();
        assert!(!provider.is_enabled(0));
        assert!(provider.is_enabled(1));
        provider.enabled = Some(false);
        assert!(!provider.is_enabled(1), "the user's choice was overruled");
    }

    #[test]
    fn only_a_local_provider_is_used_without_a_credential() {
        let mut provider = provider();
        provider.enabled = Some(true);
        assert!(!provider.is_usable(0));
        provider.location = Location::Local;
        assert!(provider.is_usable(0));
        provider.locked = Some("k1".into());
        assert!(!provider.is_usable(1), "a locked provider was used");
    }

    #[test]
    fn a_providers_own_path_stands_below_its_base() {
        let url = provider().endpoints()[0].url.to_string();
        assert_eq!(url, "https://acme.test/openai/v1/chat/completions");
    }

    #[test]
    fn a_header_cannot_frame_or_smuggle_a_request() {
        let parse = |name: &str, value: &str| SecretHeader::parse(name, value.into());
        assert_eq!(parse("X-Team", "blue green").ok().unwrap().name, "x-team");
        assert!(matches!(parse("Host", "a"), Err(HeaderError::Reserved(_))));
        assert!(matches!(parse("Content-Length", "0"), Err(HeaderError::Reserved(_))));
        assert!(matches!(parse("a b", "a"), Err(HeaderError::Name(_))));
        assert!(matches!(parse("", "a"), Err(HeaderError::Name(_))));
        assert!(matches!(parse("x", "a\r\nhost: b"), Err(HeaderError::Value(_))));
    }

    fn address(base: &str, format: ApiFormat) -> String {
        let base_url = Some(base.parse().unwrap());
        let api_format = Some(format);
        let provider = Provider { base_url, chat_path: None, api_format, ..provider() };
        provider.endpoints()[0].url.to_string()
    }

    #[test]
    fn a_base_that_ends_in_a_version_gets_no_second_one() {
        use ApiFormat::*;
        for (base, format, expected) in [
            ("https://a.test", Openai, "https://a.test/v1/chat/completions"),
            ("https://a.test/v1/", Openai, "https://a.test/v1/chat/completions"),
            ("https://a.test/api/paas/v4", Openai, "https://a.test/api/paas/v4/chat/completions"),
            ("https://a.test/vendor", Openai, "https://a.test/vendor/v1/chat/completions"),
            ("https://a.test/v1", Responses, "https://a.test/v1/responses"),
            ("https://a.test/anthropic", Anthropic, "https://a.test/anthropic/v1/messages"),
            ("https://a.test/v1beta", Google, "https://a.test/v1beta/models"),
            ("https://a.test", Google, "https://a.test/v1beta/models"),
            ("https://a.test", Cloudcode, "https://a.test/v1internal"),
            ("http://localhost:11434", Ollama, "http://localhost:11434/api/chat"),
            ("https://a.test", Copilot, "https://a.test/chat/completions"),
        ] {
            assert_eq!(address(base, format), expected);
        }
    }

    #[test]
    fn a_base_that_is_an_address_takes_only_its_own_format() {
        let base_url = Some("https://a.test/backend/codex/responses/".parse().unwrap());
        let also_speaks = vec![ApiFormat::Anthropic];
        let endpoints = Provider { base_url, also_speaks, ..provider() }.endpoints();
        assert_eq!(endpoints.len(), 1);
        assert_eq!(endpoints[0].format, ApiFormat::Responses);
        assert_eq!(endpoints[0].url.path(), "/backend/codex/responses/");
    }

    #[test]
    fn a_provider_may_speak_several_formats_its_own_first() {
        let also_speaks = vec![ApiFormat::Responses, ApiFormat::Openai, ApiFormat::Anthropic];
        let endpoints = Provider { also_speaks, ..provider() }.endpoints();
        let formats: Vec<ApiFormat> = endpoints.iter().map(|endpoint| endpoint.format).collect();
        assert_eq!(formats, [ApiFormat::Openai, ApiFormat::Responses, ApiFormat::Anthropic]);
        assert!(endpoints[1].url.path().ends_with("/openai/v1/responses"));
    }

    #[test]
    fn what_is_set_counts_then_what_was_detected_then_what_is_usual() {
        use ApiFormat::*;
        let speaks = |api_format, also: &[ApiFormat], detected: Option<&[ApiFormat]>| {
            let provider = Provider {
                api_format,
                also_speaks: also.to_vec(),
                detected_formats: detected.map(<[_]>::to_vec),
                ..provider()
            };
            let endpoints = provider.endpoints();
            assert_eq!(provider.is_auto(), endpoints.basis != FormatBasis::Pinned);
            (endpoints.basis, endpoints.iter().map(|it| it.format).collect::<Vec<_>>())
        };
        let pinned = FormatBasis::Pinned;
        assert_eq!(speaks(Some(Ollama), &[], Some(&[Google])), (pinned, vec![Ollama]));
        assert_eq!(speaks(None, &[Anthropic], Some(&[Google])), (pinned, vec![Anthropic]));
        let found = speaks(None, &[], Some(&[Google, Openai]));
        assert_eq!(found, (FormatBasis::Detected, vec![Google, Openai]));
        for detected in [None, Some(&[][..])] {
            let expected = (FormatBasis::Unknown, USUAL_FORMATS.to_vec());
            assert_eq!(speaks(None, &[], detected), expected);
        }
    }

    #[test]
    fn an_address_of_one_format_is_not_auto() {
        let base_url = Some("https://a.test/v1/messages".parse().unwrap());
        let provider = Provider { base_url, api_format: None, ..provider() };
        assert!(!provider.is_auto());
        assert_eq!(provider.endpoints().basis, FormatBasis::Locked);
    }

    #[test]
    fn a_listed_model_may_have_another_name_upstream() {
        let mut provider = provider();
        let asked = ModelName::parse("fast").unwrap();
        assert_eq!(provider.upstream_model(&asked), Some(asked.clone()));
        provider.models = vec![ServedModel {
            upstream_name: Some(ModelName::parse("vendor/fast-1").unwrap()),
            ..ServedModel::named(asked.clone())
        }];
        assert_eq!(provider.upstream_model(&asked).unwrap().as_str(), "vendor/fast-1");
        assert_eq!(provider.upstream_model(&ModelName::parse("slow").unwrap()), None);
    }
}
