//! What a route or an alias says that can hardly be meant. None of it keeps anything from being saved:
//! a provider may be made after the route to it.

use super::route_table::RouteTable;
use crate::{
    actors::registry::ProviderTable,
    domain::{
        id::ModelName,
        route::{Alias, Mode, Route, RouteTarget, alias_circle},
    },
};

impl RouteTable {
    /// What is doubtful in a route, each with the field that it is about.
    pub fn doubts_about_route(&self, route: &Route, providers: &ProviderTable) -> Vec<String> {
        let targets = route.targets.iter().enumerate().filter_map(|(index, target)| {
            let doubt = doubt_about_target(target, route.name.exact(), providers)?;
            Some(format!("targets.{index}: {doubt}"))
        });
        let fallbacks = route.fallbacks.iter().enumerate().filter_map(|(index, fallback)| {
            let leads_somewhere =
                self.aliases.find(fallback).is_some() || self.leads_somewhere(fallback, providers);
            (!leads_somewhere).then(|| format!("fallbacks.{index}: {}", unknown_model(fallback)))
        });
        targets.chain(fallbacks).collect()
    }

    /// What is doubtful in an alias that is in the table.
    pub fn doubts_about_alias(&self, alias: &Alias, providers: &ProviderTable) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(model) = alias.model.exact() {
            if let Some(circle) = self.circle_of(alias) {
                doubts.push(format!("model: the aliases lead round in a circle: {circle}"));
            } else if self.aliases.exact(model).is_some() {
                doubts.push(format!(
                    "model: {model} is an alias itself, and what an alias leads to is not looked up \
                     among the aliases again"
                ));
            } else if !self.leads_somewhere(model, providers) {
                doubts.push(format!("model: {}", unknown_model(model)));
            }
        }
        if alias.name.exact().is_some_and(|name| self.routes.exact(name).is_some()) {
            doubts.push("name: the route of this name is hidden by the alias".to_owned());
        }
        doubts
    }

    /// The names on the way back to an alias, if it leads there.
    fn circle_of(&self, alias: &Alias) -> Option<String> {
        let model_of = |name: &ModelName| self.aliases.exact(name)?.model.exact();
        alias_circle(alias.name.exact()?, model_of)
    }

    /// Whether a name that is no alias can be answered, by now or when somebody is switched on.
    fn leads_somewhere(&self, name: &ModelName, providers: &ProviderTable) -> bool {
        Mode::of_name(name).is_some()
            || self.routes.find(name).is_some()
            || is_served(name, providers)
    }
}

/// `asked`: the name of the route, where it is that of one model.
fn doubt_about_target(
    target: &RouteTarget,
    asked: Option<&ModelName>,
    providers: &ProviderTable,
) -> Option<String> {
    let model = target.model.as_ref().or(asked);
    let Some(id) = &target.provider else {
        return model.filter(|model| !is_served(model, providers)).map(unknown_model);
    };
    let Some((provider, _)) = providers.find(id) else {
        return Some(format!("there is no provider {id}"));
    };
    let model = model.filter(|model| provider.upstream_model(model).is_none())?;
    Some(format!("provider {id} does not list the model {model}"))
}

/// Whether some provider lists the name, or one in use lists nothing and so takes any.
fn is_served(name: &ModelName, providers: &ProviderTable) -> bool {
    providers.lists(name) || providers.serving(name).next().is_some()
}

fn unknown_model(name: &ModelName) -> String {
    format!("no provider lists the model {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actors::router::pool::{Pool, model, provider, route, target},
        domain::{
            pattern::NamePattern,
            provider::Origin,
            route::{Named as _, Strategy},
        },
    };

    fn alias(name: &str, leads_to: &str) -> Alias {
        let pattern = |text| NamePattern::parse(text).unwrap();
        Alias { name: pattern(name), model: pattern(leads_to), origin: Origin::Api }
    }

    fn pool() -> Pool {
        // The second one is off, and lists what it would serve.
        Pool::new(vec![(provider("acme", 0, &["m", "big"]), 1), (provider("off", 0, &["o"]), 0)])
    }

    fn doubts(of: &Route, pool: &Pool, aliases: &[(&str, &str)]) -> Vec<String> {
        let aliases = aliases.iter().map(|(name, leads_to)| alias(name, leads_to));
        let table = RouteTable::new([route("known", vec![])], aliases, Strategy::Priority);
        table.doubts_about_route(of, &pool.providers)
    }

    #[test]
    fn a_route_to_what_is_there_is_in_no_doubt() {
        let targets = vec![
            target(Some("acme"), Some("big"), 1),
            target(None, Some("o"), 1),
            target(Some("off"), Some("o"), 1),
        ];
        let mut good = route("smart", targets);
        good.fallbacks = ["m", "known", "other", "auto"].map(model).to_vec();
        assert_eq!(doubts(&good, &pool(), &[("other", "m")]), [""; 0]);
        let any_name = route("vendor/*", vec![target(Some("acme"), None, 1)]);
        assert_eq!(doubts(&any_name, &pool(), &[]), [""; 0]);
        // Whoever lists nothing takes any name.
        let open = Pool::new(vec![(provider("open", 0, &[]), 1)]);
        let wild = route("smart", vec![target(Some("open"), None, 1), target(None, None, 1)]);
        assert_eq!(doubts(&wild, &open, &[]), [""; 0]);
    }

    #[test]
    fn a_route_to_what_is_not_there_is_told_by_its_place() {
        let targets = vec![
            target(Some("acmee"), Some("m"), 1),
            target(Some("acme"), Some("bigg"), 1),
            target(None, Some("nothing"), 1),
            target(Some("acme"), None, 1),
        ];
        let mut bad = route("smart", targets);
        bad.fallbacks = vec![model("m"), model("gone")];
        assert_eq!(
            doubts(&bad, &pool(), &[]),
            [
                "targets.0: there is no provider acmee",
                "targets.1: provider acme does not list the model bigg",
                "targets.2: no provider lists the model nothing",
                "targets.3: provider acme does not list the model smart",
                "fallbacks.1: no provider lists the model gone",
            ]
        );
    }

    #[test]
    fn aliases_that_lead_to_each_other_or_nowhere_are_told() {
        let aliases =
            [("a", "b"), ("b", "c"), ("c", "a"), ("x", "a"), ("y", "gone"), ("known", "m")];
        let aliases = aliases.map(|(name, leads_to)| alias(name, leads_to));
        let table = RouteTable::new([route("known", vec![])], aliases, Strategy::Priority);
        let pool = pool();
        let told = |name: &str| {
            let known = table.aliases().iter().find(|alias| alias.name().as_str() == name);
            table.doubts_about_alias(known.unwrap(), &pool.providers).join("; ")
        };
        assert_eq!(told("b"), "model: the aliases lead round in a circle: b → c → a → b");
        assert!(told("x").starts_with("model: a is an alias itself"), "{}", told("x"));
        assert_eq!(told("y"), "model: no provider lists the model gone");
        assert_eq!(told("known"), "name: the route of this name is hidden by the alias");
        let good = alias("*-latest", "*");
        assert_eq!(table.doubts_about_alias(&good, &pool.providers), [""; 0]);
    }
}
