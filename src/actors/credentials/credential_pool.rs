//! The credentials there are and whose turn it is. Knows no actor, clock or database.

use std::collections::{BTreeMap, HashMap};

use super::messages::{Lease, LeaseError};
use crate::domain::{
    cooldown::{CooldownBook, CooldownScope},
    credential::{Credential, StoredSecret},
    id::{CredentialId, ModelName, ProviderId},
    time::Timestamp,
};

/// Every credential, for showing and counting. Immutable.
#[derive(Default)]
pub struct CredentialDirectory {
    by_provider: BTreeMap<ProviderId, Vec<Credential>>,
}

impl CredentialDirectory {
    /// The credentials of a provider, oldest first.
    pub fn of(&self, provider: &ProviderId) -> &[Credential] {
        self.by_provider.get(provider).map_or(&[], Vec::as_slice)
    }

    /// How many usable credentials each provider has. One not named has none.
    pub fn usable_counts(&self) -> HashMap<ProviderId, usize> {
        let usable = |all: &[Credential]| all.iter().filter(|c| c.is_usable()).count();
        self.by_provider.iter().map(|(id, all)| (id.clone(), usable(all))).collect()
    }
}

#[derive(Default)]
struct Shelf {
    credentials: Vec<Credential>,
    /// Index from which the next choice looks on.
    next: usize,
}

/// What Credentials keeps.
#[derive(Default)]
pub struct CredentialPool {
    shelves: BTreeMap<ProviderId, Shelf>,
}

impl CredentialPool {
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        let mut pool = Self::default();
        for credential in credentials {
            pool.insert(credential);
        }
        pool
    }

    /// The credential of a provider that holds the very same key.
    pub fn find_same(&self, provider: &ProviderId, fingerprint: &str) -> Option<&Credential> {
        let shelf = self.shelves.get(provider)?;
        shelf.credentials.iter().find(|credential| credential.fingerprint == fingerprint)
    }

    pub fn insert(&mut self, credential: Credential) {
        let shelf = self.shelves.entry(credential.provider_id.clone()).or_default();
        if shelf.credentials.iter().all(|there| there.fingerprint != credential.fingerprint) {
            shelf.credentials.push(credential);
        }
    }

    pub fn find(&self, provider: &ProviderId, id: &CredentialId) -> Option<&Credential> {
        self.shelves.get(provider)?.credentials.iter().find(|credential| credential.id == *id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.shelves.values().flat_map(|shelf| &shelf.credentials)
    }

    pub fn remove(&mut self, provider: &ProviderId, id: &CredentialId) {
        if let Some(shelf) = self.shelves.get_mut(provider) {
            shelf.credentials.retain(|credential| credential.id != *id);
        }
    }

    pub fn remove_provider(&mut self, provider: &ProviderId) {
        self.shelves.remove(provider);
    }

    pub fn directory(&self) -> CredentialDirectory {
        let shelf = |(id, shelf): (&ProviderId, &Shelf)| (id.clone(), shelf.credentials.clone());
        CredentialDirectory { by_provider: self.shelves.iter().map(shelf).collect() }
    }

    /// The next usable credential in turn that is neither tried nor cooling, for this model.
    pub fn lease(
        &mut self,
        now: Timestamp,
        provider: &ProviderId,
        model: &ModelName,
        tried: &[CredentialId],
        cooldowns: &CooldownBook,
    ) -> Result<Lease, LeaseError> {
        let shelf = self.shelves.get_mut(provider).ok_or(LeaseError::NoneLeft)?;
        let count = shelf.credentials.len();
        let mut first_free: Option<LeaseError> = None;
        for step in 0..count {
            let index = (shelf.next + step) % count;
            let credential = &shelf.credentials[index];
            let StoredSecret::Open(secret) = &credential.secret else { continue };
            if !credential.enabled || tried.contains(&credential.id) {
                continue;
            }
            let (provider, id) = (provider.clone(), credential.id.clone());
            let whole = CooldownScope::Credential(provider.clone(), id.clone());
            let with_model = CooldownScope::CredentialModel(provider, id.clone(), model.clone());
            let longest = [&whole, &with_model]
                .into_iter()
                .filter_map(|scope| cooldowns.active(now, scope))
                .max_by_key(|cooldown| cooldown.until);
            let Some(cooldown) = longest else {
                shelf.next = (index + 1) % count;
                return Ok(Lease { id, secret: secret.clone() });
            };
            let sooner = match first_free {
                Some(LeaseError::Cooling { until, .. }) => cooldown.until < until,
                _ => true,
            };
            if sooner {
                first_free =
                    Some(LeaseError::Cooling { until: cooldown.until, cause: cooldown.cause });
            }
        }
        Err(first_free.unwrap_or(LeaseError::NoneLeft))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{cooldown::Length, failure::FailureClass, provider::Origin};

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
            label: None,
            origin: Origin::Api,
            secret: StoredSecret::Open("secret".into()),
            mask: "****".into(),
            fingerprint: id.into(),
            enabled: true,
            created_at: NOW,
        }
    }

    fn lease(pool: &mut CredentialPool, tried: &[&str]) -> Result<String, LeaseError> {
        lease_among(pool, tried, &CooldownBook::default())
    }

    fn lease_among(
        pool: &mut CredentialPool,
        tried: &[&str],
        cooldowns: &CooldownBook,
    ) -> Result<String, LeaseError> {
        let tried: Vec<CredentialId> = tried.iter().map(|id| (*id).into()).collect();
        pool.lease(NOW, &acme(), &model(), &tried, cooldowns).map(|lease| lease.id.to_string())
    }

    #[test]
    fn enabled_keys_take_turns() {
        let mut off = credential("b");
        off.enabled = false;
        let mut pool = CredentialPool::new([credential("a"), off, credential("c")]);
        let turns: Vec<_> = (0..4).map(|_| lease(&mut pool, &[]).unwrap()).collect();
        assert_eq!(turns, ["a", "c", "a", "c"]);
    }

    #[test]
    fn a_disabled_or_locked_key_is_never_used_even_when_it_is_the_only_one() {
        let mut off = credential("a");
        off.enabled = false;
        let mut locked = credential("b");
        locked.secret = StoredSecret::Locked { key_id: "k1".into() };
        let mut pool = CredentialPool::new([off, locked]);
        assert_eq!(lease(&mut pool, &[]), Err(LeaseError::NoneLeft));
        assert_eq!(pool.directory().usable_counts()[&acme()], 0);
    }

    #[test]
    fn a_tried_key_is_not_leased_again() {
        let mut pool = CredentialPool::new([credential("a"), credential("b")]);
        assert_eq!(lease(&mut pool, &["a"]).unwrap(), "b");
        assert_eq!(lease(&mut pool, &["a", "b"]), Err(LeaseError::NoneLeft));
    }

    #[test]
    fn a_cooling_key_is_passed_over_and_the_soonest_end_is_told() {
        let mut pool = CredentialPool::new([credential("a"), credential("b")]);
        let mut cooldowns = CooldownBook::default();
        let mut cool = |scope, seconds| {
            let length = Length::Fixed(Duration::from_secs(seconds));
            cooldowns.impose(NOW, scope, length, FailureClass::RateLimit, Some(429));
        };
        cool(CooldownScope::Credential(acme(), "a".into()), 60);
        assert_eq!(lease_among(&mut pool, &[], &cooldowns).unwrap(), "b");

        let mut cool = |scope, seconds| {
            let length = Length::Fixed(Duration::from_secs(seconds));
            cooldowns.impose(NOW, scope, length, FailureClass::RateLimit, Some(429));
        };
        cool(CooldownScope::CredentialModel(acme(), "b".into(), model()), 5);
        let until = NOW.plus(Duration::from_secs(5));
        assert_eq!(
            lease_among(&mut pool, &[], &cooldowns),
            Err(LeaseError::Cooling { until, cause: FailureClass::RateLimit })
        );
    }

    #[test]
    fn a_limit_on_one_model_leaves_the_others_alone() {
        let mut pool = CredentialPool::new([credential("a")]);
        let mut cooldowns = CooldownBook::default();
        let other = ModelName::parse("other").unwrap();
        cooldowns.impose(
            NOW,
            CooldownScope::CredentialModel(acme(), "a".into(), other),
            Length::Fixed(Duration::from_mins(1)),
            FailureClass::RateLimit,
            None,
        );
        assert!(lease_among(&mut pool, &[], &cooldowns).is_ok());
    }

    #[test]
    fn the_same_key_is_kept_once() {
        let mut twin = credential("b");
        twin.fingerprint = "a".into();
        let pool = CredentialPool::new([credential("a"), twin]);
        assert_eq!(pool.directory().of(&acme()).len(), 1);
        assert_eq!(pool.find_same(&acme(), "a").unwrap().id.as_str(), "a");
    }
}
