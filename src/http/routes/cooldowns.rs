//! `/api/v1/cooldowns`: what is left alone for a while, and why.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};

use crate::{
    actors::{
        credentials::{ClearCredentialCooldowns, ListCredentialCooldowns},
        router::{ClearProviderCooldowns, ListProviderCooldowns},
    },
    domain::{
        cooldown::{Cooldown, CooldownView},
        id::ProviderId,
    },
    http::{
        actors::{Actors, ask},
        endpoint::{Endpoint, endpoint},
        paging::PageQuery,
        problem::{Failure, Management, Problem},
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
pub struct ClearQuery {
    /// Only those of this provider and its keys.
    #[param(value_type = Option<ProviderId>)]
    provider_id: Option<String>,
}

/// Lists all cooldowns that hold now.
#[utoipa::path(get, path = "/api/v1/cooldowns", tag = "cooldowns", params(PageQuery),
    responses((status = 200, body = CooldownList)))]
pub async fn list(
    actors: Data<Actors>,
    page: Query<PageQuery>,
) -> Result<Json<CooldownList>, Failure<Management>> {
    let of_providers = ask(&actors.router, ListProviderCooldowns).await?;
    let of_credentials = ask(&actors.credentials, ListCredentialCooldowns).await?;
    let all = sorted(of_providers, of_credentials);
    let page = page.into_inner().cut(all, |cooldown| cooldown.scope.cursor())?;
    let cooldowns = page.items.iter().map(CooldownView::from).collect();
    Ok(Json(CooldownList { cooldowns, next_cursor: page.next_cursor }))
}

/// Ends cooldowns, of one provider or all, and answers with those ended.
#[utoipa::path(delete, path = "/api/v1/cooldowns", tag = "cooldowns", params(ClearQuery),
    responses((status = 200, body = ClearedCooldowns), (status = 404)))]
pub async fn clear(
    actors: Data<Actors>,
    query: Query<ClearQuery>,
) -> Result<Json<ClearedCooldowns>, Failure<Management>> {
    let provider_id = query.provider_id.as_deref().map(ProviderId::parse).transpose()?;
    if let Some(id) = &provider_id
        && actors.providers.read().find(id).is_none()
    {
        let message = format!("provider {id} does not exist");
        return Err(Problem::not_found("provider_not_found", message).into());
    }
    let clear = ClearProviderCooldowns { provider_id: provider_id.clone() };
    let of_providers = ask(&actors.router, clear).await?;
    let clear = ClearCredentialCooldowns { provider_id };
    let of_credentials = ask(&actors.credentials, clear).await?;
    let cleared = sorted(of_providers, of_credentials);
    Ok(Json(ClearedCooldowns { cleared: cleared.iter().map(CooldownView::from).collect() }))
}

fn sorted(mut all: Vec<Cooldown>, more: Vec<Cooldown>) -> Vec<Cooldown> {
    all.extend(more);
    all.sort_by(|a, b| a.scope.cmp(&b.scope));
    all
}
