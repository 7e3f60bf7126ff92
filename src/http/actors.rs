//! Whom the management routes ask, and how a question is asked.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, Handler, MailboxError, Message, dev::ToEnvelope};

use super::problem::Problem;
use crate::{
    actors::{
        access_keys::{AccessKeys, KeyRing},
        copilot_tokens::CopilotTokens,
        credentials::{Affinity, CredentialDirectory, Credentials},
        db::DbHandle,
        discovery::Discovery,
        events::Events,
        health::Health,
        histories::Histories,
        published::Published,
        registry::{ProviderTable, Registry},
        router::{Router, RouterView},
        traces::Traces,
        usage_tracker::{Disk, UsageTracker},
    },
    domain::health::HealthView,
    telemetry::Metrics,
};

/// Longest wait for an actor's answer to a management call: what the database may take, and some more for
/// what is before it in the mailbox.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// The same where the answer may need longer: a provider is asked, or the ledger is summed up.
const LONG_ASK_TIMEOUT: Duration = Duration::from_secs(15);

/// Addresses instead of a recipient per message: management asks each actor a handful of questions,
/// and its tests run against the real ones.
#[derive(Clone)]
pub struct Actors {
    pub registry: Addr<Registry>,
    pub discovery: Addr<Discovery>,
    pub health: Addr<Health>,
    pub router: Addr<Router>,
    pub credentials: Addr<Credentials>,
    pub copilot_tokens: Addr<CopilotTokens>,
    pub access_keys: Addr<AccessKeys>,
    pub usage_tracker: Addr<UsageTracker>,
    pub events: Addr<Events>,
    pub traces: Addr<Traces>,
    pub histories: Addr<Histories>,
    pub db: DbHandle,
    pub disk: Arc<Disk>,
    pub providers: Published<ProviderTable>,
    pub directory: Published<CredentialDirectory>,
    pub health_view: Published<HealthView>,
    pub routing: Published<RouterView>,
    pub affinity: Affinity,
    pub key_ring: Published<KeyRing>,
    pub metrics: Arc<Metrics>,
}

/// Asks an actor and waits for its answer, not for ever.
///
/// Errors: [`Problem::restarting`] when the actor is gone or restarting, [`Problem::overrun`] when it
/// did not answer in time.
pub async fn ask<A, M>(actor: &Addr<A>, message: M) -> Result<M::Result, Problem>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    ask_for(ASK_TIMEOUT, actor, message).await
}

/// As [`ask`], of what may take longer.
pub async fn ask_patiently<A, M>(actor: &Addr<A>, message: M) -> Result<M::Result, Problem>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    ask_for(LONG_ASK_TIMEOUT, actor, message).await
}

async fn ask_for<A, M>(limit: Duration, actor: &Addr<A>, message: M) -> Result<M::Result, Problem>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    actor.send(message).timeout(limit).await.map_err(|error| {
        tracing::warn!(%error, "an actor did not answer");
        match error {
            MailboxError::Closed => Problem::restarting(),
            MailboxError::Timeout => Problem::overrun(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::db::Patience;

    #[test]
    fn a_change_is_answered_within_two_seconds_with_the_reason_and_not_a_mere_timeout() {
        let (query, asker) = (Patience::Prompt.limit(), Patience::Prompt.given_up_after());
        assert!(query < asker && asker < ASK_TIMEOUT, "who asks gives up before they hear why");
        assert!(ASK_TIMEOUT <= Duration::from_secs(2));
    }
}
