//! What authenticates us at providers: keys in memory, and which of them is next.
//!
//! How a key is sealed at rest is the Db actor's; whether a provider is used at all the Registry's; what is
//! held against a key is known to `health`.

mod actor;
mod affinity;
mod change;
mod credential_pool;
mod directory;
mod lease;
mod messages;

pub use actor::{Credentials, CredentialsRecipients};
pub use affinity::{Affinity, Binding};
pub use credential_pool::CredentialPool;
pub use directory::{
    Availability, CredentialDirectory, CredentialStatus, KeyStats, LeaseRequest, PooledKey,
};
pub use lease::Lease;
pub use messages::*;
