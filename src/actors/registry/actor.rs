//! The shell: saves first, then adopts, then publishes and tells.

use std::sync::Arc;

use actix::prelude::*;

use super::{
    messages::{
        AwaitRegistry, ChangeProvider, ClearProviderError, CreateProvider, CredentialsChanged,
        DeleteProvider, FormatsDetected, ProviderAnswered, ProviderFailed, RegistryError,
    },
    provider_state::ProviderState,
    provider_stats::StatsStore,
    provider_table::{ListedProvider, ProviderTable},
    unasked::Unasked,
};
use crate::{
    actors::{
        clock::now,
        credentials::{CredentialDirectory, ForgetCredentials},
        db::{DbHandle, StoredProviders},
        discovery::DetectSoon,
        events::Record,
        health::Forget,
        loading::load_first,
        published::{Published, Publisher},
        supervise::{crashes_on_request, stops_on_request},
    },
    domain::{
        cooldown::ScopeFilter,
        event::{EventData, EventType, Fact},
        id::ProviderId,
        merge_patch::Change,
        provider::{LastError, Provider, ProviderStatus, StoredProvider},
    },
};

/// Whom the Registry tells when a provider has come, is gone or forgiven.
pub struct RegistryRecipients {
    pub events: Recipient<Record>,
    pub credentials: Recipient<ForgetCredentials>,
    pub health: Recipient<Forget>,
    /// Told who is to be asked what they speak.
    pub discovery: Recipient<DetectSoon>,
}

/// Owns the providers.
///
/// Its mailbox holds what management asks, one question of each call, and of each provider that it has
/// failed, once in a cooldown, or answered, once a second.
pub struct Registry {
    state: ProviderState,
    /// What the catalogue and the configuration say, kept for a restart.
    defined: Vec<Provider>,
    /// Outlives a restart: requests under way then still end their count.
    stats: StatsStore,
    /// Outlives a restart too: nobody is asked again for that.
    unasked: Unasked,
    db: DbHandle,
    /// As it was published last: the next one shares with it all that has not changed.
    table: ProviderTable,
    published: Publisher<ProviderTable>,
    credentials: Published<CredentialDirectory>,
    recipients: RegistryRecipients,
}

impl Registry {
    pub fn new(
        defined: Vec<Provider>,
        db: DbHandle,
        published: Publisher<ProviderTable>,
        credentials: Published<CredentialDirectory>,
        recipients: RegistryRecipients,
    ) -> Self {
        let state = ProviderState::new(defined.clone());
        let (stats, unasked) = (StatsStore::default(), Unasked::default());
        let table = ProviderTable::default();
        Self { state, defined, stats, unasked, db, table, published, credentials, recipients }
    }

    fn publish_all(&mut self) {
        self.state.count_all_credentials(self.credentials.read().usable_counts());
        let stats = &mut self.stats;
        let listed = self.state.providers().map(|(provider, credentials)| {
            let stats = stats.of(&provider.id);
            ListedProvider::new(provider, credentials, stats)
        });
        self.table = ProviderTable::new(listed);
        self.published.replace(self.table.clone());
    }

    /// Publishes what has changed of one provider, or that it is gone.
    fn publish(&mut self, id: &ProviderId) {
        match self.state.find_counted(id) {
            Some((provider, credentials)) => {
                let stats = self.stats.of(id);
                self.table.put(ListedProvider::new(provider, credentials, stats));
            }
            None => self.table.remove(id),
        }
        self.published.replace(self.table.clone());
    }

    /// Has those asked what they speak of whom that is not known, and who were not asked.
    fn ask_unasked(&mut self) {
        let due = self.unasked.take(self.state.providers());
        self.ask(due);
    }

    /// The same, of one whose settings or credentials have changed.
    fn ask_if_unasked(&mut self, id: &ProviderId) {
        let due = self.unasked.take(self.state.find_counted(id).into_iter());
        self.ask(due);
    }

    fn ask(&self, due: Vec<ProviderId>) {
        for provider_id in due {
            self.recipients.discovery.do_send(DetectSoon { provider_id });
        }
    }

    fn tell(&self, kind: EventType, id: &ProviderId, data: EventData) {
        self.recipients.events.do_send(Record(Fact::of_provider(kind, id.clone(), data)));
    }

    fn load(&mut self, stored: StoredProviders) {
        self.state.load(stored.rows, stored.unreadable);
        self.publish_all();
        self.report_locked();
    }

    /// What is held against a provider and its credentials holds no longer.
    fn forget_health(&self, id: &ProviderId) {
        self.recipients.health.do_send(Forget(ScopeFilter::of(id.clone())));
    }

    /// Tells who listens to events. The log has it from where it did not open.
    fn report_locked(&self) {
        for (provider, _) in self.state.providers() {
            if let Some(key_id) = &provider.locked {
                let message = format!(
                    "headers of provider {}, sealed under master key {key_id}, do not open with the \
                     one in use; the provider is not used and its row is kept",
                    provider.id
                );
                self.tell(EventType::ProviderLocked, &provider.id, EventData::Message { message });
            }
        }
    }

    fn adopt(&mut self, row: StoredProvider) -> Result<Arc<Provider>, RegistryError> {
        let id = row.id.clone();
        let provider = self.state.adopt(row).ok_or_else(|| RegistryError::NotFound(id.clone()))?;
        self.publish(&id);
        Ok(Arc::new(provider))
    }

    /// Saves a row, then lets `then` adopt it. Each change must see the one before it, so the
    /// mailbox waits: changes are rare, and requests read the published table meanwhile.
    fn save_then<T: 'static>(
        &self,
        row: Result<StoredProvider, RegistryError>,
        then: impl FnOnce(&mut Self, StoredProvider) -> Result<T, RegistryError> + 'static,
    ) -> AtomicResponse<Self, Result<T, RegistryError>> {
        let db = self.db.clone();
        let save = async move {
            let row = row?;
            db.save_provider(row.clone()).await?;
            Ok(row)
        };
        AtomicResponse::new(Box::pin(save.into_actor(self).map(
            |saved: Result<StoredProvider, RegistryError>, registry, _| then(registry, saved?),
        )))
    }

    /// Saves an error or its end. Nobody waits for it, and a lost note is only a stale display after
    /// a restart; but the mailbox does, so that no later change is overwritten by this older row.
    fn save_note(&mut self, row: StoredProvider, ctx: &mut Context<Self>) {
        let db = self.db.clone();
        self.state.adopt(row.clone());
        self.publish(&row.id);
        let save = async move { db.save_provider(row).await };
        ctx.wait(save.into_actor(self).map(|saved, _, _| {
            if let Err(error) = saved {
                tracing::warn!(%error, "the state of a provider could not be saved");
            }
        }));
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    /// Runs at the first start and after each restart.
    fn started(&mut self, ctx: &mut Self::Context) {
        let db = self.db.clone();
        let load = move || {
            let db = db.clone();
            async move { db.load_providers().await }
        };
        load_first(self, ctx, "providers", load, Self::load);
    }
}

impl Supervised for Registry {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = ProviderState::new(self.defined.clone());
    }
}

impl Handler<AwaitRegistry> for Registry {
    type Result = ();

    fn handle(&mut self, _: AwaitRegistry, _: &mut Self::Context) {}
}

impl Handler<CreateProvider> for Registry {
    type Result = AtomicResponse<Self, Result<Arc<Provider>, RegistryError>>;

    fn handle(&mut self, msg: CreateProvider, _: &mut Self::Context) -> Self::Result {
        let row = self.state.create(now(), msg.id, msg.settings);
        self.save_then(row, |registry, row| {
            let provider = registry.adopt(row)?;
            registry.tell(EventType::ProviderCreated, &provider.id, EventData::None {});
            registry.ask_if_unasked(&provider.id);
            Ok(provider)
        })
    }
}

impl Handler<ChangeProvider> for Registry {
    type Result = AtomicResponse<Self, Result<Arc<Provider>, RegistryError>>;

    fn handle(&mut self, msg: ChangeProvider, _: &mut Self::Context) -> Self::Result {
        let kind = match msg.change.enabled {
            Change::Set(true) => EventType::ProviderEnabled,
            Change::Set(false) => EventType::ProviderDisabled,
            Change::Keep | Change::Reset => EventType::ProviderUpdated,
        };
        let before = self.state.find(&msg.id).map(|it| (it.endpoints(), it.enabled));
        let may_speak_otherwise = msg.change.may_change_formats();
        let row = self.state.change(now(), &msg.id, msg.change);
        self.save_then(row, move |registry, row| {
            let provider = registry.adopt(row)?;
            if let Some((endpoints, enabled)) = before {
                let is_elsewhere = endpoints != provider.endpoints();
                if is_elsewhere {
                    registry.stats.of(&provider.id).forget_formats();
                }
                if is_elsewhere || enabled != provider.enabled {
                    registry.forget_health(&provider.id);
                }
            }
            registry.tell(kind, &provider.id, EventData::None {});
            if may_speak_otherwise {
                registry.unasked.forget(&provider.id);
                registry.ask_if_unasked(&provider.id);
            }
            Ok(provider)
        })
    }
}

impl Handler<DeleteProvider> for Registry {
    type Result = AtomicResponse<Self, Result<(), RegistryError>>;

    fn handle(&mut self, msg: DeleteProvider, _: &mut Self::Context) -> Self::Result {
        let allowed = self.state.check_delete(&msg.id);
        let db = self.db.clone();
        let delete = async move {
            allowed?;
            db.delete_provider(msg.id.clone()).await?;
            Ok(msg.id)
        };
        AtomicResponse::new(Box::pin(delete.into_actor(self).map(
            |deleted: Result<ProviderId, RegistryError>, registry, _| {
                let id = deleted?;
                registry.state.remove(&id);
                registry.stats.remove(&id);
                registry.unasked.forget(&id);
                registry.publish(&id);
                registry
                    .recipients
                    .credentials
                    .do_send(ForgetCredentials { provider_id: id.clone() });
                registry.forget_health(&id);
                registry.tell(EventType::ProviderDeleted, &id, EventData::None {});
                Ok(())
            },
        )))
    }
}

impl Handler<ClearProviderError> for Registry {
    type Result = AtomicResponse<Self, Result<Arc<Provider>, RegistryError>>;

    fn handle(&mut self, msg: ClearProviderError, _: &mut Self::Context) -> Self::Result {
        let Some(provider) = self.state.find(&msg.id) else {
            let missing = RegistryError::NotFound(msg.id);
            return AtomicResponse::new(Box::pin(fut::ready(Err(missing))));
        };
        self.forget_health(&msg.id);
        match self.state.note_error(now(), &msg.id, None) {
            None => AtomicResponse::new(Box::pin(fut::ready(Ok(Arc::new(provider))))),
            Some(row) => self.save_then(Ok(row), |registry, row| {
                let provider = registry.adopt(row)?;
                registry.tell(EventType::ProviderRecovered, &provider.id, EventData::None {});
                Ok(provider)
            }),
        }
    }
}

impl Handler<FormatsDetected> for Registry {
    type Result = AtomicResponse<Self, Result<Arc<Provider>, RegistryError>>;

    fn handle(&mut self, msg: FormatsDetected, _: &mut Self::Context) -> Self::Result {
        let Some(provider) = self.state.find(&msg.id) else {
            let missing = RegistryError::NotFound(msg.id);
            return AtomicResponse::new(Box::pin(fut::ready(Err(missing))));
        };
        match self.state.note_formats(now(), &msg.id, &msg.base_url, msg.formats) {
            None => AtomicResponse::new(Box::pin(fut::ready(Ok(Arc::new(provider))))),
            Some(row) => self.save_then(Ok(row), |registry, row| {
                let provider = registry.adopt(row)?;
                registry.stats.of(&provider.id).forget_formats();
                registry.tell(EventType::ProviderUpdated, &provider.id, EventData::None {});
                Ok(provider)
            }),
        }
    }
}

impl Handler<ProviderFailed> for Registry {
    type Result = ();

    fn handle(&mut self, msg: ProviderFailed, ctx: &mut Self::Context) {
        let at = now();
        let was = self.state.status(&msg.id);
        let error = LastError { message: msg.message.clone(), at };
        if let Some(row) = self.state.note_error(at, &msg.id, Some(error)) {
            self.save_note(row, ctx);
            if was != Some(ProviderStatus::Error) {
                tracing::warn!(provider = %msg.id, error = msg.message, "a provider is in error");
                let data = EventData::Message { message: msg.message };
                self.tell(EventType::ProviderFailed, &msg.id, data);
            }
        }
    }
}

impl Handler<ProviderAnswered> for Registry {
    type Result = ();

    fn handle(&mut self, msg: ProviderAnswered, ctx: &mut Self::Context) {
        if let Some(row) = self.state.note_error(now(), &msg.id, None) {
            self.save_note(row, ctx);
            self.tell(EventType::ProviderRecovered, &msg.id, EventData::None {});
        }
    }
}

impl Handler<CredentialsChanged> for Registry {
    type Result = ();

    fn handle(&mut self, msg: CredentialsChanged, _: &mut Self::Context) {
        let Some(id) = msg.provider_id else {
            self.publish_all();
            return self.ask_unasked();
        };
        let usable = self.credentials.read().usable_count(&id);
        if self.state.count_credentials(&id, usable) {
            self.publish(&id);
            self.ask_if_unasked(&id);
        }
    }
}

stops_on_request!(Registry);
crashes_on_request!(Registry);
