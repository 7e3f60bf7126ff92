//! The providers as everyone sees them.

use std::sync::Arc;

use url::Url;

use crate::domain::{id::ProviderId, provider::Provider};

/// One provider as it is published.
pub struct ListedProvider {
    pub provider: Arc<Provider>,
    /// How many usable credentials it has.
    pub credentials: usize,
    /// Where it takes Chat Completions, put together once. Absent: it does not.
    pub chat_url: Option<Arc<Url>>,
}

impl ListedProvider {
    /// Whether a request could go there.
    pub fn is_usable(&self) -> bool {
        self.chat_url.is_some() && self.provider.is_usable(self.credentials)
    }
}

/// Every provider, best first. Immutable.
#[derive(Default)]
pub struct ProviderTable {
    /// Sorted by priority, highest first, then by id.
    rows: Vec<ListedProvider>,
}

impl ProviderTable {
    pub fn new(providers: impl IntoIterator<Item = (Arc<Provider>, usize)>) -> Self {
        let listed = |(provider, credentials): (Arc<Provider>, usize)| {
            let chat_url = provider.chat_url().map(Arc::new);
            ListedProvider { provider, credentials, chat_url }
        };
        let mut rows: Vec<ListedProvider> = providers.into_iter().map(listed).collect();
        rows.sort_by(|a, b| {
            let (a, b) = (&a.provider, &b.provider);
            b.priority.cmp(&a.priority).then_with(|| a.id.cmp(&b.id))
        });
        Self { rows }
    }

    pub fn rows(&self) -> &[ListedProvider] {
        &self.rows
    }

    /// Providers and how many usable credentials each has, best first.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<Provider>, usize)> {
        self.rows.iter().map(|row| (&row.provider, row.credentials))
    }

    pub fn find(&self, id: &ProviderId) -> Option<(&Arc<Provider>, usize)> {
        self.iter().find(|(provider, _)| provider.id == *id)
    }

    /// Whether at least one provider could take a request.
    pub fn any_usable(&self) -> bool {
        self.rows.iter().any(ListedProvider::is_usable)
    }
}
