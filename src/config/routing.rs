//! `[routing]`, `[[routes]]` and `[[aliases]]`: how requests find their way, and what names lead to.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use crate::domain::{
    cooling::CoolingSettings,
    id::ModelName,
    pattern::NamePattern,
    provider::Origin,
    route::{Alias, Named as _, Route, RouteTarget, Strategy, alias_circle, default_hedge},
};

/// How requests find their way.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// How candidates are ordered, where neither route nor request says otherwise.
    pub strategy: Strategy,
    /// Whether the requests of one session stay with the provider and credential it began with.
    pub session_affinity: bool,
}

impl Default for Routing {
    fn default() -> Self {
        Self { strategy: Strategy::default(), session_affinity: true }
    }
}

/// One route of the file.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// A model's name, or a name with one `*`.
    pub name: NamePattern,
    /// In order of preference. Empty: every provider that serves the name asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<RouteTarget>,
    /// Absent: that of `[routing]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Other models, tried in order when none of the targets can answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<ModelName>,
    /// Whether a second candidate may be started beside one that is slow to answer.
    #[serde(default = "default_hedge")]
    pub hedge: bool,
    /// Whether the strategy orders all candidates, whatever the priority of their providers.
    #[serde(default)]
    pub across_tiers: bool,
    /// Time for one attempt at a whole answer while another candidate is left. Absent: that of the
    /// provider, else of `[relay]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_timeout_ms: Option<u32>,
    /// When failures of requests that it leads somewhere cool. Absent numbers: the provider's, else the
    /// pool's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooling: Option<CoolingSettings>,
}

/// One alias of the file.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AliasConfig {
    /// A model's name, or a name with one `*`.
    pub name: NamePattern,
    /// What it stands for. A `*` in it is what the one in the name stands for.
    pub model: NamePattern,
}

impl RouteConfig {
    pub fn to_route(&self) -> Route {
        Route {
            name: self.name.clone(),
            targets: self.targets.clone(),
            strategy: self.strategy,
            fallbacks: self.fallbacks.clone(),
            hedge: self.hedge,
            across_tiers: self.across_tiers,
            attempt_timeout_ms: self.attempt_timeout_ms,
            cooling: self.cooling,
            origin: Origin::Config,
        }
    }
}

impl AliasConfig {
    pub fn to_alias(&self) -> Alias {
        Alias { name: self.name.clone(), model: self.model.clone(), origin: Origin::Config }
    }
}

pub(super) fn check(
    routes: &[RouteConfig],
    aliases: &[AliasConfig],
    strategy: Strategy,
    bounds: &mut Bounds,
) {
    let mut names = HashSet::new();
    for (index, route) in routes.iter().enumerate() {
        let table = format!("routes.{index}");
        if !names.insert(&route.name) {
            bounds.refuse(&format!("{table}.name"), &route.name, "must be of no other route");
        }
        bounds.faults(&table, route.to_route().check(strategy).err());
    }
    let mut names = HashSet::new();
    for (index, alias) in aliases.iter().enumerate() {
        let key = |field: &str| format!("aliases.{index}.{field}");
        if !names.insert(&alias.name) {
            bounds.refuse(&key("name"), &alias.name, "must be of no other alias");
        }
        if let Err(invalid) = alias.to_alias().check(strategy) {
            bounds.refuse(&key(invalid.field), &alias.model, invalid.reason);
        }
    }
    refuse_circles(aliases, bounds);
}

/// Refuses aliases of which each leads to the next and the last to the first. Each circle is told once.
fn refuse_circles(aliases: &[AliasConfig], bounds: &mut Bounds) {
    let exact =
        aliases.iter().filter_map(|alias| Some((alias.name.exact()?, alias.model.exact()?)));
    // What leads to itself at once is refused already.
    let exact = exact.filter(|(name, model)| name != model);
    let models: HashMap<&ModelName, &ModelName> = exact.collect();
    let mut told = HashSet::new();
    for (index, alias) in aliases.iter().enumerate() {
        let Some(name) = alias.name.exact().filter(|name| !told.contains(name)) else { continue };
        let Some(circle) = alias_circle(name, |name| models.get(name).copied()) else { continue };
        let mut next = name;
        while told.insert(next) {
            next = models[next];
        }
        let wanted = format!("the aliases lead round in a circle: {circle}");
        bounds.refuse(&format!("aliases.{index}.model"), &alias.model, wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        routes: Vec<RouteConfig>,
        aliases: Vec<AliasConfig>,
    }

    fn problems(text: &str, strategy: Strategy) -> String {
        let file: File = toml::from_str(text).unwrap();
        let mut bounds = Bounds::default();
        check(&file.routes, &file.aliases, strategy, &mut bounds);
        bounds.finish(&figment::Figment::new()).err().map_or(String::new(), |e| e.to_string())
    }

    const SOUND: &str = r#"
        [[routes]]
        name = "smart"

        [[routes]]
        name = "vendor/*"
        targets = [{ provider = "Acme", model = "big" }, { model = "small", weight = 0 }]
        strategy = "weighted"
        fallbacks = ["other"]
        hedge = false
        across_tiers = true
        attempt_timeout_ms = 45000
        cooling = { server = { failures = 1 }, overload = { cap_ms = 60000 } }

        [[aliases]]
        name = "*-latest"
        model = "*"
    "#;

    #[test]
    fn a_route_needs_a_name_alone() {
        assert_eq!(problems(SOUND, Strategy::Priority), "");
        let file: File = toml::from_str(SOUND).unwrap();
        let (bare, full) = (file.routes[0].to_route(), file.routes[1].to_route());
        assert!(bare.hedge && bare.targets.is_empty() && bare.strategy.is_none());
        assert_eq!(
            (bare.origin, file.aliases[0].to_alias().origin),
            (Origin::Config, Origin::Config)
        );
        let weights: Vec<u32> = full.targets.iter().map(|target| target.weight).collect();
        assert_eq!((weights, full.hedge), (vec![1, 0], false));
        assert!(full.across_tiers && !bare.across_tiers);
        assert_eq!((full.attempt_timeout_ms, bare.attempt_timeout_ms), (Some(45_000), None));
        let cooling = full.cooling.unwrap();
        assert_eq!((cooling.server.failures, cooling.overload.cap_ms), (Some(1), Some(60_000)));
        assert_eq!(full.targets[0].provider.as_ref().unwrap().as_str(), "acme");
    }

    #[test]
    fn all_that_is_wrong_is_named_by_its_place() {
        let text = r#"
            routes = [
                { name = "a", fallbacks = ["a"] },
                { name = "a", targets = [{ weight = 0 }] },
            ]
            aliases = [
                { name = "b", model = "b" },
                { name = "b", model = "c*" },
            ]
        "#;
        assert_eq!(
            problems(text, Strategy::Weighted),
            "routes.0.fallbacks: must not hold the name of the route itself\n\
             routes.1.name is a: must be of no other route\n\
             routes.1.targets: one must have a weight above 0 under the strategy weighted\n\
             aliases.0.model is b: must not be the name of the alias itself\n\
             aliases.1.name is b: must be of no other alias\n\
             aliases.1.model is c*: may hold a '*' only when the name of the alias does"
        );
    }

    #[test]
    fn a_circle_of_aliases_is_told_once() {
        let text = r#"
            routes = []
            aliases = [
                { name = "x", model = "a" },
                { name = "a", model = "b" },
                { name = "b", model = "c" },
                { name = "c", model = "a" },
                { name = "c-*", model = "c" },
            ]
        "#;
        assert_eq!(
            problems(text, Strategy::Priority),
            "aliases.1.model is b: the aliases lead round in a circle: a → b → c → a"
        );
    }
}
