//! What can be asked of the Router about routes and aliases. They are read from what it publishes.

use actix::Message;
use thiserror::Error;

use crate::{
    actors::db::DbError,
    domain::{
        pattern::NamePattern,
        route::{Alias, NameKind, Route},
        setting::InvalidSetting,
    },
};

/// Why a route or an alias could not be made, changed or deleted.
#[derive(Debug, Error)]
pub enum RouteError {
    #[error("{0} {1} does not exist")]
    NotFound(NameKind, NamePattern),
    #[error("{0} {1} is set in the configuration file; change it there")]
    OwnedByConfiguration(NameKind, NamePattern),
    #[error("{0} {1} is stored in a way that is not understood; the log says what is wrong")]
    Unreadable(NameKind, NamePattern),
    #[error("there are {limit} of the kind {kind} already; delete one first")]
    TooMany { kind: NameKind, limit: usize },
    #[error(transparent)]
    Invalid(#[from] InvalidSetting),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Makes a route, or puts it in the place of the one of that name. `true`: there was none.
#[derive(Debug, Message)]
#[rtype(result = "Result<bool, RouteError>")]
pub struct SetRoute {
    pub route: Route,
}

/// Deletes a route made by the API.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), RouteError>")]
pub struct DeleteRoute {
    pub name: NamePattern,
}

/// Makes an alias, or puts it in the place of the one of that name. `true`: there was none.
#[derive(Debug, Message)]
#[rtype(result = "Result<bool, RouteError>")]
pub struct SetAlias {
    pub alias: Alias,
}

/// Deletes an alias made by the API.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), RouteError>")]
pub struct DeleteAlias {
    pub name: NamePattern,
}
