//! The end: no new requests, those inside are finished, the ledger is written, the actors stop.

use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};

use super::App;
use crate::{
    actors::{
        events::{EndSubscriptions, Record},
        supervise::Stop,
        usage_tracker::CloseLedger,
    },
    domain::event::{EventData, EventType, Fact},
};

/// How long a stopping actor may take over what is in its mailbox.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the ledger may take to be written at the end. What is not stays in the journal.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How the end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Requests that were cut off because they took longer than the drain may.
    pub cut_off: usize,
}

impl App {
    /// Drains, then stops everything top-down.
    pub async fn stop(self) -> Stopped {
        let limit = Duration::from_millis(self.settings.server.drain_timeout_ms);
        tracing::info!(requests = self.gate.inside(), "draining");
        self.gate.close();
        let draining = Fact::new(EventType::SystemDraining, EventData::None {});
        self.actors.events.do_send(Record(draining));
        let drained = tokio::time::timeout(limit, self.gate.empty()).await.is_ok();
        let cut_off = if drained { 0 } else { self.gate.inside() };
        if cut_off > 0 {
            tracing::warn!(requests = cut_off, "the drain took too long; requests are cut off");
        }
        // The server waits for connections to end, and these would not end by themselves.
        self.actors.events.do_send(EndSubscriptions);
        self.server.stop(drained).await;
        // What was cut off settles when its worker drops it, which may be a little later.
        if tokio::time::timeout(STOP_TIMEOUT, self.gate.empty()).await.is_ok() {
            self.write_ledger().await;
        } else {
            tracing::error!("requests have not ended; the next start reads the journal");
        }
        stop(&self.actors.usage_tracker).await;
        stop(&self.actors.access_keys).await;
        stop(&self.actors.discovery).await;
        stop(&self.actors.copilot_tokens).await;
        stop(&self.actors.credentials).await;
        stop(&self.actors.router).await;
        stop(&self.actors.registry).await;
        stop(&self.actors.traces).await;
        stop(&self.actors.histories).await;
        stop(&self.actors.events).await;
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        tracing::info!("stopped");
        Stopped { cut_off }
    }

    async fn write_ledger(&self) {
        let closed = self.actors.usage_tracker.send(CloseLedger).timeout(CLOSE_TIMEOUT).await;
        let error = match closed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(error, "usage stays in the journal; the next start brings it in");
    }
}

async fn stop<A>(actor: &Addr<A>)
where
    A: Actor<Context = Context<A>> + Handler<Stop>,
{
    if let Err(error) = actor.send(Stop).timeout(STOP_TIMEOUT).await {
        tracing::warn!(%error, "an actor did not stop in time");
    }
}
