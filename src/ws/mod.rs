//! The event stream over a WebSocket: what goes over one connection, and how long it lives.
//!
//! Who may open one is decided by `http`; what is an event, by `actors::events`.

pub mod frames;
pub mod origin;
pub mod session;
