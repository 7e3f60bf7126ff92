//! A map by cooldown scope, whose copies share all that neither of them has changed since.

use rpds::HashTrieMapSync;

use super::{
    cooldown::CooldownScope,
    id::{CredentialId, ModelName, ProviderId},
};

/// What one attempt uses: a model of a provider, and a credential where it is about those.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    pub provider: &'a ProviderId,
    pub credential: Option<&'a CredentialId>,
    /// The upstream name.
    pub model: &'a ModelName,
}

/// Values by scope. To copy it and to change it costs next to nothing, whatever its size.
#[derive(Debug, Clone)]
pub struct ScopeMap<T: Clone> {
    /// None of them is empty.
    providers: HashTrieMapSync<ProviderId, OfProvider<T>>,
    len: usize,
}

#[derive(Debug, Clone)]
struct OfProvider<T: Clone> {
    own: Page<T>,
    /// None of them is empty.
    credentials: HashTrieMapSync<CredentialId, Page<T>>,
}

/// What is known of a provider or a credential: as a whole, and for single models.
#[derive(Debug, Clone)]
struct Page<T: Clone> {
    whole: Option<T>,
    models: HashTrieMapSync<ModelName, T>,
}

impl<T: Clone> Default for ScopeMap<T> {
    fn default() -> Self {
        Self { providers: HashTrieMapSync::default(), len: 0 }
    }
}

impl<T: Clone> ScopeMap<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, scope: &CooldownScope) -> Option<&T> {
        let page = self.page(scope.provider(), scope.credential())?;
        match scope.model() {
            Some(model) => page.models.get(model),
            None => page.whole.as_ref(),
        }
    }

    /// What is known of a use: of the provider or the credential as a whole, and for the model.
    pub fn around(&self, used: Use<'_>) -> impl Iterator<Item = &T> {
        let page = self.page(used.provider, used.credential);
        let model = page.and_then(|page| page.models.get(used.model));
        page.and_then(|page| page.whole.as_ref()).into_iter().chain(model)
    }

    fn page(&self, provider: &ProviderId, credential: Option<&CredentialId>) -> Option<&Page<T>> {
        // Most of the time nothing is held against anybody.
        if self.is_empty() {
            return None;
        }
        let provider = self.providers.get(provider)?;
        match credential {
            Some(credential) => provider.credentials.get(credential),
            None => Some(&provider.own),
        }
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.providers.values().flat_map(OfProvider::values)
    }

    /// Those of one provider.
    pub fn values_of(&self, provider: &ProviderId) -> impl Iterator<Item = &T> {
        self.providers.get(provider).into_iter().flat_map(OfProvider::values)
    }

    /// Those of single models of one provider, whatever the credential is, by model.
    pub fn models_of(&self, provider: &ProviderId) -> Option<&HashTrieMapSync<ModelName, T>> {
        Some(&self.providers.get(provider)?.own.models)
    }

    /// Puts a value in the place of the one that was there.
    pub fn insert(&mut self, scope: &CooldownScope, value: T) {
        self.set(scope, Some(value));
    }

    pub fn remove(&mut self, scope: &CooldownScope) -> Option<T> {
        let known = self.get(scope).cloned();
        if known.is_some() {
            self.set(scope, None);
        }
        known
    }

    fn set(&mut self, scope: &CooldownScope, value: Option<T>) {
        let is_there = value.is_some();
        let was_there = self.get(scope).is_some();
        let mut provider = self.providers.get(scope.provider()).cloned().unwrap_or_default();
        match scope.credential() {
            None => provider.own.set(scope.model(), value),
            Some(id) => {
                let mut page = provider.credentials.get(id).cloned().unwrap_or_default();
                page.set(scope.model(), value);
                put(&mut provider.credentials, id, page, Page::is_empty);
            }
        }
        put(&mut self.providers, scope.provider(), provider, OfProvider::is_empty);
        self.len = self.len + usize::from(is_there) - usize::from(was_there);
    }
}

/// Puts a value there, unless it is empty.
fn put<K, V>(map: &mut HashTrieMapSync<K, V>, key: &K, value: V, is_empty: fn(&V) -> bool)
where
    K: std::hash::Hash + Eq + Clone,
{
    if is_empty(&value) {
        map.remove_mut(key);
    } else {
        map.insert_mut(key.clone(), value);
    }
}

impl<T: Clone> Default for OfProvider<T> {
    fn default() -> Self {
        Self { own: Page::default(), credentials: HashTrieMapSync::default() }
    }
}

impl<T: Clone> OfProvider<T> {
    fn values(&self) -> impl Iterator<Item = &T> {
        self.own.values().chain(self.credentials.values().flat_map(Page::values))
    }

    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.credentials.is_empty()
    }
}

impl<T: Clone> Default for Page<T> {
    fn default() -> Self {
        Self { whole: None, models: HashTrieMapSync::default() }
    }
}

impl<T: Clone> Page<T> {
    fn values(&self) -> impl Iterator<Item = &T> {
        self.whole.iter().chain(self.models.values())
    }

    fn is_empty(&self) -> bool {
        self.whole.is_none() && self.models.is_empty()
    }

    fn set(&mut self, model: Option<&ModelName>, value: Option<T>) {
        match (model, value) {
            (None, value) => self.whole = value,
            (Some(model), Some(value)) => self.models.insert_mut(model.clone(), value),
            (Some(model), None) => drop(self.models.remove_mut(model)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn provider(n: u8) -> ProviderId {
        ProviderId::parse(&format!("p{n}")).unwrap()
    }

    fn model(n: u8) -> ModelName {
        ModelName::parse(&format!("m{n}")).unwrap()
    }

    fn scope(parts: (u8, Option<u8>, Option<u8>)) -> CooldownScope {
        let credential = parts.1.map(|n| CredentialId::from(format!("k{n}")));
        CooldownScope::from_parts(provider(parts.0), credential, parts.2.map(model))
    }

    fn any_scope() -> impl Strategy<Value = (u8, Option<u8>, Option<u8>)> {
        (0..3_u8, prop::option::of(0..3_u8), prop::option::of(0..3_u8))
    }

    fn sorted(values: impl Iterator<Item = (CooldownScope, u32)>) -> Vec<(CooldownScope, u32)> {
        let mut values: Vec<_> = values.collect();
        values.sort();
        values
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_map_holds_and_its_copies_stay_as_they_are(
            steps in prop::collection::vec((any_scope(), prop::option::of(any::<u32>())), 0..60),
        ) {
            let (mut map, mut plain) = (ScopeMap::default(), BTreeMap::new());
            for (at, value) in steps {
                let scope = scope(at);
                let (copy, before) = (map.clone(), plain.clone());
                if let Some(value) = value {
                    map.insert(&scope, (scope.clone(), value));
                    plain.insert(scope.clone(), value);
                } else {
                    let removed = map.remove(&scope).map(|(_, value)| value);
                    prop_assert_eq!(removed, plain.remove(&scope));
                }

                prop_assert_eq!(sorted(copy.values().cloned()), sorted(before.into_iter()));
                prop_assert_eq!(sorted(map.values().cloned()), sorted(plain.clone().into_iter()));
                prop_assert_eq!((map.len(), map.is_empty()), (plain.len(), plain.is_empty()));
                prop_assert_eq!(map.providers.is_empty(), plain.is_empty());
                prop_assert_eq!(map.get(&scope).map(|(_, value)| value), plain.get(&scope));
                let own = plain.iter().filter(|(known, _)| known.provider() == scope.provider());
                let own = own.map(|(known, value)| (known.clone(), *value));
                prop_assert_eq!(sorted(map.values_of(scope.provider()).cloned()), sorted(own));
            }
        }

        #[test]
        fn around_a_use_lie_the_whole_and_the_model_in_that_order(
            known in prop::collection::btree_set(any_scope(), 0..20),
            (p, credential, m) in (0..3_u8, prop::option::of(0..3_u8), 0..3_u8),
        ) {
            let mut map = ScopeMap::default();
            for at in &known {
                map.insert(&scope(*at), *at);
            }
            let id = credential.map(|n| CredentialId::from(format!("k{n}")));
            let (provider, model) = (provider(p), model(m));

            let used = Use { provider: &provider, credential: id.as_ref(), model: &model };
            let found: Vec<_> = map.around(used).copied().collect();

            let mut expected = vec![(p, credential, None), (p, credential, Some(m))];
            expected.retain(|at| known.contains(at));
            prop_assert_eq!(found, expected);
        }
    }
}
