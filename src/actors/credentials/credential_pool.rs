//! The credentials there are and whose turn it is. Knows no actor, clock or database.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::messages::{Lease, LeaseError};
use crate::domain::{
    cooldown::{Cooldown, CooldownBook, CooldownScope},
    credential::{Credential, StoredSecret},
    failure::FailureClass,
    id::{CredentialId, ModelName, ProviderId},
    time::Timestamp,
};

/// The credentials of one provider, oldest first.
#[derive(Default)]
struct Shelf {
    credentials: Vec<Credential>,
    /// Index from which the next choice looks on. Shared by all who choose.
    next: Arc<AtomicUsize>,
}

/// Every credential and what is held against it, as published. A request leases one by itself,
/// without asking anyone; only whose turn it is changes then.
#[derive(Default)]
pub struct CredentialDirectory {
    shelves: BTreeMap<ProviderId, Arc<Shelf>>,
    cooldowns: CooldownBook,
}

impl CredentialDirectory {
    /// The credentials of a provider, oldest first.
    pub fn of(&self, provider: &ProviderId) -> &[Credential] {
        self.shelves.get(provider).map_or(&[], |shelf| &shelf.credentials)
    }

    /// How many usable credentials each provider has. One not named has none.
    pub fn usable_counts(&self) -> HashMap<ProviderId, usize> {
        let usable = |shelf: &Shelf| shelf.credentials.iter().filter(|c| c.is_usable()).count();
        self.shelves.iter().map(|(id, shelf)| (id.clone(), usable(shelf))).collect()
    }

    /// Whether a good answer with this credential is news. Most of the time it is not.
    pub fn wants_success(
        &self,
        provider: &ProviderId,
        credential: &CredentialId,
        model: &ModelName,
    ) -> bool {
        if self.cooldowns.is_empty() {
            return false;
        }
        let [whole, with_model] = scopes(provider, credential, model);
        self.cooldowns.remembers(&whole) || self.cooldowns.remembers(&with_model)
    }

    /// The next usable credential in turn that is neither tried nor cooling, for this model.
    pub fn lease(
        &self,
        now: Timestamp,
        provider: &ProviderId,
        model: &ModelName,
        tried: &[CredentialId],
    ) -> Result<Lease, LeaseError> {
        let shelf = self.shelves.get(provider).ok_or(LeaseError::NoneLeft)?;
        let count = shelf.credentials.len();
        let first = shelf.next.load(Ordering::Relaxed);
        let mut soonest: Option<(Timestamp, FailureClass)> = None;
        for index in (0..count).map(|step| (first + step) % count) {
            let credential = &shelf.credentials[index];
            let StoredSecret::Open(secret) = &credential.secret else { continue };
            if !credential.settings.enabled || tried.contains(&credential.id) {
                continue;
            }
            let Some(cooldown) = self.cooling(now, provider, &credential.id, model) else {
                // Two who choose at the same moment may get the same one: a turn, not a promise.
                shelf.next.store(index + 1, Ordering::Relaxed);
                return Ok(Lease { id: credential.id.clone(), secret: secret.clone() });
            };
            if soonest.is_none_or(|(until, _)| cooldown.until < until) {
                soonest = Some((cooldown.until, cooldown.cause));
            }
        }
        Err(match soonest {
            Some((until, cause)) => LeaseError::Cooling { until, cause },
            None => LeaseError::NoneLeft,
        })
    }

    /// The longest cooldown that keeps a credential from being used for this model now.
    fn cooling(
        &self,
        now: Timestamp,
        provider: &ProviderId,
        credential: &CredentialId,
        model: &ModelName,
    ) -> Option<&Cooldown> {
        if self.cooldowns.is_empty() {
            return None;
        }
        let scopes = scopes(provider, credential, model);
        let active = scopes.iter().filter_map(|scope| self.cooldowns.active(now, scope));
        active.max_by_key(|cooldown| cooldown.until)
    }
}

fn scopes(
    provider: &ProviderId,
    credential: &CredentialId,
    model: &ModelName,
) -> [CooldownScope; 2] {
    let (provider, credential) = (provider.clone(), credential.clone());
    [
        CooldownScope::Credential(provider.clone(), credential.clone()),
        CooldownScope::CredentialModel(provider, credential, model.clone()),
    ]
}

/// What Credentials keeps.
#[derive(Default)]
pub struct CredentialPool {
    shelves: BTreeMap<ProviderId, Arc<Shelf>>,
}

impl CredentialPool {
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        let mut pool = Self::default();
        for credential in credentials {
            pool.insert(credential);
        }
        pool
    }

    fn all(&self, provider: &ProviderId) -> &[Credential] {
        self.shelves.get(provider).map_or(&[], |shelf| &shelf.credentials)
    }

    /// The credential of a provider that holds the very same key.
    pub fn find_same(&self, provider: &ProviderId, fingerprint: &str) -> Option<&Credential> {
        self.all(provider).iter().find(|credential| credential.fingerprint == fingerprint)
    }

    pub fn find(&self, provider: &ProviderId, id: &CredentialId) -> Option<&Credential> {
        self.all(provider).iter().find(|credential| credential.id == *id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.shelves.values().flat_map(|shelf| &shelf.credentials)
    }

    /// Adds a credential, unless the very same key is there.
    pub fn insert(&mut self, credential: Credential) {
        let provider = credential.provider_id.clone();
        if self.find_same(&provider, &credential.fingerprint).is_none() {
            let mut credentials = self.all(&provider).to_vec();
            credentials.push(credential);
            self.put(provider, credentials);
        }
    }

    pub fn remove(&mut self, provider: &ProviderId, id: &CredentialId) {
        let left = self.all(provider).iter().filter(|credential| credential.id != *id);
        let left: Vec<Credential> = left.cloned().collect();
        self.put(provider.clone(), left);
    }

    /// Puts a new shelf in the place of the old one, which may still be read; turns go on.
    fn put(&mut self, provider: ProviderId, credentials: Vec<Credential>) {
        let next = self.shelves.get(&provider).map(|shelf| Arc::clone(&shelf.next));
        let shelf = Shelf { credentials, next: next.unwrap_or_default() };
        self.shelves.insert(provider, Arc::new(shelf));
    }

    pub fn remove_provider(&mut self, provider: &ProviderId) {
        self.shelves.remove(provider);
    }

    /// What is to be published.
    pub fn directory(&self, cooldowns: &CooldownBook) -> CredentialDirectory {
        CredentialDirectory { shelves: self.shelves.clone(), cooldowns: cooldowns.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{cooldown::Length, credential::CredentialSettings, provider::Origin};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn acme() -> ProviderId {
        ProviderId::parse("acme").unwrap()
    }

    fn model() -> ModelName {
        ModelName::parse("m").unwrap()
    }

    fn credential(id: &str) -> Credential {
        Credential {
            id: id.into(),
            provider_id: acme(),
            settings: CredentialSettings::default(),
            origin: Origin::Api,
            secret: StoredSecret::Open("secret".into()),
            mask: "****".into(),
            fingerprint: id.into(),
            created_at: NOW,
        }
    }

    fn lease(pool: &CredentialPool, tried: &[&str]) -> Result<String, LeaseError> {
        lease_among(pool, tried, &CooldownBook::default())
    }

    fn lease_among(
        pool: &CredentialPool,
        tried: &[&str],
        cooldowns: &CooldownBook,
    ) -> Result<String, LeaseError> {
        let tried: Vec<CredentialId> = tried.iter().map(|id| (*id).into()).collect();
        pool.directory(cooldowns)
            .lease(NOW, &acme(), &model(), &tried)
            .map(|lease| lease.id.to_string())
    }

    #[test]
    fn enabled_keys_take_turns() {
        let mut off = credential("b");
        off.settings.enabled = false;
        let pool = CredentialPool::new([credential("a"), off, credential("c")]);
        let turns: Vec<_> = (0..4).map(|_| lease(&pool, &[]).unwrap()).collect();
        assert_eq!(turns, ["a", "c", "a", "c"]);
    }

    #[test]
    fn a_disabled_or_locked_key_is_never_used_even_when_it_is_the_only_one() {
        let mut off = credential("a");
        off.settings.enabled = false;
        let mut locked = credential("b");
        locked.secret = StoredSecret::Locked { key_id: "k1".into() };
        let pool = CredentialPool::new([off, locked]);
        assert_eq!(lease(&pool, &[]), Err(LeaseError::NoneLeft));
        assert_eq!(pool.directory(&CooldownBook::default()).usable_counts()[&acme()], 0);
    }

    #[test]
    fn a_tried_key_is_not_leased_again() {
        let pool = CredentialPool::new([credential("a"), credential("b")]);
        assert_eq!(lease(&pool, &["a"]).unwrap(), "b");
        assert_eq!(lease(&pool, &["a", "b"]), Err(LeaseError::NoneLeft));
    }

    #[test]
    fn a_cooling_key_is_passed_over_and_the_soonest_end_is_told() {
        let pool = CredentialPool::new([credential("a"), credential("b")]);
        let mut cooldowns = CooldownBook::default();
        let mut cool = |scope, seconds| {
            let length = Length::Fixed(Duration::from_secs(seconds));
            cooldowns.impose(NOW, scope, length, (FailureClass::RateLimit, Some(429)), 0.0);
        };
        cool(CooldownScope::Credential(acme(), "a".into()), 60);
        assert_eq!(lease_among(&pool, &[], &cooldowns).unwrap(), "b");

        let mut cool = |scope, seconds| {
            let length = Length::Fixed(Duration::from_secs(seconds));
            cooldowns.impose(NOW, scope, length, (FailureClass::RateLimit, Some(429)), 0.0);
        };
        cool(CooldownScope::CredentialModel(acme(), "b".into(), model()), 5);
        let until = NOW.plus(Duration::from_secs(5));
        assert_eq!(
            lease_among(&pool, &[], &cooldowns),
            Err(LeaseError::Cooling { until, cause: FailureClass::RateLimit })
        );
    }

    #[test]
    fn a_limit_on_one_model_leaves_the_others_alone() {
        let pool = CredentialPool::new([credential("a")]);
        let mut cooldowns = CooldownBook::default();
        let other = ModelName::parse("other").unwrap();
        cooldowns.impose(
            NOW,
            CooldownScope::CredentialModel(acme(), "a".into(), other),
            Length::Fixed(Duration::from_mins(1)),
            (FailureClass::RateLimit, None),
            0.0,
        );
        assert!(lease_among(&pool, &[], &cooldowns).is_ok());
    }

    #[test]
    fn the_same_key_is_kept_once() {
        let mut twin = credential("b");
        twin.fingerprint = "a".into();
        let pool = CredentialPool::new([credential("a"), twin]);
        assert_eq!(pool.directory(&CooldownBook::default()).of(&acme()).len(), 1);
        assert_eq!(pool.find_same(&acme(), "a").unwrap().id.as_str(), "a");
    }
}
