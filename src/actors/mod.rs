//! State behind mailboxes: each actor owns its state alone and is told facts or asked questions.
//!
//! Rules live in cores that know neither actix nor the time; the actors are shells around them.

pub mod events;
pub mod supervise;
