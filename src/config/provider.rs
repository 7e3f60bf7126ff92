//! `[[providers]]`: providers owned by the file, read-only in the API.

use std::collections::{BTreeMap, HashSet};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use url::Url;

use super::{api_key::ApiKeyConfig, bounds::Bounds, headers};
use crate::domain::{
    cooling::CoolingSettings,
    id::ProviderId,
    model::ServedModel,
    provider::{
        ApiFormat, Location, ProviderSettings, SecretHeader, StoredHeaders, parse_base_url,
    },
    route::CredentialStrategy,
    rule::{FailureRule, RuleText, parse_rules},
    setting::{InvalidSetting, parse_headers},
};

/// One provider of the file.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    pub id: ProviderId,
    /// Absent: the id, or what the catalogue calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(deserialize_with = "read_base_url")]
    pub base_url: Url,
    #[serde(default = "default_location")]
    pub location: Location,
    /// Absent, and `also_speaks` too: what the catalogue says; else it is found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_format: Option<ApiFormat>,
    /// Path of Chat Completions below the base URL. Absent: the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_path: Option<String>,
    /// What it speaks beside its own format, as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_speaks: Vec<ApiFormat>,
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
    /// Time for one attempt at a whole answer while another candidate is left. Absent: that of
    /// `[relay]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_timeout_ms: Option<u32>,
    /// When its failures cool. Absent numbers: the pool's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooling: Option<CoolingSettings>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKeyConfig>,
    /// Headers sent with every request, by name.
    #[serde(default, with = "headers", skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretString>,
}

fn read_base_url<'de, D: Deserializer<'de>>(value: D) -> Result<Url, D::Error> {
    parse_base_url(&String::deserialize(value)?).map_err(D::Error::custom)
}

fn default_location() -> Location {
    Location::Cloud
}

fn default_enabled() -> bool {
    true
}

pub(super) fn check(providers: &[ProviderConfig], bounds: &mut Bounds) {
    let mut ids = HashSet::new();
    for (index, provider) in providers.iter().enumerate() {
        let table = format!("providers.{index}");
        if !ids.insert(&provider.id) {
            bounds.refuse(&format!("{table}.id"), &provider.id, "must be of no other provider");
        }
        provider.check(&table, bounds);
    }
}

impl ProviderConfig {
    fn check(&self, table: &str, bounds: &mut Bounds) {
        let (url, key) = (&self.base_url, format!("{table}.base_url"));
        let has_secret = !url.username().is_empty() || url.password().is_some();
        if has_secret || url.query().is_some() || url.fragment().is_some() {
            let wanted = "must have no user, password, query or fragment (use api_keys or headers)";
            bounds.refuse_secret(&key, wanted);
        } else if !matches!(url.scheme(), "http" | "https") {
            bounds.refuse(&key, url, "must begin with https:// or http://");
        }
        let rules = bounds.read(table, "rules", parse_rules(self.rules.clone()));
        let headers = bounds.read(table, "headers", parse_headers(&self.headers));
        let settings = self.settings(headers.unwrap_or_default(), rules.unwrap_or_default());
        bounds.faults(table, settings.faults());
        let mut keys = HashSet::new();
        for (index, api_key) in self.api_keys.iter().enumerate() {
            let entry = format!("{table}.api_keys.{index}");
            api_key.check(&entry, bounds);
            if !keys.insert(api_key.key.expose_secret().trim()) {
                bounds.refuse_secret(&entry, "must be no other key's again");
            }
        }
    }

    /// Its headers and rules.
    ///
    /// Errors: [`InvalidSetting`], of what cannot be read.
    pub fn to_settings(&self) -> Result<ProviderSettings, InvalidSetting> {
        let headers = parse_headers(&self.headers)
            .map_err(|error| InvalidSetting::new("headers", error.to_string()))?;
        let rules = parse_rules(self.rules.clone())
            .map_err(|error| InvalidSetting::new("rules", error.to_string()))?;
        Ok(self.settings(headers, rules))
    }

    fn settings(&self, headers: Vec<SecretHeader>, rules: Vec<FailureRule>) -> ProviderSettings {
        ProviderSettings {
            name: self.name.clone(),
            location: Some(self.location),
            base_url: Some(self.base_url.clone()),
            chat_path: self.chat_path.clone(),
            api_format: self.api_format,
            also_speaks: Some(self.also_speaks.clone()),
            priority: Some(self.priority),
            enabled: Some(self.enabled),
            models: Some(self.models.clone()),
            headers: Some(StoredHeaders::Open(headers)),
            credential_strategy: Some(self.credential_strategy),
            rules: Some(rules),
            attempt_timeout_ms: self.attempt_timeout_ms,
            cooling: self.cooling,
        }
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
            headers = { "c" = "secret\u0000" }

            [[providers]]
            id = "b"
            base_url = "https://user:hunter2@b.test"
        "#;
        let problems = problems(text);
        assert_eq!(problems.lines().count(), 6, "{problems}");
        for secret in ["sk-", "secret", "hunter2"] {
            assert!(!problems.contains(secret), "{problems}");
        }
    }

    #[test]
    fn what_the_api_would_not_take_is_not_taken_from_the_file() {
        let with = |line: &str| {
            let provider = "[[providers]]\nid = \"a\"\nbase_url = \"https://a.test\"\n";
            problems(&format!("{provider}{line}"))
        };
        for (line, problem) in [
            ("name = \" \"", "name: must have 1 to 128 characters"),
            ("chat_path = \"/v1?a=b\"", "chat_path: must be a path"),
            ("models = [{ name = \"m\" }, { name = \"m\" }]", "models: lists m twice"),
            ("models = [{ name = \"m\", context_tokens = 0 }]", "models: context_tokens must be"),
            ("models = [{ name = \"m\", output_tokens = 0 }]", "models: output_tokens must be 1"),
            ("rules = [{ status = 99, action = \"stop\" }]", "rules: rule 1: status must be"),
            ("cooling = { server = { failures = 101 } }", "cooling: server.failures must be 0"),
            ("headers = { Host = \"a\" }", "headers: the header host is set by the pool itself"),
            ("headers = { X-A = \"1\", x-a = \"2\" }", "headers: names x-a twice"),
            ("api_keys = [\"sk-1\", \"sk-2\", \" sk-1\"]", "api_keys.2: must be no other"),
        ] {
            let problems = with(line);
            assert!(problems.starts_with(&format!("providers.0.{problem}")), "{problems}");
            assert_eq!(problems.lines().count(), 1, "{problems}");
        }
    }
}
