//! What can be asked of the database: one function per need.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use actix::{Addr, MailboxError, SyncArbiter};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use super::{
    DbError,
    actor::{Db, Run},
    patience::Patience,
    probe::{Ping, Probe},
    secrets,
    turn::Turn,
};
use crate::{
    crypto::seal::Sealer,
    domain::{
        access_key::AccessKey,
        cooldown::{Cooldown, CooldownScope},
        credential::{Credential, CredentialSettings},
        id::{CredentialId, KeyId, ProviderId},
        provider::StoredProvider,
        time::Timestamp,
        usage::{UsageEntry, UsageQuestion, UsageTotals},
    },
    persistence::{
        Corrupt, Loaded,
        connection::{Connector, DbConnection, Pool, ping},
        repo::{
            access_keys::{self, KeysDigest},
            cooldowns, credentials, providers, usage, usage_hours,
        },
    },
};

/// Most queries that wait or run at once. The queue of the threads itself has no limit.
const MAX_WAITING: usize = 1024;

/// Most summaries that wait for their turn.
const MAX_WAITING_SUMMARIES: usize = 64;

/// Most entries one query purges, so that others get their turn in between.
const PURGE_AT_ONCE: i64 = 1_000;

/// Told the name of an actor that restarts after a panic. Runs on the thread that panicked.
pub type OnRestart = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Asks the database. Every function errs with [`DbError`]: `Busy` when too many wait, `Late` or
/// `Timeout` after [`Patience::given_up_after`], `Connection`, `Taken` or `Query` when the database
/// fails, `Panicked` and `Stopped` when the actor did. What changes something for a person is
/// [`Patience::Prompt`]. Cheap to clone; the actor ends when the last clone is dropped.
#[derive(Clone)]
pub struct DbHandle {
    db: Addr<Db>,
    /// `None` where there can be no other connection to the same database.
    probe: Option<Addr<Probe>>,
    waiting: Arc<Semaphore>,
    /// Those that may wait for a turn to sum up, and the turns: only some of the threads at once, so that
    /// the others are there for everybody else.
    waiting_summaries: Arc<Semaphore>,
    summaries: Arc<Semaphore>,
    /// What the first query that met damage has said.
    damage: Arc<watch::Sender<Option<String>>>,
    sealer: Arc<Sealer>,
    /// The rows of each table that could not be read the last time, so that a table that is read
    /// every few seconds is not complained about as often.
    unreadable: Arc<Mutex<HashMap<&'static str, Vec<Corrupt>>>>,
}

/// The providers that are stored.
pub struct StoredProviders {
    /// By id.
    pub rows: Vec<StoredProvider>,
    /// Whose rows are there and not understood. To save one of these would destroy its row.
    pub unreadable: Vec<ProviderId>,
}

impl DbHandle {
    /// Starts `threads` threads, at most one per connection of the pool, and one with a connection of
    /// its own for signs of life. Call it inside an actix system, on a database that is migrated.
    pub fn start(
        pool: Pool,
        connector: &Connector,
        sealer: Arc<Sealer>,
        threads: u32,
        on_restart: OnRestart,
    ) -> Self {
        let threads = threads.clamp(1, pool.max_size()) as usize;
        let named = || thread::Builder::new().name("db".to_owned());
        let db = SyncArbiter::start_with_thread_builder(threads, named, move || Db {
            pool: pool.clone(),
            on_restart: Arc::clone(&on_restart),
        });
        let probe = connector.is_shared().then(|| {
            let named = || thread::Builder::new().name("db-probe".to_owned());
            let connector = connector.clone();
            SyncArbiter::start_with_thread_builder(1, named, move || Probe {
                connector: connector.clone(),
                connection: None,
            })
        });
        Self {
            db,
            probe,
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            waiting_summaries: Arc::new(Semaphore::new(MAX_WAITING_SUMMARIES)),
            summaries: Arc::new(Semaphore::new((threads / 2).max(1))),
            damage: Arc::new(watch::Sender::new(None)),
            sealer,
            unreadable: Arc::default(),
        }
    }

    /// Asks for a sign of life, beside all other queries.
    pub async fn ping(&self) -> Result<(), DbError> {
        let Some(probe) = &self.probe else { return self.run(ping).await };
        match probe.send(Ping).timeout(Patience::Prompt.given_up_after()).await {
            Ok(answer) => self.note_damage(answer),
            Err(MailboxError::Timeout) => Err(DbError::Late),
            Err(MailboxError::Closed) => Err(DbError::Stopped),
        }
    }

    /// What the first query that met damage has said, if one has.
    pub fn damage(&self) -> Option<String> {
        self.damage.borrow().clone()
    }

    /// Resolves when a query meets damage, with what the database says of it.
    pub async fn damaged(&self) -> String {
        let mut damage = self.damage.subscribe();
        let met = damage.wait_for(Option::is_some).await.ok().and_then(|met| met.clone());
        match met {
            Some(reason) => reason,
            // The sender is held by this very handle.
            None => std::future::pending().await,
        }
    }

    /// All providers that are stored.
    pub async fn load_providers(&self) -> Result<StoredProviders, DbError> {
        let sealer = Arc::clone(&self.sealer);
        let loaded = self.run_patiently(move |conn| secrets::load_providers(conn, &sealer)).await?;
        self.report_unreadable("providers", &loaded.unreadable);
        // What is no id at all is nobody's row.
        let ids = loaded.unreadable.iter().filter_map(|it| ProviderId::parse(&it.row).ok());
        Ok(StoredProviders { unreadable: ids.collect(), rows: loaded.rows })
    }

    /// Creates or changes a provider. Stored headers that do not open stay as they are unless
    /// `settings.headers` is `Open`; an empty list there removes them.
    pub async fn save_provider(&self, provider: StoredProvider) -> Result<(), DbError> {
        let sealer = Arc::clone(&self.sealer);
        self.run(move |conn| secrets::save_provider(conn, &sealer, &provider)).await
    }

    /// Deletes a provider's row, credentials and cooldowns. Says whether there was a row.
    pub async fn delete_provider(&self, id: ProviderId) -> Result<bool, DbError> {
        self.run(move |conn| providers::delete(conn, &id)).await
    }

    /// All credentials that are stored and can be read, oldest first.
    pub async fn load_credentials(&self) -> Result<Vec<Credential>, DbError> {
        let sealer = Arc::clone(&self.sealer);
        let loaded =
            self.run_patiently(move |conn| secrets::load_credentials(conn, &sealer)).await?;
        Ok(self.readable("credentials", loaded))
    }

    /// Adds a credential.
    ///
    /// Errors: [`DbError::Duplicate`] when the provider has one of the same fingerprint.
    pub async fn insert_credential(&self, credential: Credential) -> Result<(), DbError> {
        let row = secrets::seal_credential(&self.sealer, &credential)?;
        self.run(move |conn| credentials::insert(conn, &row)).await
    }

    /// Changes the settings of a credential. Says whether it was there. A stored way out or headers
    /// that do not open stay as they are.
    ///
    /// Errors: [`DbError::Locked`] when others are set in the place of what does not open.
    pub async fn save_credential_settings(
        &self,
        id: CredentialId,
        settings: CredentialSettings,
    ) -> Result<bool, DbError> {
        let sealer = Arc::clone(&self.sealer);
        self.run(move |conn| secrets::save_credential_settings(conn, &sealer, &id, &settings)).await
    }

    /// Deletes a credential. Says whether it was there.
    pub async fn delete_credential(&self, id: CredentialId) -> Result<bool, DbError> {
        self.run(move |conn| credentials::delete(conn, &id)).await
    }

    /// All access keys that can be read, revoked ones too, oldest first.
    pub async fn load_access_keys(&self, patience: Patience) -> Result<Vec<AccessKey>, DbError> {
        Ok(self.readable("access_keys", self.run_with(patience, access_keys::load).await?))
    }

    /// What tells whether the stored access keys have changed.
    pub async fn digest_of_access_keys(&self) -> Result<KeysDigest, DbError> {
        self.run(access_keys::digest).await
    }

    /// Adds an access key.
    ///
    /// Errors: [`DbError::Duplicate`] when the id is taken.
    pub async fn insert_access_key(&self, key: AccessKey) -> Result<(), DbError> {
        self.run(move |conn| access_keys::insert(conn, &key)).await
    }

    /// Revokes an access key for good. Says whether it was there and in force.
    pub async fn revoke_access_key(&self, id: KeyId, at: Timestamp) -> Result<bool, DbError> {
        self.run(move |conn| access_keys::revoke(conn, &id, at)).await
    }

    /// Deletes access keys, as if they had never been made.
    pub async fn delete_access_keys(&self, ids: Vec<KeyId>) -> Result<(), DbError> {
        self.run(move |conn| access_keys::delete(conn, &ids)).await
    }

    /// All cooldowns that can be read, ended ones too.
    pub async fn load_cooldowns(&self) -> Result<Vec<Cooldown>, DbError> {
        Ok(self.readable("cooldowns", self.run_patiently(cooldowns::load).await?))
    }

    /// Writes the cooldown of a scope over the one that was there.
    pub async fn save_cooldown(&self, cooldown: Cooldown) -> Result<(), DbError> {
        self.run_patiently(move |conn| cooldowns::save(conn, &cooldown)).await
    }

    /// Deletes the cooldowns of these scopes. Says how many there were.
    pub async fn delete_cooldowns(&self, scopes: Vec<CooldownScope>) -> Result<usize, DbError> {
        self.run_patiently(move |conn| cooldowns::delete(conn, &scopes)).await
    }

    /// Writes entries to the ledger, all or none. Says how many were new; the others change
    /// nothing, so that after a `Timeout` the same entries may be written again.
    pub async fn append_usage(&self, entries: Vec<UsageEntry>) -> Result<usize, DbError> {
        self.run_patiently(move |conn| usage::append(conn, &entries)).await
    }

    /// One page of totals by provider and model, sorted so. Only some are made at once.
    ///
    /// Errors: `Busy` also when too many wait for theirs.
    pub async fn summarize_usage(
        &self,
        question: UsageQuestion,
    ) -> Result<Vec<UsageTotals>, DbError> {
        let waiting = Arc::clone(&self.waiting_summaries).try_acquire_owned();
        let _waiting = waiting.map_err(|_| DbError::Busy)?;
        let turn = Arc::clone(&self.summaries).acquire_owned();
        let turn = timeout(Patience::Long.limit(), turn).await.map_err(|_| DbError::Late)?;
        self.run_patiently(move |conn| {
            // Kept until the summary is made, also when nobody waits for it any more.
            let _turn = turn;
            usage_hours::summarize(conn, &question)
        })
        .await
    }

    /// Deletes some of the entries from before `before`, the oldest ones. Says how many; none: there are
    /// none left.
    pub async fn purge_usage(&self, before: Timestamp) -> Result<usize, DbError> {
        self.run_patiently(move |conn| usage::purge(conn, before, PURGE_AT_ONCE)).await
    }

    /// Deletes the oldest hour of totals that began before `before`. Says how many rows it had.
    pub async fn purge_usage_hours(&self, before: Timestamp) -> Result<usize, DbError> {
        self.run_patiently(move |conn| usage_hours::purge(conn, before)).await
    }

    /// The time that the ledger's retention had come to, if it was ever kept; else when the newest
    /// entry is from.
    pub async fn load_retention_time(&self) -> Result<Option<Timestamp>, DbError> {
        self.run_patiently(|conn| {
            let kept = usage::load_retention_time(conn)?;
            kept.map_or_else(|| usage::newest(conn), |kept| Ok(Some(kept)))
        })
        .await
    }

    /// Keeps the time that the ledger's retention has come to.
    pub async fn save_retention_time(&self, time: Timestamp) -> Result<(), DbError> {
        self.run_patiently(move |conn| usage::save_retention_time(conn, time)).await
    }

    /// How many entries the ledger has.
    pub async fn count_usage(&self) -> Result<u64, DbError> {
        self.run_patiently(usage::count).await
    }

    /// Makes one thread panic in a query.
    #[cfg(feature = "fault-injection")]
    pub async fn crash(&self) -> Result<(), DbError> {
        self.run::<(), DbError>(|_| panic!("asked to")).await
    }

    fn readable<T>(&self, table: &'static str, loaded: Loaded<T>) -> Vec<T> {
        self.report_unreadable(table, &loaded.unreadable);
        loaded.rows
    }

    /// Reports the rows that could be read the last time, or were not there.
    pub(super) fn report_unreadable(&self, table: &'static str, unreadable: &[Corrupt]) {
        let mut known = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(table, unreadable.to_vec()).unwrap_or_default();
        for corrupt in unreadable.iter().filter(|corrupt| !before.contains(corrupt)) {
            let Corrupt { table, row, column } = corrupt;
            tracing::error!(table, row, column, "a stored row is not understood: it is not used");
        }
    }

    pub(super) async fn run<T: Send + 'static, E: Into<DbError>>(
        &self,
        job: impl FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, DbError> {
        self.run_with(Patience::Prompt, job).await
    }

    pub(super) async fn run_patiently<T: Send + 'static, E: Into<DbError>>(
        &self,
        job: impl FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, DbError> {
        self.run_with(Patience::Long, job).await
    }

    async fn run_with<T: Send + 'static, E: Into<DbError>>(
        &self,
        patience: Patience,
        job: impl FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, DbError> {
        // Once damage is met nothing more goes there: what it took would be lost with it.
        if let Some(reason) = self.damage() {
            return Err(DbError::Damaged(reason));
        }
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| DbError::Busy)?;
        let turn = Arc::new(Turn::default());
        let run = Run {
            job: Box::new(|conn: &mut DbConnection| job(conn).map_err(Into::into)),
            turn: Arc::clone(&turn),
            patience,
            until: Instant::now() + patience.limit(),
            _place: place,
        };
        match self.db.send(run).timeout(patience.given_up_after()).await {
            Ok(answer) => self.note_damage(answer),
            Err(MailboxError::Timeout) if turn.give_up() => Err(DbError::Late),
            Err(MailboxError::Timeout) => Err(DbError::Timeout),
            Err(MailboxError::Closed) => Err(DbError::Stopped),
        }
    }

    fn note_damage<T>(&self, answer: Result<T, DbError>) -> Result<T, DbError> {
        if let Err(DbError::Damaged(reason)) = &answer {
            self.damage.send_if_modified(|damage| {
                let is_first = damage.is_none();
                damage.get_or_insert_with(|| reason.clone());
                is_first
            });
        }
        answer
    }
}

#[cfg(test)]
mod tests;
