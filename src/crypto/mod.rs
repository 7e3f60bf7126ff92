//! Secrets: the master key, sealing at rest, keyed hashes.
//!
//! Works on bytes and texts alone. What is sealed, where it is stored and who may ask for it is
//! decided elsewhere; nothing here knows the database, the configuration or an actor.

pub mod mac;
pub mod master_key;
pub mod seal;
