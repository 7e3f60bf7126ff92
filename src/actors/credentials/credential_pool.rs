//! The credentials there are, and the rules by which they come and go. Knows no actor, clock or
//! database.

use std::{collections::HashMap, sync::Arc};

use super::directory::{CredentialDirectory, Gauge, Held, Shelf, ShelfState};
use crate::domain::{
    cooldown::CooldownBook,
    credential::{Credential, CredentialSettings},
    id::{CredentialId, ProviderId},
};

/// What Credentials keeps.
#[derive(Default)]
pub struct CredentialPool {
    /// What is published is this very map, until one of its shelves changes.
    shelves: Arc<HashMap<ProviderId, Arc<Shelf>>>,
}

impl CredentialPool {
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        let mut pool = Self::default();
        for credential in credentials {
            pool.insert(credential);
        }
        pool
    }

    /// These credentials in the place of those of before, whose readings and turns go on: requests
    /// that are under way still count.
    pub fn reloaded(&self, credentials: impl IntoIterator<Item = Credential>) -> Self {
        let emptied = |(id, shelf): (&ProviderId, &Arc<Shelf>)| {
            (id.clone(), Arc::new(Shelf::new(Vec::new(), Arc::clone(shelf.state()))))
        };
        let mut pool = Self { shelves: Arc::new(self.shelves.iter().map(emptied).collect()) };
        for credential in credentials {
            let mut before = self.all(&credential.provider_id).iter();
            let known = before.find(|held| held.credential.id == credential.id);
            let gauge = known.map(|held| Arc::clone(&held.gauge)).unwrap_or_default();
            pool.insert_with(credential, gauge);
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
        self.insert_with(credential, Arc::default());
    }

    fn insert_with(&mut self, credential: Credential, gauge: Arc<Gauge>) {
        let provider = credential.provider_id.clone();
        if self.find_same(&provider, &credential.fingerprint).is_none() {
            let mut all = self.all(&provider).to_vec();
            all.push(Arc::new(Held { credential, gauge }));
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
        Arc::make_mut(&mut self.shelves).insert(provider, shelf);
    }

    pub fn remove_provider(&mut self, provider: &ProviderId) {
        Arc::make_mut(&mut self.shelves).remove(provider);
    }

    /// What is to be published.
    pub fn directory(&self, cooldowns: &CooldownBook) -> CredentialDirectory {
        CredentialDirectory { shelves: Arc::clone(&self.shelves), cooldowns: cooldowns.clone() }
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
        assert_eq!(pool.directory(&CooldownBook::default()).of(&acme()).len(), 1);
        assert_eq!(pool.find_same(&acme(), "a").unwrap().id.as_str(), "a");
    }

    #[test]
    fn what_is_counted_outlives_a_change_of_settings_and_goes_with_the_credential() {
        let mut pool = CredentialPool::new([credential("a")]);
        let now = Timestamp::from_millis(1_000_000);
        let totals = |pool: &CredentialPool| {
            let directory = pool.directory(&CooldownBook::default());
            directory.of(&acme()).first().map(|held| held.gauge.results.totals())
        };
        pool.directory(&CooldownBook::default()).of(&acme())[0].gauge.results.note(now, false);
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
