//! Streams of events: how bytes become events.
//!
//! Pure state machines over bytes. They wait for nothing and write nothing.

pub mod halves;
pub mod lines;
pub mod sse;
