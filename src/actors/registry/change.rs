//! What may be set for a provider, and what a change makes of what was set before.

use super::messages::{Change, ProviderChange, RegistryError};
use crate::domain::{
    model::ServedModel,
    provider::{Location, MAX_HEADERS, StoredHeaders, StoredProvider},
    rule::MAX_RULES,
};

/// Longest display name, in characters.
const MAX_NAME_CHARS: usize = 128;
/// Most models one provider may list.
const MAX_MODELS: usize = 2_000;

/// The settings after a change.
///
/// Errors: [`RegistryError::Invalid`] names the field; nothing is changed then.
pub(super) fn applied(
    mut row: StoredProvider,
    mut change: ProviderChange,
    location: Location,
) -> Result<StoredProvider, RegistryError> {
    check(&row, &change, location)?;
    if let Change::Set(name) = &mut change.name {
        *name = name.trim().to_owned();
    }
    change.name.apply(&mut row.settings.name);
    change.location.apply(&mut row.settings.location);
    change.base_url.apply(&mut row.settings.base_url);
    change.chat_path.apply(&mut row.settings.chat_path);
    change.api_format.apply(&mut row.settings.api_format);
    change.priority.apply(&mut row.settings.priority);
    change.enabled.apply(&mut row.settings.enabled);
    change.models.apply(&mut row.settings.models);
    change.credential_strategy.apply(&mut row.settings.credential_strategy);
    change.rules.apply(&mut row.settings.rules);
    match change.headers {
        Change::Keep => {}
        Change::Reset => row.settings.headers = Some(StoredHeaders::Open(Vec::new())),
        Change::Set(headers) => row.settings.headers = Some(StoredHeaders::Open(headers)),
    }
    Ok(row)
}

fn check(
    row: &StoredProvider,
    change: &ProviderChange,
    location: Location,
) -> Result<(), RegistryError> {
    let invalid =
        |field, reason: &str| Err(RegistryError::Invalid { field, reason: reason.to_owned() });
    if let Change::Set(name) = &change.name
        && (name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS)
    {
        return invalid("name", "must have 1 to 128 characters");
    }
    if let Change::Set(path) = &change.chat_path
        && (!path.starts_with('/') || path.contains(['?', '#']) || path.len() > 512)
    {
        return invalid("chat_path", "must be a path that begins with '/', without '?' or '#'");
    }
    if let Change::Set(models) = &change.models {
        if models.len() > MAX_MODELS {
            return invalid("models", "lists more than 2000 models");
        }
        let mut names: Vec<_> = models.iter().map(|model| &model.name).collect();
        names.sort();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return invalid("models", "lists a name twice");
        }
        if !models.iter().all(ServedModel::is_possible) {
            return invalid("models", "context_tokens must be 1 to 1000000000");
        }
    }
    if let Change::Set(headers) = &change.headers
        && headers.len() > MAX_HEADERS
    {
        return invalid("headers", "has more than 32 entries");
    }
    if let Change::Set(rules) = &change.rules
        && rules.len() > MAX_RULES
    {
        return invalid("rules", "has more than 64 entries");
    }
    let location = match change.location {
        Change::Set(location) => location,
        Change::Keep => location,
        Change::Reset => Location::Cloud,
    };
    let url = match &change.base_url {
        Change::Set(url) => Some(url),
        Change::Keep | Change::Reset => row.settings.base_url.as_ref(),
    };
    if let Some(url) = url {
        crate::gateway::upstream::check_base_url(url, location).map_err(|error| {
            RegistryError::Invalid { field: "base_url", reason: error.to_string() }
        })?;
    }
    Ok(())
}
