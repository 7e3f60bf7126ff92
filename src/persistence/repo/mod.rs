//! Repositories: one file per aggregate, one function per need.

pub mod access_keys;
pub mod cooldowns;
pub mod credentials;
pub mod named;
pub mod providers;
pub mod usage;
pub mod usage_hours;
