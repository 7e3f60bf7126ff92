//! The shell: gathers entries, commits them in groups, and reads leftover journal files.

use std::{path::Path, sync::Arc, time::Duration};

use actix::{clock::sleep, prelude::*};
use tokio::sync::oneshot;

use super::{
    disk::Disk,
    journal::Journal,
    messages::{
        CloseLedger, CommitUsage, FlushUsage, JournalClosed, LedgerError, RecoveryError,
        SummarizeUsage, UsageJournaled, UsageNotJournaled,
    },
    pending::{MAX_BATCH, Pending},
    recovery::{DamagedFile, delete, recover_files},
    request_log,
    retention::RetentionClock,
};
use crate::{
    actors::{
        clock::{now, uptime},
        db::{DbError, DbHandle},
        events::{Record, RecordAll},
        supervise::{crashes_on_request, stops_on_request},
    },
    domain::{
        event::{EventData, EventType, Fact},
        time::Timestamp,
        usage::{UsageEntry, UsageTotals},
    },
    telemetry::Metrics,
};

/// How often entries past their retention are looked for, and the time is kept that has passed: what a
/// process has seen of it since the last time is forgotten with the process.
const PURGE_INTERVAL: Duration = Duration::from_mins(5);
/// How long others have the database to themselves between two parts of a purge.
const PURGE_PAUSE: Duration = Duration::from_millis(50);
/// How far the wall clock may be ahead of the time that was seen to pass until it is told.
const CLOCK_AHEAD: Duration = Duration::from_hours(24);
/// How long to wait before reading leftover journal files again, when that failed.
const RECOVERY_PAUSE: Duration = Duration::from_secs(2);

/// How the ledger is kept.
#[derive(Debug, Clone, Copy)]
pub struct UsageSettings {
    pub retention: Duration,
    /// How long the hourly totals are kept.
    pub totals_retention: Duration,
    pub flush_interval: Duration,
    /// Most entries in memory that are not in the database yet.
    pub max_pending: usize,
}

/// Whom the UsageTracker tells.
pub struct UsageTrackerRecipients {
    pub events: Recipient<Record>,
    pub all_events: Recipient<RecordAll>,
}

type Waiter = (u64, oneshot::Sender<Result<(), LedgerError>>);

/// Whether the database takes entries, so that what keeps it from that is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Reached,
    /// The last commit failed.
    Failing,
    /// No entry is brought to it any more.
    Damaged,
}

/// How far the deletion of what is past its retention has come.
#[derive(Debug, Default)]
struct Aging {
    /// What tells the age of entries, once it has been read.
    clock: Option<RetentionClock>,
    /// Whether entries are being deleted.
    purging: bool,
    /// Whether it was told that the wall clock is ahead.
    ahead: bool,
}

/// Owns the ledger.
pub struct UsageTracker {
    pending: Pending,
    settings: UsageSettings,
    journal: Journal,
    db: DbHandle,
    recipients: UsageTrackerRecipients,
    metrics: Arc<Metrics>,
    disk: Arc<Disk>,
    aging: Aging,
    reach: Reach,
    /// Whether journal files are being read.
    recovering: bool,
    flushing: bool,
    /// Who waits until so many entries are done.
    waiters: Vec<Waiter>,
}

impl UsageTracker {
    pub fn new(
        settings: UsageSettings,
        journal: Journal,
        db: DbHandle,
        recipients: UsageTrackerRecipients,
        metrics: Arc<Metrics>,
        disk: Arc<Disk>,
    ) -> Self {
        Self {
            pending: Pending::new(settings.max_pending),
            settings,
            journal,
            db,
            recipients,
            metrics,
            disk,
            aging: Aging::default(),
            reach: Reach::Reached,
            recovering: false,
            flushing: false,
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
            Ok(recovered) => {
                tracker.recovering = false;
                tracker.pending.caught_up(overflowed);
                let entries = recovered.entries;
                if entries > 0 {
                    tracing::info!(entries, "usage entries brought in from the journal");
                }
                recovered.damaged.iter().for_each(|file| tracker.report_damaged(file));
            }
            Err(RecoveryError::Db(error @ DbError::Damaged(_))) => tracker.give_up(&error),
            Err(error) => {
                tracing::error!(%error, "the journal could not be brought in; trying again");
                ctx.run_later(RECOVERY_PAUSE, |tracker, ctx| {
                    let recovery = tracker.recover();
                    ctx.spawn(recovery);
                });
            }
        })
    }

    fn report_damaged(&self, file: &DamagedFile) {
        let DamagedFile { path, reason } = file;
        tracing::error!(path = %path.display(), reason, "a journal file could not be read whole: it is kept");
        self.metrics.journal_files_damaged.inc();
        let message = format!("{}: {reason}", path.display());
        self.tell(EventType::SystemJournalDamaged, EventData::Message { message });
    }

    /// Brings nothing more to a database that is damaged: trying again does not mend it. The journal
    /// keeps everything for the next start.
    fn give_up(&mut self, error: &DbError) {
        self.reach = Reach::Damaged;
        tracing::error!(%error, "usage entries stay in the journal until the database is restored");
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.flushing || self.reach == Reach::Damaged || self.pending.is_empty() {
            return;
        }
        self.flushing = true;
        let batch = self.pending.batch();
        let (count, db) = (batch.len(), self.db.clone());
        let append = async move { db.append_usage(batch).await };
        ctx.spawn(append.into_actor(self).map(move |appended, tracker, ctx| {
            tracker.flushing = false;
            tracker.disk.note_database(matches!(appended, Err(DbError::Full(_))));
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
        self.recipients.all_events.do_send(RecordAll(entries.into_iter().map(recorded).collect()));
        if self.reach == Reach::Failing {
            self.reach = Reach::Reached;
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
        let was_reached = self.reach == Reach::Reached;
        if matches!(error, DbError::Damaged(_)) {
            self.give_up(&error);
        } else if was_reached {
            self.reach = Reach::Failing;
        }
        let error = LedgerError::from(error);
        if was_reached {
            tracing::error!(%error, "usage entries stay in the journal until the database is back");
            let message = error.to_string();
            self.tell(EventType::SystemLedgerFailing, EventData::Message { message });
        }
        for (_, waiter) in self.waiters.drain(..) {
            let _ = waiter.send(Err(error.clone()));
        }
    }

    fn tell(&self, kind: EventType, data: EventData) {
        self.recipients.events.do_send(Record(Fact::new(kind, data)));
    }

    /// Resolves when everything taken in so far is in the database.
    fn flushed(
        &mut self,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), LedgerError>> + 'static {
        let (tell, told) = oneshot::channel();
        if self.pending.is_empty() {
            let _ = tell.send(Ok(()));
        } else if self.reach == Reach::Damaged {
            let damage = self.db.damage().unwrap_or_default();
            let _ = tell.send(Err(DbError::Damaged(damage).into()));
        } else {
            self.waiters.push((self.pending.taken_in(), tell));
            self.flush(ctx);
        }
        async move { told.await.unwrap_or_else(|_| Err(DbError::Stopped.into())) }
    }

    /// Deletes what is past its retention, a part at a time, and keeps the time that tells it.
    fn purge(&mut self, ctx: &mut Context<Self>) {
        if self.aging.purging || self.reach == Reach::Damaged {
            return;
        }
        self.aging.purging = true;
        let purge = purge(self.db.clone(), self.aging.clock, self.settings);
        ctx.spawn(purge.into_actor(self).map(|purged, tracker, _| {
            tracker.aging.purging = false;
            match purged {
                Ok(purged) => tracker.note_purge(&purged),
                // The next start goes on with it.
                Err(DbError::Stopped) => {}
                Err(error) => tracing::warn!(%error, "old usage entries could not be removed"),
            }
        }));
    }

    fn note_purge(&mut self, purged: &Purged) {
        let time = purged.clock.time();
        self.aging.clock = Some(purged.clock);
        let is_ahead = now().since(time) > CLOCK_AHEAD;
        if is_ahead && !self.aging.ahead {
            let message = format!(
                "no pool has seen the time pass between {time} and {}: entries are kept longer by as \
                 much. If no pool was off for so long, the clock is wrong",
                now()
            );
            tracing::warn!("{message}");
            self.tell(EventType::SystemClockAhead, EventData::Message { message });
        }
        self.aging.ahead = is_ahead;
        let Purged { entries, before, .. } = *purged;
        if entries > 0 {
            tracing::info!(entries, %before, "usage entries past their retention removed");
            self.tell(EventType::UsagePurged, EventData::UsagePurged { entries, before });
        }
    }
}

/// What a purge has done.
struct Purged {
    clock: RetentionClock,
    entries: u64,
    before: Timestamp,
}

async fn purge(
    db: DbHandle,
    clock: Option<RetentionClock>,
    settings: UsageSettings,
) -> Result<Purged, DbError> {
    let clock = match clock {
        Some(mut clock) => {
            clock.advance(now(), uptime());
            clock
        }
        None => RetentionClock::resume(now(), uptime(), db.load_retention_time().await?),
    };
    db.save_retention_time(clock.time()).await?;
    let before = clock.time().minus(settings.retention);
    let mut entries = 0;
    loop {
        let part = db.purge_usage(before).await?;
        if part == 0 {
            break;
        }
        entries += part as u64;
        sleep(PURGE_PAUSE).await;
    }
    let totals_before = clock.time().minus(settings.totals_retention);
    while db.purge_usage_hours(totals_before).await? > 0 {
        sleep(PURGE_PAUSE).await;
    }
    Ok(Purged { clock, entries, before })
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
        self.pending = self.pending.restarted();
        self.recovering = false;
        self.flushing = false;
        self.aging.purging = false;
        self.waiters.clear();
    }
}

impl Handler<UsageJournaled> for UsageTracker {
    type Result = ();

    fn handle(&mut self, msg: UsageJournaled, ctx: &mut Self::Context) {
        if !msg.facts.is_empty() {
            self.recipients.all_events.do_send(RecordAll(msg.facts));
        }
        if msg.entries.is_empty() {
            return;
        }
        for entry in msg.entries {
            request_log::tell(&entry);
            if !self.pending.push(entry) {
                self.metrics.usage_dropped.inc();
            }
        }
        self.show_pending();
        if self.pending.len() >= MAX_BATCH && self.reach == Reach::Reached {
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

impl UsageTracker {
    /// Brings one entry into the database at once.
    fn commit(
        &self,
        entry: UsageEntry,
    ) -> impl ActorFuture<Self, Output = Result<(), DbError>> + 'static {
        let (db, entries) = (self.db.clone(), vec![entry.clone()]);
        let append = async move { db.append_usage(entries).await };
        append.into_actor(self).map(move |added, tracker, _| {
            // One that was there already has been told already.
            if added? > 0 {
                tracker.recipients.all_events.do_send(RecordAll(vec![recorded(entry)]));
            }
            Ok(())
        })
    }
}

impl Handler<CommitUsage> for UsageTracker {
    type Result = ResponseActFuture<Self, Result<(), LedgerError>>;

    fn handle(&mut self, msg: CommitUsage, _: &mut Self::Context) -> Self::Result {
        let entry = msg.0.clone();
        Box::pin(self.commit(msg.0).map(move |committed, _, _| {
            committed?;
            request_log::tell(&entry);
            Ok(())
        }))
    }
}

impl Handler<UsageNotJournaled> for UsageTracker {
    type Result = ();

    fn handle(&mut self, msg: UsageNotJournaled, ctx: &mut Self::Context) {
        request_log::tell(&msg.0);
        let entry = msg.0.clone();
        // Not with those that wait: an attempt at the same entry may be under way, and be told.
        ctx.spawn(self.commit(msg.0).map(|committed, tracker, _| {
            if committed.is_err() && !tracker.pending.push_unjournaled(entry) {
                tracker.metrics.usage_lost.inc();
            }
            tracker.show_pending();
        }));
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
        // The journal may have room again, and the database be away for longer than we are here.
        let mut writer = journal.writer();
        let unjournaled = self.pending.unjournaled().filter(|entry| writer.append(entry).is_err());
        let unjournaled: Vec<UsageEntry> = unjournaled.cloned().collect();
        // All else that is pending is in the files too, and what is in the database already stays as it is.
        Box::pin(async move {
            for part in unjournaled.chunks(MAX_BATCH) {
                if let Err(error) = db.append_usage(part.to_vec()).await {
                    let entries = part.len();
                    tracing::error!(%error, entries, "usage entries are lost: no journal holds them");
                }
            }
            recover_files(&journal, &db, |_, _| false).await.map(|_| ())
        })
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
