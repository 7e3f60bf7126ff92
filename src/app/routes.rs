//! The routes and aliases of the configuration file, and what in them can hardly be meant.

use std::sync::Arc;

use crate::{
    actors::{
        registry::{CatalogEntry, ListedProvider, ProviderTable, builtin},
        router::{RouteState, RouteTable},
    },
    config::{AliasConfig, Config, Environment, RouteConfig},
    domain::provider::Provider,
    http::Actors,
};

/// What the configuration file says of routes, for the Router to begin with.
pub fn state(config: &Config) -> RouteState {
    let routes = config.routes.iter().map(RouteConfig::to_route).collect();
    let aliases = config.aliases.iter().map(AliasConfig::to_alias).collect();
    RouteState::new(routes, aliases, config.routing.strategy)
}

/// Warns of what no route or alias can have meant, once all that is stored is loaded.
pub fn tell_doubts(actors: &Actors) {
    for doubt in doubts(actors.routing.read().routes(), &actors.providers.read()) {
        tracing::warn!("{doubt}");
    }
}

/// What can hardly be meant in the file, as far as catalogue, file and environment tell.
///
/// Errors: the providers of the file cannot be.
pub fn check(config: &Config, environment: &Environment) -> anyhow::Result<Vec<String>> {
    let catalog = builtin()?;
    let is_set = |name: &String| environment.value(name).is_some_and(|value| !value.is_empty());
    let has_key = |entry: &&CatalogEntry| entry.env.iter().any(is_set);
    let listed = |provider: Provider| {
        let section = config.providers.iter().find(|section| section.id == provider.id);
        let entry = catalog.iter().find(|entry| entry.id == provider.id).filter(has_key);
        let keys =
            section.map_or(0, |section| section.api_keys.len()) + usize::from(entry.is_some());
        ListedProvider::new(Arc::new(provider), keys, Arc::default())
    };
    // A provider of the file takes the place of the catalogue's.
    let known = catalog.iter().map(CatalogEntry::to_provider);
    let known = known.chain(super::providers::from_file(config, &catalog)?);
    let providers = ProviderTable::new(known.map(listed));
    Ok(doubts(&state(config).table(), &providers))
}

fn doubts(table: &RouteTable, providers: &ProviderTable) -> Vec<String> {
    let of_routes = table.routes().iter().flat_map(|route| {
        let doubts = table.doubts_about_route(route, providers);
        doubts.into_iter().map(|doubt| format!("route {}: {doubt}", route.name))
    });
    let of_aliases = table.aliases().iter().flat_map(|alias| {
        let doubts = table.doubts_about_alias(alias, providers);
        doubts.into_iter().map(|doubt| format!("alias {}: {doubt}", alias.name))
    });
    of_routes.chain(of_aliases).collect()
}
