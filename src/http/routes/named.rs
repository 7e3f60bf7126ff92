//! What routes and aliases have in common: each is addressed by a name that may hold slashes.

use std::sync::Arc;

use actix_web::{HttpResponse, web::Json};
use serde::Serialize;

use crate::{
    actors::router::{Entries, RouteError},
    domain::{pattern::NamePattern, route::Named},
    http::{
        paging::{Page, PageQuery, Rest},
        problem::{ErrorResponse, Management, Problem},
        query::Query,
    },
};

pub type Answer<T> = Result<T, ErrorResponse<Management>>;

/// One page of all there are.
pub fn page<T: Named>(all: &Entries<T>, page: Query<PageQuery>) -> Result<Page<T>, Problem> {
    let rest = |cursor: Option<&str>| -> Option<Rest<'_, T>> {
        let entry = |entry: &Arc<T>| T::clone(entry);
        let Some(cursor) = cursor else { return Some(Box::new(all.iter().map(entry))) };
        let name = NamePattern::parse(cursor).ok()?;
        Some(Box::new(all.iter_after(&name)?.map(entry)))
    };
    page.into_inner().take(rest, |entry| entry.name().to_string())
}

/// The one whose own name this is.
pub fn find<T: Named>(all: &Entries<T>, name: &NamePattern) -> Result<Json<T>, RouteError> {
    let found = all.find_named(name);
    let missing = || RouteError::NotFound(T::KIND, name.clone());
    found.map(|entry| Json(T::clone(entry))).ok_or_else(missing)
}

/// What has been saved, and what in it can hardly be meant.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Saved<T> {
    #[serde(flatten)]
    entry: T,
    /// What it names that is not there, each with the field. It is saved all the same. Absent: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Shows what has been saved, and logs the `warnings` about it.
pub fn saved<T: Named + Serialize>(entry: T, is_new: bool, warnings: Vec<String>) -> HttpResponse {
    for warning in &warnings {
        tracing::warn!("{} {}: {warning}", T::KIND, entry.name());
    }
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    response.json(Saved { entry, warnings })
}
