//! The shell: makes the exchanges, each on its own, and answers all who wait for one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::prelude::*;
use tokio::{sync::oneshot, time::Instant};

use super::{
    messages::TakeCopilotToken,
    token_state::{Account, Step, TokenState},
};
use crate::{
    actors::{
        clock::now,
        credentials::PooledKey,
        supervise::{crashes_on_request, stops_on_request},
    },
    domain::{
        credential::StoredSecret,
        failure::{Failure, FailureClass},
        provider::Provider,
    },
    gateway::{
        copilot_token::{CopilotToken, exchange, exchange_url},
        upstream::Upstream,
    },
};

/// The longest an exchange may take.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer = Result<Arc<CopilotToken>, Failure>;

/// Owns the tokens of Copilot's that are in use.
pub struct CopilotTokens {
    upstream: Upstream,
    state: TokenState,
    /// Who waits for which exchange: no more than there are requests under way.
    waiting: HashMap<Account, Vec<oneshot::Sender<Answer>>>,
}

impl CopilotTokens {
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream, state: TokenState::default(), waiting: HashMap::new() }
    }

    /// Begins an exchange, which goes on when whoever asked for it has left.
    fn begin(&self, account: Account, asked: TakeCopilotToken, ctx: &mut Context<Self>) {
        let upstream = self.upstream.clone();
        let (provider_id, credential_id) =
            (account.provider_id.clone(), account.credential_id.clone());
        let exchanging = async move {
            let got = get(&upstream, &account, &asked.provider, &asked.account).await.map(Arc::new);
            (account, got)
        };
        tracing::debug!(provider = %provider_id, credential = %credential_id, "a GitHub token is exchanged");
        ctx.spawn(exchanging.into_actor(self).map(|(account, got), tokens, _| {
            tokens.finish(&account, &got);
        }));
    }

    fn finish(&mut self, account: &Account, got: &Answer) {
        self.state.finish(now(), account, got.as_ref().ok().map(Arc::clone));
        let waiting = self.waiting.remove(account).unwrap_or_default();
        if let Err(failure) = got
            && waiting.is_empty()
        {
            // Nobody else tells of it.
            tracing::warn!(
                provider = %account.provider_id, credential = %account.credential_id,
                class = failure.class.as_str(), detail = failure.detail,
                "a Copilot token was not got anew; the one there is serves until it ends"
            );
        }
        for asker in waiting {
            // Who has left needs no answer.
            let _ = asker.send(got.clone());
        }
    }
}

async fn get(
    upstream: &Upstream,
    account: &Account,
    provider: &Provider,
    held: &PooledKey,
) -> Result<CopilotToken, Failure> {
    let settings = &held.credential.settings;
    let StoredSecret::Open(secret) = &held.credential.secret else {
        return Err(Failure::new(FailureClass::Auth, "the key is locked"));
    };
    let deadline = Instant::now() + PATIENCE;
    exchange(upstream, &account.exchange_url, provider, settings, secret, deadline).await
}

impl Actor for CopilotTokens {
    type Context = Context<Self>;
}

impl Supervised for CopilotTokens {
    /// Exchanges that were under way are gone, and those who waited ask again.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state.forget_exchanges();
        self.waiting.clear();
    }
}

impl Handler<TakeCopilotToken> for CopilotTokens {
    type Result = ResponseActFuture<Self, Answer>;

    fn handle(&mut self, msg: TakeCopilotToken, ctx: &mut Self::Context) -> Self::Result {
        let Some(base) = &msg.provider.base_url else {
            let failure = Failure::new(FailureClass::Connect, "the provider has no address");
            return Box::pin(fut::ready(Err(failure)));
        };
        let credential = &msg.account.credential;
        let account = Account {
            provider_id: credential.provider_id.clone(),
            credential_id: credential.id.clone(),
            fingerprint: credential.fingerprint.clone(),
            exchange_url: exchange_url(base),
        };
        let step = self.state.ask(now(), &account, msg.refused.as_ref());
        match step {
            Step::Use(token) => return Box::pin(fut::ready(Ok(token))),
            Step::UseAndRefresh(token) => {
                self.begin(account, msg, ctx);
                return Box::pin(fut::ready(Ok(token)));
            }
            Step::Wait | Step::Exchange => {}
        }
        let (tell, told) = oneshot::channel();
        self.waiting.entry(account.clone()).or_default().push(tell);
        if matches!(step, Step::Exchange) {
            self.begin(account, msg, ctx);
        }
        // Nothing is told only after a restart, which drops this future as well.
        let gone = |_| Failure::new(FailureClass::Silent, "the exchange was given up");
        Box::pin(async move { told.await.map_err(gone)? }.into_actor(self))
    }
}

stops_on_request!(CopilotTokens);
crashes_on_request!(CopilotTokens);
