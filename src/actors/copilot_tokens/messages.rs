//! What can be asked of CopilotTokens.

use std::sync::Arc;

use actix::Message;

use crate::{
    actors::credentials::PooledKey, domain::failure::Failure, domain::provider::Provider,
    gateway::copilot_token::CopilotToken,
};

/// Asks for the token that stands for a GitHub token at Copilot's API. Answered at once while one is
/// kept that lasts, and else when the exchange is over, which takes ten seconds at most.
///
/// Errors: how the exchange failed.
#[derive(Clone, Message)]
#[rtype(result = "Result<Arc<CopilotToken>, Failure>")]
pub struct TakeCopilotToken {
    pub provider: Arc<Provider>,
    /// Its secret is a GitHub token.
    pub account: Arc<PooledKey>,
    /// One that the API has refused. It is not given again.
    pub refused: Option<Arc<CopilotToken>>,
}
