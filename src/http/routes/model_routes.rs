//! `/api/v1/routes`: where the names that clients ask for lead.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use serde::{Deserialize, Serialize};

use super::named::{Answer, Saved, find, page, saved};
use crate::{
    actors::router::{DeleteRoute, SetRoute},
    domain::{
        cooling::CoolingSettings,
        id::ModelName,
        pattern::NamePattern,
        provider::Origin,
        route::{Route, RouteTarget, Strategy, default_hedge},
    },
    http::{
        actors::{Actors, ask},
        endpoint::{Endpoint, endpoint},
        json::JsonBody,
        paging::PageQuery,
        query::Query,
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint!(list),
        endpoint!(show).with_slashes("name"),
        endpoint!(set).with_slashes("name"),
        endpoint!(delete).with_slashes("name"),
    ]
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RouteList {
    /// Sorted by name.
    routes: Vec<Route>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Where a name shall lead. What is absent is the default, also when the route is there already.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteBody {
    /// In order of preference, at most 64. Empty or absent: every provider that serves the name
    /// asked for.
    #[serde(default)]
    #[schema(max_items = 64)]
    targets: Vec<RouteTarget>,
    /// Absent: the pool's own.
    #[serde(default)]
    strategy: Option<Strategy>,
    /// Other models, at most 64, tried in order when none of the targets can answer.
    #[serde(default)]
    #[schema(max_items = 64)]
    fallbacks: Vec<ModelName>,
    /// Whether a second candidate may be started beside one that is slow to answer. Absent: yes.
    #[serde(default = "default_hedge")]
    hedge: bool,
    /// Whether the strategy orders all candidates, whatever the priority of their providers. Absent: no,
    /// and without targets the highest priority that can be used is served first.
    #[serde(default)]
    across_tiers: bool,
    /// Milliseconds for one attempt at a whole answer while another candidate is left, 100 to 86400000.
    /// Absent: the provider's, else the pool's.
    #[serde(default)]
    #[schema(minimum = 100, maximum = 86_400_000)]
    attempt_timeout_ms: Option<u32>,
    /// When failures of requests that it leads somewhere cool. What is absent is the provider's, else the
    /// pool's.
    #[serde(default)]
    cooling: Option<CoolingSettings>,
}

/// Lists all routes.
#[utoipa::path(get, path = "/api/v1/routes", tag = "routes", params(PageQuery),
    responses((status = 200, body = RouteList)))]
pub async fn list(actors: Data<Actors>, query: Query<PageQuery>) -> Answer<Json<RouteList>> {
    let page = page(actors.routing.read().routes().routes(), query)?;
    Ok(Json(RouteList { routes: page.items, next_cursor: page.next_cursor }))
}

/// Shows one route, by its own name: which route a model has is another question.
#[utoipa::path(get, path = "/api/v1/routes/{name}", tag = "routes", params(("name" = NamePattern, Path)),
    responses((status = 200, body = Route), (status = 400), (status = 404)))]
pub async fn show(actors: Data<Actors>, name: Path<String>) -> Answer<Json<Route>> {
    Ok(find(actors.routing.read().routes().routes(), &NamePattern::parse(&name)?)?)
}

/// Makes a route, or puts it in the place of the one of that name. It is in force at once.
#[utoipa::path(put, path = "/api/v1/routes/{name}", tag = "routes", params(("name" = NamePattern, Path)),
    request_body = RouteBody,
    responses((status = 201, body = Saved<Route>), (status = 200, body = Saved<Route>), (status = 400),
        (status = 409, description = "It is set in the configuration file")))]
pub async fn set(
    actors: Data<Actors>,
    name: Path<String>,
    body: JsonBody<RouteBody>,
) -> Answer<HttpResponse> {
    let body = body.into_inner();
    let route = Route {
        name: NamePattern::parse(&name)?,
        targets: body.targets,
        strategy: body.strategy,
        fallbacks: body.fallbacks,
        hedge: body.hedge,
        across_tiers: body.across_tiers,
        attempt_timeout_ms: body.attempt_timeout_ms,
        cooling: body.cooling,
        origin: Origin::Api,
    };
    let is_new = ask(&actors.router, SetRoute { route: route.clone() }).await??;
    let warnings =
        actors.routing.read().routes().doubts_about_route(&route, &actors.providers.read());
    Ok(saved(route, is_new, warnings))
}

/// Deletes a route. Its name leads to whoever serves a model of that name from then on.
#[utoipa::path(delete, path = "/api/v1/routes/{name}", tag = "routes",
    params(("name" = NamePattern, Path)),
    responses((status = 204), (status = 400), (status = 404),
        (status = 409, description = "It is set in the configuration file")))]
pub async fn delete(actors: Data<Actors>, name: Path<String>) -> Answer<HttpResponse> {
    ask(&actors.router, DeleteRoute { name: NamePattern::parse(&name)? }).await??;
    Ok(HttpResponse::NoContent().finish())
}
