//! State behind mailboxes: each actor owns its state alone and is told facts or asked questions.
//!
//! Rules live in cores that know neither actix nor the time; the actors are shells around them.

pub mod access_keys;
pub mod clock;
pub mod copilot_tokens;
pub mod credentials;
pub mod db;
pub mod discovery;
pub mod events;
pub mod health;
pub mod histories;
mod loading;
pub mod published;
pub mod registry;
pub mod router;
pub mod supervise;
pub mod traces;
pub mod usage_tracker;
