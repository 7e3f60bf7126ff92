//! The words of the pool: ids, amounts, providers, keys, usage, failures, cooldowns, events.
//!
//! Values and rules only. Nothing here does I/O, reads a clock, or knows another folder.

pub mod access_key;
pub mod chat;
pub mod cooldown;
pub mod cooling;
pub mod credential;
pub mod database_location;
pub mod embedding;
pub mod event;
pub mod failure;
pub mod format;
pub mod format_evidence;
pub mod health;
pub mod id;
pub mod incident;
pub mod merge_patch;
pub mod model;
pub mod model_rules;
pub mod name;
pub mod pattern;
pub mod penalty;
pub mod provider;
pub mod response_history;
pub mod rotation;
pub mod route;
pub mod rule;
pub mod running_stats;
pub mod scope_map;
pub mod session;
pub mod setting;
pub mod sorted_list;
pub mod time;
pub mod trace;
pub mod usage;
pub mod version_order;
