//! The path of one request: admit → plan → attempt → settle.
//!
//! Knows no HTTP server: it takes a body and gives an answer, whole or as a stream of bytes. Talks
//! to actors, and to upstreams through `gateway`.

mod admit;
mod admitted_request;
mod alarm;
mod attempt;
mod client_stream;
mod commit;
mod count_tokens;
mod deadline;
mod dispatch;
mod error;
mod gate;
mod history;
mod live_stream;
mod outbox;
mod prepare;
mod reports;
mod resume;
mod retry;
mod run;
mod serve;
mod services;
mod settle;
mod soft_limit;
mod trace_builder;

pub use admit::{Incoming, admit, check_allowed, enter};
pub use client_stream::{BrokenStream, ClientStream};
pub use deadline::Deadline;
pub use error::RelayError;
pub use gate::{Gate, Permit};
pub use prepare::{format_plan, losses};
pub use serve::{Answered, Served, serve};
pub use services::{Recipients, Relay, RelaySettings, Snapshots};
pub use soft_limit::SoftLimits;
pub use trace_builder::{exclusion_trace, plan_trace};
