//! What a name leads to, in stages: first what was asked for, then each fallback.

use std::sync::Arc;

use super::route_table::{Locked, Resolved, RouteTable, Substitution};
use crate::domain::{
    id::ModelName,
    route::{Mode, Route, RouteOptions, RouteTarget, Strategy},
};

/// One model to be asked for, with the route that its name has.
#[derive(Debug, Clone)]
pub struct Stage {
    pub model: ModelName,
    pub route: Option<Arc<Route>>,
    /// Set when no model is named: any, of providers that fit.
    pub mode: Option<Mode>,
    /// Set when what is stored under the name is not understood: nobody is asked then.
    pub locked: Option<Locked>,
}

impl Stage {
    pub fn targets(&self) -> &[RouteTarget] {
        self.route.as_ref().map_or(&[], |route| &route.targets)
    }

    /// The strategy that the request or the route names.
    pub fn strategy(&self, options: &RouteOptions) -> Option<Strategy> {
        options.strategy.or_else(|| self.route.as_ref()?.strategy)
    }

    /// Whether the priority of providers is left out of account.
    pub fn is_across_tiers(&self, options: &RouteOptions) -> bool {
        let of_route = || self.route.as_ref().is_some_and(|route| route.across_tiers);
        options.across_tiers.unwrap_or_else(of_route)
    }

    /// Whether a second candidate may be started beside a slow one.
    pub fn may_hedge(&self) -> bool {
        self.route.as_ref().is_none_or(|route| route.hedge)
    }
}

/// All stages of a request, in order.
#[derive(Debug, Clone)]
pub struct FallbackChain {
    pub stages: Vec<Stage>,
    /// Set when an alias led to another name.
    pub substitution: Option<Substitution>,
}

impl FallbackChain {
    /// Lays out what `asked` leads to. A fallback has the route of its own name, if there is one, but
    /// not that route's fallbacks: a course always ends.
    pub fn new(
        asked: &ModelName,
        routes: &RouteTable,
        is_listed: impl Fn(&ModelName) -> bool + Copy,
    ) -> Self {
        let stage = |name: &ModelName| {
            let Resolved { model, route, mode, substitution, locked } =
                routes.resolve(name, is_listed);
            (Stage { model, route, mode, locked }, substitution)
        };
        let (first, substitution) = stage(asked);
        let mut stages = vec![first];
        if let Some(route) = stages[0].route.clone() {
            stages.extend(route.fallbacks.iter().map(|name| stage(name).0));
        }
        Self { stages, substitution }
    }
}
