//! The credentials there are, and the rules by which they come and go. Knows no actor, clock or
//! database.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::directory::{
    CredentialDirectory, KeyStats, KeysByProvider, PooledKey, ProviderKeys, ProviderKeysState,
};
use crate::domain::{
    credential::{Credential, CredentialSettings},
    id::{CredentialId, ProviderId},
};

/// What Credentials keeps.
#[derive(Default)]
pub struct CredentialPool {
    /// What is published shares all of it but the shelves that have changed since.
    keys_by_provider: KeysByProvider,
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
            self.keys_by_provider.keys().map(|id| (id.clone(), Vec::new())).collect();
        for credential in credentials {
            by_provider.entry(credential.provider_id.clone()).or_default().push(credential);
        }
        let mut pool = Self { keys_by_provider: self.keys_by_provider.clone() };
        for (provider, credentials) in by_provider {
            let before = self.all(&provider).iter();
            let before = before.map(|pooled| (&pooled.credential.id, &pooled.stats));
            let all_stats: HashMap<&CredentialId, &Arc<KeyStats>> = before.collect();
            let mut fingerprints = HashSet::with_capacity(credentials.len());
            let mut pooled = Vec::with_capacity(credentials.len());
            for credential in credentials {
                // The very same key is kept once.
                if fingerprints.insert(credential.fingerprint.clone()) {
                    let stats = all_stats.get(&credential.id).map(|stats| Arc::clone(stats));
                    pooled
                        .push(Arc::new(PooledKey { credential, stats: stats.unwrap_or_default() }));
                }
            }
            pool.put(provider, pooled);
        }
        pool
    }

    fn all(&self, provider: &ProviderId) -> &[Arc<PooledKey>] {
        self.keys_by_provider.get(provider).map_or(&[], |keys| keys.pooled())
    }

    /// The credential of a provider that holds the very same key.
    pub fn find_same(&self, provider: &ProviderId, fingerprint: &str) -> Option<&Credential> {
        let mut all = self.all(provider).iter().map(|pooled| &pooled.credential);
        all.find(|credential| credential.fingerprint == fingerprint)
    }

    pub fn find(&self, provider: &ProviderId, id: &CredentialId) -> Option<&Credential> {
        self.iter_of(provider).find(|credential| credential.id == *id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.keys_by_provider
            .values()
            .flat_map(|keys| keys.pooled())
            .map(|pooled| &pooled.credential)
    }

    pub fn iter_of(&self, provider: &ProviderId) -> impl Iterator<Item = &Credential> {
        self.all(provider).iter().map(|pooled| &pooled.credential)
    }

    /// Adds a credential, unless the very same key is there.
    pub fn insert(&mut self, credential: Credential) {
        let provider = credential.provider_id.clone();
        if self.find_same(&provider, &credential.fingerprint).is_none() {
            let mut all = self.all(&provider).to_vec();
            all.push(Arc::new(PooledKey { credential, stats: Arc::default() }));
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
        let replaced = |pooled: &Arc<PooledKey>| {
            if pooled.credential.id != *id {
                return Arc::clone(pooled);
            }
            let credential = Credential { settings: settings.clone(), ..pooled.credential.clone() };
            Arc::new(PooledKey { credential, stats: Arc::clone(&pooled.stats) })
        };
        let all = self.all(provider).iter().map(replaced).collect();
        self.put(provider.clone(), all);
    }

    pub fn remove(&mut self, provider: &ProviderId, id: &CredentialId) {
        let left = self.all(provider).iter().filter(|pooled| pooled.credential.id != *id);
        let left = left.cloned().collect();
        self.put(provider.clone(), left);
    }

    /// Puts a new shelf in the place of the old one, which may still be read; turns go on.
    fn put(&mut self, provider: ProviderId, pooled: Vec<Arc<PooledKey>>) {
        let known = self.keys_by_provider.get(&provider).map(|keys| Arc::clone(keys.state()));
        let state = known.unwrap_or_else(|| Arc::new(ProviderKeysState::default()));
        let keys = Arc::new(ProviderKeys::new(pooled, state));
        self.keys_by_provider.insert_mut(provider, keys);
    }

    pub fn remove_provider(&mut self, provider: &ProviderId) {
        self.keys_by_provider.remove_mut(provider);
    }

    /// What is to be published.
    pub fn directory(&self) -> CredentialDirectory {
        CredentialDirectory { keys_by_provider: self.keys_by_provider.clone() }
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
            directory.of(&acme()).first().map(|pooled| pooled.stats.results.totals())
        };
        pool.directory().of(&acme())[0].stats.results.note(now, false);
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
