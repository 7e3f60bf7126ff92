//! What may be set for a provider, and what a change makes of what was set before.

use super::messages::{ProviderChange, RegistryError};
use crate::{
    domain::{
        merge_patch::Change,
        provider::{Location, ProviderSettings, StoredHeaders, StoredProvider},
        setting::InvalidSetting,
    },
    gateway::upstream::check_base_url,
};

/// The settings after a change.
///
/// Errors: [`RegistryError::Invalid`] names the field; nothing is changed then.
pub(super) fn applied(
    mut row: StoredProvider,
    mut change: ProviderChange,
    location: Location,
) -> Result<StoredProvider, RegistryError> {
    if let Change::Set(_) = change.headers
        && let Some(StoredHeaders::Locked { key_id }) = &row.settings.headers
    {
        let reason = format!(
            "are sealed under master key {key_id}, which is not in use; null takes all of them back"
        );
        return Err(InvalidSetting::new("headers", reason).into());
    }
    // What was set before is not looked at again but where a part of it changes: it may not keep
    // anybody from changing the rest.
    let mut set = ProviderSettings::default();
    if !matches!(change.headers, Change::Keep) {
        set.headers.clone_from(&row.settings.headers);
    }
    if !matches!(change.cooling, Change::Keep) {
        set.cooling = row.settings.cooling;
    }
    apply(change.clone(), &mut set);
    set.check()?;
    check_address(&row, &change, location)?;
    if let Change::Set(name) = &mut change.name {
        *name = name.trim().to_owned();
    }
    apply(change, &mut row.settings);
    Ok(row)
}

fn apply(change: ProviderChange, settings: &mut ProviderSettings) {
    change.name.apply(&mut settings.name);
    change.location.apply(&mut settings.location);
    change.base_url.apply(&mut settings.base_url);
    change.chat_path.apply(&mut settings.chat_path);
    change.api_format.apply(&mut settings.api_format);
    change.also_speaks.apply(&mut settings.also_speaks);
    change.priority.apply(&mut settings.priority);
    change.enabled.apply(&mut settings.enabled);
    change.models.apply(&mut settings.models);
    change.credential_strategy.apply(&mut settings.credential_strategy);
    change.rules.apply(&mut settings.rules);
    change.attempt_timeout_ms.apply(&mut settings.attempt_timeout_ms);
    change.cooling.merge(&mut settings.cooling);
    if !matches!(change.headers, Change::Keep) {
        let mut headers = match settings.headers.take() {
            Some(StoredHeaders::Open(headers)) => headers,
            Some(StoredHeaders::Locked { .. }) | None => Vec::new(),
        };
        change.headers.merge(&mut headers);
        settings.headers = Some(StoredHeaders::Open(headers));
    }
}

fn check_address(
    row: &StoredProvider,
    change: &ProviderChange,
    location: Location,
) -> Result<(), InvalidSetting> {
    let location = match change.location {
        Change::Set(location) => location,
        Change::Keep => location,
        Change::Reset => Location::Cloud,
    };
    let url = match &change.base_url {
        Change::Set(url) => Some(url),
        Change::Keep | Change::Reset => row.settings.base_url.as_ref(),
    };
    url.map_or(Ok(()), |url| check_base_url(url, location))
        .map_err(|error| InvalidSetting::new("base_url", error.to_string()))
}
