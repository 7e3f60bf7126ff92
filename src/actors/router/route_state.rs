//! The routes and aliases there are, and the rules by which they change. Knows no actor, clock or
//! database.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{entries::Entries, route_messages::RouteError, route_table::RouteTable};
use crate::domain::{
    pattern::NamePattern,
    provider::Origin,
    route::{Alias, Named, Route, Strategy},
};

/// Most routes, and most aliases, that the API may make: each request looks through the patterns.
const MAX_STORED: usize = 10_000;

/// What the Router keeps of routes and aliases. What is stored is changed here after it is saved.
pub struct RouteState {
    strategy: Strategy,
    routes: Definitions<Route>,
    aliases: Definitions<Alias>,
    table: Arc<RouteTable>,
}

/// What the state has definitions of.
pub(super) trait Kept: Named {
    fn definitions(state: &RouteState) -> &Definitions<Self>;
    fn definitions_mut(state: &mut RouteState) -> &mut Definitions<Self>;
    fn entries_mut(table: &mut RouteTable) -> &mut Entries<Self>;
}

impl Kept for Route {
    fn definitions(state: &RouteState) -> &Definitions<Self> {
        &state.routes
    }

    fn definitions_mut(state: &mut RouteState) -> &mut Definitions<Self> {
        &mut state.routes
    }

    fn entries_mut(table: &mut RouteTable) -> &mut Entries<Self> {
        &mut table.routes
    }
}

impl Kept for Alias {
    fn definitions(state: &RouteState) -> &Definitions<Self> {
        &state.aliases
    }

    fn definitions_mut(state: &mut RouteState) -> &mut Definitions<Self> {
        &mut state.aliases
    }

    fn entries_mut(table: &mut RouteTable) -> &mut Entries<Self> {
        &mut table.aliases
    }
}

impl RouteState {
    /// What the configuration file says. `strategy` is that of all routes without their own.
    pub fn new(routes: Vec<Route>, aliases: Vec<Alias>, strategy: Strategy) -> Self {
        let (routes, aliases) = (Definitions::new(routes), Definitions::new(aliases));
        let mut state = Self { strategy, routes, aliases, table: Arc::default() };
        state.rebuild();
        state
    }

    /// All that is in force.
    pub fn table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.table)
    }

    fn rebuild(&mut self) {
        let (routes, aliases) = (self.routes.all().cloned(), self.aliases.all().cloned());
        let table = RouteTable::new(routes, aliases, self.strategy);
        self.table = Arc::new(table.with_locked(self.routes.locked(), self.aliases.locked()));
    }

    /// Takes the rows of the database for what is stored. `unreadable` names those that are there
    /// and not understood.
    pub(super) fn load<T: Kept>(&mut self, rows: Vec<T>, unreadable: Vec<String>) {
        let definitions = T::definitions_mut(self);
        definitions.stored = by_name(rows);
        definitions.unreadable = unreadable.into_iter().collect();
        self.rebuild();
    }

    /// What to save, when it may be made or replaced.
    pub(super) fn check_set<T: Kept>(&self, entry: T) -> Result<T, RouteError> {
        T::definitions(self).check_set(entry.name())?;
        entry.check(self.strategy)?;
        Ok(entry.owned_by(Origin::Api))
    }

    /// Whether what has this name may be deleted.
    pub(super) fn check_delete<T: Kept>(&self, name: &NamePattern) -> Result<(), RouteError> {
        T::definitions(self).check_delete(name)
    }

    /// Takes over what has been saved. Says whether it is new.
    pub(super) fn adopt<T: Kept>(&mut self, entry: T) -> bool {
        let name = entry.name().clone();
        let is_new = T::definitions_mut(self).stored.insert(name.clone(), entry).is_none();
        self.show::<T>(&name);
        is_new
    }

    /// Lets go of what has been deleted. Says whether it was there.
    pub(super) fn remove<T: Kept>(&mut self, name: &NamePattern) -> bool {
        let was_there = T::definitions_mut(self).stored.remove(name).is_some();
        self.show::<T>(name);
        was_there
    }

    /// Has the table say of one name what is in force by now. The rest of it stays as it is.
    fn show<T: Kept>(&mut self, name: &NamePattern) {
        let definitions = T::definitions(self);
        let entry =
            definitions.configured.get(name).or_else(|| definitions.stored.get(name)).cloned();
        let entries = T::entries_mut(Arc::make_mut(&mut self.table));
        match entry {
            Some(entry) => entries.put(entry),
            None => entries.remove(name),
        }
    }
}

/// What there is of one kind.
pub(super) struct Definitions<T> {
    configured: BTreeMap<NamePattern, T>,
    stored: BTreeMap<NamePattern, T>,
    /// Nothing is saved over these, they are not used, and nobody is asked in their place.
    unreadable: BTreeSet<String>,
}

fn by_name<T: Named>(entries: Vec<T>) -> BTreeMap<NamePattern, T> {
    entries.into_iter().map(|entry| (entry.name().clone(), entry)).collect()
}

impl<T: Named> Definitions<T> {
    fn new(configured: Vec<T>) -> Self {
        let (stored, unreadable) = (BTreeMap::new(), BTreeSet::new());
        Self { configured: by_name(configured), stored, unreadable }
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        self.configured.values().chain(self.stored.values())
    }

    /// The names that are taken by what is not understood. What is no name leads nowhere anyway.
    fn locked(&self) -> Vec<NamePattern> {
        self.unreadable.iter().filter_map(|name| NamePattern::parse(name).ok()).collect()
    }

    fn check_touch(&self, name: &NamePattern) -> Result<(), RouteError> {
        if self.configured.contains_key(name) {
            return Err(RouteError::OwnedByConfiguration(T::KIND, name.clone()));
        }
        if self.unreadable.contains(name.as_str()) {
            return Err(RouteError::Unreadable(T::KIND, name.clone()));
        }
        Ok(())
    }

    fn check_set(&self, name: &NamePattern) -> Result<(), RouteError> {
        self.check_touch(name)?;
        if self.stored.len() >= MAX_STORED && !self.stored.contains_key(name) {
            return Err(RouteError::TooMany { kind: T::KIND, limit: MAX_STORED });
        }
        Ok(())
    }

    fn check_delete(&self, name: &NamePattern) -> Result<(), RouteError> {
        self.check_touch(name)?;
        if !self.stored.contains_key(name) {
            return Err(RouteError::NotFound(T::KIND, name.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::ModelName,
        route::{NameKind, RouteTarget},
    };

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
            across_tiers: false,
            attempt_timeout_ms: None,
            cooling: None,
            origin,
        }
    }

    fn alias(name: &str, origin: Origin) -> Alias {
        Alias { name: pattern(name), model: pattern("somewhere"), origin }
    }

    /// A state with `fixed` in the configuration and `made` by the API, of either kind.
    fn state() -> RouteState {
        let configured = Origin::Config;
        let (routes, aliases) =
            (vec![route("fixed", configured)], vec![alias("fixed", configured)]);
        let mut state = RouteState::new(routes, aliases, Strategy::Weighted);
        state.load(vec![route("made", Origin::Api)], vec!["broken".into()]);
        state.load(vec![alias("made", Origin::Api)], vec!["broken".into()]);
        state
    }

    fn names(state: &RouteState) -> (Vec<String>, Vec<String>) {
        let table = state.table();
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
        assert_eq!(names(&state()), (both.clone(), both));
        assert_eq!(state().table().strategy(), Strategy::Weighted);
    }

    #[test]
    fn what_is_saved_is_in_force_and_what_is_deleted_is_not() {
        let mut state = state();
        let new = state.check_set(route("new", Origin::Config)).unwrap();
        assert_eq!(new.origin, Origin::Api, "the API cannot make what it could not change");
        assert!(state.adopt(new.clone()));
        assert!(!state.adopt(new));
        let new = state.check_set(alias("new*", Origin::Config)).unwrap();
        assert_eq!(new.origin, Origin::Api);
        assert!(state.adopt(new.clone()));
        assert!(!state.adopt(new));
        let made = pattern("made");
        state.check_delete::<Route>(&made).unwrap();
        assert!(state.remove::<Route>(&made) && !state.remove::<Route>(&made));
        state.check_delete::<Alias>(&made).unwrap();
        assert!(state.remove::<Alias>(&made) && !state.remove::<Alias>(&made));
        assert_eq!(names(&state), (owned(&["fixed", "new"]), owned(&["fixed", "new*"])));
    }

    #[test]
    fn the_configuration_file_is_read_only_and_wins() {
        let mut state = state();
        let fixed = pattern("fixed");
        let refused = [
            state.check_set(route("fixed", Origin::Api)).err(),
            state.check_set(alias("fixed", Origin::Api)).err(),
            state.check_delete::<Route>(&fixed).err(),
            state.check_delete::<Alias>(&fixed).err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(RouteError::OwnedByConfiguration(..))), "{error:?}");
        }
        state.load(vec![Route { hedge: false, ..route("fixed", Origin::Api) }], Vec::new());
        assert!(state.table().routes().iter().next().unwrap().hedge);
    }

    #[test]
    fn what_is_not_understood_is_neither_used_nor_written_over() {
        let state = state();
        let broken = pattern("broken");
        let refused = [
            state.check_set(route("broken", Origin::Api)).err(),
            state.check_set(alias("broken", Origin::Api)).err(),
            state.check_delete::<Route>(&broken).err(),
            state.check_delete::<Alias>(&broken).err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(RouteError::Unreadable(..))), "{error:?}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_deleted() {
        let (state, name) = (state(), pattern("nobody"));
        let refused = state.check_delete::<Route>(&name);
        assert!(matches!(refused, Err(RouteError::NotFound(NameKind::Route, _))));
        let refused = state.check_delete::<Alias>(&name);
        assert!(matches!(refused, Err(RouteError::NotFound(NameKind::Alias, _))));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let state = state();
        // Weighted is the strategy of the pool.
        let idle = RouteTarget { provider: None, model: ModelName::parse("m").ok(), weight: 0 };
        let idle = Route { targets: vec![idle], ..route("new", Origin::Api) };
        assert!(matches!(state.check_set(idle), Err(RouteError::Invalid(_))));
        let idle = Alias { model: pattern("new"), ..alias("new", Origin::Api) };
        assert!(matches!(state.check_set(idle), Err(RouteError::Invalid(_))));
    }

    #[test]
    fn there_is_a_limit_and_what_is_there_can_still_be_changed() {
        let mut state = state();
        let rows = (0..MAX_STORED).map(|n| route(&format!("r{n}"), Origin::Api)).collect();
        state.load(rows, Vec::new());
        let refused = state.check_set(route("new", Origin::Api));
        assert!(matches!(refused, Err(RouteError::TooMany { .. })));
        assert!(state.check_set(route("r7", Origin::Api)).is_ok());
    }
}
