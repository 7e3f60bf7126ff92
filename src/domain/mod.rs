//! The words of the pool: ids, amounts, providers, keys, usage, failures, cooldowns, events.
//!
//! Values and rules only. Nothing here does I/O, reads a clock, or knows another folder.

pub mod access_key;
pub mod cooldown;
pub mod credential;
pub mod event;
pub mod failure;
pub mod id;
pub mod penalty;
pub mod provider;
pub mod time;
pub mod usage;
