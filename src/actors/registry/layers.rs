//! The two layers of a provider: what defines it, and above that the row with what the user has set.

use crate::domain::{
    provider::{Location, Origin, Provider, ProviderKind, StoredHeaders, StoredProvider},
    route::CredentialStrategy,
};

/// What a row that stands alone is a layer above.
pub(super) fn blank(row: &StoredProvider) -> Provider {
    Provider {
        id: row.id.clone(),
        name: row.id.to_string(),
        kind: ProviderKind::Custom,
        origin: Origin::Api,
        location: Location::Cloud,
        base_url: None,
        chat_path: None,
        api_format: None,
        also_speaks: Vec::new(),
        detected_formats: None,
        priority: 0,
        // Someone made it to be used: it is on until they say otherwise.
        enabled: Some(true),
        models: Vec::new(),
        headers: Vec::new(),
        credential_strategy: CredentialStrategy::default(),
        rules: Vec::new(),
        attempt_timeout_ms: None,
        cooling: None,
        locked: None,
        last_error: None,
        beta: false,
        website: None,
        api_key_url: None,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// A provider as it is with the settings of its row above it.
pub(super) fn merge(mut provider: Provider, row: &StoredProvider) -> Provider {
    let set = &row.settings;
    if let Some(name) = &set.name {
        provider.name.clone_from(name);
    }
    provider.location = set.location.unwrap_or(provider.location);
    provider.api_format = set.api_format.or(provider.api_format);
    provider.priority = set.priority.unwrap_or(provider.priority);
    provider.enabled = set.enabled.or(provider.enabled);
    provider.credential_strategy = set.credential_strategy.unwrap_or(provider.credential_strategy);
    if let Some(rules) = &set.rules {
        provider.rules.clone_from(rules);
    }
    provider.attempt_timeout_ms = set.attempt_timeout_ms.or(provider.attempt_timeout_ms);
    provider.cooling = set.cooling.or(provider.cooling);
    provider.base_url = set.base_url.clone().or(provider.base_url);
    provider.chat_path = set.chat_path.clone().or(provider.chat_path);
    if let Some(formats) = &set.also_speaks {
        provider.also_speaks.clone_from(formats);
    }
    if let Some(models) = &set.models {
        provider.models.clone_from(models);
    }
    match &set.headers {
        Some(StoredHeaders::Open(headers)) => provider.headers.clone_from(headers),
        Some(StoredHeaders::Locked { key_id }) => provider.locked = Some(key_id.clone()),
        None => {}
    }
    provider.detected_formats.clone_from(&row.detected_formats);
    provider.last_error.clone_from(&row.last_error);
    if row.custom {
        provider.created_at = row.created_at;
    }
    provider.updated_at = row.updated_at;
    provider
}
