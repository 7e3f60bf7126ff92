//! Streams of events: how bytes become events, and what a stream of them amounts to.
//!
//! Pure state machines over bytes. They wait for nothing and write nothing.

pub mod chat_stream;
pub mod lines;
mod resumption;
pub mod sse;
pub mod transcript;
