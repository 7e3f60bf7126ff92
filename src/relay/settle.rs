//! The end of a request, told exactly once: also when the client hangs up or the task panics.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    deadline::{Deadline, DeadlinePassed},
    error::RelayError,
    gate::Permit,
    services::Relay,
    trace_builder::TraceBuilder,
};
use crate::{
    actors::usage_tracker::{CommitUsage, JournalClosed, UsageNotJournaled},
    domain::{
        event::{EventData, EventType, Fact},
        id::RequestId,
        usage::{Outcome, UsageEntry, UsedTokens},
    },
    gateway::tokens::{PartialUsage, rough_prompt},
};

/// Longest wait for the database to take an entry that the journal did not.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(15);

/// The open account of one request. Whatever happens, dropping it closes it: as cancelled, if
/// nobody has said otherwise before.
pub struct Settlement {
    relay: Rc<Relay>,
    arrived: Instant,
    deadline: Deadline,
    /// `None` once it is settled.
    entry: Option<UsageEntry>,
    trace: TraceBuilder,
    usage: UsageSoFar,
    _permit: Permit,
}

impl Settlement {
    /// `asked`: the request's body, to tell its tokens by. Absent where to ask uses none.
    pub fn open(
        relay: Rc<Relay>,
        (arrived, deadline): (Instant, Deadline),
        entry: UsageEntry,
        asked: Option<Bytes>,
        permit: Permit,
    ) -> Self {
        let fact = Fact {
            kind: EventType::RequestStarted,
            provider_id: None,
            credential_id: None,
            model_id: Some(entry.model.clone()),
            data: EventData::RequestStarted {
                request_id: entry.request_id,
                client_key_id: entry.client_key_id.clone(),
                streamed: entry.streamed,
            },
        };
        relay.outbox.tell(fact);
        let trace = TraceBuilder::new(arrived);
        let usage = UsageSoFar { asked, ..UsageSoFar::default() };
        Self { relay, arrived, deadline, entry: Some(entry), trace, usage, _permit: permit }
    }

    pub fn relay(&self) -> &Rc<Relay> {
        &self.relay
    }

    /// When the request arrived.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    pub fn request_id(&self) -> Option<RequestId> {
        self.entry.as_ref().map(|entry| entry.request_id)
    }

    /// The entry as it stands, to fill in. `None` once it is settled.
    pub fn entry(&mut self) -> Option<&mut UsageEntry> {
        self.entry.as_mut()
    }

    /// An upstream is being asked.
    pub fn asking(&mut self) {
        self.usage.under_way += 1;
    }

    /// It has answered, with a failure or not.
    pub fn answered(&mut self) {
        self.usage.under_way = self.usage.under_way.saturating_sub(1);
    }

    /// Notes what a stream has used up to now; `before`: those that it goes on after.
    pub fn note_stream(&mut self, before: Option<UsedTokens>, now: PartialUsage) {
        self.usage.stream = Some((before, now));
    }

    /// What was used if nothing more comes. `None`: nothing, as far as anybody charges for it.
    pub fn used(&self) -> Option<UsedTokens> {
        self.usage.total()
    }

    /// The way of the request so far, to add to.
    pub fn trace(&mut self) -> &mut TraceBuilder {
        &mut self.trace
    }

    /// Puts a complete answer on the ledger. Only after `Ok` may its last bytes be sent.
    ///
    /// Errors: [`RelayError::LedgerUnavailable`] when neither journal nor database takes it; the
    /// request is then settled as failed.
    pub async fn complete(&mut self, used: Option<UsedTokens>) -> Result<(), RelayError> {
        if self.complete_now(used) {
            return Ok(());
        }
        self.complete_by_commit().await
    }

    /// The usual way: into the journal. `false`: it cannot be written, and
    /// [`Self::complete_by_commit`] is to be tried.
    pub fn complete_now(&mut self, used: Option<UsedTokens>) -> bool {
        let Some(entry) = self.close(Outcome::Completed, used) else { return true };
        match self.journal(&entry) {
            Ok(()) => {
                self.tell(entry);
                true
            }
            Err(()) => {
                self.entry = Some(entry);
                false
            }
        }
    }

    /// The fallback: into the database, waiting for the commit. When that takes too long the answer
    /// is withheld, although its entry may still be written.
    pub async fn complete_by_commit(&mut self) -> Result<(), RelayError> {
        let Some(entry) = self.entry.clone() else { return Ok(()) };
        let commit = self.relay.recipients.commit_usage.send(CommitUsage(entry));
        match self.deadline.bound(commit.timeout(COMMIT_TIMEOUT)).await {
            Ok(Ok(Ok(()))) => {
                if let Some(entry) = self.entry.take() {
                    self.finished(&entry);
                }
                Ok(())
            }
            Ok(Ok(Err(_)) | Err(_)) | Err(DeadlinePassed) => {
                self.fail(&RelayError::LedgerUnavailable);
                Err(RelayError::LedgerUnavailable)
            }
        }
    }

    /// Closes the account of a request that ended with an error.
    pub fn fail(&mut self, error: &RelayError) {
        if let Some(entry) = &mut self.entry {
            entry.failure = error.class();
        }
        self.settle_unanswered(Outcome::Failed);
    }

    fn settle_unanswered(&mut self, outcome: Outcome) {
        let known = self.entry.as_ref().and_then(UsageEntry::used);
        let used = known.or_else(|| self.usage.total());
        let Some(entry) = self.close(outcome, used) else { return };
        if self.journal(&entry).is_ok() {
            self.tell(entry);
        } else {
            // Nothing was promised to a client here: the database gets it as soon as it can.
            self.finished(&entry);
            self.relay.recipients.usage_not_journaled.do_send(UsageNotJournaled(entry));
        }
    }

    fn close(&mut self, outcome: Outcome, used: Option<UsedTokens>) -> Option<UsageEntry> {
        let mut entry = self.entry.take()?;
        entry.outcome = outcome;
        entry.note_used(used);
        entry.duration_ms = u64::try_from(self.arrived.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(entry)
    }

    fn journal(&self, entry: &UsageEntry) -> Result<(), ()> {
        let appended = self.relay.journal.borrow_mut().append(entry);
        let failed_before = self.relay.journal_fails.replace(appended.is_err());
        match appended {
            Ok(None) => Ok(()),
            Ok(Some(closed)) => {
                // Every entry of the closed file must have been told before.
                self.relay.outbox.send();
                self.relay.recipients.journal_closed.do_send(JournalClosed(closed));
                Ok(())
            }
            Err(error) => {
                if !failed_before {
                    tracing::error!(%error, "the usage journal cannot be written; using the database");
                }
                Err(())
            }
        }
    }

    fn tell(&mut self, entry: UsageEntry) {
        self.finished(&entry);
        self.relay.outbox.record(entry);
    }

    fn finished(&mut self, entry: &UsageEntry) {
        let trace = std::mem::replace(&mut self.trace, TraceBuilder::new(self.arrived));
        self.relay.outbox.trace(trace.into_trace(entry));
        self.relay.metrics.request_finished(entry.outcome);
        let fact = Fact {
            kind: EventType::RequestFinished,
            provider_id: entry.provider_id.clone(),
            credential_id: entry.credential_id.clone(),
            model_id: Some(entry.model.clone()),
            data: EventData::RequestFinished {
                request_id: entry.request_id,
                outcome: entry.outcome,
                failure: entry.failure,
                attempts: entry.attempts,
                duration_ms: entry.duration_ms,
            },
        };
        self.relay.outbox.tell(fact);
    }
}

/// What a request has used that is not answered, or not to the end.
#[derive(Default)]
struct UsageSoFar {
    asked: Option<Bytes>,
    /// Upstreams that are being asked.
    under_way: u32,
    /// What the streams before have used that were gone on with, and the one that is sent.
    stream: Option<(Option<UsedTokens>, PartialUsage)>,
}

impl UsageSoFar {
    /// What was used if nothing more comes. Takes far less than a millisecond: it is asked on a worker's
    /// thread, and by drop guards.
    ///
    /// Who leaves while an upstream is at work has had the prompt read. `None`: nobody was asked, or
    /// everyone has answered with a failure, which no upstream charges for.
    fn total(&self) -> Option<UsedTokens> {
        let asked = self.asked.as_ref()?;
        let now = match &self.stream {
            Some((_, now)) => *now,
            None if self.under_way > 0 => PartialUsage::default(),
            None => return None,
        };
        let total = now.total(|| rough_prompt(asked));
        let before = self.stream.and_then(|(before, _)| before);
        Some(before.map_or(total, |before| before.plus(total)))
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() { Outcome::Failed } else { Outcome::Cancelled };
        self.settle_unanswered(outcome);
        if self.relay.gate.is_draining() {
            // There may be no other turn, and who waits for the last request relies on its entry.
            self.relay.outbox.send();
        }
    }
}
