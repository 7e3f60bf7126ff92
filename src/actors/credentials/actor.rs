//! The shell: saves before it adopts, cools what failed, and publishes what can be leased.

use std::sync::Arc;

use actix::prelude::*;
use rand::{TryRngCore, rngs::OsRng};
use secrecy::ExposeSecret;

use super::{
    credential_pool::CredentialPool,
    directory::CredentialDirectory,
    messages::{
        AddCredential, Added, ClearCredentialCooldowns, CredentialError, CredentialFailed,
        CredentialSucceeded, CredentialsReady, ForgetCredentials, ListCredentialCooldowns,
        RemoveCredential,
    },
};
use crate::{
    actors::{
        clock::now,
        cooldown_keeper::{About, CooldownKeeper, EXPIRY_INTERVAL},
        db::DbHandle,
        events::Record,
        loading::load_first,
        published::Publisher,
        registry::{CredentialsChanged, ProviderFailed},
        router::{ProviderIncident, TrialPassed},
        supervise::{crashes_on_request, stops_on_request},
    },
    crypto::mac::Mac,
    domain::{
        cooldown::{Cooldown, CooldownScope},
        credential::{Credential, StoredSecret, mask},
        event::{EventData, EventType, Fact},
        failure::{Failure, FailureClass},
        id::{CredentialId, ProviderId},
        incident::{INCIDENT_WINDOW, Incident, IncidentWatch},
        penalty::credential_penalty,
        provider::Origin,
        setting::parse_api_key,
    },
};

/// Whom Credentials tells.
pub struct CredentialsPeers {
    pub events: Recipient<Record>,
    pub registry: Recipient<CredentialsChanged>,
    /// Told when a provider has no credential left that it takes.
    pub failed: Recipient<ProviderFailed>,
    pub incident: Recipient<ProviderIncident>,
}

/// Owns the credentials.
pub struct Credentials {
    pub(super) pool: CredentialPool,
    cooldowns: CooldownKeeper,
    incidents: IncidentWatch,
    /// From the environment and the configuration file: never stored, kept for a restart.
    given: Vec<Credential>,
    pub(super) db: DbHandle,
    fingerprints: Mac,
    directory: Publisher<CredentialDirectory>,
    peers: CredentialsPeers,
}

impl Credentials {
    pub fn new(
        given: Vec<Credential>,
        cooldowns: CooldownKeeper,
        db: DbHandle,
        fingerprints: Mac,
        directory: Publisher<CredentialDirectory>,
        peers: CredentialsPeers,
    ) -> Self {
        let (pool, incidents) = (CredentialPool::default(), IncidentWatch::default());
        Self { pool, cooldowns, incidents, given, db, fingerprints, directory, peers }
    }

    fn publish(&self) {
        self.directory.replace(self.pool.directory(self.cooldowns.book()));
    }

    /// Publishes credentials of a provider that have come or gone, and tells who counts them.
    pub(super) fn publish_change(&self, provider: &ProviderId) {
        self.publish();
        self.peers.registry.do_send(CredentialsChanged { provider_id: Some(provider.clone()) });
    }

    /// Tells the cooldowns that have ended.
    fn tick(&mut self, _: &mut Context<Self>) {
        if !self.cooldowns.expire().is_empty() {
            self.publish();
        }
    }

    pub(super) fn tell(
        &self,
        kind: EventType,
        provider: &ProviderId,
        id: &CredentialId,
        data: EventData,
    ) {
        let fact = Fact::of_provider(kind, provider.clone(), data);
        self.peers.events.do_send(Record(Fact { credential_id: Some(id.clone()), ..fact }));
    }

    fn load(&mut self, (stored, cooldowns): (Vec<Credential>, Vec<Cooldown>)) {
        let given = self.given.iter().cloned();
        self.pool = self.pool.reloaded(given.chain(stored));
        let own = cooldowns.into_iter().filter(|cooldown| cooldown.scope.credential().is_some());
        self.cooldowns.restore(own);
        self.report_locked();
        self.publish();
        self.peers.registry.do_send(CredentialsChanged { provider_id: None });
    }

    /// The failures of one credential may be those of the provider, and then it is spared. Says whether
    /// they are.
    fn is_incident(&mut self, msg: &CredentialFailed) -> bool {
        let CredentialFailed { provider_id, credential_id, failure, .. } = msg;
        let usable = self.pool.iter_of(provider_id).filter(|c| c.is_usable()).count();
        let (class, is_hinted) = (failure.class, failure.retry_after.is_some());
        let incident =
            self.incidents.note(now(), provider_id, credential_id, class, is_hinted, usable);
        let Some(Incident { spared }) = incident else { return false };
        self.cooldowns.spare(provider_id, &spared, class, INCIDENT_WINDOW);
        let (provider_id, failure) = (provider_id.clone(), Arc::clone(failure));
        self.peers.incident.do_send(ProviderIncident { provider_id, failure });
        true
    }

    /// Tells when the provider takes none of its credentials any more.
    fn report_locked_out(&self, provider: &ProviderId, failure: &Failure) {
        let (book, at) = (self.cooldowns.book(), now());
        let mut usable = self.pool.iter_of(provider).filter(|c| c.is_usable());
        let is_out = usable.all(|credential| {
            let scope = CooldownScope::Credential(provider.clone(), credential.id.clone());
            book.active(at, &scope).is_some()
        });
        if is_out && matches!(failure.class, FailureClass::Auth | FailureClass::Payment) {
            let message = format!("{}, with every key", failure.detail);
            self.peers.failed.do_send(ProviderFailed { id: provider.clone(), message });
        }
    }

    fn report_locked(&self) {
        for credential in self.pool.iter() {
            if let StoredSecret::Locked { key_id } = &credential.secret {
                let message = format!(
                    "key {} of provider {}, sealed under master key {key_id}, does not open with the \
                     one in use; it is not used and its row is kept",
                    credential.id, credential.provider_id
                );
                tracing::error!("{message}");
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
            async move { Ok((db.load_credentials().await?, db.load_cooldowns().await?)) }
        };
        load_first(self, ctx, "credentials", load, Self::load);
        ctx.run_interval(EXPIRY_INTERVAL, Self::tick);
    }
}

impl Supervised for Credentials {}

impl Handler<CredentialsReady> for Credentials {
    type Result = ();

    fn handle(&mut self, _: CredentialsReady, _: &mut Self::Context) {}
}

impl Handler<CredentialFailed> for Credentials {
    type Result = ();

    fn handle(&mut self, msg: CredentialFailed, _: &mut Self::Context) {
        if msg.failure.rule.is_none() && self.is_incident(&msg) {
            return self.publish();
        }
        let CredentialFailed { provider_id, credential_id, model, failure, is_listed, attempt } =
            msg;
        let penalty = credential_penalty(&provider_id, &credential_id, &model, &failure);
        if let Some((scope, length)) = penalty
            && self
                .cooldowns
                .impose(scope, length, About { failure: &failure, is_listed, attempt })
                .is_some()
        {
            self.report_locked_out(&provider_id, &failure);
            self.publish();
        }
    }
}

impl Handler<TrialPassed> for Credentials {
    type Result = ();

    fn handle(&mut self, msg: TrialPassed, _: &mut Self::Context) {
        if self.cooldowns.passed(&msg.scope) {
            self.publish();
        }
    }
}

impl Handler<CredentialSucceeded> for Credentials {
    type Result = ();

    fn handle(&mut self, msg: CredentialSucceeded, _: &mut Self::Context) {
        let CredentialSucceeded { provider_id, credential_id, model } = msg;
        self.incidents.succeeded(&provider_id, &credential_id);
        let whole = CooldownScope::Credential(provider_id.clone(), credential_id.clone());
        self.cooldowns.succeeded(&whole);
        let with_model = CooldownScope::CredentialModel(provider_id, credential_id, model);
        self.cooldowns.succeeded(&with_model);
        self.publish();
    }
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
            secret: StoredSecret::Open(secret),
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
                credentials.pool.insert(credential.clone());
                let (provider, id) = (&credential.provider_id, &credential.id);
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
                credentials.cooldowns.clear_credential(&provider, &id);
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
        self.cooldowns.clear(Some(&msg.provider_id));
        self.publish_change(&msg.provider_id);
    }
}

impl Handler<ListCredentialCooldowns> for Credentials {
    type Result = MessageResult<ListCredentialCooldowns>;

    fn handle(&mut self, _: ListCredentialCooldowns, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.cooldowns.list())
    }
}

impl Handler<ClearCredentialCooldowns> for Credentials {
    type Result = MessageResult<ClearCredentialCooldowns>;

    fn handle(&mut self, msg: ClearCredentialCooldowns, _: &mut Self::Context) -> Self::Result {
        let cleared: Vec<Cooldown> = self.cooldowns.clear(msg.provider_id.as_ref());
        self.publish();
        MessageResult(cleared)
    }
}

stops_on_request!(Credentials);
crashes_on_request!(Credentials);
