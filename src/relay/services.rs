//! What a worker thread needs to relay: its own HTTP client and journal, and whom to ask and tell.

use std::{cell::RefCell, sync::Arc, time::Duration};

use actix::Recipient;

use super::gate::Gate;
use crate::{
    actors::{
        credentials::{CredentialFailed, CredentialSucceeded, LeaseCredential},
        events::Record,
        router::{AttemptFailed, AttemptSucceeded, PlanRequest, TakeRetry},
        usage_tracker::{CommitUsage, JournalClosed, JournalWriter, UsageJournaled},
    },
    gateway::upstream::Upstream,
    telemetry::Metrics,
};

/// How requests are relayed. The laws that these numbers serve are in the README.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// The longest a request may take.
    pub timeout: Duration,
    /// The longest pause between two events of a stream, the first included.
    pub idle_timeout: Duration,
    /// How long a stream waits before it is opened with a keep-alive, and between keep-alives.
    pub keep_alive: Duration,
    /// Most bytes of a stream kept back before it has shown content.
    pub hold_back_bytes: usize,
    /// Largest unstreamed answer, in bytes.
    pub max_answer_bytes: usize,
    /// Whether to ask an upstream for the token counts of a stream when the client did not.
    pub ask_stream_usage: bool,
}

/// Whom the relay asks and tells.
#[derive(Clone)]
pub struct RelayPeers {
    pub plan: Recipient<PlanRequest>,
    pub take_retry: Recipient<TakeRetry>,
    pub attempt_failed: Recipient<AttemptFailed>,
    pub attempt_succeeded: Recipient<AttemptSucceeded>,
    pub lease: Recipient<LeaseCredential>,
    pub credential_failed: Recipient<CredentialFailed>,
    pub credential_succeeded: Recipient<CredentialSucceeded>,
    pub usage_journaled: Recipient<UsageJournaled>,
    pub journal_closed: Recipient<JournalClosed>,
    pub commit_usage: Recipient<CommitUsage>,
    pub events: Recipient<Record>,
}

/// One worker thread's relay. Its connections and its journal file never change threads.
pub struct Relay {
    pub(super) upstream: Upstream,
    pub(super) peers: RelayPeers,
    pub(super) settings: RelaySettings,
    pub(super) gate: Gate,
    pub(super) journal: RefCell<JournalWriter>,
    pub(super) metrics: Arc<Metrics>,
}

impl Relay {
    pub fn new(
        upstream: Upstream,
        peers: RelayPeers,
        settings: RelaySettings,
        gate: Gate,
        journal: JournalWriter,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { upstream, peers, settings, gate, journal: RefCell::new(journal), metrics }
    }
}
