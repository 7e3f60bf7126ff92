//! Repositories: one file per aggregate, one function per need.

pub mod access_keys;
pub mod aliases;
pub mod cooldowns;
pub mod credentials;
pub mod providers;
pub mod routes;
pub mod usage;
