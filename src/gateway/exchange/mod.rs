//! One client's request and one upstream's answer: which bytes go up, and what becomes of those that
//! come down.
//!
//! Where both sides speak one dialect, bytes pass as they are; elsewhere they go through the common
//! form. Nothing here waits or calls anyone.

mod address;
#[cfg(test)]
mod admission_law;
mod api;
mod client_call;
mod client_request;
mod conversion;
mod count;
mod custom_tools;
mod envelope;
mod estimate;
mod event_pattern;
mod event_stream;
mod facts;
mod fit;
mod model_fields;
mod passed;
mod passed_log;
mod seen;
#[cfg(test)]
mod testing;
mod transcript;
mod unambiguous;
mod written;

pub use address::{Operation, address, is_served};
pub use api::{ClientApi, upstream_side};
pub use client_call::ClientCall;
pub use client_request::{ClientRequest, ForUpstream};
pub use conversion::{Conversion, WholeAnswer, counted};
pub use event_stream::{Ending, EventStream, Output};
pub use transcript::{SharedWriter, Transcript};
