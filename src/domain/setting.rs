//! Which values settings may have, whoever sets them: the configuration file or the API.

use std::collections::{BTreeMap, HashSet};

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{
    cooling::fault_of_cooling,
    credential::CredentialSettings,
    merge_patch::Patch,
    model::{MAX_CONTEXT_TOKENS, ServedModel},
    name::{fault_of_letters, fault_of_name},
    provider::{HeaderError, ProviderSettings, SecretHeader, StoredHeaders},
    route::{MAX_WEIGHT, fault_of_attempt_timeout},
    rule::MAX_RULES,
};

/// Longest name of a provider, in characters.
const MAX_NAME_CHARS: usize = 128;
/// Longest path of an API, in bytes.
const MAX_PATH_LEN: usize = 512;
/// Most formats one provider may speak beside its own.
const MAX_FORMATS: usize = 8;
/// Most models one provider may list.
const MAX_MODELS: usize = 2_000;
/// Most headers of one provider, and of one credential.
const MAX_HEADERS: usize = 32;
/// Longest label of a credential, in characters.
const MAX_LABEL_CHARS: usize = 128;
/// Largest number that can be set for the requests of a credential at once.
const MAX_IN_FLIGHT: u32 = 100_000;
/// Longest API key taken, in bytes.
const MAX_API_KEY_LEN: usize = 4096;

/// A setting that cannot be taken. Does not show the value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {reason}")]
pub struct InvalidSetting {
    pub field: &'static str,
    pub reason: String,
}

impl InvalidSetting {
    pub fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

impl ProviderSettings {
    /// Errors: the first of [`Self::faults`].
    pub fn check(&self) -> Result<(), InvalidSetting> {
        first(self.faults())
    }

    /// All that is wrong with what is set. Whether the base URL can be called is not looked at.
    pub fn faults(&self) -> Vec<InvalidSetting> {
        let mut faults = Vec::new();
        let mut refuse = |field, reason: String| faults.push(InvalidSetting { field, reason });
        if let Some(fault) = self.name.as_ref().and_then(|name| fault_of_name(name, MAX_NAME_CHARS))
        {
            refuse("name", fault);
        }
        let is_path = |path: &String| {
            path.starts_with('/')
                && !path.contains(['?', '#'])
                && path.len() <= MAX_PATH_LEN
                && fault_of_letters(path).is_none()
        };
        if !self.chat_path.as_ref().is_none_or(is_path) {
            let reason = "must be a path that begins with '/', without '?', '#' and control \
                          characters, in at most 512 bytes";
            refuse("chat_path", reason.to_owned());
        }
        if self.also_speaks.as_ref().is_some_and(|formats| formats.len() > MAX_FORMATS) {
            refuse("also_speaks", format!("lists more than {MAX_FORMATS} formats"));
        }
        let models = self.models.as_deref().unwrap_or_default();
        if models.len() > MAX_MODELS {
            refuse("models", format!("lists more than {MAX_MODELS} models"));
        }
        let mut names = HashSet::new();
        if let Some(twice) = models.iter().find(|model| !names.insert(&model.name)) {
            refuse("models", format!("lists {} twice", twice.name));
        }
        if let Some(size) = models.iter().find_map(ServedModel::impossible_size) {
            refuse("models", format!("{size} must be 1 to {MAX_CONTEXT_TOKENS}"));
        }
        if let Some(StoredHeaders::Open(headers)) = &self.headers {
            faults.extend(fault_of_headers(headers));
        }
        if self.rules.as_ref().is_some_and(|rules| rules.len() > MAX_RULES) {
            faults.push(InvalidSetting::new("rules", format!("has more than {MAX_RULES} entries")));
        }
        faults.extend(fault_of_attempt_timeout(self.attempt_timeout_ms));
        faults.extend(fault_of_cooling(self.cooling));
        faults
    }
}

impl CredentialSettings {
    /// Errors: the first of [`Self::faults`].
    pub fn check(&self) -> Result<(), InvalidSetting> {
        first(self.faults())
    }

    /// All that is wrong with what is set.
    pub fn faults(&self) -> Vec<InvalidSetting> {
        let mut faults = Vec::new();
        let mut refuse = |field, reason: String| faults.push(InvalidSetting { field, reason });
        let label = self.label.as_deref().unwrap_or_default();
        if label.chars().count() > MAX_LABEL_CHARS {
            refuse("label", format!("has more than {MAX_LABEL_CHARS} characters"));
        }
        if let Some(fault) = fault_of_letters(label) {
            refuse("label", fault.to_owned());
        }
        if self.weight > MAX_WEIGHT {
            refuse("weight", format!("must be 0 to {MAX_WEIGHT}"));
        }
        if self.max_in_flight.is_some_and(|most| !(1..=MAX_IN_FLIGHT).contains(&most)) {
            refuse("max_in_flight", format!("must be 1 to {MAX_IN_FLIGHT}"));
        }
        faults.extend(fault_of_headers(&self.headers));
        faults
    }
}

fn first(faults: Vec<InvalidSetting>) -> Result<(), InvalidSetting> {
    faults.into_iter().next().map_or(Ok(()), Err)
}

fn fault_of_headers(headers: &[SecretHeader]) -> Option<InvalidSetting> {
    if headers.len() > MAX_HEADERS {
        return Some(InvalidSetting::new(
            "headers",
            format!("has more than {MAX_HEADERS} entries"),
        ));
    }
    let mut names = HashSet::new();
    let twice = headers.iter().find(|header| !names.insert(header.name.as_str()))?;
    Some(named_twice(&twice.name))
}

fn named_twice(header: &str) -> InvalidSetting {
    InvalidSetting::new("headers", format!("names {header} twice"))
}

/// Reads headers as they are written, by name. How many there may be is not looked at.
///
/// Errors: [`HeaderError`], for the first that cannot be sent.
pub fn parse_headers(
    headers: &BTreeMap<String, SecretString>,
) -> Result<Vec<SecretHeader>, HeaderError> {
    headers.iter().map(|(name, value)| SecretHeader::parse(name, value.clone())).collect()
}

/// A change to headers by name: each is set, or taken out.
#[derive(Clone, Default)]
pub struct HeadersPatch(BTreeMap<String, Option<SecretHeader>>);

impl HeadersPatch {
    /// Reads headers as they are written, by name; those without a value are taken out.
    ///
    /// Errors: [`InvalidSetting`], for the first that cannot be sent, and for a name that comes twice.
    pub fn parse(headers: &BTreeMap<String, Option<SecretString>>) -> Result<Self, InvalidSetting> {
        let mut patch = BTreeMap::new();
        for (name, value) in headers {
            let is_set = value.is_some();
            let header = SecretHeader::parse(name, value.clone().unwrap_or_else(|| "".into()))
                .map_err(|error| InvalidSetting::new("headers", error.to_string()))?;
            let name = header.name.clone();
            if patch.insert(name.clone(), is_set.then_some(header)).is_some() {
                return Err(named_twice(&name));
            }
        }
        Ok(Self(patch))
    }
}

impl Patch<Vec<SecretHeader>> for HeadersPatch {
    fn apply_to(self, headers: &mut Vec<SecretHeader>) {
        headers.retain(|header| !self.0.contains_key(&header.name));
        headers.extend(self.0.into_values().flatten());
    }
}

/// Reads an API key. White space around it is taken away.
///
/// Errors: what no provider ever issued as a key.
pub fn parse_api_key(secret: &SecretString) -> Result<SecretString, InvalidSetting> {
    let trimmed = secret.expose_secret().trim();
    if trimmed.is_empty() {
        return Err(InvalidSetting::new("key", "is empty"));
    }
    if trimmed.len() > MAX_API_KEY_LEN {
        return Err(InvalidSetting::new("key", format!("is longer than {MAX_API_KEY_LEN} bytes")));
    }
    // It goes into a header: anything else could end the header and begin another.
    if !trimmed.bytes().all(|b| b.is_ascii_graphic()) {
        let reason = "holds white space, control characters or letters outside ASCII";
        return Err(InvalidSetting::new("key", reason));
    }
    Ok(trimmed.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ModelName;

    fn fields(faults: &[InvalidSetting]) -> Vec<&'static str> {
        faults.iter().map(|fault| fault.field).collect()
    }

    fn headers(count: usize) -> Vec<SecretHeader> {
        let header = |n| SecretHeader { name: format!("x-{n}"), value: "v".into() };
        (0..count).map(header).collect()
    }

    fn models(count: usize) -> Vec<ServedModel> {
        (0..count)
            .map(|n| ServedModel::named(ModelName::parse(&format!("m{n}")).unwrap()))
            .collect()
    }

    #[test]
    fn settings_of_a_credential_are_bounded() {
        let largest = CredentialSettings {
            label: Some("é".repeat(128)),
            weight: 1_000_000,
            max_in_flight: Some(100_000),
            headers: headers(32),
            ..CredentialSettings::default()
        };
        assert_eq!(fields(&largest.faults()), [""; 0]);
        let too_large = CredentialSettings {
            label: Some("l".repeat(129)),
            weight: 1_000_001,
            max_in_flight: Some(100_001),
            headers: headers(33),
            ..CredentialSettings::default()
        };
        let all = ["label", "weight", "max_in_flight", "headers"];
        assert_eq!(fields(&too_large.faults()), all);
        let unprintable =
            CredentialSettings { label: Some("a\0".into()), ..CredentialSettings::default() };
        assert_eq!(fields(&unprintable.faults()), ["label"]);
        let twice = CredentialSettings {
            max_in_flight: Some(0),
            headers: [headers(1), headers(1)].concat(),
            ..CredentialSettings::default()
        };
        assert_eq!(fields(&twice.faults()), ["max_in_flight", "headers"]);
    }

    #[test]
    fn settings_of_a_provider_are_bounded() {
        let largest = ProviderSettings {
            name: Some("é".repeat(128)),
            chat_path: Some(format!("/{}", "p".repeat(511))),
            models: Some(models(2_000)),
            headers: Some(StoredHeaders::Open(headers(32))),
            ..ProviderSettings::default()
        };
        assert_eq!(fields(&largest.faults()), [""; 0]);
        let too_large = ProviderSettings {
            name: Some("n".repeat(129)),
            chat_path: Some(format!("/{}", "p".repeat(512))),
            models: Some(models(2_001)),
            headers: Some(StoredHeaders::Open(headers(33))),
            ..ProviderSettings::default()
        };
        assert_eq!(fields(&too_large.faults()), ["name", "chat_path", "models", "headers"]);
        for (field, settings) in [
            ("name", ProviderSettings { name: Some(" ".into()), ..ProviderSettings::default() }),
            ("name", ProviderSettings { name: Some("a\0".into()), ..ProviderSettings::default() }),
            (
                "chat_path",
                ProviderSettings { chat_path: Some("/a\nb".into()), ..ProviderSettings::default() },
            ),
            (
                "chat_path",
                ProviderSettings { chat_path: Some("/a?b".into()), ..ProviderSettings::default() },
            ),
            (
                "models",
                ProviderSettings {
                    models: Some([models(2), models(1)].concat()),
                    ..ProviderSettings::default()
                },
            ),
            (
                "headers",
                ProviderSettings {
                    headers: Some(StoredHeaders::Open([headers(1), headers(1)].concat())),
                    ..ProviderSettings::default()
                },
            ),
        ] {
            assert_eq!(fields(&settings.faults()), [field]);
        }
    }

    #[test]
    fn a_key_is_what_fits_into_a_header() {
        assert_eq!(parse_api_key(&" sk-1\n".into()).unwrap().expose_secret(), "sk-1");
        for wrong in ["", " ", "sk 1", "sk-\n1", "schlüssel", &"k".repeat(4097)] {
            assert_eq!(parse_api_key(&wrong.into()).unwrap_err().field, "key");
        }
    }
}
