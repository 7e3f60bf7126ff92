//! The routes and aliases of the configuration file.

use crate::{
    actors::router::RouteState,
    config::{AliasConfig, Config, RouteConfig},
};

/// What the configuration file says of routes, for the Router to begin with.
pub fn state(config: &Config) -> RouteState {
    let routes = config.routes.iter().map(RouteConfig::to_route).collect();
    let aliases = config.aliases.iter().map(AliasConfig::to_alias).collect();
    RouteState::new(routes, aliases, config.routing.strategy)
}
