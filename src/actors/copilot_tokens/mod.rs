//! The short-lived tokens of GitHub Copilot, one for each account: kept while they last, in memory
//! alone, and got anew for all who wait for one at once.
//!
//! What an exchange looks like on the wire is in [`gateway::copilot_token`](crate::gateway::copilot_token).

mod actor;
mod messages;
mod token_state;

pub use actor::CopilotTokens;
pub use messages::*;
