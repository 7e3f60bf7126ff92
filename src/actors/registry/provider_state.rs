//! The providers there are, and the rules by which they change. Knows no actor, clock or database.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use url::Url;

use super::{
    change::applied,
    layers::{blank, merge},
    messages::{ProviderChange, RegistryError},
};
use crate::domain::{
    id::ProviderId,
    merge_patch::Change,
    provider::{
        ApiFormat, LastError, Location, Origin, Provider, ProviderSettings, ProviderStatus,
        StoredProvider,
    },
    setting::InvalidSetting,
    time::Timestamp,
};

/// What the Registry keeps.
#[derive(Default)]
pub struct ProviderState {
    /// From the catalogue and the configuration file.
    defined: BTreeMap<ProviderId, Provider>,
    /// The user's settings above them, and the providers made by the API.
    stored: BTreeMap<ProviderId, StoredProvider>,
    /// Whose rows are stored and not understood. Nothing is saved over them, and no default takes
    /// their place: it could send requests where the user did not want them.
    unreadable: BTreeSet<ProviderId>,
    usable_credentials: HashMap<ProviderId, usize>,
}

impl ProviderState {
    /// A later definition of the same id replaces an earlier one: the configuration file may
    /// redefine what the catalogue has.
    pub fn new(defined: impl IntoIterator<Item = Provider>) -> Self {
        let defined = defined.into_iter().map(|provider| (provider.id.clone(), provider)).collect();
        Self { defined, ..Self::default() }
    }

    /// Takes the rows of the database for what is stored.
    pub fn load(&mut self, rows: Vec<StoredProvider>, unreadable: Vec<ProviderId>) {
        self.unreadable = unreadable.into_iter().collect();
        self.stored = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
    }

    /// Takes these counts in the place of those of before. Who is not named has no usable credential.
    pub fn count_all_credentials(&mut self, usable: HashMap<ProviderId, usize>) {
        self.usable_credentials = usable;
    }

    /// Notes how many usable credentials one provider has. Says whether that is news.
    pub fn count_credentials(&mut self, id: &ProviderId, usable: usize) -> bool {
        if self.credentials_of(id) == usable {
            return false;
        }
        if usable == 0 {
            self.usable_credentials.remove(id);
        } else {
            self.usable_credentials.insert(id.clone(), usable);
        }
        true
    }

    fn credentials_of(&self, id: &ProviderId) -> usize {
        self.usable_credentials.get(id).copied().unwrap_or(0)
    }

    /// Every provider that is understood, and how many usable credentials each has.
    pub fn providers(&self) -> impl Iterator<Item = (Arc<Provider>, usize)> {
        let ids = self.defined.keys().chain(self.stored.keys().filter(|id| self.is_api_made(id)));
        ids.filter_map(|id| self.find_counted(id))
    }

    /// One provider that is understood, and how many usable credentials it has.
    pub fn find_counted(&self, id: &ProviderId) -> Option<(Arc<Provider>, usize)> {
        Some((Arc::new(self.find(id)?), self.credentials_of(id)))
    }

    fn is_api_made(&self, id: &ProviderId) -> bool {
        !self.defined.contains_key(id) && self.stored.get(id).is_some_and(|row| row.custom)
    }

    /// The provider as it is now: definition and settings merged.
    pub fn find(&self, id: &ProviderId) -> Option<Provider> {
        match (self.defined.get(id), self.stored.get(id)) {
            (Some(defined), _) if defined.origin == Origin::Config => Some(defined.clone()),
            _ if self.unreadable.contains(id) => None,
            (Some(defined), None) => Some(defined.clone()),
            (Some(defined), Some(row)) => Some(merge(defined.clone(), row)),
            (None, Some(row)) if row.custom => Some(merge(blank(row), row)),
            (None, _) => None,
        }
    }

    fn load_one(&self, id: &ProviderId) -> Result<Provider, RegistryError> {
        let missing = if self.unreadable.contains(id) {
            RegistryError::Unreadable
        } else {
            RegistryError::NotFound
        };
        self.find(id).ok_or_else(|| missing(id.clone()))
    }

    pub fn status(&self, id: &ProviderId) -> Option<ProviderStatus> {
        self.find(id).map(|provider| provider.status(self.credentials_of(id)))
    }

    /// The row to save for a new provider.
    pub fn create(
        &self,
        now: Timestamp,
        id: ProviderId,
        settings: ProviderChange,
    ) -> Result<StoredProvider, RegistryError> {
        if self.find(&id).is_some() {
            return Err(RegistryError::Exists(id));
        }
        if self.unreadable.contains(&id) {
            return Err(RegistryError::Unreadable(id));
        }
        if !matches!(settings.base_url, Change::Set(_)) {
            return Err(InvalidSetting::new("base_url", "is required").into());
        }
        let name = match settings.name {
            Change::Set(name) => name,
            Change::Keep => id.to_string(),
            Change::Reset => {
                let reason = "must be a text, or left out: it is the id then";
                return Err(InvalidSetting::new("name", reason).into());
            }
        };
        let settings = ProviderChange { name: Change::Set(name), ..settings };
        let row = StoredProvider {
            id,
            custom: true,
            settings: ProviderSettings::default(),
            detected_formats: None,
            last_error: None,
            created_at: now,
            updated_at: now,
        };
        applied(row, settings, Location::Cloud)
    }

    /// The row to save for a change.
    pub fn change(
        &self,
        now: Timestamp,
        id: &ProviderId,
        change: ProviderChange,
    ) -> Result<StoredProvider, RegistryError> {
        let provider = self.load_one(id)?;
        match provider.origin {
            Origin::Config => return Err(RegistryError::OwnedByConfiguration(id.clone())),
            Origin::Catalog => {
                for (field, touched) in [
                    ("location", !matches!(change.location, Change::Keep)),
                    ("api_format", !matches!(change.api_format, Change::Keep)),
                ] {
                    if touched {
                        return Err(RegistryError::FixedByCatalog(id.clone(), field));
                    }
                }
            }
            Origin::Api | Origin::Environment => {
                for (field, reset) in [
                    ("name", matches!(change.name, Change::Reset)),
                    ("base_url", matches!(change.base_url, Change::Reset)),
                ] {
                    if reset {
                        let reason = "cannot be cleared: a provider of your own has no default";
                        return Err(InvalidSetting::new(field, reason).into());
                    }
                }
            }
        }
        let mut row = self.row_or_new(now, &provider);
        row.updated_at = now;
        let row = applied(row, change, provider.location)?;
        // What was found at another address says nothing about this one.
        let is_there_still = row.settings.base_url.as_ref().or(provider.base_url.as_ref())
            == provider.base_url.as_ref();
        let detected_formats = row.detected_formats.filter(|_| is_there_still);
        Ok(StoredProvider { detected_formats, ..row })
    }

    /// The row to save when detection has found what the provider at this address speaks. `None`: that
    /// was known, or does not matter, since what it speaks is set or it has moved.
    pub fn note_formats(
        &self,
        now: Timestamp,
        id: &ProviderId,
        base_url: &Url,
        formats: Vec<ApiFormat>,
    ) -> Option<StoredProvider> {
        let provider = self.find(id).filter(|provider| {
            provider.is_auto() && provider.base_url.as_ref() == Some(base_url)
        })?;
        if formats.is_empty() || provider.detected_formats.as_ref() == Some(&formats) {
            return None;
        }
        let mut row = self.row_or_new(now, &provider);
        row.detected_formats = Some(formats);
        Some(row)
    }

    fn row_or_new(&self, now: Timestamp, provider: &Provider) -> StoredProvider {
        self.stored.get(&provider.id).cloned().unwrap_or_else(|| StoredProvider {
            id: provider.id.clone(),
            custom: false,
            settings: ProviderSettings::default(),
            detected_formats: provider.detected_formats.clone(),
            last_error: provider.last_error.clone(),
            created_at: now,
            updated_at: now,
        })
    }

    /// The row to save when a provider's error is noted or dropped. `None`: nothing changes, or it
    /// is not a stored thing, or what is stored is not understood.
    pub fn note_error(
        &self,
        now: Timestamp,
        id: &ProviderId,
        error: Option<LastError>,
    ) -> Option<StoredProvider> {
        let provider = self.find(id)?;
        if provider.last_error == error || self.unreadable.contains(id) {
            return None;
        }
        let mut row = self.row_or_new(now, &provider);
        row.last_error = error;
        Some(row)
    }

    /// Whether a provider may be deleted.
    pub fn check_delete(&self, id: &ProviderId) -> Result<(), RegistryError> {
        match self.load_one(id)?.origin {
            Origin::Api | Origin::Environment => Ok(()),
            Origin::Catalog => Err(RegistryError::BuiltIn(id.clone())),
            Origin::Config => Err(RegistryError::OwnedByConfiguration(id.clone())),
        }
    }

    /// Takes over a row that has been saved.
    pub fn adopt(&mut self, row: StoredProvider) -> Option<Provider> {
        let id = row.id.clone();
        if let Some(defined) = self.defined.get_mut(&id)
            && defined.origin == Origin::Config
        {
            defined.last_error = row.last_error;
            defined.detected_formats = row.detected_formats;
        } else {
            self.stored.insert(id.clone(), row);
        }
        self.find(&id)
    }

    pub fn remove(&mut self, id: &ProviderId) {
        self.stored.remove(id);
        self.usable_credentials.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actors::registry::{ProviderTable, builtin},
        domain::{provider::StoredHeaders, setting::HeadersPatch},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn id(text: &str) -> ProviderId {
        ProviderId::parse(text).unwrap()
    }

    fn state() -> ProviderState {
        ProviderState::new(
            builtin().unwrap().iter().map(super::super::catalog::CatalogEntry::to_provider),
        )
    }

    fn acme() -> ProviderChange {
        ProviderChange {
            name: Change::Set("Acme".into()),
            base_url: Change::Set("https://acme.test".parse().unwrap()),
            ..ProviderChange::default()
        }
    }

    fn with_acme() -> ProviderState {
        let mut state = state();
        let row = state.create(NOW, id("acme"), acme()).unwrap();
        state.adopt(row);
        state
    }

    #[test]
    fn a_new_provider_is_enabled_and_what_it_speaks_is_to_be_found_out() {
        let acme = with_acme().find(&id("acme")).unwrap();
        assert_eq!(acme.enabled, Some(true));
        assert!(acme.is_auto());
        assert_eq!(acme.origin, Origin::Api);
    }

    #[test]
    fn an_id_is_taken_once_also_by_the_catalogue() {
        let state = with_acme();
        for taken in ["acme", "openai"] {
            let refused = state.create(NOW, id(taken), acme());
            assert!(matches!(refused, Err(RegistryError::Exists(_))), "{taken}");
        }
    }

    #[test]
    fn a_cloud_provider_cannot_have_a_private_address() {
        let mut settings = acme();
        settings.base_url = Change::Set("http://169.254.169.254/latest".parse().unwrap());
        settings.location = Change::Set(Location::Local);
        let refused = state().create(NOW, id("x"), settings);
        assert!(matches!(refused, Err(RegistryError::Invalid(it)) if it.field == "base_url"));

        let mut settings = acme();
        settings.base_url = Change::Set("http://127.0.0.1:8000".parse().unwrap());
        assert!(state().create(NOW, id("x"), settings.clone()).is_err());
        settings.location = Change::Set(Location::Local);
        assert!(state().create(NOW, id("x"), settings).is_ok());
    }

    #[test]
    fn settings_lie_above_the_catalogue_and_can_be_taken_back() {
        let mut state = state();
        let openai = id("openai");
        let before = state.find(&openai).unwrap();
        let change = |name| ProviderChange { name, ..ProviderChange::default() };
        let row = state.change(NOW, &openai, change(Change::Set("Mine".into()))).unwrap();
        state.adopt(row);
        assert_eq!(state.find(&openai).unwrap().name, "Mine");
        let row = state.change(NOW, &openai, change(Change::Reset)).unwrap();
        state.adopt(row);
        assert_eq!(state.find(&openai).unwrap().name, before.name);
    }

    #[test]
    fn what_was_detected_is_kept_until_the_provider_moves() {
        let mut state = with_acme();
        let url = |text: &str| text.parse::<Url>().unwrap();
        let found = vec![ApiFormat::Anthropic];
        let note = |state: &ProviderState, base: &str, formats: &[ApiFormat]| {
            state.note_formats(NOW, &id("acme"), &url(base), formats.to_vec())
        };
        assert!(note(&state, "https://acme.test", &[]).is_none(), "nothing was told");
        assert!(note(&state, "https://old.test", &found).is_none(), "it was elsewhere");
        let row = note(&state, "https://acme.test", &found).unwrap();
        state.adopt(row);
        assert_eq!(state.find(&id("acme")).unwrap().detected_formats, Some(found.clone()));
        assert!(note(&state, "https://acme.test", &found).is_none(), "that was known");

        let renamed = ProviderChange { name: Change::Set("B".into()), ..ProviderChange::default() };
        let row = state.change(NOW, &id("acme"), renamed).unwrap();
        assert_eq!(row.detected_formats, Some(found));
        let base_url = Change::Set(url("https://b.test"));
        let moved = ProviderChange { base_url, ..ProviderChange::default() };
        assert_eq!(state.change(NOW, &id("acme"), moved).unwrap().detected_formats, None);
    }

    #[test]
    fn what_is_set_is_not_overruled_by_what_was_detected() {
        let mut state = with_acme();
        let api_format = Change::Set(ApiFormat::Openai);
        let set = ProviderChange { api_format, ..ProviderChange::default() };
        let row = state.change(NOW, &id("acme"), set).unwrap();
        state.adopt(row);
        let base = state.find(&id("acme")).unwrap().base_url.unwrap();
        let found = vec![ApiFormat::Anthropic];
        assert!(state.note_formats(NOW, &id("acme"), &base, found).is_none());
    }

    #[test]
    fn what_the_catalogue_fixes_cannot_be_changed_and_says_so() {
        let change = ProviderChange {
            api_format: Change::Set(ApiFormat::Ollama),
            ..ProviderChange::default()
        };
        let refused = state().change(NOW, &id("openai"), change);
        assert!(matches!(refused, Err(RegistryError::FixedByCatalog(_, "api_format"))));
    }

    #[test]
    fn the_moved_address_of_a_local_catalogue_provider_may_be_local_too() {
        let change = ProviderChange {
            base_url: Change::Set("http://127.0.0.1:9999".parse().unwrap()),
            ..ProviderChange::default()
        };
        assert!(state().change(NOW, &id("ollama"), change).is_ok());
    }

    #[test]
    fn a_built_in_provider_is_not_deleted() {
        assert!(matches!(state().check_delete(&id("openai")), Err(RegistryError::BuiltIn(_))));
        assert!(with_acme().check_delete(&id("acme")).is_ok());
        assert!(matches!(state().check_delete(&id("gone")), Err(RegistryError::NotFound(_))));
    }

    #[test]
    fn the_configuration_file_is_read_only_and_wins() {
        let mut provider = with_acme().find(&id("acme")).unwrap();
        provider.origin = Origin::Config;
        let state = ProviderState::new([provider]);
        let refused = state.change(NOW, &id("acme"), ProviderChange::default());
        assert!(matches!(refused, Err(RegistryError::OwnedByConfiguration(_))));
        assert!(matches!(
            state.check_delete(&id("acme")),
            Err(RegistryError::OwnedByConfiguration(_))
        ));
    }

    #[test]
    fn the_table_is_sorted_by_priority_then_id() {
        let mut state = with_acme();
        state.count_all_credentials(HashMap::from([(id("acme"), 1)]));
        let table = ProviderTable::new(state.providers());
        let order: Vec<(i32, String)> =
            table.iter().map(|(p, _)| (-p.priority, p.id.to_string())).collect();
        let mut sorted = order.clone();
        sorted.sort();
        assert_eq!(order, sorted);
        assert_eq!(table.find(&id("acme")).unwrap().1, 1);
    }

    #[test]
    fn a_row_that_does_not_open_locks_the_provider_and_keeps_its_settings() {
        let mut state = with_acme();
        let mut row = state.create(NOW, id("vault"), acme()).unwrap();
        row.settings.headers = Some(StoredHeaders::Locked { key_id: "k1".into() });
        state.adopt(row);
        state.count_all_credentials(HashMap::from([(id("vault"), 1)]));
        assert_eq!(state.status(&id("vault")), Some(ProviderStatus::Error));
        let row = state.change(NOW, &id("vault"), ProviderChange::default()).unwrap();
        assert!(matches!(row.settings.headers, Some(StoredHeaders::Locked { .. })));
        let patch = |headers| ProviderChange { headers, ..ProviderChange::default() };
        let part = patch(Change::Set(HeadersPatch::default()));
        let refused = state.change(NOW, &id("vault"), part).err().map(|error| error.to_string());
        let words = "headers: are sealed under master key k1, which is not in use; null takes all of them \
                     back";
        assert_eq!(refused.as_deref(), Some(words));
        let row = state.change(NOW, &id("vault"), patch(Change::Reset)).unwrap();
        assert!(matches!(row.settings.headers, Some(StoredHeaders::Open(none)) if none.is_empty()));
    }

    #[test]
    fn what_is_not_understood_is_neither_used_nor_written_over() {
        let mut state = state();
        state.load(Vec::new(), vec![id("openai"), id("broken")]);
        let openai = state.providers().find(|(provider, _)| provider.id == id("openai"));
        assert!(openai.is_none(), "a default took its place");
        let unreadable = |row: Result<_, _>| matches!(row, Err(RegistryError::Unreadable(_)));
        assert!(unreadable(state.create(NOW, id("broken"), acme())));
        assert!(unreadable(state.change(NOW, &id("openai"), ProviderChange::default())));
        let error = LastError { message: "no".into(), at: NOW };
        assert!(state.note_error(NOW, &id("openai"), Some(error)).is_none());
    }
}
