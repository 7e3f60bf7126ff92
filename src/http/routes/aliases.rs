//! `/api/v1/aliases`: other names for models.

use actix_web::{
    HttpResponse,
    web::{self, Data, Json, Path, Query, ServiceConfig},
};
use serde::{Deserialize, Serialize};

use crate::{
    actors::router::{DeleteAlias, NameKind, RouteError, SetAlias},
    domain::{pattern::NamePattern, provider::Origin, route::Alias},
    http::{
        actors::{Actors, ask},
        paging::PageQuery,
        problem::{Failure, Management},
    },
};

/// A name may hold slashes: the rest of the path is all of it.
const ONE: &str = "/aliases/{name:.*}";

pub fn configure(services: &mut ServiceConfig) {
    services
        .route("/aliases", web::get().to(list))
        .route(ONE, web::get().to(show))
        .route(ONE, web::put().to(set))
        .route(ONE, web::delete().to(delete));
}

/// An alias as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AliasView {
    /// A model's name, or a name with one `*` that stands for any text.
    #[schema(value_type = String)]
    name: NamePattern,
    /// What it stands for. A `*` in it is what the one in the name stands for.
    #[schema(value_type = String)]
    model: NamePattern,
    /// Who owns it: the configuration file, or the API.
    origin: Origin,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AliasList {
    /// Sorted by name.
    aliases: Vec<AliasView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What a name shall stand for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasBody {
    /// A model's name. With a `*`, which the name must then hold too, what the one in the name
    /// stands for is put in its place.
    #[schema(value_type = String)]
    model: NamePattern,
}

fn view(alias: &Alias) -> AliasView {
    AliasView { name: alias.name.clone(), model: alias.model.clone(), origin: alias.origin }
}

fn find(actors: &Actors, name: &NamePattern) -> Result<AliasView, RouteError> {
    let routing = actors.routing.read();
    let found = routing.routes().aliases().iter().find(|alias| alias.name == *name);
    let missing = || RouteError::NotFound(NameKind::Alias, name.clone());
    found.map(|alias| view(alias)).ok_or_else(missing)
}

/// Lists all aliases.
#[utoipa::path(get, path = "/api/v1/aliases", tag = "routes", params(PageQuery),
    responses((status = 200, body = AliasList)))]
pub async fn list(
    actors: Data<Actors>,
    page: Query<PageQuery>,
) -> Result<Json<AliasList>, Failure<Management>> {
    let routing = actors.routing.read();
    let all = routing.routes().aliases().iter().map(|alias| view(alias)).collect();
    let page = page.into_inner().cut(all, |alias: &AliasView| alias.name.to_string())?;
    Ok(Json(AliasList { aliases: page.items, next_cursor: page.next_cursor }))
}

/// Shows one alias, by its own name.
#[utoipa::path(get, path = "/api/v1/aliases/{name}", tag = "routes",
    params(("name" = String, Path)),
    responses((status = 200, body = AliasView), (status = 400), (status = 404)))]
pub async fn show(
    actors: Data<Actors>,
    name: Path<String>,
) -> Result<Json<AliasView>, Failure<Management>> {
    Ok(Json(find(&actors, &NamePattern::parse(&name)?)?))
}

/// Makes an alias, or puts it in the place of the one of that name. It is in force at once.
#[utoipa::path(put, path = "/api/v1/aliases/{name}", tag = "routes",
    params(("name" = String, Path)), request_body = AliasBody,
    responses((status = 201, body = AliasView), (status = 200, body = AliasView), (status = 400),
        (status = 409, description = "It is set in the configuration file")))]
pub async fn set(
    actors: Data<Actors>,
    name: Path<String>,
    body: Json<AliasBody>,
) -> Result<HttpResponse, Failure<Management>> {
    let (name, model) = (NamePattern::parse(&name)?, body.into_inner().model);
    let alias = Alias { name, model, origin: Origin::Api };
    let shown = view(&alias);
    let is_new = ask(&actors.router, SetAlias { alias }).await??;
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(shown))
}

/// Deletes an alias.
#[utoipa::path(delete, path = "/api/v1/aliases/{name}", tag = "routes",
    params(("name" = String, Path)),
    responses((status = 204), (status = 400), (status = 404),
        (status = 409, description = "It is set in the configuration file")))]
pub async fn delete(
    actors: Data<Actors>,
    name: Path<String>,
) -> Result<HttpResponse, Failure<Management>> {
    ask(&actors.router, DeleteAlias { name: NamePattern::parse(&name)? }).await??;
    Ok(HttpResponse::NoContent().finish())
}
