//! An entry of `api_keys`: the key alone, or a table that also says how it is used.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, value::MapAccessDeserializer},
};

use super::{bounds::Bounds, headers, secret};
use crate::domain::{
    credential::{CredentialSettings, Egress, ProxyError},
    provider::SecretHeader,
    setting::{InvalidSetting, parse_api_key, parse_headers},
};

/// A key of a provider of the file.
// "Self" makes the derived functions those of the table; the traits below also know the text.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct ApiKeyConfig {
    #[serde(deserialize_with = "secret::read", serialize_with = "secret::mask")]
    pub key: SecretString,
    /// A name for it. At most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Higher is preferred: others are used only when none of a higher priority can be.
    #[serde(default)]
    pub priority: i32,
    /// Share under the weighted strategy. 0 to 1000000.
    #[serde(default = "default_weight")]
    pub weight: u32,
    /// Most requests at once, 1 to 100000. Absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// A proxy for its requests, or `direct`. Absent: as the environment's proxy variables say.
    #[serde(
        default,
        deserialize_with = "secret::read_optional",
        serialize_with = "mask_proxy",
        skip_serializing_if = "Option::is_none"
    )]
    pub proxy_url: Option<SecretString>,
    /// Headers sent with its requests, by name, above the provider's own. At most 32.
    #[serde(default, with = "headers", skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretString>,
}

fn default_enabled() -> bool {
    CredentialSettings::default().enabled
}

fn default_weight() -> u32 {
    CredentialSettings::default().weight
}

#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
fn mask_proxy<S: Serializer>(url: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    let egress = url.as_ref().and_then(|url| Egress::parse(url.expose_secret()).ok());
    let shown = egress.and_then(|egress| egress.shown());
    serializer.serialize_str(shown.as_deref().unwrap_or(secret::MASK))
}

impl From<String> for ApiKeyConfig {
    /// A key with nothing set for it.
    fn from(key: String) -> Self {
        Self {
            key: key.into(),
            label: None,
            enabled: default_enabled(),
            priority: 0,
            weight: default_weight(),
            max_in_flight: None,
            proxy_url: None,
            headers: BTreeMap::new(),
        }
    }
}

impl From<&str> for ApiKeyConfig {
    fn from(key: &str) -> Self {
        key.to_owned().into()
    }
}

impl<'de> Deserialize<'de> for ApiKeyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        impl<'de> de::Visitor<'de> for TextOrTable {
            type Value = ApiKeyConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a table")
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<ApiKeyConfig, E> {
                Ok(key.into())
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ApiKeyConfig, A::Error> {
                ApiKeyConfig::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

impl Serialize for ApiKeyConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_key_alone() {
            return secret::mask(&self.key, serializer);
        }
        Self::serialize(self, serializer)
    }
}

impl ApiKeyConfig {
    fn is_key_alone(&self) -> bool {
        let Self { key: _, label, enabled, priority, weight, max_in_flight, proxy_url, headers } =
            self;
        let unset = CredentialSettings::default();
        (label, enabled, priority, weight, max_in_flight)
            == (&unset.label, &unset.enabled, &unset.priority, &unset.weight, &unset.max_in_flight)
            && proxy_url.is_none()
            && headers.is_empty()
    }

    /// What is set for it.
    ///
    /// Errors: [`InvalidSetting`], of what cannot be read.
    pub fn to_settings(&self) -> Result<CredentialSettings, InvalidSetting> {
        let egress =
            self.egress().map_err(|error| InvalidSetting::new("proxy_url", error.to_string()))?;
        let headers = parse_headers(&self.headers)
            .map_err(|error| InvalidSetting::new("headers", error.to_string()))?;
        Ok(self.settings(egress, headers))
    }

    fn egress(&self) -> Result<Egress, ProxyError> {
        self.proxy_url.as_ref().map_or(Ok(Egress::Usual), |url| Egress::parse(url.expose_secret()))
    }

    fn settings(&self, egress: Egress, headers: Vec<SecretHeader>) -> CredentialSettings {
        CredentialSettings {
            label: self.label.clone(),
            enabled: self.enabled,
            priority: self.priority,
            weight: self.weight,
            max_in_flight: self.max_in_flight,
            egress,
            headers,
        }
    }

    /// `entry` names the entry: `providers.0.api_keys.0`.
    pub(super) fn check(&self, entry: &str, bounds: &mut Bounds) {
        if let Err(fault) = parse_api_key(&self.key) {
            bounds.refuse_secret(entry, fault.reason);
        }
        let egress = bounds.read(entry, "proxy_url", self.egress());
        let headers = bounds.read(entry, "headers", parse_headers(&self.headers));
        let settings = self.settings(egress.unwrap_or_default(), headers.unwrap_or_default());
        bounds.faults(entry, settings.faults());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize)]
    struct File {
        api_keys: Vec<ApiKeyConfig>,
    }

    fn read(text: &str) -> Vec<ApiKeyConfig> {
        toml::from_str::<File>(text).unwrap().api_keys
    }

    /// Reads one key that is a table of these lines.
    fn read_table(lines: &str) -> ApiKeyConfig {
        read(&format!("[[api_keys]]\n{lines}")).remove(0)
    }

    fn problems(lines: &str) -> String {
        let mut bounds = Bounds::default();
        read_table(lines).check("api_keys.0", &mut bounds);
        bounds.finish(&figment::Figment::new()).err().map_or(String::new(), |e| e.to_string())
    }

    #[test]
    fn a_key_is_a_text_or_a_table() {
        let keys = read(r#"api_keys = ["sk-1", { key = "sk-2", weight = 0 }]"#);
        assert!(keys[0].is_key_alone() && !keys[1].is_key_alone());
        assert_eq!((keys[0].key.expose_secret(), keys[0].weight), ("sk-1", 1));
        assert_eq!((keys[1].key.expose_secret(), keys[1].weight), ("sk-2", 0));

        let key = read_table(
            r#"
            key = "sk-3"
            label = "l"
            enabled = false
            priority = -1
            max_in_flight = 4
            proxy_url = "direct"
            headers = { X-Org = "o" }
            "#,
        );
        assert_eq!((key.label.as_deref(), key.enabled, key.priority), (Some("l"), false, -1));
        assert_eq!((key.weight, key.max_in_flight), (1, Some(4)));
        assert_eq!(key.proxy_url.unwrap().expose_secret(), "direct");
        assert_eq!(key.headers["X-Org"].expose_secret(), "o");
    }

    #[test]
    fn a_table_without_a_key_or_with_what_nobody_knows_is_refused() {
        for wrong in ["{ label = \"l\" }", "{ key = \"sk\", wieght = 1 }", "1"] {
            assert!(toml::from_str::<File>(&format!("api_keys = [{wrong}]")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_holds_no_secret_and_reads_back() {
        let key = read_table(
            r#"
            key = "hunter2"
            weight = 3
            proxy_url = "http://me:hunter2@proxy.test:3128/?t=hunter2"
            headers = { x = "hunter2" }
            "#,
        );
        for api_keys in [vec![key.clone()], vec!["hunter2".into(), key]] {
            let count = api_keys.len();
            let shown = toml::to_string(&File { api_keys }).unwrap();
            assert!(!shown.contains("hunter2") && !shown.contains("me:"), "{shown}");
            for part in ["\"****\"", "weight = 3", "proxy_url = \"http://proxy.test:3128/\""] {
                assert!(shown.contains(part), "{part} is not in {shown}");
            }
            assert_eq!(read(&shown).len(), count);
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_named_and_secrets_are_not_shown() {
        let long = "l".repeat(129);
        let problems = problems(&format!(
            r#"
            key = "sk-\n1"
            label = "{long}"
            weight = 1000001
            max_in_flight = 0
            proxy_url = "hunter2"
            headers = {{ "a b" = "hunter2" }}
            "#,
        ));
        for (line, beginning) in problems.lines().zip([
            "api_keys.0: holds white space",
            "api_keys.0.proxy_url: a proxy is http://",
            "api_keys.0.headers: \"a b\" is not a header name",
            "api_keys.0.label: has more than 128 characters",
            "api_keys.0.weight: must be 0 to 1000000",
            "api_keys.0.max_in_flight: must be 1 to 100000",
        ]) {
            assert!(line.starts_with(beginning), "{line} is not {beginning}");
        }
        assert_eq!(problems.lines().count(), 6, "{problems}");
        assert!(!problems.contains("hunter2") && !problems.contains("sk-"), "{problems}");
    }

    #[test]
    fn headers_are_bounded_as_in_the_api() {
        let with = |headers: &str| problems(&format!("key = \"sk-1\"\nheaders = {{ {headers} }}"));
        let many =
            |count| (0..count).map(|n| format!("x-{n} = \"v\"")).collect::<Vec<_>>().join(",");
        assert_eq!(with(&many(32)), "");
        assert_eq!(with(&many(33)), "api_keys.0.headers: has more than 32 entries");
        assert_eq!(with("X-A = \"1\", x-a = \"2\""), "api_keys.0.headers: names x-a twice");
    }
}
