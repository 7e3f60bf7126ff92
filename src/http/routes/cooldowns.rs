//! `/api/v1/cooldowns`: what is left alone for a while, and why.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};

use crate::{
    actors::{
        health::{ClearCooldowns, ListCooldowns},
        registry::Serving,
    },
    domain::{
        cooldown::{CooldownView, ScopeFilter},
        id::{ModelName, ProviderId},
    },
    http::{
        actors::{Actors, ask},
        endpoint::{Endpoint, endpoint},
        paging::PageQuery,
        problem::{ErrorResponse, Management, Problem},
        query::Query,
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(list), endpoint!(clear)]
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CooldownList {
    /// Sorted by scope.
    cooldowns: Vec<CooldownView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ClearedCooldowns {
    /// Those that were ended.
    cleared: Vec<CooldownView>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are called what cooldowns call them")]
pub struct ClearQuery {
    /// Only those of this provider and its keys.
    #[param(value_type = Option<ProviderId>)]
    provider_id: Option<String>,
    /// Only those of this key of the provider, which has to be named too.
    credential_id: Option<String>,
    /// Only those of this model, by the name that clients use or by its upstream name.
    #[param(value_type = Option<ModelName>)]
    model_id: Option<String>,
}

/// Lists all cooldowns that hold now.
#[utoipa::path(get, path = "/api/v1/cooldowns", tag = "cooldowns", params(PageQuery),
    responses((status = 200, body = CooldownList)))]
pub async fn list(
    actors: Data<Actors>,
    page: Query<PageQuery>,
) -> Result<Json<CooldownList>, ErrorResponse<Management>> {
    let all = ask(&actors.health, ListCooldowns).await?;
    let page = page.into_inner().cut(all, |cooldown| cooldown.scope.cursor())?;
    let cooldowns = page.items.iter().map(CooldownView::from).collect();
    Ok(Json(CooldownList { cooldowns, next_cursor: page.next_cursor }))
}

/// Ends cooldowns and answers with those ended: all, or those of a provider, a key, a model.
#[utoipa::path(delete, path = "/api/v1/cooldowns", tag = "cooldowns", params(ClearQuery),
    responses((status = 200, body = ClearedCooldowns), (status = 400), (status = 404)))]
pub async fn clear(
    actors: Data<Actors>,
    query: Query<ClearQuery>,
) -> Result<Json<ClearedCooldowns>, ErrorResponse<Management>> {
    let ClearQuery { provider_id, credential_id, model_id } = query.into_inner();
    let provider = provider_id.as_deref().map(ProviderId::parse).transpose()?;
    let model = model_id.as_deref().map(ModelName::parse).transpose()?;
    let models = model.map_or_else(Vec::new, |name| names_of(&actors, provider.as_ref(), name));
    let filter = ScopeFilter { provider, credential: credential_id.map(Into::into), models };
    check_known(&actors, &filter)?;
    let cleared = ask(&actors.health, ClearCooldowns(filter)).await?;
    Ok(Json(ClearedCooldowns { cleared: cleared.iter().map(CooldownView::from).collect() }))
}

/// A model's name, and what those who serve it under that name call it upstream.
fn names_of(actors: &Actors, provider: Option<&ProviderId>, name: ModelName) -> Vec<ModelName> {
    let table = actors.providers.read();
    let is_meant = |serving: &Serving<'_>| provider.is_none_or(|id| *id == serving.row.provider.id);
    let serving = table.serving(&name).filter(is_meant);
    let mut names: Vec<_> = serving.map(|serving| serving.upstream.clone()).collect();
    names.push(name);
    names
}

/// Refuses to pick what does not exist. Models may be known to a provider alone.
fn check_known(actors: &Actors, filter: &ScopeFilter) -> Result<(), Problem> {
    let ScopeFilter { provider, credential, .. } = filter;
    if let Some(id) = provider
        && actors.providers.read().find(id).is_none()
    {
        let message = format!("provider {id} does not exist");
        return Err(Problem::not_found("provider_not_found", message));
    }
    match (provider, credential) {
        (_, None) => Ok(()),
        (None, Some(_)) => {
            let message = "credential_id: is that of a provider, and needs provider_id";
            Err(Problem::bad_request(message).about("credential_id"))
        }
        (Some(provider), Some(id)) => {
            let directory = actors.directory.read();
            if directory.of(provider).iter().any(|held| held.credential.id == *id) {
                return Ok(());
            }
            let message = format!("key {id} of provider {provider} does not exist");
            Err(Problem::not_found("key_not_found", message))
        }
    }
}
