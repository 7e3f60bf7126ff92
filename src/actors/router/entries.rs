//! Routes or aliases at one moment: found by name, by the pattern that fits, and listed by name.

use std::{cmp::Ordering, sync::Arc};

use foldhash::fast::RandomState;
use rpds::HashTrieMapSync;

use crate::domain::{
    id::ModelName, pattern::NamePattern, provider::Origin, route::Named, sorted_list::SortedList,
};

/// What there is of one kind. Copies share all that neither of them has changed since, so that a
/// change costs what it changes.
#[derive(Debug, Clone)]
pub struct Entries<T> {
    /// Sorted by name.
    all: SortedList<Arc<T>>,
    exact: HashTrieMapSync<ModelName, Arc<T>, RandomState>,
    /// The most particular first.
    globs: SortedList<Arc<T>>,
    /// The names of those that are not understood.
    locked: Arc<[NamePattern]>,
}

fn by_particularity(a: &NamePattern, b: &NamePattern) -> Ordering {
    a.particularity().cmp(&b.particularity())
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self {
            all: SortedList::default(),
            exact: HashTrieMapSync::default(),
            globs: SortedList::default(),
            locked: Arc::default(),
        }
    }
}

impl<T: Named> Entries<T> {
    /// Of several of one name, that of the configuration file is taken, else the last.
    pub(super) fn new(entries: impl IntoIterator<Item = T>) -> Self {
        let mut all = Self::default();
        for entry in entries {
            let known = all.find_named(entry.name());
            let is_configured = known.is_some_and(|known| known.origin() == Origin::Config);
            if entry.origin() == Origin::Config || !is_configured {
                all.put(entry);
            }
        }
        all
    }

    /// Names those that are stored too and not understood.
    pub(super) fn lock(&mut self, names: Vec<NamePattern>) {
        self.locked = names.into();
    }

    /// Adds an entry, or puts it in the place of the one of the same name.
    pub(super) fn put(&mut self, entry: T) {
        let entry = Arc::new(entry);
        let name = entry.name();
        self.remove(name);
        self.all.insert(Arc::clone(&entry), |other| other.name().cmp(name));
        match name.exact() {
            Some(name) => self.exact.insert_mut(name.clone(), Arc::clone(&entry)),
            None => {
                self.globs.insert(Arc::clone(&entry), |other| by_particularity(other.name(), name));
            }
        }
    }

    /// Takes the entry of this name out, if it is there.
    pub(super) fn remove(&mut self, name: &NamePattern) {
        if self.all.remove(|other| other.name().cmp(name)).is_none() {
            return;
        }
        match name.exact() {
            Some(name) => drop(self.exact.remove_mut(name)),
            None => {
                self.globs.remove(|other| by_particularity(other.name(), name));
            }
        }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.all.iter()
    }

    /// Those behind the one of this name. `None`: there is no such one.
    pub fn iter_after<'e>(
        &'e self,
        name: &NamePattern,
    ) -> Option<impl Iterator<Item = &'e Arc<T>> + use<'e, T>> {
        let name = self.find_named(name)?.name();
        Some(self.all.iter_after(move |other| other.name().cmp(name)))
    }

    /// The one whose own name this is.
    pub fn find_named(&self, name: &NamePattern) -> Option<&Arc<T>> {
        self.all.find(|other| other.name().cmp(name))
    }

    /// The one without a star whose name this is.
    pub(super) fn exact(&self, name: &ModelName) -> Option<&Arc<T>> {
        self.exact.get(name)
    }

    /// Those with a star, the most particular first.
    pub(super) fn globs(&self) -> impl Iterator<Item = &Arc<T>> {
        self.globs.iter()
    }

    /// The most particular one to fit a name.
    pub(super) fn find(&self, name: &ModelName) -> Option<&Arc<T>> {
        let fits = |entry: &&Arc<T>| entry.name().capture(name.as_str()).is_some();
        self.exact(name).or_else(|| self.globs().find(fits))
    }

    /// The name that is the most particular one to fit, if what it stands for is not understood.
    pub(super) fn find_locked(&self, name: &ModelName) -> Option<&NamePattern> {
        let fitting = self.locked.iter().filter(|locked| locked.capture(name.as_str()).is_some());
        let locked = fitting.min_by(|a, b| by_particularity(a, b))?;
        let is_ahead = |found: &Arc<T>| found.name().particularity() <= locked.particularity();
        if self.find(name).is_some_and(is_ahead) { None } else { Some(locked) }
    }
}
