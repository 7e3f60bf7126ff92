//! The path of one request: admit → plan → attempt → settle.
//!
//! Knows no HTTP server: it takes a body and gives an answer, whole or as a stream of bytes. Talks
//! to actors, and to upstreams through `gateway`.

mod admit;
mod alarm;
mod attempt;
mod client_stream;
mod count_tokens;
mod deadline;
mod dispatch;
mod error;
mod gate;
mod history;
mod inquiry;
mod journey;
mod live_stream;
mod outbox;
mod prepare;
mod prove;
mod reports;
mod resume;
mod retry;
mod run;
mod serve;
mod services;
mod settle;
mod soft_limit;

pub use admit::{Incoming, admit, check_allowed, enter};
pub use client_stream::{BrokenStream, ClientStream};
pub use deadline::Deadline;
pub use error::RelayError;
pub use gate::{Gate, Permit};
pub use journey::{exclusion_trace, plan_trace};
pub use prepare::{format_plan, losses};
pub use serve::{Answered, Served, serve};
pub use services::{Relay, RelayPeers, RelaySettings, RelaySights};
pub use soft_limit::SoftLimits;
