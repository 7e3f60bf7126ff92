//! Who has not been asked yet what they speak. Knows no actor.

use std::{collections::HashMap, sync::Arc};

use url::Url;

use crate::domain::{
    id::ProviderId,
    provider::{FormatBasis, Location, Provider},
};

/// Where a provider was asked, and whether with a credential: without one it may have told nothing.
#[derive(Debug, PartialEq, Eq)]
struct Occasion {
    base_url: Url,
    has_credential: bool,
}

/// Keeps who was asked.
#[derive(Debug, Default)]
pub struct Unasked(HashMap<ProviderId, Occasion>);

impl Unasked {
    /// Those of the providers, each with its number of usable credentials, who are to be asked now: they
    /// can be used, nobody has said what they speak, and they were not asked on such an occasion.
    pub fn take(
        &mut self,
        providers: impl Iterator<Item = (Arc<Provider>, usize)>,
    ) -> Vec<ProviderId> {
        let mut due = Vec::new();
        for (provider, credentials) in providers {
            let has_credential = credentials > 0;
            let is_usable = provider.enabled != Some(false)
                && provider.locked.is_none()
                && (has_credential || provider.location == Location::Local);
            let Some(base_url) = provider.base_url.clone().filter(|_| is_usable) else { continue };
            if provider.endpoints().basis != FormatBasis::Unknown {
                continue;
            }
            let occasion = Occasion { base_url, has_credential };
            if self.0.get(&provider.id) != Some(&occasion) {
                due.push(provider.id.clone());
                self.0.insert(provider.id.clone(), occasion);
            }
        }
        due
    }

    /// Somebody has changed what it may speak, or it is gone.
    pub fn forget(&mut self, id: &ProviderId) {
        self.0.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actors::registry::{ProviderChange, ProviderState},
        domain::{merge_patch::Change, provider::ApiFormat, time::Timestamp},
    };

    fn provider(location: Location) -> Provider {
        let id = ProviderId::parse("acme").unwrap();
        let settings = ProviderChange {
            name: Change::Set("Acme".into()),
            base_url: Change::Set("https://acme.test/v1".parse().unwrap()),
            location: Change::Set(location),
            ..ProviderChange::default()
        };
        let mut state = ProviderState::default();
        let row = state.create(Timestamp::from_millis(1), id, settings).unwrap();
        state.adopt(row).unwrap()
    }

    fn take(unasked: &mut Unasked, provider: &Provider, credentials: usize) -> usize {
        unasked.take([(Arc::new(provider.clone()), credentials)].into_iter()).len()
    }

    #[test]
    fn a_provider_is_asked_once_and_again_with_its_first_key() {
        let (near, far) = (provider(Location::Local), provider(Location::Cloud));
        let mut unasked = Unasked::default();
        let times = [0, 0, 1, 2].map(|keys| take(&mut unasked, &near, keys));
        assert_eq!(times, [1, 0, 1, 0]);
        let mut unasked = Unasked::default();
        let times = [0, 1, 1].map(|keys| take(&mut unasked, &far, keys));
        assert_eq!(times, [0, 1, 0], "nobody can use it without a key");
    }

    #[test]
    fn whoever_moves_or_is_forgotten_is_asked_again() {
        let mut unasked = Unasked::default();
        let mut near = provider(Location::Local);
        assert_eq!(take(&mut unasked, &near, 0), 1);
        near.base_url = Some("https://acme.test/v2".parse().unwrap());
        assert_eq!(take(&mut unasked, &near, 0), 1);
        unasked.forget(&near.id);
        assert_eq!(take(&mut unasked, &near, 0), 1);
    }

    #[test]
    fn of_whom_it_is_known_or_who_is_off_is_not_asked() {
        let near = || provider(Location::Local);
        for provider in [
            Provider { api_format: Some(ApiFormat::Ollama), ..near() },
            Provider { detected_formats: Some(vec![ApiFormat::Ollama]), ..near() },
            Provider { base_url: Some("https://acme.test/v1/messages".parse().unwrap()), ..near() },
            Provider { enabled: Some(false), ..near() },
            Provider { locked: Some("k".into()), ..near() },
            Provider { base_url: None, ..near() },
        ] {
            assert_eq!(take(&mut Unasked::default(), &provider, 1), 0);
        }
    }
}
