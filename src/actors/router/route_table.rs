//! What the names that clients ask for lead to: a pure function of the routes and aliases.

use std::sync::Arc;

use super::entries::Entries;
use crate::domain::{
    id::ModelName,
    pattern::NamePattern,
    route::{Alias, Mode, NameKind, Route, Strategy},
};

/// All routes and aliases at one moment. Copies share all that neither of them has changed since.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    pub(super) routes: Entries<Route>,
    pub(super) aliases: Entries<Alias>,
    strategy: Strategy,
}

/// What the name that a client asked for leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The name asked for, or the one an alias has put in its place.
    pub model: ModelName,
    /// The route of that name. Absent: whoever serves the model may be asked.
    pub route: Option<Arc<Route>>,
    /// Set when the name means no model but where to look for one.
    pub mode: Option<Mode>,
    /// Set when an alias has changed the name.
    pub substitution: Option<Substitution>,
    /// Set when what stands under the name is not understood.
    pub locked: Option<Locked>,
}

/// A route or an alias that is stored and not understood. Where it would lead is not known, and so
/// nobody is asked in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    pub kind: NameKind,
    pub name: NamePattern,
}

/// A name that an alias has put in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substitution {
    pub from: ModelName,
    pub to: ModelName,
    /// The name of the alias.
    pub by: NamePattern,
}

impl RouteTable {
    /// Of several entries of one name, that of the configuration file is taken, else the last.
    /// `strategy` is that of all routes without their own.
    pub fn new(
        routes: impl IntoIterator<Item = Route>,
        aliases: impl IntoIterator<Item = Alias>,
        strategy: Strategy,
    ) -> Self {
        Self { routes: Entries::new(routes), aliases: Entries::new(aliases), strategy }
    }

    /// The same, where these are stored too and not understood.
    pub fn with_locked(mut self, routes: Vec<NamePattern>, aliases: Vec<NamePattern>) -> Self {
        self.routes.lock(routes);
        self.aliases.lock(aliases);
        self
    }

    /// How candidates are ordered, where nobody says otherwise.
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    pub fn routes(&self) -> &Entries<Route> {
        &self.routes
    }

    pub fn aliases(&self) -> &Entries<Alias> {
        &self.aliases
    }

    /// What a name leads to. `is_listed` says whether some provider lists a model of that name.
    ///
    /// At most one alias is applied, and what it leads to is not looked up among the aliases again.
    /// One without a star always holds. One with a star stands behind what providers list, so that
    /// no model is hidden by a pattern that happens to fit it. The names of modes are no models: only
    /// a route or an alias of exactly that name takes their place.
    pub fn resolve(&self, asked: &ModelName, is_listed: impl Fn(&ModelName) -> bool) -> Resolved {
        if let Some(name) = self.locked_alias(asked, &is_listed) {
            let locked = Some(Locked { kind: NameKind::Alias, name: name.clone() });
            let model = asked.clone();
            return Resolved { model, route: None, mode: None, substitution: None, locked };
        }
        let substitution = self.substitute(asked, is_listed);
        let model = substitution.as_ref().map_or(asked, |substitution| &substitution.to).clone();
        let locked = self.routes.find_locked(&model);
        let is_named = self.routes.exact(&model).is_some()
            || locked.is_some_and(|name| name.exact().is_some());
        let mode = Mode::of_name(&model).filter(|_| !is_named);
        let locked = locked.filter(|_| mode.is_none()).cloned();
        let locked = locked.map(|name| Locked { kind: NameKind::Route, name });
        let is_open = mode.is_none() && locked.is_none();
        let route = if is_open { self.routes.find(&model).cloned() } else { None };
        Resolved { model, route, mode, substitution, locked }
    }

    /// The alias that would hold for a name, if it were understood.
    fn locked_alias(
        &self,
        asked: &ModelName,
        is_listed: impl Fn(&ModelName) -> bool,
    ) -> Option<&NamePattern> {
        let locked = self.aliases.find_locked(asked)?;
        let holds = locked.exact().is_some() || Mode::of_name(asked).is_none() && !is_listed(asked);
        holds.then_some(locked)
    }

    fn substitute(
        &self,
        asked: &ModelName,
        is_listed: impl Fn(&ModelName) -> bool,
    ) -> Option<Substitution> {
        let apply = |alias: &Arc<Alias>| Some((meant(alias, asked)?, alias.name.clone()));
        let exact = self.aliases.exact(asked);
        let (to, by) = exact.and_then(apply).or_else(|| {
            // Whoever asks for a local provider must not be sent to the cloud by a star.
            if Mode::of_name(asked).is_some() {
                return None;
            }
            let mut fitting = self.aliases.globs().filter_map(apply).peekable();
            fitting.peek()?;
            if is_listed(asked) { None } else { fitting.next() }
        })?;
        (to != *asked).then(|| Substitution { from: asked.clone(), to, by })
    }
}

/// The name an alias puts in the place of `asked`. `None`: it does not fit, or leads to no name.
fn meant(alias: &Alias, asked: &ModelName) -> Option<ModelName> {
    let captured = alias.name.capture(asked.as_str())?;
    match alias.model.exact() {
        Some(model) => Some(model.clone()),
        None => ModelName::parse(&alias.model.as_str().replacen('*', captured, 1)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::{
        prelude::{any, prop},
        prop_assert, prop_assert_eq, proptest,
    };

    use super::*;
    use crate::domain::provider::Origin;

    fn model(name: &str) -> ModelName {
        ModelName::parse(name).unwrap()
    }

    fn pattern(text: &str) -> NamePattern {
        NamePattern::parse(text).unwrap()
    }

    fn route(name: &str) -> Route {
        Route {
            name: pattern(name),
            targets: Vec::new(),
            strategy: None,
            fallbacks: Vec::new(),
            hedge: true,
            across_tiers: false,
            attempt_timeout_ms: None,
            cooling: None,
            origin: Origin::Api,
        }
    }

    fn alias(name: &str, leads_to: &str) -> Alias {
        Alias { name: pattern(name), model: pattern(leads_to), origin: Origin::Api }
    }

    fn table(routes: &[&str], aliases: &[(&str, &str)]) -> RouteTable {
        RouteTable::new(
            routes.iter().map(|name| route(name)),
            aliases.iter().map(|(name, leads_to)| alias(name, leads_to)),
            Strategy::Priority,
        )
    }

    fn none_listed(_: &ModelName) -> bool {
        false
    }

    /// The name that is left, and the name of the route it has.
    fn leads_to(table: &RouteTable, asked: &str) -> (String, Option<String>) {
        let resolved = table.resolve(&model(asked), none_listed);
        (resolved.model.to_string(), resolved.route.map(|route| route.name.to_string()))
    }

    /// The kind and name of what is not understood, where that is what a name leads to.
    fn locked_by(table: &RouteTable, asked: &str, listed: &[&str]) -> Option<(NameKind, String)> {
        let resolved = table.resolve(&model(asked), |name| listed.contains(&name.as_str()));
        let locked = resolved.locked.clone()?;
        assert!(resolved.route.is_none() && resolved.substitution.is_none(), "{resolved:?}");
        Some((locked.kind, locked.name.to_string()))
    }

    #[test]
    fn nobody_takes_the_place_of_a_route_that_is_not_understood() {
        let patterns = |names: &[&str]| names.iter().map(|name| pattern(name)).collect();
        let table = table(&["gpt-*", "gpt-4o-mini", "both"], &[])
            .with_locked(patterns(&["broken", "gpt-4*", "both", "auto"]), Vec::new());
        let route = |name: &str| Some((NameKind::Route, name.to_owned()));
        assert_eq!(locked_by(&table, "broken", &["broken"]), route("broken"));
        assert_eq!(locked_by(&table, "auto", &[]), route("auto"));
        assert_eq!(locked_by(&table, "gpt-4o", &[]), route("gpt-4*"), "a wider one took its place");
        for other in ["gpt-4o-mini", "gpt-5", "both", "other", "local"] {
            assert_eq!(locked_by(&table, other, &[]), None, "{other}");
        }
    }

    #[test]
    fn nobody_takes_the_place_of_an_alias_that_is_not_understood() {
        let patterns = |names: &[&str]| names.iter().map(|name| pattern(name)).collect();
        let table = table(&[], &[("best-one", "x"), ("b*", "y")])
            .with_locked(Vec::new(), patterns(&["broken", "best-*", "c*"]));
        let alias = |name: &str| Some((NameKind::Alias, name.to_owned()));
        assert_eq!(locked_by(&table, "broken", &["broken"]), alias("broken"));
        assert_eq!(locked_by(&table, "best-two", &[]), alias("best-*"));
        assert_eq!(locked_by(&table, "best-two", &["best-two"]), None, "a model is hidden");
        assert_eq!(locked_by(&table, "cloud", &[]), None, "a mode is hidden");
        assert_eq!(leads_to(&table, "best-one"), ("x".to_owned(), None));
        assert_eq!(leads_to(&table, "big"), ("y".to_owned(), None));
    }

    #[test]
    fn a_name_without_route_or_alias_stays_what_it_is() {
        let resolved = table(&[], &[]).resolve(&model("gpt-4o"), none_listed);
        let expected = Resolved {
            model: model("gpt-4o"),
            route: None,
            mode: None,
            substitution: None,
            locked: None,
        };
        assert_eq!(resolved, expected);
    }

    #[test]
    fn neither_prefixes_nor_families_nor_case_lead_anywhere() {
        let table = table(&["gpt-4o", "smart"], &[("fast", "gpt-4o-mini")]);
        for asked in ["gpt-4", "gpt-4o-mini", "GPT-4o", "openai/gpt-4o", "Fast", "fast-1", "smar"] {
            assert_eq!(leads_to(&table, asked), (asked.to_owned(), None));
        }
    }

    #[test]
    fn an_alias_without_a_star_holds_also_for_what_a_provider_lists() {
        let table = table(&[], &[("gpt-4", "gpt-4o")]);
        let resolved = table.resolve(&model("gpt-4"), |_| true);
        let (from, to) = (model("gpt-4"), model("gpt-4o"));
        assert_eq!(resolved.model, to);
        assert_eq!(resolved.substitution, Some(Substitution { from, to, by: pattern("gpt-4") }));
    }

    #[test]
    fn an_alias_with_a_star_gives_way_to_what_a_provider_lists() {
        let table = table(&[], &[("*-latest", "*")]);
        let listed = model("chatgpt-4o-latest");
        let is_listed = |name: &ModelName| *name == listed;
        assert_eq!(table.resolve(&listed, is_listed).substitution, None);
        assert_eq!(table.resolve(&model("claude-latest"), is_listed).model, model("claude"));
    }

    #[test]
    fn many_names_may_lead_to_one() {
        let table = table(&[], &[("gpt-4o-2024-*", "gpt-4o")]);
        assert_eq!(leads_to(&table, "gpt-4o-2024-08-06").0, "gpt-4o");
    }

    #[test]
    fn what_the_star_stands_for_is_put_in_the_place_of_the_other() {
        let table = table(&[], &[("openrouter/*:free", "*-free")]);
        assert_eq!(leads_to(&table, "openrouter/meta/llama:free").0, "meta/llama-free");
    }

    #[test]
    fn the_most_particular_alias_is_applied() {
        let table = table(&[], &[("*", "any"), ("gpt-*", "some"), ("gpt-4*", "this")]);
        assert_eq!(leads_to(&table, "gpt-4o").0, "this");
        assert_eq!(leads_to(&table, "gpt-5").0, "some");
        assert_eq!(leads_to(&table, "claude").0, "any");
    }

    #[test]
    fn an_alias_that_leads_to_no_name_is_passed_over() {
        let shorter = table(&[], &[("a-*", "*"), ("a*", "b*")]);
        assert_eq!(leads_to(&shorter, "a-").0, "b-");
        let longer = table(&[], &[("a-*", "much-longer-*")]);
        let asked = format!("a-{}", "x".repeat(254));
        assert_eq!(leads_to(&longer, &asked).0, asked);
    }

    #[test]
    fn aliases_are_not_chained() {
        let table = table(&[], &[("a", "b"), ("b", "c"), ("c", "a"), ("b*", "d")]);
        assert_eq!(leads_to(&table, "a").0, "b");
    }

    #[test]
    fn an_alias_that_changes_nothing_is_no_substitution() {
        let table = table(&[], &[("gpt-*", "gpt-4o")]);
        assert_eq!(table.resolve(&model("gpt-4o"), none_listed).substitution, None);
    }

    #[test]
    fn a_route_is_found_by_its_name_else_by_the_most_particular_pattern() {
        let table = table(&["*", "gpt-*", "gpt-4*", "gpt-4o"], &[]);
        for (asked, route) in [("gpt-4o", "gpt-4o"), ("gpt-4", "gpt-4*"), ("gpt-5", "gpt-*")] {
            assert_eq!(leads_to(&table, asked), (asked.to_owned(), Some(route.to_owned())));
        }
        assert_eq!(leads_to(&table, "claude").1.as_deref(), Some("*"));
    }

    #[test]
    fn the_route_is_that_of_the_name_an_alias_leads_to() {
        let table = table(&["gpt-4", "gpt-4o"], &[("gpt-4", "gpt-4o")]);
        assert_eq!(leads_to(&table, "gpt-4"), ("gpt-4o".to_owned(), Some("gpt-4o".to_owned())));
    }

    #[test]
    fn a_mode_is_meant_only_where_there_is_no_route() {
        let table = table(&["local"], &[("best", "auto"), ("near", "local")]);
        let resolve = |asked| {
            let resolved = table.resolve(&model(asked), none_listed);
            (resolved.mode, resolved.route.is_some())
        };
        assert_eq!(resolve("auto"), (Some(Mode::Auto), false));
        assert_eq!(resolve("cloud"), (Some(Mode::Cloud), false));
        assert_eq!(resolve("best"), (Some(Mode::Auto), false));
        assert_eq!(resolve("local"), (None, true));
        assert_eq!(resolve("near"), (None, true));
        assert_eq!(resolve("Cloud"), (None, false));
    }

    #[test]
    fn no_star_takes_the_place_of_a_mode() {
        let table = table(&["*"], &[("*", "gpt-4o"), ("l*", "far")]);
        let resolved = table.resolve(&model("local"), none_listed);
        assert_eq!((resolved.mode, resolved.substitution), (Some(Mode::Local), None));
        assert!(resolved.route.is_none());
    }

    #[test]
    fn the_configuration_file_wins_whichever_comes_first() {
        let configured = || Route { origin: Origin::Config, hedge: false, ..route("a") };
        for routes in [[configured(), route("a")], [route("a"), configured()]] {
            let table = RouteTable::new(routes, [], Strategy::Cost);
            let found = table.resolve(&model("a"), none_listed).route.unwrap();
            assert_eq!(found.origin, Origin::Config);
            assert_eq!((table.routes().iter().count(), table.strategy()), (1, Strategy::Cost));
        }
    }

    #[test]
    fn lists_are_sorted_by_name() {
        let table = table(&["b", "*", "a"], &[("z", "a"), ("y*", "b")]);
        let routes: Vec<_> = table.routes().iter().map(|route| route.name.as_str()).collect();
        let aliases: Vec<_> = table.aliases().iter().map(|alias| alias.name.as_str()).collect();
        assert_eq!((routes, aliases), (vec!["*", "a", "b"], vec!["y*", "z"]));
    }

    proptest! {
        #[test]
        fn after_any_changes_a_table_is_as_one_that_is_made_anew(
            steps in prop::collection::vec(("[ab]{0,2}[*]?[ab]{0,2}", any::<Option<bool>>()), 0..24),
            asked in prop::collection::vec("[ab]{1,4}", 1..5),
        ) {
            let (mut table, mut known) = (RouteTable::default(), BTreeMap::new());
            let mut published = Vec::new();
            for (name, hedge) in steps {
                let Ok(name) = NamePattern::parse(&name) else { continue };
                match hedge {
                    Some(hedge) => {
                        let route = Route { hedge, ..route(name.as_str()) };
                        table.routes.put(route.clone());
                        known.insert(name, route);
                    }
                    None => {
                        table.routes.remove(&name);
                        known.remove(&name);
                    }
                }
                published.push((table.clone(), known.clone()));
            }
            for (table, known) in published {
                let anew = RouteTable::new(known.values().cloned(), [], Strategy::Priority);
                prop_assert!(table.routes().iter().map(|route| &**route).eq(known.values()));
                for asked in asked.iter().map(|name| model(name)) {
                    prop_assert_eq!(table.resolve(&asked, none_listed), anew.resolve(&asked, none_listed));
                }
                for name in known.keys() {
                    let after = table.routes().iter_after(name).unwrap().map(|route| &route.name);
                    prop_assert!(after.eq(known.keys().filter(|other| *other > name)));
                    prop_assert_eq!(table.routes().find_named(name).map(|it| &**it), known.get(name));
                }
            }
        }

        #[test]
        fn a_name_that_no_alias_fits_is_never_changed(
            asked in "[abAB*/-]{1,6}",
            names in prop::collection::vec("[ab]{0,3}[*]?[ab/-]{1,3}", 0..6),
            routes in prop::collection::vec("[ab]{0,3}[*]?[ab/-]{1,3}", 0..6),
            listed in any::<bool>(),
        ) {
            let asked = model(&asked);
            let names: BTreeSet<_> = names
                .iter()
                .map(|name| pattern(name))
                .filter(|name| name.capture(asked.as_str()).is_none())
                .collect();
            let table = RouteTable::new(
                routes.iter().map(|name| route(name)),
                names.iter().map(|name| alias(name.as_str(), "changed")),
                Strategy::Priority,
            );

            let resolved = table.resolve(&asked, |_| listed);

            prop_assert_eq!(resolved.substitution, None);
            prop_assert_eq!(resolved.model, asked);
        }
    }
}
