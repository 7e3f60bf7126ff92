//! What routes and aliases have in common: each is addressed by a name that may hold slashes.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    web::{Json, Query},
};
use serde::Serialize;

use crate::{
    actors::router::RouteError,
    domain::{pattern::NamePattern, route::Named},
    http::{
        paging::{Page, PageQuery},
        problem::{Failure, Management, Problem},
    },
};

pub type Answer<T> = Result<T, Failure<Management>>;

/// One page of all there are.
pub fn page<T: Named>(all: &[Arc<T>], page: Query<PageQuery>) -> Result<Page<T>, Problem> {
    let all = all.iter().map(|entry| T::clone(entry)).collect();
    page.into_inner().cut(all, |entry: &T| entry.name().to_string())
}

/// The one whose own name this is.
pub fn find<T: Named>(all: &[Arc<T>], name: &NamePattern) -> Result<Json<T>, RouteError> {
    let found = all.iter().find(|entry| entry.name() == name);
    let missing = || RouteError::NotFound(T::KIND, name.clone());
    found.map(|entry| Json(T::clone(entry))).ok_or_else(missing)
}

/// Shows what has been saved.
pub fn saved<T: Serialize>(entry: &T, is_new: bool) -> HttpResponse {
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    response.json(entry)
}
