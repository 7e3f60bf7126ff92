//! The credentials there are, and the rules by which they come and go. Knows no actor, clock or
//! database.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::directory::{CredentialDirectory, Gauge, Held, Shelf, ShelfState, Shelves};
use crate::domain::{
    credential::{Credential, CredentialSettings},
    id::{CredentialId, ProviderId},
};

/// What Credentials keeps.
#[derive(Default)]
pub struct CredentialPool {
    /// What is published shares all of it but the shelves that have changed since.
    shelves: Shelves,
}

impl CredentialPool {
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        Self::default().reloaded(credentials)
    }

    /// These credentials in the place of those of before, whose readings and turns go on: requests
    /// that are under way still count.
    pub fn reloaded(&self, credentials: impl IntoIterator<Item = Credential>) -> Self {
        // One without credentials keeps its turns.
        let mut by_provider: HashMap<ProviderId, Vec<Credential>> =
            self.shelves.keys().map(|id| (id.clone(), Vec::new())).collect();
        for credential in credentials {
            by_provider.entry(credential.provider_id.clone()).or_default().push(credential);
        }
        let mut pool = Self { shelves: self.shelves.clone() };
        for (provider, credentials) in by_provider {
            let before = self.all(&provider).iter();
            let before = before.map(|held| (&held.credential.id, &held.gauge));
            let gauges: HashMap<&CredentialId, &Arc<Gauge>> = before.collect();
            let mut fingerprints = HashSet::with_capacity(credentials.len());
            let mut held = Vec::with_capacity(credentials.len());
            for credential in credentials {
                // The very same key is kept once.
                if fingerprints.insert(credential.fingerprint.clone()) {
                    let gauge = gauges.get(&credential.id).map(|gauge| Arc::clone(gauge));
                    held.push(Arc::new(Held { credential, gauge: gauge.unwrap_or_default() }));
                }
            }
            pool.put(provider, held);
        }
        pool
    }

    fn all(&self, provider: &ProviderId) -> &[Arc<Held>] {
        self.shelves.get(provider).map_or(&[], |shelf| shelf.held())
    }

    /// The credential of a provider that holds the very same key.
    pub fn find_same(&self, provider: &ProviderId, fingerprint: &str) -> Option<&Credential> {
        let mut all = self.all(provider).iter().map(|held| &held.credential);
        all.find(|credential| credential.fingerprint == fingerprint)
    }

    pub fn find(&self, provider: &ProviderId, id: &CredentialId) -> Option<&Credential> {
        self.iter_of(provider).find(|credential| credential.id == *id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.shelves.values().flat_map(|shelf| shelf.held()).map(|held| &held.credential)
    }

    pub fn iter_of(&self, provider: &ProviderId) -> impl Iterator<Item = &Credential> {
        self.all(provider).iter().map(|held| &held.credential)
    }

    /// Adds a credential, unless the very same key is there.
    pub fn insert(&mut self, credential: Credential) {
        let provider = credential.provider_id.clone();
        if self.find_same(&provider, &credential.fingerprint).is_none() {
            let mut all = self.all(&provider).to_vec();
            all.push(Arc::new(Held { credential, gauge: Arc::default() }));
            self.put(provider, all);
        }
    }

    /// Puts new settings in the place of the old ones. What is under way and what is counted goes on.
    pub fn replace_settings(
        &mut self,
        provider: &ProviderId,
        id: &CredentialId,
        settings: &CredentialSettings,
    ) {
        let replaced = |held: &Arc<Held>| {
            if held.credential.id != *id {
                return Arc::clone(held);
            }
            let credential = Credential { settings: settings.clone(), ..held.credential.clone() };
            Arc::new(Held { credential, gauge: Arc::clone(&held.gauge) })
        };
        let all = self.all(provider).iter().map(replaced).collect();
        self.put(provider.clone(), all);
    }

    pub fn remove(&mut self, provider: &ProviderId, id: &CredentialId) {
        let left = self.all(provider).iter().filter(|held| held.credential.id != *id);
        let left = left.cloned().collect();
        self.put(provider.clone(), left);
    }

    /// Puts a new shelf in the place of the old one, which may still be read; turns go on.
    fn put(&mut self, provider: ProviderId, held: Vec<Arc<Held>>) {
        let known = self.shelves.get(&provider).map(|shelf| Arc::clone(shelf.state()));
        let state = known.unwrap_or_else(|| Arc::new(ShelfState::default()));
        let shelf = Arc::new(Shelf::new(held, state));
        self.shelves.insert_mut(provider, shelf);
    }

    pub fn remove_provider(&mut self, provider: &ProviderId) {
        self.shelves.remove_mut(provider);
    }

    /// What is to be published.
    pub fn directory(&self) -> CredentialDirectory {
        CredentialDirectory { shelves: self.shelves.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actors::credentials::directory::tests::{acme, credential},
        domain::time::Timestamp,
    };

    #[test]
    fn the_same_key_is_kept_once() {
        let mut twin = credential("b");
        twin.fingerprint = "a".into();
        let pool = CredentialPool::new([credential("a"), twin]);
        assert_eq!(pool.directory().of(&acme()).len(), 1);
        assert_eq!(pool.find_same(&acme(), "a").unwrap().id.as_str(), "a");
    }

    #[test]
    fn what_is_counted_outlives_a_change_of_settings_and_goes_with_the_credential() {
        let mut pool = CredentialPool::new([credential("a")]);
        let now = Timestamp::from_millis(1_000_000);
        let totals = |pool: &CredentialPool| {
            let directory = pool.directory();
            directory.of(&acme()).first().map(|held| held.gauge.results.totals())
        };
        pool.directory().of(&acme())[0].gauge.results.note(now, false);
        let settings = CredentialSettings { priority: 7, ..CredentialSettings::default() };

        pool.replace_settings(&acme(), &"a".into(), &settings);

        assert_eq!(pool.find(&acme(), &"a".into()).unwrap().settings.priority, 7);
        assert_eq!(totals(&pool), Some((0, 1)));
        assert_eq!(totals(&pool.reloaded([credential("a")])), Some((0, 1)));
        assert_eq!(totals(&pool.reloaded([credential("b")])), Some((0, 0)));
        assert_eq!(totals(&pool.reloaded([])), None);
        pool.remove(&acme(), &"a".into());
        pool.insert(credential("a"));
        assert_eq!(totals(&pool), Some((0, 0)));
    }
}
