//! The traces of the last requests, for a person who wonders what became of one.
//!
//! In memory alone: a trace is a help, not an account. What is on the ledger is the usage tracker's.

mod actor;
mod messages;
mod trace_ring;

pub use actor::Traces;
pub use messages::*;
