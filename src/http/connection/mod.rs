//! One connection of a client, below the requests that come over it: how many there may be, how long
//! each may take over what, and how it ends. Nothing here knows routes or keys.

mod deadlines;
mod forwarded;
mod framing;
mod limits;
mod malformed;
mod requests;
mod serve;
mod socket;
mod state;

pub use deadlines::Timeouts;
pub use forwarded::TrustedProxies;
pub use limits::{Connections, Limits};
pub use malformed::MalformedLog;
pub use serve::Listener;
pub use state::BodyInConnection;
