//! What a worker thread needs to relay: its own HTTP client and journal, and whom to ask and tell.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::Recipient;
use tokio::time::Instant;

use super::{deadline::Deadline, gate::Gate, outbox::Outbox, soft_limit::SoftLimits};
use crate::{
    actors::{
        access_keys::KeyRing,
        copilot_tokens::TakeCopilotToken,
        credentials::{Affinity, CredentialDirectory},
        health::{AttemptFailed, AttemptSucceeded, AwaitHealth, TrialPassed},
        histories::{AnswerGiven, FindHistory},
        published::Published,
        registry::ProviderTable,
        router::{RouterView, TakeRetry},
        traces::RecordTraces,
        usage_tracker::{
            CommitUsage, JournalClosed, JournalWriter, UsageJournaled, UsageNotJournaled,
        },
    },
    domain::health::HealthView,
    gateway::upstream::Upstream,
    telemetry::Metrics,
};

/// How requests are relayed. What these numbers mean is in docs/failover.md.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct RelaySettings {
    /// The longest a request may take.
    pub timeout: Duration,
    /// The longest an attempt at a whole answer may take while another candidate is left; twice the soft
    /// limit, where that is longer.
    pub attempt_timeout: Duration,
    /// The longest a request waits for somebody who can be asked.
    pub max_wait: Duration,
    /// The longest pause between two events of a stream, the first included.
    pub idle_timeout: Duration,
    /// How long what ends a stream is waited for, once the whole answer is here.
    pub end_wait: Duration,
    /// How long a stream waits before it is opened with a keep-alive, and between keep-alives.
    pub keep_alive: Duration,
    /// Most bytes of a stream kept back before it has shown content.
    pub hold_back_bytes: usize,
    /// Largest unstreamed answer, in bytes.
    pub max_answer_bytes: usize,
    /// Largest event of a stream, in bytes.
    pub max_event_bytes: usize,
    /// Whether to ask an upstream for the token counts of a stream when the client did not.
    pub ask_stream_usage: bool,
    /// Shortest pause before the same place is tried again; the longest is four times as long.
    pub retry_pause: Duration,
    /// When a second candidate is started beside a slow one. `None`: never.
    pub hedge: Option<SoftLimits>,
    /// Whether a stream that breaks off may be resumed with another attempt.
    pub resume: bool,
    /// Whether a stream ends when its client's key does.
    pub end_streams_of_revoked_keys: bool,
    /// Whether the requests of a session go to the same place.
    pub session_affinity: bool,
}

/// Whom the relay asks and tells.
#[derive(Clone)]
pub struct Recipients {
    pub take_retry: Recipient<TakeRetry>,
    pub health_ready: Recipient<AwaitHealth>,
    pub attempt_failed: Recipient<AttemptFailed>,
    pub attempt_succeeded: Recipient<AttemptSucceeded>,
    pub trial_passed: Recipient<TrialPassed>,
    pub copilot_token: Recipient<TakeCopilotToken>,
    pub usage_journaled: Recipient<UsageJournaled>,
    pub journal_closed: Recipient<JournalClosed>,
    pub commit_usage: Recipient<CommitUsage>,
    pub usage_not_journaled: Recipient<UsageNotJournaled>,
    pub traces: Recipient<RecordTraces>,
    pub find_history: Recipient<FindHistory>,
    pub answer_given: Recipient<AnswerGiven>,
}

/// What the relay reads without asking: published by its owners, whole each time.
#[derive(Clone)]
pub struct Snapshots {
    pub providers: Published<ProviderTable>,
    pub routing: Published<RouterView>,
    pub credentials: Published<CredentialDirectory>,
    pub health: Published<HealthView>,
    pub affinity: Affinity,
    pub keys: Published<KeyRing>,
}

/// One worker thread's relay. Its connections and its journal file never change threads.
pub struct Relay {
    pub(super) upstream: Upstream,
    pub(super) recipients: Recipients,
    pub(super) snapshots: Snapshots,
    pub(super) settings: RelaySettings,
    pub(super) gate: Gate,
    pub(super) journal: RefCell<JournalWriter>,
    /// Whether the last entry could not be journaled, so that a full disk is told once.
    pub(super) journal_fails: Cell<bool>,
    pub(super) outbox: Rc<Outbox>,
    pub(super) metrics: Arc<Metrics>,
}

impl Relay {
    pub fn new(
        upstream: Upstream,
        recipients: Recipients,
        snapshots: Snapshots,
        settings: RelaySettings,
        gate: Gate,
        journal: JournalWriter,
        metrics: Arc<Metrics>,
    ) -> Self {
        let outbox = Outbox::new(recipients.usage_journaled.clone(), recipients.traces.clone());
        let (journal, journal_fails) = (RefCell::new(journal), Cell::new(false));
        Self {
            upstream,
            recipients,
            snapshots,
            settings,
            gate,
            journal,
            journal_fails,
            outbox,
            metrics,
        }
    }

    /// When a request must be over. `asked`: what its client allows.
    pub fn deadline(&self, arrived: Instant, asked: Option<Duration>) -> Deadline {
        Deadline::new(arrived, self.settings.timeout, asked)
    }
}
