//! The shell: gathers entries, commits them in groups, and reads leftover journal files.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use tokio::sync::oneshot;

use super::{
    journal::Journal,
    messages::{
        CloseLedger, CommitUsage, FlushUsage, JournalClosed, LedgerError, RecoveryError,
        SummarizeUsage, UsageJournaled,
    },
    pending::{MAX_BATCH, Pending},
};
use crate::{
    actors::{
        clock::now,
        db::{DbError, DbHandle},
        events::{Record, RecordAll},
        supervise::{crashes_on_request, stops_on_request},
    },
    domain::{
        event::{EventData, EventType, Fact},
        usage::{UsageEntry, UsageTotals},
    },
    telemetry::Metrics,
};

/// How often entries past their retention are looked for.
const PURGE_INTERVAL: Duration = Duration::from_hours(1);
/// How long to wait before reading leftover journal files again, when that failed.
const RECOVERY_PAUSE: Duration = Duration::from_secs(2);

/// How the ledger is kept.
#[derive(Debug, Clone, Copy)]
pub struct UsageSettings {
    pub retention: Duration,
    pub flush_interval: Duration,
    /// Most entries in memory that are not in the database yet.
    pub max_pending: usize,
}

/// Whom the UsageTracker tells.
pub struct UsageTrackerPeers {
    pub events: Recipient<Record>,
    pub all_events: Recipient<RecordAll>,
}

type Waiter = (u64, oneshot::Sender<Result<(), LedgerError>>);

/// Owns the ledger.
pub struct UsageTracker {
    pending: Pending,
    settings: UsageSettings,
    journal: Journal,
    db: DbHandle,
    peers: UsageTrackerPeers,
    metrics: Arc<Metrics>,
    /// Whether journal files are being read.
    recovering: bool,
    flushing: bool,
    /// Whether the last commit failed, so that an outage is told once.
    failing: bool,
    /// Who waits until so many entries are done.
    waiters: Vec<Waiter>,
}

impl UsageTracker {
    pub fn new(
        settings: UsageSettings,
        journal: Journal,
        db: DbHandle,
        peers: UsageTrackerPeers,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            pending: Pending::new(settings.max_pending),
            settings,
            journal,
            db,
            peers,
            metrics,
            recovering: false,
            flushing: false,
            failing: false,
            waiters: Vec::new(),
        }
    }

    /// Brings what journal files hold into the database: at the start what an earlier process
    /// left, after a restart also what this actor had in memory, later what memory had no room for.
    fn recover(&mut self) -> impl ActorFuture<Self, Output = ()> + 'static {
        self.recovering = true;
        let overflowed = self.pending.overflowed();
        let (journal, db) = (self.journal.clone(), self.db.clone());
        let is_written = |journal: &Journal, path: &Path| journal.is_being_written(path);
        let recovered = async move { recover_files(&journal, &db, is_written).await };
        recovered.into_actor(self).map(move |recovered, tracker, ctx| match recovered {
            Ok(entries) => {
                tracker.recovering = false;
                tracker.pending.caught_up(overflowed);
                if entries > 0 {
                    tracing::info!(entries, "usage entries brought in from the journal");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the journal could not be brought in; trying again");
                ctx.run_later(RECOVERY_PAUSE, |tracker, ctx| {
                    let recovery = tracker.recover();
                    ctx.spawn(recovery);
                });
            }
        })
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.flushing || self.pending.is_empty() {
            return;
        }
        self.flushing = true;
        let batch = self.pending.batch();
        let (count, db) = (batch.len(), self.db.clone());
        let append = async move { db.append_usage(batch).await };
        ctx.spawn(append.into_actor(self).map(move |appended, tracker, ctx| {
            tracker.flushing = false;
            match appended {
                Ok(_) => {
                    tracker.committed(count);
                    if tracker.pending.needs_journal() && !tracker.recovering {
                        let recovery = tracker.recover();
                        ctx.spawn(recovery);
                    }
                    // The rest waits for its turn, unless it is a load that one turn cannot carry.
                    if !tracker.waiters.is_empty() || tracker.pending.len() >= MAX_BATCH {
                        tracker.flush(ctx);
                    }
                }
                Err(error) => tracker.commit_failed(error),
            }
        }));
    }

    fn committed(&mut self, count: usize) {
        let entries = self.pending.commit(count);
        self.show_pending();
        // Until the files found are in, one of them may hold what memory lost at a restart.
        if !self.recovering {
            self.pending.take_files().iter().for_each(|file| delete(file));
        }
        self.peers.all_events.do_send(RecordAll(entries.into_iter().map(recorded).collect()));
        if self.failing {
            self.failing = false;
            tracing::info!("the ledger is written again");
            self.tell(EventType::SystemLedgerRecovered, EventData::None {});
        }
        let done = self.pending.done();
        for (_, waiter) in self.waiters.extract_if(.., |(target, _)| *target <= done) {
            // Who asked may have left.
            let _ = waiter.send(Ok(()));
        }
    }

    fn show_pending(&self) {
        self.metrics.usage_pending.set(i64::try_from(self.pending.len()).unwrap_or(i64::MAX));
    }

    fn commit_failed(&mut self, error: DbError) {
        let error = LedgerError::from(error);
        if !self.failing {
            self.failing = true;
            tracing::error!(%error, "usage entries stay in the journal until the database is back");
            let message = error.to_string();
            self.tell(EventType::SystemLedgerFailing, EventData::Message { message });
        }
        for (_, waiter) in self.waiters.drain(..) {
            let _ = waiter.send(Err(error.clone()));
        }
    }

    fn tell(&self, kind: EventType, data: EventData) {
        self.peers.events.do_send(Record(Fact::new(kind, data)));
    }

    /// Resolves when everything taken in so far is in the database.
    fn flushed(
        &mut self,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), LedgerError>> + 'static {
        let (tell, told) = oneshot::channel();
        if self.pending.is_empty() {
            let _ = tell.send(Ok(()));
        } else {
            self.waiters.push((self.pending.taken_in(), tell));
            self.flush(ctx);
        }
        async move { told.await.unwrap_or_else(|_| Err(DbError::Stopped.into())) }
    }

    fn purge(&mut self, ctx: &mut Context<Self>) {
        let (db, before) = (self.db.clone(), now().minus(self.settings.retention));
        let purge = async move { db.purge_usage(before).await };
        ctx.spawn(purge.into_actor(self).map(|purged, _, _| match purged {
            Ok(0) => {}
            Ok(entries) => tracing::info!(entries, "usage entries past their retention removed"),
            Err(error) => tracing::warn!(%error, "old usage entries could not be removed"),
        }));
    }
}

fn recorded(entry: UsageEntry) -> Fact {
    Fact {
        kind: EventType::UsageRecorded,
        provider_id: entry.provider_id,
        credential_id: entry.credential_id,
        model_id: Some(entry.model),
        data: EventData::UsageRecorded {
            request_id: entry.request_id,
            outcome: entry.outcome,
            tokens: entry.tokens,
            usage_estimated: entry.usage_estimated,
        },
    }
}

fn delete(file: &Path) {
    if let Err(error) = Journal::delete(file) {
        tracing::warn!(%error, "a journal file is not needed any more but could not be deleted");
    }
}

/// Brings in all files, and deletes those that nobody writes to any more. Answers with how many
/// entries were not in the database before.
async fn recover_files(
    journal: &Journal,
    db: &DbHandle,
    is_written: impl Fn(&Journal, &Path) -> bool,
) -> Result<usize, RecoveryError> {
    let mut recovered = 0;
    for path in journal.files()? {
        let read_path: PathBuf = path.clone();
        let read = tokio::task::spawn_blocking(move || Journal::read(&read_path)).await;
        let content = read.map_err(|_| RecoveryError::BrokenOff)??;
        for batch in content.entries.chunks(MAX_BATCH) {
            recovered += db.append_usage(batch.to_vec()).await?;
        }
        if is_written(journal, &path) {
            continue;
        }
        if content.damaged > 0 {
            let lines = content.damaged;
            tracing::warn!(file = %path.display(), lines, "journal file has damaged lines; set aside");
            Journal::set_aside(&path)?;
        } else {
            Journal::delete(&path)?;
        }
    }
    Ok(recovered)
}

impl Actor for UsageTracker {
    type Context = Context<Self>;

    /// Runs at the first start and after each restart.
    fn started(&mut self, ctx: &mut Self::Context) {
        let recovery = self.recover();
        ctx.wait(recovery);
        ctx.run_interval(self.settings.flush_interval, Self::flush);
        ctx.run_interval(PURGE_INTERVAL, Self::purge);
        self.purge(ctx);
    }
}

impl Supervised for UsageTracker {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.pending = Pending::new(self.settings.max_pending);
        self.recovering = false;
        self.flushing = false;
        self.waiters.clear();
    }
}

impl Handler<UsageJournaled> for UsageTracker {
    type Result = ();

    fn handle(&mut self, msg: UsageJournaled, ctx: &mut Self::Context) {
        if !msg.facts.is_empty() {
            self.peers.all_events.do_send(RecordAll(msg.facts));
        }
        if msg.entries.is_empty() {
            return;
        }
        for entry in msg.entries {
            if !self.pending.push(entry) {
                self.metrics.usage_dropped.inc();
            }
        }
        self.show_pending();
        if self.pending.len() >= MAX_BATCH && !self.failing {
            self.flush(ctx);
        }
    }
}

impl Handler<JournalClosed> for UsageTracker {
    type Result = ();

    fn handle(&mut self, msg: JournalClosed, _: &mut Self::Context) {
        self.pending.close_file(msg.0);
    }
}

impl Handler<CommitUsage> for UsageTracker {
    type Result = ResponseActFuture<Self, Result<(), LedgerError>>;

    fn handle(&mut self, msg: CommitUsage, _: &mut Self::Context) -> Self::Result {
        let (db, entry) = (self.db.clone(), msg.0);
        let append = async move {
            let added = db.append_usage(vec![entry.clone()]).await?;
            Ok((added, entry))
        };
        Box::pin(append.into_actor(self).map(|appended: Result<_, DbError>, tracker, _| {
            let (added, entry) = appended?;
            // One that was there already has been told already.
            if added > 0 {
                tracker.peers.all_events.do_send(RecordAll(vec![recorded(entry)]));
            }
            Ok(())
        }))
    }
}

impl Handler<FlushUsage> for UsageTracker {
    type Result = ResponseFuture<Result<(), LedgerError>>;

    fn handle(&mut self, _: FlushUsage, ctx: &mut Self::Context) -> Self::Result {
        Box::pin(self.flushed(ctx))
    }
}

impl Handler<CloseLedger> for UsageTracker {
    type Result = ResponseFuture<Result<(), RecoveryError>>;

    fn handle(&mut self, _: CloseLedger, _: &mut Self::Context) -> Self::Result {
        let (journal, db) = (self.journal.clone(), self.db.clone());
        // All that is pending is in the files too, and what is in the database already stays as it is.
        Box::pin(async move { recover_files(&journal, &db, |_, _| false).await.map(|_| ()) })
    }
}

impl Handler<SummarizeUsage> for UsageTracker {
    type Result = ResponseFuture<Result<Vec<UsageTotals>, LedgerError>>;

    fn handle(&mut self, msg: SummarizeUsage, ctx: &mut Self::Context) -> Self::Result {
        let (flushed, db) = (self.flushed(ctx), self.db.clone());
        Box::pin(async move {
            flushed.await?;
            Ok(db.summarize_usage(msg.0).await?)
        })
    }
}

stops_on_request!(UsageTracker);
crashes_on_request!(UsageTracker);
