//! Asks providers what they speak. Keeps nothing: what it finds is told to the Registry.
//!
//! The questions and what the answers tell are in
//! [`domain::format_evidence`](crate::domain::format_evidence).

mod actor;
mod messages;
mod queue;

pub use actor::Discovery;
pub use messages::*;
