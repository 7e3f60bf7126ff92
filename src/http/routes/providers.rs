//! `/api/v1/providers`: who there is, and how they are set.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use url::Url;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    keys::{self, KeyView, detailed_key_view, key_view},
    openapi::variants::{for_change, for_new, header_values},
};
use crate::{
    actors::{
        clock::steady,
        credentials::AddCredential,
        health::AwaitHealth,
        registry::{
            ChangeProvider, ClearProviderError, CreateProvider, DeleteProvider, ListedProvider,
            ProviderChange, ProviderStats, RegistryError,
        },
    },
    domain::{
        cooling::{CoolingPatch, CoolingSettings},
        credential::CredentialSettings,
        id::{ModelName, ProviderId},
        merge_patch::Change,
        model::ServedModel,
        provider::{
            ApiFormat, Location, Origin, Provider, ProviderKind, ProviderStatus, parse_base_url,
        },
        route::CredentialStrategy,
        rule::{RuleText, parse_rules},
        setting::{HeadersPatch, InvalidSetting},
        time::Timestamp,
    },
    http::{
        actors::{Actors, ask},
        endpoint::{Endpoint, endpoint},
        json::JsonBody,
        paging::{PageQuery, Rest},
        problem::{ErrorResponse, Management, Problem},
        query::Query,
    },
};

type Answer<T> = Result<T, ErrorResponse<Management>>;

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint!(list),
        endpoint!(create),
        endpoint!(show),
        endpoint!(change),
        endpoint!(delete),
        endpoint!(enable),
        endpoint!(disable),
        endpoint!(clear_error),
    ]
}

/// A provider as it is shown. No secret is in it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProviderView {
    id: ProviderId,
    name: String,
    #[serde(rename = "type")]
    kind: ProviderKind,
    /// Who owns the definition: the catalogue, the configuration file, or the API.
    origin: Origin,
    location: Location,
    /// Whether requests may go there.
    enabled: bool,
    status: ProviderStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    base_url: Option<Url>,
    /// Path of Chat Completions below the base URL, where it is not the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_path: Option<String>,
    /// The API it considers its own. Absent when nobody has set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_format: Option<ApiFormat>,
    /// What it speaks beside that, as well.
    also_speaks: Vec<ApiFormat>,
    /// What detection has found it to speak, the surest first. Counts where nothing is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    detected_formats: Option<Vec<ApiFormat>>,
    /// Higher is preferred.
    priority: i32,
    /// Names of the headers sent there, with their values masked.
    headers: BTreeMap<String, &'static str>,
    /// What it serves. Empty: any model name is tried there.
    models: Vec<ServedModel>,
    /// How its keys take turns.
    credential_strategy: CredentialStrategy,
    /// What its errors lead to, where the operator knows better. The first that fits counts.
    rules: Vec<RuleText>,
    /// Milliseconds for one attempt at a whole answer while another candidate is left. Absent: the
    /// pool's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_timeout_ms: Option<u32>,
    /// When its failures cool. What is absent is the pool's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling: Option<CoolingSettings>,
    api_keys: Vec<KeyView>,
    /// Requests under way there.
    in_flight: u32,
    /// Mean time to the first event of a stream lately, in milliseconds, by upstream name, of the
    /// models of which it is known. Only where one provider is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, u64>>)]
    first_event_ms: Option<BTreeMap<ModelName, u64>>,
    /// Set when its secrets are sealed under a master key that is not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_by_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_error_at: Option<Timestamp>,
    beta: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProviderList {
    providers: Vec<ProviderView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The settings of a provider. For a new one, `id` and `base_url` are required; for a change
/// it is a JSON merge patch (RFC 7396), and `id` and `api_key` are refused.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderBody {
    /// 1 to 128 letters, digits, `_` or `-`, folded to lower case.
    #[serde(default)]
    id: Option<ProviderId>,
    /// The first key of a new provider, if it needs one.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 4096)]
    api_key: Option<SecretString>,
    /// 1 to 128 characters. Of a new provider absent: its id.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    #[serde(default)]
    name: Change<String>,
    #[schema(value_type = Option<Location>)]
    #[serde(default)]
    location: Change<Location>,
    /// Absolute `http` or `https` URL without credentials, query or fragment.
    #[schema(value_type = Option<String>, pattern = "^[hH][tT][tT][pP][sS]?:")]
    #[serde(default, deserialize_with = "read_base_url")]
    base_url: Change<Url>,
    /// Path of Chat Completions below the base URL, where it is not the usual one.
    #[schema(value_type = Option<String>, max_length = 512, pattern = "^/[^?#]*$")]
    #[serde(default)]
    chat_path: Change<String>,
    /// The API it considers its own. Absent or null, and `also_speaks` too: what it speaks is found
    /// out, by questions that cost no tokens and by its answers.
    #[schema(value_type = Option<ApiFormat>)]
    #[serde(default)]
    api_format: Change<ApiFormat>,
    /// What it speaks beside that, as well: a client of such a dialect is passed through as it is.
    #[schema(value_type = Option<Vec<ApiFormat>>, max_items = 8)]
    #[serde(default)]
    also_speaks: Change<Vec<ApiFormat>>,
    #[schema(value_type = Option<i32>)]
    #[serde(default)]
    priority: Change<i32>,
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    enabled: Change<bool>,
    /// At most 2000. Empty: any model name is tried there.
    #[schema(value_type = Option<Vec<ServedModel>>, max_items = 2_000)]
    #[serde(default)]
    models: Change<Vec<ServedModel>>,
    /// How its keys take turns.
    #[schema(value_type = Option<CredentialStrategy>)]
    #[serde(default)]
    credential_strategy: Change<CredentialStrategy>,
    /// What its errors lead to, where you know better: at most 64, of which the first that fits
    /// counts.
    #[schema(value_type = Option<Vec<RuleText>>, max_items = 64)]
    #[serde(default)]
    rules: Change<Vec<RuleText>>,
    /// Milliseconds for one attempt at a whole answer while another candidate is left. Absent or null:
    /// the pool's own.
    #[schema(value_type = Option<u32>, minimum = 100, maximum = 86_400_000)]
    #[serde(default)]
    attempt_timeout_ms: Change<u32>,
    /// When its failures cool. Absent or null, and what is absent in it: the pool's own.
    #[schema(value_type = Option<CoolingPatch>)]
    #[serde(default)]
    cooling: Change<CoolingPatch>,
    /// Sent with every request. Values are secrets: they are sealed and never shown again.
    #[schema(schema_with = header_values)]
    #[serde(default)]
    headers: Change<BTreeMap<String, Option<SecretString>>>,
}

fn read_base_url<'de, D: Deserializer<'de>>(value: D) -> Result<Change<Url>, D::Error> {
    let text = Change::<String>::deserialize(value)?;
    text.try_map(|text| parse_base_url(&text)).map_err(D::Error::custom)
}

/// [`ProviderBody`] of a new provider. Described alone.
pub struct NewProvider;

impl PartialSchema for NewProvider {
    fn schema() -> RefOr<Schema> {
        for_new::<ProviderBody>(&["id", "base_url"], "A new provider.")
    }
}

impl ToSchema for NewProvider {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ProviderBody::schemas(schemas);
    }
}

/// [`ProviderBody`] of a change. Described alone.
pub struct ProviderSettingsChange;

impl PartialSchema for ProviderSettingsChange {
    fn schema() -> RefOr<Schema> {
        let words = "A JSON merge patch (RFC 7396): what is sent is changed, `null` takes it back.";
        for_change::<ProviderBody>(&["id", "api_key"], words)
    }
}

impl ToSchema for ProviderSettingsChange {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ProviderBody::schemas(schemas);
    }
}

impl ProviderBody {
    fn into_change(self) -> Result<ProviderChange, RegistryError> {
        let headers = self.headers.try_map(|headers| HeadersPatch::parse(&headers))?;
        let rules = self.rules.try_map(|rules| {
            parse_rules(rules).map_err(|error| InvalidSetting::new("rules", error.to_string()))
        })?;
        Ok(ProviderChange {
            name: self.name,
            location: self.location,
            base_url: self.base_url,
            chat_path: self.chat_path,
            api_format: self.api_format,
            also_speaks: self.also_speaks,
            priority: self.priority,
            enabled: self.enabled,
            models: self.models,
            headers,
            credential_strategy: self.credential_strategy,
            rules,
            attempt_timeout_ms: self.attempt_timeout_ms,
            cooling: self.cooling,
        })
    }
}

fn provider_view(
    provider: &Provider,
    credentials: usize,
    stats: &ProviderStats,
    keys: Vec<KeyView>,
) -> ProviderView {
    let known = |at: Timestamp| Some(at).filter(|at| at.as_millis() > 0);
    ProviderView {
        id: provider.id.clone(),
        name: provider.name.clone(),
        kind: provider.kind,
        origin: provider.origin,
        location: provider.location,
        enabled: provider.is_enabled(credentials),
        status: provider.status(credentials),
        base_url: provider.base_url.clone(),
        chat_path: provider.chat_path.clone(),
        api_format: provider.api_format,
        also_speaks: provider.also_speaks.clone(),
        detected_formats: provider.detected_formats.clone(),
        priority: provider.priority,
        headers: provider.headers.iter().map(|header| (header.name.clone(), "****")).collect(),
        models: provider.models.clone(),
        credential_strategy: provider.credential_strategy,
        rules: provider.rules.iter().map(|rule| rule.text().clone()).collect(),
        attempt_timeout_ms: provider.attempt_timeout_ms,
        cooling: provider.cooling,
        api_keys: keys,
        in_flight: stats.in_flight(),
        first_event_ms: None,
        locked_by_key: provider.locked.clone(),
        last_error: provider.last_error.as_ref().map(|error| error.message.clone()),
        last_error_at: provider.last_error.as_ref().map(|error| error.at),
        beta: provider.beta,
        website: provider.website.clone(),
        api_key_url: provider.api_key_url.clone(),
        created_at: known(provider.created_at),
        updated_at: known(provider.updated_at),
    }
}

/// The provider as everyone sees it by now, with its keys and how all that has fared lately.
fn current(actors: &Actors, provider: &Arc<Provider>) -> ProviderView {
    let (table, directory) = (actors.providers.read(), actors.directory.read());
    let (health, now) = (actors.health_view.read(), steady());
    let keys = directory.of(&provider.id);
    let usable = keys.iter().filter(|key| key.credential.is_usable()).count();
    let row = table.find_row(&provider.id);
    let stats = row.map(|row| Arc::clone(&row.stats)).unwrap_or_default();
    let millis = |mean: Duration| u64::try_from(mean.as_millis()).unwrap_or(u64::MAX);
    let first_events = stats.first_events().into_iter();
    let detailed = keys.iter().map(|held| detailed_key_view(held, &health, now));
    ProviderView {
        first_event_ms: Some(first_events.map(|(model, mean)| (model, millis(mean))).collect()),
        ..provider_view(provider, usable, &stats, detailed.collect())
    }
}

fn find(actors: &Actors, id: &ProviderId) -> Result<Arc<Provider>, Problem> {
    let table = actors.providers.read();
    let found = table.find(id).map(|(provider, _)| Arc::clone(provider));
    found.ok_or_else(|| RegistryError::NotFound(id.clone()).into())
}

/// Lists all providers, most preferred first.
#[utoipa::path(get, path = "/api/v1/providers", tag = "providers", params(PageQuery),
    responses((status = 200, body = ProviderList)))]
pub async fn list(actors: Data<Actors>, page: Query<PageQuery>) -> Answer<Json<ProviderList>> {
    let table = actors.providers.snapshot();
    let directory = actors.directory.read();
    let (health, now) = (actors.health_view.read(), steady());
    let view = |row: &ListedProvider| {
        let keys = directory.of(&row.provider.id).iter();
        let keys = keys.map(|held| key_view(held, &health, now)).collect();
        provider_view(&row.provider, row.credentials, &row.stats, keys)
    };
    let rest = |cursor: Option<&str>| -> Option<Rest<'_, &ListedProvider>> {
        let Some(cursor) = cursor else { return Some(Box::new(table.rows())) };
        Some(Box::new(table.rows_after(&ProviderId::parse(cursor).ok()?)?))
    };
    let page = page.into_inner().take(rest, |row| row.provider.id.to_string())?.map(view);
    Ok(Json(ProviderList { providers: page.items, next_cursor: page.next_cursor }))
}

/// Makes a provider. It is enabled at once, unless `enabled` says otherwise.
#[utoipa::path(post, path = "/api/v1/providers", tag = "providers", request_body = NewProvider,
    responses((status = 201, body = ProviderView), (status = 400), (status = 409)))]
pub async fn create(actors: Data<Actors>, body: JsonBody<ProviderBody>) -> Answer<HttpResponse> {
    let mut body = body.into_inner();
    let api_key = body.api_key.take();
    let Some(id) = body.id.take() else {
        return Err(Problem::bad_request("id: is required").into());
    };
    let create = CreateProvider { id: id.clone(), settings: body.into_change()? };
    let provider = ask(&actors.registry, create).await??;
    if let Some(secret) = api_key {
        let settings = CredentialSettings::default();
        let add = AddCredential { provider_id: id.clone(), secret, settings };
        if let Err(error) = ask(&actors.credentials, add).await? {
            // All or nothing: who is told that it failed may try again under the same id.
            ask(&actors.registry, DeleteProvider { id }).await??;
            return Err(error.into());
        }
        keys::counted(&actors).await?;
    }
    Ok(HttpResponse::Created().json(current(&actors, &provider)))
}

/// Shows one provider.
#[utoipa::path(get, path = "/api/v1/providers/{id}", tag = "providers",
    params(("id" = ProviderId, Path)),
    responses((status = 200, body = ProviderView), (status = 404)))]
pub async fn show(actors: Data<Actors>, id: Path<String>) -> Answer<Json<ProviderView>> {
    let provider = find(&actors, &ProviderId::parse(&id)?)?;
    Ok(Json(current(&actors, &provider)))
}

/// Changes the fields that are sent; `null` takes a setting back.
#[utoipa::path(patch, path = "/api/v1/providers/{id}", tag = "providers",
    params(("id" = ProviderId, Path)), request_body = ProviderSettingsChange,
    responses((status = 200, body = ProviderView), (status = 400), (status = 404), (status = 409)))]
pub async fn change(
    actors: Data<Actors>,
    id: Path<String>,
    body: JsonBody<ProviderBody>,
) -> Answer<Json<ProviderView>> {
    let body = body.into_inner();
    if body.id.is_some() {
        return Err(Problem::bad_request("id: cannot be changed").into());
    }
    if body.api_key.is_some() {
        let message = "api_key: only for a new provider; add keys with POST …/keys";
        return Err(Problem::bad_request(message).into());
    }
    let change = body.into_change()?;
    apply(&actors, &id, change).await
}

/// Deletes a provider made by the API, with its keys. Its usage stays on the ledger.
#[utoipa::path(delete, path = "/api/v1/providers/{id}", tag = "providers",
    params(("id" = ProviderId, Path)),
    responses((status = 204), (status = 404), (status = 409, description = "It is built in, or set in the configuration file")))]
pub async fn delete(actors: Data<Actors>, id: Path<String>) -> Answer<HttpResponse> {
    ask(&actors.registry, DeleteProvider { id: ProviderId::parse(&id)? }).await??;
    Ok(HttpResponse::NoContent().finish())
}

/// Lets requests go there.
#[utoipa::path(post, path = "/api/v1/providers/{id}/enable", tag = "providers",
    params(("id" = ProviderId, Path)), responses((status = 200, body = ProviderView), (status = 404)))]
pub async fn enable(actors: Data<Actors>, id: Path<String>) -> Answer<Json<ProviderView>> {
    let enabled = Change::Set(true);
    let change = ProviderChange { enabled, ..ProviderChange::default() };
    apply(&actors, &id, change).await
}

/// Lets no request go there. Requests under way are finished.
#[utoipa::path(post, path = "/api/v1/providers/{id}/disable", tag = "providers",
    params(("id" = ProviderId, Path)), responses((status = 200, body = ProviderView), (status = 404)))]
pub async fn disable(actors: Data<Actors>, id: Path<String>) -> Answer<Json<ProviderView>> {
    let enabled = Change::Set(false);
    apply(&actors, &id, ProviderChange { enabled, ..ProviderChange::default() }).await
}

/// Drops the error of a provider and ends all cooldowns there, of its keys too.
#[utoipa::path(post, path = "/api/v1/providers/{id}/clear-error", tag = "providers",
    params(("id" = ProviderId, Path)), responses((status = 200, body = ProviderView), (status = 404)))]
pub async fn clear_error(actors: Data<Actors>, id: Path<String>) -> Answer<Json<ProviderView>> {
    let id = ProviderId::parse(&id)?;
    let provider = ask(&actors.registry, ClearProviderError { id }).await??;
    ask(&actors.health, AwaitHealth).await?;
    Ok(Json(current(&actors, &provider)))
}

async fn apply(actors: &Actors, id: &str, change: ProviderChange) -> Answer<Json<ProviderView>> {
    let id = ProviderId::parse(id)?;
    let provider = ask(&actors.registry, ChangeProvider { id, change }).await??;
    // What was held against it may hold no longer.
    ask(&actors.health, AwaitHealth).await?;
    Ok(Json(current(actors, &provider)))
}
