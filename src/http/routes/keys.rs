//! `/api/v1/providers/{id}/keys`: the API keys of a provider.

use std::collections::BTreeMap;

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::openapi::variants::{for_change, for_new, header_values};
use crate::{
    actors::{
        clock::steady,
        credentials::{
            AddCredential, ChangeCredential, CredentialChange, CredentialError, CredentialStatus,
            KeyStats, PooledKey, RemoveCredential,
        },
        health::AwaitHealth,
        registry::{AwaitRegistry, RegistryError},
    },
    domain::{
        credential::{Credential, CredentialSettings, Egress, StoredSecret},
        health::HealthView,
        id::{CredentialId, ProviderId},
        merge_patch::Change,
        provider::Origin,
        running_stats::ResultBucket,
        setting::{HeadersPatch, InvalidSetting},
        time::Timestamp,
    },
    http::{
        actors::{Actors, ask},
        endpoint::{Endpoint, endpoint},
        json::JsonBody,
        problem::{ErrorResponse, Management, Problem},
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(add), endpoint!(change), endpoint!(remove)]
}

/// A key as it is shown: never the secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeyView {
    #[schema(value_type = String)]
    id: CredentialId,
    /// The two ends of the key, if it is long enough.
    mask: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Where it comes from. Only a key from the API is stored and can be changed or removed here.
    origin: Origin,
    status: CredentialStatus,
    enabled: bool,
    /// Higher is preferred.
    priority: i32,
    /// Share under the weighted strategy.
    weight: u32,
    /// Most requests at once. Absent: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<u32>,
    /// The proxy of its requests without user, password and path, or `direct`. Absent: as the
    /// environment's proxy variables say.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_url: Option<String>,
    /// Names of the headers sent with it, with their values masked.
    headers: BTreeMap<String, &'static str>,
    /// Requests under way with it.
    in_flight: u32,
    /// Attempts with it that went well since the start.
    succeeded: u64,
    /// Attempts with it that failed since the start.
    failed: u64,
    /// The attempts of the last 200 minutes by ten minutes, oldest first. Only where one provider is
    /// shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent: Option<Vec<ResultBucket>>,
    /// Set when it is sealed under a master key that is not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_by_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
}

/// A key and what is set for it. For a new one, `key` is required; for a change it is a JSON merge
/// patch (RFC 7396), and `key` is refused.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyBody {
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 4096)]
    key: Option<SecretString>,
    /// Your name for it, at most 128 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 128)]
    label: Change<String>,
    /// What is disabled is never used, whatever else fails.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    enabled: Change<bool>,
    /// Higher is preferred: others are used only when none of a higher priority can be.
    #[serde(default)]
    #[schema(value_type = Option<i32>)]
    priority: Change<i32>,
    /// Share under the weighted strategy.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1_000_000)]
    weight: Change<i64>,
    /// Most requests at once. Absent: any number.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    max_in_flight: Change<i64>,
    /// A proxy for its requests (`http`, `https`, `socks5` or `socks5h`), or `direct`. It is sealed,
    /// and shown without user, password and path.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    proxy_url: Change<SecretString>,
    /// At most 32, sent with its requests above the provider's own. Values are secrets: they are
    /// sealed and never shown again.
    #[serde(default)]
    #[schema(schema_with = header_values)]
    headers: Change<BTreeMap<String, Option<SecretString>>>,
}

/// [`KeyBody`] of a new key. Described alone.
pub struct NewKey;

impl PartialSchema for NewKey {
    fn schema() -> RefOr<Schema> {
        for_new::<KeyBody>(&["key"], "A new key, and what is set for it.")
    }
}

impl ToSchema for NewKey {}

/// [`KeyBody`] of a change. Described alone.
pub struct KeySettingsChange;

impl PartialSchema for KeySettingsChange {
    fn schema() -> RefOr<Schema> {
        let words = "A JSON merge patch (RFC 7396): what is sent is changed, `null` takes it back.";
        for_change::<KeyBody>(&["key"], words)
    }
}

impl ToSchema for KeySettingsChange {}

impl KeyBody {
    fn into_change(self) -> Result<CredentialChange, InvalidSetting> {
        Ok(CredentialChange {
            label: self.label,
            enabled: self.enabled,
            priority: self.priority,
            weight: fitted(self.weight)?,
            max_in_flight: fitted(self.max_in_flight)?,
            egress: self.proxy_url.try_map(|url| {
                Egress::parse(url.expose_secret())
                    .map_err(|error| InvalidSetting::new("proxy_url", error.to_string()))
            })?,
            headers: self.headers.try_map(|headers| HeadersPatch::parse(&headers))?,
        })
    }
}

/// What is too small or too large for the type is out of every bound, and refused with its field.
fn fitted(number: Change<i64>) -> Result<Change<u32>, InvalidSetting> {
    number.try_map(|number| Ok(u32::try_from(number).unwrap_or(u32::MAX)))
}

/// A key as it is shown, at a moment of the steady clock.
pub fn key_view(held: &PooledKey, health: &HealthView, now: Timestamp) -> KeyView {
    view(&held.credential, &held.stats, CredentialStatus::of(now, health, &held.credential))
}

/// The same, with how it has fared lately.
pub fn detailed_key_view(held: &PooledKey, health: &HealthView, now: Timestamp) -> KeyView {
    let recent = Some(held.stats.results.recent(now));
    KeyView { recent, ..key_view(held, health, now) }
}

/// A key that has just been set.
fn current(actors: &Actors, credential: &Credential) -> KeyView {
    let directory = actors.directory.read();
    let status = CredentialStatus::of(steady(), &actors.health_view.read(), credential);
    let mut all = directory.of(&credential.provider_id).iter();
    match all.find(|held| held.credential.id == credential.id) {
        Some(held) => view(credential, &held.stats, status),
        // It is gone again already.
        None => view(credential, &KeyStats::default(), status),
    }
}

fn view(credential: &Credential, stats: &KeyStats, status: CredentialStatus) -> KeyView {
    let locked_by_key = match &credential.secret {
        StoredSecret::Open(_) => None,
        StoredSecret::Locked { key_id } => Some(key_id.clone()),
    };
    let settings = &credential.settings;
    let (succeeded, failed) = stats.results.totals();
    KeyView {
        id: credential.id.clone(),
        mask: credential.mask.clone(),
        label: settings.label.clone(),
        origin: credential.origin,
        status,
        enabled: settings.enabled,
        priority: settings.priority,
        weight: settings.weight,
        max_in_flight: settings.max_in_flight,
        proxy_url: settings.egress.shown(),
        headers: settings.headers.iter().map(|header| (header.name.clone(), "****")).collect(),
        in_flight: stats.in_flight(),
        succeeded,
        failed,
        recent: None,
        locked_by_key,
        created_at: Some(credential.created_at).filter(|at| at.as_millis() > 0),
    }
}

/// Waits until the registry has counted the keys there are now: who is answered may rely on it.
pub async fn counted(actors: &Actors) -> Result<(), Problem> {
    ask(&actors.registry, AwaitRegistry).await
}

/// Adds a key. Adding the same key again answers 200 with the one that is there, as it is set.
#[utoipa::path(post, path = "/api/v1/providers/{id}/keys", tag = "providers",
    params(("id" = ProviderId, Path)), request_body = NewKey,
    responses((status = 201, body = KeyView), (status = 200, body = KeyView), (status = 400), (status = 404),
        (status = 409, description = "The provider is set in the configuration file")))]
pub async fn add(
    actors: Data<Actors>,
    id: Path<String>,
    body: JsonBody<KeyBody>,
) -> Result<HttpResponse, ErrorResponse<Management>> {
    let provider_id = ProviderId::parse(&id)?;
    let origin = actors.providers.read().find(&provider_id).map(|(provider, _)| provider.origin);
    match origin {
        None => return Err(RegistryError::NotFound(provider_id).into()),
        Some(Origin::Config) => {
            return Err(RegistryError::OwnedByConfiguration(provider_id).into());
        }
        Some(Origin::Catalog | Origin::Environment | Origin::Api) => {}
    }
    let mut body = body.into_inner();
    let Some(secret) = body.key.take() else {
        return Err(Problem::bad_request("key: is required").into());
    };
    let settings = body
        .into_change()
        .map_err(CredentialError::from)?
        .applied_to(CredentialSettings::default());
    let added = ask(&actors.credentials, AddCredential { provider_id, secret, settings }).await??;
    counted(&actors).await?;
    let mut response = if added.existed { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(current(&actors, &added.credential)))
}

/// Changes the settings that are sent; `null` takes one back.
#[utoipa::path(patch, path = "/api/v1/providers/{id}/keys/{key_id}", tag = "providers",
    params(("id" = ProviderId, Path), ("key_id" = String, Path)), request_body = KeySettingsChange,
    responses((status = 200, body = KeyView), (status = 400), (status = 404),
        (status = 409, description = "It comes from the environment or the configuration file, or is locked")))]
pub async fn change(
    actors: Data<Actors>,
    path: Path<(String, String)>,
    body: JsonBody<KeyBody>,
) -> Result<Json<KeyView>, ErrorResponse<Management>> {
    let (provider, key) = path.into_inner();
    let body = body.into_inner();
    if body.key.is_some() {
        let message = "key: cannot be changed; add the other one with POST …/keys";
        return Err(Problem::bad_request(message).into());
    }
    let (provider_id, id) = (ProviderId::parse(&provider)?, key.into());
    let change = ChangeCredential {
        provider_id,
        id,
        change: body.into_change().map_err(CredentialError::from)?,
    };
    let credential = ask(&actors.credentials, change).await??;
    counted(&actors).await?;
    // What was held against it may hold no longer.
    ask(&actors.health, AwaitHealth).await?;
    Ok(Json(current(&actors, &credential)))
}

/// Removes a key for good. Requests under way with it are finished.
#[utoipa::path(delete, path = "/api/v1/providers/{id}/keys/{key_id}", tag = "providers",
    params(("id" = ProviderId, Path), ("key_id" = String, Path)),
    responses((status = 204), (status = 404), (status = 409, description = "It comes from the environment or the configuration file")))]
pub async fn remove(
    actors: Data<Actors>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ErrorResponse<Management>> {
    let (provider, key) = path.into_inner();
    let remove = RemoveCredential { provider_id: ProviderId::parse(&provider)?, id: key.into() };
    ask(&actors.credentials, remove).await??;
    counted(&actors).await?;
    Ok(HttpResponse::NoContent().finish())
}
