//! The providers and keys that nobody has to make: catalogue, configuration file, environment.

use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};

use super::storage::Storage;
use crate::{
    actors::registry::{CatalogEntry, builtin},
    config::{Config, Environment, ProviderConfig},
    crypto::mac::Mac,
    domain::{
        credential::{Credential, CredentialSettings, StoredSecret, mask},
        id::ProviderId,
        provider::{Origin, Provider, ProviderKind, ProviderSettings, StoredHeaders},
        setting::parse_api_key,
        time::Timestamp,
    },
    gateway::upstream::check_base_url,
};

/// What is there at each start, without being stored.
pub struct Given {
    pub providers: Vec<Provider>,
    pub credentials: Vec<Credential>,
}

/// Puts together the catalogue, the configuration file above it, and the keys of both.
pub fn collect(
    config: &Config,
    environment: &Environment,
    storage: &Storage,
) -> anyhow::Result<Given> {
    let catalog = builtin()?;
    let mut credentials: Vec<Credential> = catalog
        .iter()
        .filter_map(|entry| environment_credential(entry, environment, &storage.fingerprints))
        .collect();
    let mut providers: Vec<Provider> = catalog.iter().map(CatalogEntry::to_provider).collect();
    providers.extend(from_file(config, &catalog)?);
    for section in &config.providers {
        let name = &section.id;
        for (index, api_key) in section.api_keys.iter().enumerate() {
            let id = format!("config_{name}_{}", index + 1);
            let set = api_key.to_settings().with_context(|| format!("provider {name}"))?;
            let secret = parse_api_key(&api_key.key).with_context(|| format!("provider {name}"))?;
            let keys = &storage.fingerprints;
            credentials.push(credential(&id, &section.id, &secret, set, Origin::Config, keys));
        }
    }
    Ok(Given { providers, credentials })
}

/// Whether the providers of the configuration file can be what they say, without starting anything.
pub fn check(config: &Config) -> anyhow::Result<()> {
    from_file(config, &builtin()?).map(drop)
}

pub(super) fn from_file(
    config: &Config,
    catalog: &[CatalogEntry],
) -> anyhow::Result<Vec<Provider>> {
    let provider = |section: &ProviderConfig| {
        let entry = catalog.iter().find(|entry| entry.id == section.id);
        configured(section, entry).with_context(|| format!("provider {}", section.id))
    };
    config.providers.iter().map(provider).collect()
}

fn environment_credential(
    entry: &CatalogEntry,
    environment: &Environment,
    fingerprints: &Mac,
) -> Option<Credential> {
    let (name, value) = entry
        .env
        .iter()
        .find_map(|name| Some((name, environment.value(name)?.trim())))
        .filter(|(_, value)| !value.is_empty())?;
    let id = format!("env_{}", name.to_ascii_lowercase());
    let set = CredentialSettings { label: Some(name.clone()), ..CredentialSettings::default() };
    let secret = SecretString::from(value);
    Some(credential(&id, &entry.id, &secret, set, Origin::Environment, fingerprints))
}

/// A credential that is not stored. Part of its fingerprint is in its id, so that another key in the
/// same place does not inherit the cooldowns of the one before.
fn credential(
    id: &str,
    provider: &ProviderId,
    secret: &SecretString,
    settings: CredentialSettings,
    origin: Origin,
    fingerprints: &Mac,
) -> Credential {
    let fingerprint = fingerprints.fingerprint(secret);
    Credential {
        id: format!("{id}_{}", &fingerprint[..8]).into(),
        provider_id: provider.clone(),
        settings,
        origin,
        mask: mask(secret.expose_secret()),
        fingerprint,
        secret: StoredSecret::open(secret.clone()),
        created_at: Timestamp::from_millis(0),
    }
}

/// A provider of the configuration file. One that the catalogue knows keeps what is only told there.
fn configured(section: &ProviderConfig, entry: Option<&CatalogEntry>) -> anyhow::Result<Provider> {
    check_base_url(&section.base_url, section.location)?;
    let ProviderSettings { headers, rules, .. } = section.to_settings()?;
    let headers = match headers {
        Some(StoredHeaders::Open(headers)) => headers,
        Some(StoredHeaders::Locked { .. }) | None => Vec::new(),
    };
    let never = Timestamp::from_millis(0);
    // Neither is set: then the catalogue says what is spoken, or it is found out.
    let known = entry.filter(|_| section.api_format.is_none() && section.also_speaks.is_empty());
    let known_name = entry.map_or_else(|| section.id.to_string(), |entry| entry.name.clone());
    Ok(Provider {
        id: section.id.clone(),
        name: section.name.clone().unwrap_or(known_name),
        kind: entry.map_or(ProviderKind::Custom, |entry| entry.kind),
        origin: Origin::Config,
        location: section.location,
        base_url: Some(section.base_url.clone()),
        chat_path: section.chat_path.clone(),
        api_format: known.map_or(section.api_format, |entry| Some(entry.api_format)),
        also_speaks: known.map_or(&section.also_speaks, |entry| &entry.also_speaks).clone(),
        detected_formats: None,
        priority: section.priority,
        enabled: Some(section.enabled),
        models: section.models.clone(),
        headers,
        credential_strategy: section.credential_strategy,
        rules: rules.unwrap_or_default(),
        attempt_timeout_ms: section.attempt_timeout_ms,
        cooling: section.cooling,
        locked: None,
        last_error: None,
        beta: entry.is_some_and(|entry| entry.beta),
        website: entry.and_then(|entry| entry.website.clone()),
        api_key_url: entry.and_then(|entry| entry.api_key_url.clone()),
        created_at: never,
        updated_at: never,
    })
}
