//! The built-in catalogue: what we know about providers before anyone has set one up.

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::domain::{
    id::{ModelName, ProviderId},
    model::ServedModel,
    provider::{ApiFormat, Location, Origin, Provider, ProviderKind},
    route::CredentialStrategy,
    time::Timestamp,
};

const CATALOG: &str = include_str!("../../../catalog/providers.toml");

/// One provider of the catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    pub id: ProviderId,
    pub name: String,
    pub kind: ProviderKind,
    pub location: Location,
    pub base_url: Option<Url>,
    pub api_format: ApiFormat,
    pub chat_path: Option<String>,
    #[serde(default)]
    pub also_speaks: Vec<ApiFormat>,
    pub priority: i32,
    #[serde(default)]
    pub beta: bool,
    pub website: Option<String>,
    pub api_key_url: Option<String>,
    /// Environment variables that usually hold its key; the first that is set is taken.
    #[serde(default)]
    pub env: Vec<String>,
    #[serde(default)]
    pub models: Vec<ModelName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogFile {
    providers: Vec<CatalogEntry>,
}

/// The catalogue file does not parse. It is part of the program, so this is a defect of a build.
#[derive(Debug, Error)]
#[error("the built-in catalogue of providers is damaged: {0}")]
pub struct CatalogError(#[from] toml::de::Error);

/// Reads the catalogue this program carries.
pub fn builtin() -> Result<Vec<CatalogEntry>, CatalogError> {
    let file: CatalogFile = toml::from_str(CATALOG)?;
    Ok(file.providers)
}

impl CatalogEntry {
    /// The provider as it is before anyone has set anything: off until it has a credential.
    pub fn to_provider(&self) -> Provider {
        let never = Timestamp::from_millis(0);
        Provider {
            id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind,
            origin: Origin::Catalog,
            location: self.location,
            base_url: self.base_url.clone(),
            chat_path: self.chat_path.clone(),
            api_format: Some(self.api_format),
            also_speaks: self.also_speaks.clone(),
            detected_formats: None,
            priority: self.priority,
            enabled: None,
            models: self.models.iter().cloned().map(ServedModel::named).collect(),
            headers: Vec::new(),
            credential_strategy: CredentialStrategy::default(),
            rules: Vec::new(),
            attempt_timeout_ms: None,
            cooling: None,
            locked: None,
            last_error: None,
            beta: self.beta,
            website: self.website.clone(),
            api_key_url: self.api_key_url.clone(),
            created_at: never,
            updated_at: never,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_catalogue_parses_and_names_nobody_twice() {
        let entries = builtin().unwrap();
        let ids: HashSet<_> = entries.iter().map(|entry| entry.id.clone()).collect();
        assert_eq!(ids.len(), entries.len());
        assert!(ids.contains(&ProviderId::parse("openai").unwrap()));
    }

    #[test]
    fn every_address_is_whole_and_every_cloud_address_is_encrypted() {
        for entry in builtin().unwrap() {
            if let Some(url) = &entry.base_url {
                assert!(url.has_host(), "{}", entry.id);
                assert!(
                    url.scheme() == "https" || entry.location == Location::Local,
                    "{} is called in the clear",
                    entry.id
                );
            }
            if let Some(path) = &entry.chat_path {
                assert!(path.starts_with('/'), "{}: {path}", entry.id);
            }
        }
    }

    #[test]
    fn openai_answers_at_its_documented_address() {
        let entries = builtin().unwrap();
        let openai = entries.iter().find(|entry| entry.id.as_str() == "openai").unwrap();
        let endpoints = openai.to_provider().endpoints();
        let urls: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect();
        let v1 = "https://api.openai.com/v1";
        assert_eq!(urls, [format!("{v1}/chat/completions"), format!("{v1}/responses")]);
        assert!(openai.env.contains(&"OPENAI_API_KEY".to_owned()));
    }
}
