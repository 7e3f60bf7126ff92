//! What authenticates us at providers: keys in memory, which of them is next, and their health.
//!
//! How a key is sealed at rest is the Db actor's; whether a provider is used at all the Registry's.

mod actor;
mod credential_pool;
mod messages;

pub use actor::{Credentials, CredentialsPeers};
pub use credential_pool::{CredentialDirectory, CredentialPool};
pub use messages::*;
