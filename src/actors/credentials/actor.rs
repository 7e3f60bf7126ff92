//! The shell: saves before it adopts, and publishes what can be leased.

use actix::prelude::*;
use rand::{TryRngCore, rngs::OsRng};
use secrecy::ExposeSecret;

use super::{
    credential_pool::CredentialPool,
    directory::CredentialDirectory,
    messages::{
        AddCredential, Added, AwaitCredentials, CredentialError, ForgetCredentials,
        RemoveCredential,
    },
};
use crate::{
    actors::{
        clock::now,
        db::DbHandle,
        events::Record,
        health::Forget,
        loading::load_first,
        published::Publisher,
        registry::CredentialsChanged,
        supervise::{crashes_on_request, stops_on_request},
    },
    crypto::mac::Mac,
    domain::{
        cooldown::ScopeFilter,
        credential::{Credential, StoredSecret, mask},
        event::{EventData, EventType, Fact},
        id::{CredentialId, ProviderId},
        provider::Origin,
        setting::parse_api_key,
    },
};

/// Whom Credentials tells.
pub struct CredentialsRecipients {
    pub events: Recipient<Record>,
    pub registry: Recipient<CredentialsChanged>,
    /// Told of what is gone, or another one now.
    pub health: Recipient<Forget>,
}

/// Owns the credentials.
///
/// Nothing is told of requests here: its mailbox holds what management asks, one question of each call.
pub struct Credentials {
    pub(super) pool: CredentialPool,
    /// From the environment and the configuration file: never stored, kept for a restart.
    given: Vec<Credential>,
    pub(super) db: DbHandle,
    fingerprints: Mac,
    directory: Publisher<CredentialDirectory>,
    recipients: CredentialsRecipients,
}

impl Credentials {
    pub fn new(
        given: Vec<Credential>,
        db: DbHandle,
        fingerprints: Mac,
        directory: Publisher<CredentialDirectory>,
        recipients: CredentialsRecipients,
    ) -> Self {
        Self { pool: CredentialPool::default(), given, db, fingerprints, directory, recipients }
    }

    fn publish(&self) {
        self.directory.replace(self.pool.directory());
    }

    /// Publishes credentials of a provider that have come or gone, and tells who counts them.
    pub(super) fn publish_change(&self, provider: &ProviderId) {
        self.publish();
        self.recipients
            .registry
            .do_send(CredentialsChanged { provider_id: Some(provider.clone()) });
    }

    /// A credential is gone, or is to be judged anew.
    pub(super) fn forget_health(&self, provider: &ProviderId, id: &CredentialId) {
        let filter =
            ScopeFilter { credential: Some(id.clone()), ..ScopeFilter::of(provider.clone()) };
        self.recipients.health.do_send(Forget(filter));
    }

    pub(super) fn tell(
        &self,
        kind: EventType,
        provider: &ProviderId,
        id: &CredentialId,
        data: EventData,
    ) {
        let fact = Fact::of_provider(kind, provider.clone(), data);
        self.recipients.events.do_send(Record(Fact { credential_id: Some(id.clone()), ..fact }));
    }

    fn load(&mut self, stored: Vec<Credential>) {
        let given = self.given.iter().cloned();
        self.pool = self.pool.reloaded(given.chain(stored));
        self.report_locked();
        self.publish();
        self.recipients.registry.do_send(CredentialsChanged { provider_id: None });
    }

    /// Tells who listens to events. The log has it from where it did not open.
    fn report_locked(&self) {
        for credential in self.pool.iter() {
            if let StoredSecret::Locked { key_id } = &credential.secret {
                let message = format!(
                    "key {} of provider {}, sealed under master key {key_id}, does not open with the \
                     one in use; it is not used and its row is kept",
                    credential.id, credential.provider_id
                );
                let data = EventData::Message { message };
                self.tell(
                    EventType::CredentialLocked,
                    &credential.provider_id,
                    &credential.id,
                    data,
                );
            }
        }
    }
}

fn generate_id() -> CredentialId {
    let mut bytes = [0_u8; 8];
    OsRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    format!("key_{:016x}", u64::from_be_bytes(bytes)).into()
}

impl Actor for Credentials {
    type Context = Context<Self>;

    /// Runs at the first start and after each restart.
    fn started(&mut self, ctx: &mut Self::Context) {
        let db = self.db.clone();
        let load = move || {
            let db = db.clone();
            async move { db.load_credentials().await }
        };
        load_first(self, ctx, "credentials", load, Self::load);
    }
}

impl Supervised for Credentials {}

impl Handler<AwaitCredentials> for Credentials {
    type Result = ();

    fn handle(&mut self, _: AwaitCredentials, _: &mut Self::Context) {}
}

impl Handler<AddCredential> for Credentials {
    /// The mailbox waits: two adds of the same key must not pass each other.
    type Result = AtomicResponse<Self, Result<Added, CredentialError>>;

    fn handle(&mut self, msg: AddCredential, _: &mut Self::Context) -> Self::Result {
        let at_once = |answer| AtomicResponse::new(Box::pin(fut::ready(answer)));
        let parsed = msg.settings.check().and_then(|()| parse_api_key(&msg.secret));
        let secret = match parsed {
            Ok(secret) => secret,
            Err(error) => return at_once(Err(error.into())),
        };
        let fingerprint = self.fingerprints.fingerprint(&secret);
        if let Some(same) = self.pool.find_same(&msg.provider_id, &fingerprint) {
            return at_once(Ok(Added { credential: same.clone(), existed: true }));
        }
        let credential = Credential {
            id: generate_id(),
            provider_id: msg.provider_id,
            settings: msg.settings,
            origin: Origin::Api,
            mask: mask(secret.expose_secret()),
            secret: StoredSecret::open(secret),
            fingerprint,
            created_at: now(),
        };
        let db = self.db.clone();
        let save = async move {
            db.insert_credential(credential.clone()).await?;
            Ok(credential)
        };
        AtomicResponse::new(Box::pin(save.into_actor(self).map(
            |saved: Result<Credential, CredentialError>, credentials, _| {
                let credential = saved?;
                let (provider, id) = (&credential.provider_id, &credential.id);
                // What its models are held to have refused, they have refused to nobody's key.
                if credentials.pool.iter_of(provider).next().is_none() {
                    credentials
                        .recipients
                        .health
                        .do_send(Forget(ScopeFilter::of(provider.clone())));
                }
                credentials.pool.insert(credential.clone());
                credentials.publish_change(provider);
                credentials.tell(EventType::CredentialAdded, provider, id, EventData::None {});
                Ok(Added { credential, existed: false })
            },
        )))
    }
}

impl Handler<RemoveCredential> for Credentials {
    type Result = AtomicResponse<Self, Result<(), CredentialError>>;

    fn handle(&mut self, msg: RemoveCredential, _: &mut Self::Context) -> Self::Result {
        let RemoveCredential { provider_id, id } = msg;
        let removable = match self.pool.find(&provider_id, &id) {
            None => {
                Err(CredentialError::NotFound { provider_id: provider_id.clone(), id: id.clone() })
            }
            Some(credential) if credential.origin != Origin::Api => {
                Err(CredentialError::NotStored { id: id.clone() })
            }
            Some(_) => Ok(()),
        };
        let db = self.db.clone();
        let delete = async move {
            removable?;
            db.delete_credential(id.clone()).await?;
            Ok((provider_id, id))
        };
        AtomicResponse::new(Box::pin(delete.into_actor(self).map(
            |deleted: Result<_, CredentialError>, credentials, _| {
                let (provider, id) = deleted?;
                credentials.pool.remove(&provider, &id);
                credentials.forget_health(&provider, &id);
                credentials.publish_change(&provider);
                credentials.tell(EventType::CredentialRemoved, &provider, &id, EventData::None {});
                Ok(())
            },
        )))
    }
}

impl Handler<ForgetCredentials> for Credentials {
    type Result = ();

    fn handle(&mut self, msg: ForgetCredentials, _: &mut Self::Context) {
        self.pool.remove_provider(&msg.provider_id);
        self.publish_change(&msg.provider_id);
    }
}

stops_on_request!(Credentials);
crashes_on_request!(Credentials);
