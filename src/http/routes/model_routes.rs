//! `/api/v1/routes`: where the names that clients ask for lead.

use actix_web::{
    HttpResponse,
    web::{self, Data, Json, Path, Query, ServiceConfig},
};
use serde::{Deserialize, Serialize};

use crate::{
    actors::router::{DeleteRoute, NameKind, RouteError, SetRoute},
    domain::{
        id::ModelName,
        pattern::NamePattern,
        provider::Origin,
        route::{Route, RouteTarget, Strategy},
    },
    http::{
        actors::{Actors, ask},
        paging::PageQuery,
        problem::{Failure, Management},
    },
};

/// A name may hold slashes: the rest of the path is all of it.
const ONE: &str = "/routes/{name:.*}";

pub fn configure(services: &mut ServiceConfig) {
    services
        .route("/routes", web::get().to(list))
        .route(ONE, web::get().to(show))
        .route(ONE, web::put().to(set))
        .route(ONE, web::delete().to(delete));
}

/// A route as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RouteView {
    /// A model's name, or a name with one `*` that stands for any text.
    #[schema(value_type = String)]
    name: NamePattern,
    /// In order of preference. Empty: every provider that serves the name asked for.
    targets: Vec<RouteTarget>,
    /// Absent: the pool's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Strategy>,
    /// Other models, tried in order when none of the targets can answer.
    #[schema(value_type = Vec<String>)]
    fallbacks: Vec<ModelName>,
    /// Whether a second candidate may be started beside one that is slow to answer.
    hedge: bool,
    /// Who owns it: the configuration file, or the API.
    origin: Origin,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RouteList {
    /// Sorted by name.
    routes: Vec<RouteView>,
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
    targets: Vec<RouteTarget>,
    /// Absent: the pool's own.
    #[serde(default)]
    strategy: Option<Strategy>,
    /// Other models, at most 64, tried in order when none of the targets can answer.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    fallbacks: Vec<ModelName>,
    /// Whether a second candidate may be started beside one that is slow to answer. Absent: yes.
    #[serde(default = "default_hedge")]
    hedge: bool,
}

fn default_hedge() -> bool {
    true
}

fn view(route: &Route) -> RouteView {
    RouteView {
        name: route.name.clone(),
        targets: route.targets.clone(),
        strategy: route.strategy,
        fallbacks: route.fallbacks.clone(),
        hedge: route.hedge,
        origin: route.origin,
    }
}

fn find(actors: &Actors, name: &NamePattern) -> Result<RouteView, RouteError> {
    let routing = actors.routing.read();
    let found = routing.routes().routes().iter().find(|route| route.name == *name);
    let missing = || RouteError::NotFound(NameKind::Route, name.clone());
    found.map(|route| view(route)).ok_or_else(missing)
}

/// Lists all routes.
#[utoipa::path(get, path = "/api/v1/routes", tag = "routes", params(PageQuery),
    responses((status = 200, body = RouteList)))]
pub async fn list(
    actors: Data<Actors>,
    page: Query<PageQuery>,
) -> Result<Json<RouteList>, Failure<Management>> {
    let routing = actors.routing.read();
    let all = routing.routes().routes().iter().map(|route| view(route)).collect();
    let page = page.into_inner().cut(all, |route: &RouteView| route.name.to_string())?;
    Ok(Json(RouteList { routes: page.items, next_cursor: page.next_cursor }))
}

/// Shows one route, by its own name: which route a model has is another question.
#[utoipa::path(get, path = "/api/v1/routes/{name}", tag = "routes", params(("name" = String, Path)),
    responses((status = 200, body = RouteView), (status = 400), (status = 404)))]
pub async fn show(
    actors: Data<Actors>,
    name: Path<String>,
) -> Result<Json<RouteView>, Failure<Management>> {
    Ok(Json(find(&actors, &NamePattern::parse(&name)?)?))
}

/// Makes a route, or puts it in the place of the one of that name. It is in force at once.
#[utoipa::path(put, path = "/api/v1/routes/{name}", tag = "routes", params(("name" = String, Path)),
    request_body = RouteBody,
    responses((status = 201, body = RouteView), (status = 200, body = RouteView), (status = 400),
        (status = 409, description = "It is set in the configuration file")))]
pub async fn set(
    actors: Data<Actors>,
    name: Path<String>,
    body: Json<RouteBody>,
) -> Result<HttpResponse, Failure<Management>> {
    let RouteBody { targets, strategy, fallbacks, hedge } = body.into_inner();
    let name = NamePattern::parse(&name)?;
    let route = Route { name, targets, strategy, fallbacks, hedge, origin: Origin::Api };
    let shown = view(&route);
    let is_new = ask(&actors.router, SetRoute { route }).await??;
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(shown))
}

/// Deletes a route. Its name leads to whoever serves a model of that name from then on.
#[utoipa::path(delete, path = "/api/v1/routes/{name}", tag = "routes",
    params(("name" = String, Path)),
    responses((status = 204), (status = 400), (status = 404),
        (status = 409, description = "It is set in the configuration file")))]
pub async fn delete(
    actors: Data<Actors>,
    name: Path<String>,
) -> Result<HttpResponse, Failure<Management>> {
    ask(&actors.router, DeleteRoute { name: NamePattern::parse(&name)? }).await??;
    Ok(HttpResponse::NoContent().finish())
}
