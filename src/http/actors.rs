//! Whom the management routes ask, and how a question is asked.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, Handler, Message, dev::ToEnvelope};

use super::problem::Problem;
use crate::{
    actors::{
        access_keys::{AccessKeys, KeyRing},
        copilot_tokens::CopilotTokens,
        credentials::{Affinity, CredentialDirectory, Credentials},
        db::DbHandle,
        discovery::Discovery,
        events::Events,
        histories::Histories,
        published::Published,
        registry::{ProviderTable, Registry},
        router::{Router, RouterView},
        traces::Traces,
        usage_tracker::UsageTracker,
    },
    telemetry::Metrics,
};

/// Longest wait for an actor's answer to a management call.
const ASK_TIMEOUT: Duration = Duration::from_secs(15);

/// Addresses instead of a recipient per message: management asks each actor a handful of questions,
/// and its tests run against the real ones.
#[derive(Clone)]
pub struct Actors {
    pub registry: Addr<Registry>,
    pub discovery: Addr<Discovery>,
    pub router: Addr<Router>,
    pub credentials: Addr<Credentials>,
    pub copilot_tokens: Addr<CopilotTokens>,
    pub access_keys: Addr<AccessKeys>,
    pub usage_tracker: Addr<UsageTracker>,
    pub events: Addr<Events>,
    pub traces: Addr<Traces>,
    pub histories: Addr<Histories>,
    pub db: DbHandle,
    pub providers: Published<ProviderTable>,
    pub directory: Published<CredentialDirectory>,
    pub routing: Published<RouterView>,
    pub affinity: Affinity,
    pub key_ring: Published<KeyRing>,
    pub metrics: Arc<Metrics>,
}

/// Asks an actor and waits for its answer, not for ever.
///
/// Errors: [`Problem::restarting`] when the actor is gone, restarting or overrun.
pub async fn ask<A, M>(actor: &Addr<A>, message: M) -> Result<M::Result, Problem>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    actor.send(message).timeout(ASK_TIMEOUT).await.map_err(|error| {
        tracing::warn!(%error, "an actor did not answer");
        Problem::restarting()
    })
}
