//! What is held against providers, models and credentials: cooldowns, failures that are counted, incidents
//! and who may try what was cooling. Requests choose by what is published of it.
//!
//! The rules are in `domain::health`; which credentials there are is told by `credentials`, in which order
//! candidates are asked by `router`.

mod actor;
mod messages;
mod store;

pub use actor::{Health, HealthRecipients};
pub use messages::*;
