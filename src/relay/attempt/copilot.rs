//! An attempt at GitHub Copilot's API, which takes a token that the credential is exchanged for.

use std::{sync::Arc, time::Duration};

use url::Url;

use super::{Attempt, Dispatch};
use crate::{
    actors::copilot_tokens::TakeCopilotToken,
    domain::{
        failure::{Failure, FailureClass},
        provider::ApiFormat,
    },
    gateway::copilot_token::{CopilotToken, is_exchanged},
    relay::prepare::Prepared,
};

/// Longest wait for a token: the exchange has ten seconds, and may be asked for a second time.
const ASK_TIMEOUT: Duration = Duration::from_secs(15);

/// The tokens of one place.
#[derive(Default)]
pub(super) struct CopilotTokens {
    /// That of the attempt.
    token: Option<Arc<CopilotToken>>,
    /// One that the API has refused.
    refused: Option<Arc<CopilotToken>>,
}

impl Attempt {
    /// Whether its credential has to be exchanged before it is sent.
    pub(super) fn wants_copilot_token(&self) -> bool {
        let endpoints = &self.candidate.endpoints;
        self.lease.as_ref().is_some_and(|lease| is_exchanged(endpoints, lease.secret()))
    }

    /// Where an attempt goes: a token may have an address of its own, for Copilot's own format.
    pub(super) fn url<'p>(&'p self, prepared: &'p Prepared) -> &'p Url {
        let token = self.copilot_token().filter(|_| prepared.asked_in().0 == ApiFormat::Copilot);
        token.and_then(|token| token.chat_url.as_ref()).unwrap_or_else(|| prepared.url())
    }

    /// Lets the next attempt be made with another token than this one.
    pub(in crate::relay) fn renew_token(&mut self) {
        self.copilot.refused = self.copilot.token.take();
    }

    /// The token of the attempt, in the place of the credential.
    pub(super) fn copilot_token(&self) -> Option<&CopilotToken> {
        self.copilot.token.as_deref()
    }
}

impl Dispatch {
    /// Gets the token for an attempt.
    pub(super) async fn take_copilot_token(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let Some(lease) = &attempt.lease else { return Ok(()) };
        let question = TakeCopilotToken {
            provider: Arc::clone(&attempt.candidate.provider),
            account: Arc::clone(lease.pooled()),
            refused: attempt.copilot.refused.clone(),
        };
        let asked = self.ask(&self.relay().recipients.copilot_token, question, ASK_TIMEOUT).await;
        let silent = || Failure::new(FailureClass::Silent, "no exchange of the GitHub token");
        attempt.copilot.token = Some(asked.ok().flatten().unwrap_or_else(|| Err(silent()))?);
        Ok(())
    }
}
