//! The keys callers present: making, revoking and publishing them.
//!
//! What a client key may spend is not here; that belongs to limits.

mod actor;
mod key_ring;
mod key_watch;
mod messages;
mod minting;

pub use actor::AccessKeys;
pub use key_ring::KeyRing;
pub use key_watch::fault_of_key;
pub use messages::*;
pub use minting::{mint, parse_presented};
