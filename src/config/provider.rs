//! `[[providers]]`: providers owned by the file, read-only in the API.

use std::collections::{BTreeMap, HashSet};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{api_key::ApiKeyConfig, bounds::Bounds, headers};
use crate::domain::{
    id::ProviderId,
    model::{MAX_CONTEXT_TOKENS, ServedModel},
    provider::{ApiFormat, Location},
    route::CredentialStrategy,
    rule::RuleText,
};

/// One provider of the file.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    pub id: ProviderId,
    /// Absent: the id, or what the catalogue calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub base_url: Url,
    #[serde(default = "default_location")]
    pub location: Location,
    #[serde(default = "default_api_format")]
    pub api_format: ApiFormat,
    /// Path of Chat Completions below the base URL. Absent: the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_path: Option<String>,
    /// Higher is preferred.
    #[serde(default)]
    pub priority: i32,
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// What it serves. Empty: any model name is tried there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ServedModel>,
    /// How its keys take turns.
    #[serde(default)]
    pub credential_strategy: CredentialStrategy,
    /// What its errors lead to, where you know better.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKeyConfig>,
    /// Headers sent with every request, by name.
    #[serde(default, with = "headers", skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretString>,
}

fn default_location() -> Location {
    Location::Cloud
}

fn default_api_format() -> ApiFormat {
    ApiFormat::Openai
}

fn default_enabled() -> bool {
    true
}

pub(super) fn check(providers: &[ProviderConfig], bounds: &mut Bounds) {
    let mut ids = HashSet::new();
    for (index, provider) in providers.iter().enumerate() {
        let key = |field: &str| format!("providers.{index}.{field}");
        if !ids.insert(&provider.id) {
            bounds.refuse(&key("id"), &provider.id, "must be of no other provider");
        }
        provider.check(&key, bounds);
    }
}

impl ProviderConfig {
    fn check(&self, key: &dyn Fn(&str) -> String, bounds: &mut Bounds) {
        let url = &self.base_url;
        let has_secret = !url.username().is_empty() || url.password().is_some();
        if has_secret || url.query().is_some() || url.fragment().is_some() {
            let wanted = "must have no user, password, query or fragment (use api_keys or headers)";
            bounds.refuse_secret(&key("base_url"), wanted);
        } else if !matches!(url.scheme(), "http" | "https") {
            bounds.refuse(&key("base_url"), url, "must begin with https:// or http://");
        }
        if let Some(path) = self.chat_path.as_ref().filter(|path| !path.starts_with('/')) {
            bounds.refuse(&key("chat_path"), path, "must begin with \"/\"");
        }
        for (index, model) in self.models.iter().enumerate() {
            if let Some(tokens) = model.context_tokens {
                let key = key(&format!("models.{index}.context_tokens"));
                bounds.number(&key, tokens, 1..=MAX_CONTEXT_TOKENS, "tokens");
            }
        }
        for (index, api_key) in self.api_keys.iter().enumerate() {
            api_key.check(&key(&format!("api_keys.{index}")), bounds);
        }
        headers::check(&self.headers, &key("headers"), bounds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        #[derive(Deserialize)]
        struct File {
            providers: Vec<ProviderConfig>,
        }
        let file: File = toml::from_str(text).unwrap();
        let mut bounds = Bounds::default();
        check(&file.providers, &mut bounds);
        bounds.finish(&figment::Figment::new()).err().map_or(String::new(), |e| e.to_string())
    }

    #[test]
    fn a_provider_needs_an_id_and_an_address() {
        let text = r#"
            [[providers]]
            id = "acme"
            base_url = "https://acme.test/v1"
            models = [{ name = "fast", upstream_name = "acme/fast-1" }]
            headers = { X-Team = "t" }
            api_keys = ["sk-1"]
        "#;
        assert_eq!(problems(text), "");
    }

    #[test]
    fn ids_that_differ_by_case_are_the_same() {
        let text = r#"
            providers = [
                { id = "acme", base_url = "https://a.test" },
                { id = "Acme", base_url = "https://b.test" },
            ]
        "#;
        assert_eq!(problems(text), "providers.1.id is acme: must be of no other provider");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_secrets_are_not_shown() {
        let text = r#"
            [[providers]]
            id = "a"
            base_url = "ftp://a.test"
            chat_path = "chat"
            api_keys = ["", "sk-\n1"]
            headers = { "a b" = "x", "c" = "secret\u0000", Host = "x" }

            [[providers]]
            id = "b"
            base_url = "https://user:hunter2@b.test"
        "#;
        let problems = problems(text);
        assert_eq!(problems.lines().count(), 8, "{problems}");
        for secret in ["sk-", "secret", "hunter2"] {
            assert!(!problems.contains(secret), "{problems}");
        }
    }
}
