//! `/api/v1/aliases`: other names for models.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use serde::{Deserialize, Serialize};

use super::named::{Answer, Saved, find, page, saved};
use crate::{
    actors::router::{DeleteAlias, SetAlias},
    domain::{pattern::NamePattern, provider::Origin, route::Alias},
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
pub struct AliasList {
    /// Sorted by name.
    aliases: Vec<Alias>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What a name shall stand for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasBody {
    /// A model's name. With a `*`, which the name must then hold too, what the one in the name
    /// stands for is put in its place.
    model: NamePattern,
}

/// Lists all aliases.
#[utoipa::path(get, path = "/api/v1/aliases", tag = "routes", params(PageQuery),
    responses((status = 200, body = AliasList)))]
pub async fn list(actors: Data<Actors>, query: Query<PageQuery>) -> Answer<Json<AliasList>> {
    let page = page(actors.routing.read().routes().aliases(), query)?;
    Ok(Json(AliasList { aliases: page.items, next_cursor: page.next_cursor }))
}

/// Shows one alias, by its own name.
#[utoipa::path(get, path = "/api/v1/aliases/{name}", tag = "routes",
    params(("name" = NamePattern, Path)),
    responses((status = 200, body = Alias), (status = 400), (status = 404)))]
pub async fn show(actors: Data<Actors>, name: Path<String>) -> Answer<Json<Alias>> {
    Ok(find(actors.routing.read().routes().aliases(), &NamePattern::parse(&name)?)?)
}

/// Makes an alias, or puts it in the place of the one of that name. It is in force at once.
#[utoipa::path(put, path = "/api/v1/aliases/{name}", tag = "routes",
    params(("name" = NamePattern, Path)), request_body = AliasBody,
    responses((status = 201, body = Saved<Alias>), (status = 200, body = Saved<Alias>), (status = 400),
        (status = 409, description = "It is set in the configuration file")))]
pub async fn set(
    actors: Data<Actors>,
    name: Path<String>,
    body: JsonBody<AliasBody>,
) -> Answer<HttpResponse> {
    let (name, model) = (NamePattern::parse(&name)?, body.into_inner().model);
    let alias = Alias { name, model, origin: Origin::Api };
    let is_new = ask(&actors.router, SetAlias { alias: alias.clone() }).await??;
    let warnings =
        actors.routing.read().routes().doubts_about_alias(&alias, &actors.providers.read());
    Ok(saved(alias, is_new, warnings))
}

/// Deletes an alias.
#[utoipa::path(delete, path = "/api/v1/aliases/{name}", tag = "routes",
    params(("name" = NamePattern, Path)),
    responses((status = 204), (status = 400), (status = 404),
        (status = 409, description = "It is set in the configuration file")))]
pub async fn delete(actors: Data<Actors>, name: Path<String>) -> Answer<HttpResponse> {
    ask(&actors.router, DeleteAlias { name: NamePattern::parse(&name)? }).await??;
    Ok(HttpResponse::NoContent().finish())
}
