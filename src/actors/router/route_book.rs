//! The routes and aliases there are, and the rules by which they change. Knows no actor, clock or
//! database.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    route_messages::{NameKind, RouteError},
    route_table::RouteTable,
};
use crate::domain::{
    pattern::NamePattern,
    provider::Origin,
    route::{Alias, Route, Strategy},
};

/// Most routes, and most aliases, that the API may make: each request looks through the patterns.
const MAX_STORED: usize = 10_000;

/// What the Router keeps of routes and aliases. What is stored is changed here after it is saved.
pub struct RouteBook {
    strategy: Strategy,
    routes: Shelf<Route>,
    aliases: Shelf<Alias>,
    table: Arc<RouteTable>,
}

impl RouteBook {
    /// What the configuration file says. `strategy` is that of all routes without their own.
    pub fn new(routes: Vec<Route>, aliases: Vec<Alias>, strategy: Strategy) -> Self {
        let routes = routes.into_iter().map(|route| (route.name.clone(), route));
        let aliases = aliases.into_iter().map(|alias| (alias.name.clone(), alias));
        let mut book = Self {
            strategy,
            routes: Shelf::new(NameKind::Route, routes),
            aliases: Shelf::new(NameKind::Alias, aliases),
            table: Arc::default(),
        };
        book.rebuild();
        book
    }

    /// All that is in force.
    pub fn table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.table)
    }

    fn rebuild(&mut self) {
        let (routes, aliases) = (self.routes.all().cloned(), self.aliases.all().cloned());
        self.table = Arc::new(RouteTable::new(routes, aliases, self.strategy));
    }

    /// Takes the rows of the database for what is stored. `unreadable` names those that are there
    /// and not understood.
    pub fn load_routes(&mut self, rows: Vec<Route>, unreadable: Vec<String>) {
        let rows = rows.into_iter().map(|route| (route.name.clone(), route));
        self.routes.load(rows, unreadable);
        self.rebuild();
    }

    /// As [`Self::load_routes`].
    pub fn load_aliases(&mut self, rows: Vec<Alias>, unreadable: Vec<String>) {
        let rows = rows.into_iter().map(|alias| (alias.name.clone(), alias));
        self.aliases.load(rows, unreadable);
        self.rebuild();
    }

    /// The route to save, when it may be made or replaced.
    pub fn check_route(&self, route: Route) -> Result<Route, RouteError> {
        self.routes.check_set(&route.name)?;
        route.check(self.strategy)?;
        Ok(Route { origin: Origin::Api, ..route })
    }

    /// The alias to save, when it may be made or replaced.
    pub fn check_alias(&self, alias: Alias) -> Result<Alias, RouteError> {
        self.aliases.check_set(&alias.name)?;
        alias.check()?;
        Ok(Alias { origin: Origin::Api, ..alias })
    }

    /// Whether a route may be deleted.
    pub fn check_delete_route(&self, name: &NamePattern) -> Result<(), RouteError> {
        self.routes.check_delete(name)
    }

    /// Whether an alias may be deleted.
    pub fn check_delete_alias(&self, name: &NamePattern) -> Result<(), RouteError> {
        self.aliases.check_delete(name)
    }

    /// Takes over a route that has been saved. Says whether it is new.
    pub fn adopt_route(&mut self, route: Route) -> bool {
        let is_new = self.routes.stored.insert(route.name.clone(), route).is_none();
        self.rebuild();
        is_new
    }

    /// Takes over an alias that has been saved. Says whether it is new.
    pub fn adopt_alias(&mut self, alias: Alias) -> bool {
        let is_new = self.aliases.stored.insert(alias.name.clone(), alias).is_none();
        self.rebuild();
        is_new
    }

    /// Lets go of a route that has been deleted. Says whether it was there.
    pub fn remove_route(&mut self, name: &NamePattern) -> bool {
        let was_there = self.routes.stored.remove(name).is_some();
        self.rebuild();
        was_there
    }

    /// Lets go of an alias that has been deleted. Says whether it was there.
    pub fn remove_alias(&mut self, name: &NamePattern) -> bool {
        let was_there = self.aliases.stored.remove(name).is_some();
        self.rebuild();
        was_there
    }
}

/// What there is of one kind.
struct Shelf<T> {
    kind: NameKind,
    configured: BTreeMap<NamePattern, T>,
    stored: BTreeMap<NamePattern, T>,
    /// Nothing is saved over these, and they are not used.
    unreadable: BTreeSet<String>,
}

impl<T> Shelf<T> {
    fn new(kind: NameKind, configured: impl Iterator<Item = (NamePattern, T)>) -> Self {
        let (stored, unreadable) = (BTreeMap::new(), BTreeSet::new());
        Self { kind, configured: configured.collect(), stored, unreadable }
    }

    fn load(&mut self, rows: impl Iterator<Item = (NamePattern, T)>, unreadable: Vec<String>) {
        self.stored = rows.collect();
        self.unreadable = unreadable.into_iter().collect();
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        self.configured.values().chain(self.stored.values())
    }

    fn check_touch(&self, name: &NamePattern) -> Result<(), RouteError> {
        if self.configured.contains_key(name) {
            return Err(RouteError::OwnedByConfiguration(self.kind, name.clone()));
        }
        if self.unreadable.contains(name.as_str()) {
            return Err(RouteError::Unreadable(self.kind, name.clone()));
        }
        Ok(())
    }

    fn check_set(&self, name: &NamePattern) -> Result<(), RouteError> {
        self.check_touch(name)?;
        if self.stored.len() >= MAX_STORED && !self.stored.contains_key(name) {
            return Err(RouteError::TooMany { kind: self.kind, limit: MAX_STORED });
        }
        Ok(())
    }

    fn check_delete(&self, name: &NamePattern) -> Result<(), RouteError> {
        self.check_touch(name)?;
        if !self.stored.contains_key(name) {
            return Err(RouteError::NotFound(self.kind, name.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::ModelName, route::RouteTarget};

    fn pattern(text: &str) -> NamePattern {
        NamePattern::parse(text).unwrap()
    }

    fn route(name: &str, origin: Origin) -> Route {
        Route {
            name: pattern(name),
            targets: Vec::new(),
            strategy: None,
            fallbacks: Vec::new(),
            hedge: true,
            origin,
        }
    }

    fn alias(name: &str, origin: Origin) -> Alias {
        Alias { name: pattern(name), model: pattern("somewhere"), origin }
    }

    /// A book with `fixed` in the configuration and `made` by the API, of either kind.
    fn book() -> RouteBook {
        let configured = Origin::Config;
        let (routes, aliases) =
            (vec![route("fixed", configured)], vec![alias("fixed", configured)]);
        let mut book = RouteBook::new(routes, aliases, Strategy::Weighted);
        book.load_routes(vec![route("made", Origin::Api)], vec!["broken".into()]);
        book.load_aliases(vec![alias("made", Origin::Api)], vec!["broken".into()]);
        book
    }

    fn names(book: &RouteBook) -> (Vec<String>, Vec<String>) {
        let table = book.table();
        let routes = table.routes().iter().map(|route| route.name.to_string()).collect();
        let aliases = table.aliases().iter().map(|alias| alias.name.to_string()).collect();
        (routes, aliases)
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_configured_and_what_is_stored_is_in_force() {
        let both = owned(&["fixed", "made"]);
        assert_eq!(names(&book()), (both.clone(), both));
        assert_eq!(book().table().strategy(), Strategy::Weighted);
    }

    #[test]
    fn what_is_saved_is_in_force_and_what_is_deleted_is_not() {
        let mut book = book();
        let new = book.check_route(route("new", Origin::Config)).unwrap();
        assert_eq!(new.origin, Origin::Api, "the API cannot make what it could not change");
        assert!(book.adopt_route(new.clone()));
        assert!(!book.adopt_route(new));
        let new = book.check_alias(alias("new*", Origin::Config)).unwrap();
        assert_eq!(new.origin, Origin::Api);
        assert!(book.adopt_alias(new.clone()));
        assert!(!book.adopt_alias(new));
        let made = pattern("made");
        book.check_delete_route(&made).unwrap();
        assert!(book.remove_route(&made) && !book.remove_route(&made));
        book.check_delete_alias(&made).unwrap();
        assert!(book.remove_alias(&made) && !book.remove_alias(&made));
        assert_eq!(names(&book), (owned(&["fixed", "new"]), owned(&["fixed", "new*"])));
    }

    #[test]
    fn the_configuration_file_is_read_only_and_wins() {
        let mut book = book();
        let fixed = pattern("fixed");
        let refused = [
            book.check_route(route("fixed", Origin::Api)).err(),
            book.check_alias(alias("fixed", Origin::Api)).err(),
            book.check_delete_route(&fixed).err(),
            book.check_delete_alias(&fixed).err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(RouteError::OwnedByConfiguration(..))), "{error:?}");
        }
        book.load_routes(vec![Route { hedge: false, ..route("fixed", Origin::Api) }], Vec::new());
        assert!(book.table().routes()[0].hedge);
    }

    #[test]
    fn what_is_not_understood_is_neither_used_nor_written_over() {
        let book = book();
        let broken = pattern("broken");
        let refused = [
            book.check_route(route("broken", Origin::Api)).err(),
            book.check_alias(alias("broken", Origin::Api)).err(),
            book.check_delete_route(&broken).err(),
            book.check_delete_alias(&broken).err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(RouteError::Unreadable(..))), "{error:?}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_deleted() {
        let (book, name) = (book(), pattern("nobody"));
        let refused = book.check_delete_route(&name);
        assert!(matches!(refused, Err(RouteError::NotFound(NameKind::Route, _))));
        let refused = book.check_delete_alias(&name);
        assert!(matches!(refused, Err(RouteError::NotFound(NameKind::Alias, _))));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let book = book();
        // Weighted is the strategy of the pool.
        let idle = RouteTarget { provider: None, model: ModelName::parse("m").ok(), weight: 0 };
        let idle = Route { targets: vec![idle], ..route("new", Origin::Api) };
        assert!(matches!(book.check_route(idle), Err(RouteError::Invalid(_))));
        let idle = Alias { model: pattern("new"), ..alias("new", Origin::Api) };
        assert!(matches!(book.check_alias(idle), Err(RouteError::Invalid(_))));
    }

    #[test]
    fn there_is_a_limit_and_what_is_there_can_still_be_changed() {
        let mut book = book();
        let rows = (0..MAX_STORED).map(|n| route(&format!("r{n}"), Origin::Api)).collect();
        book.load_routes(rows, Vec::new());
        let refused = book.check_route(route("new", Origin::Api));
        assert!(matches!(refused, Err(RouteError::TooMany { .. })));
        assert!(book.check_route(route("r7", Origin::Api)).is_ok());
    }
}
