//! The wire: what dialects look like in bytes, how streams are framed, how upstreams are called,
//! and what their failures mean.
//!
//! Keeps nothing between requests but open connections. Decides nothing about where a request goes.

pub mod copilot_token;
pub mod dialect;
pub mod exchange;
pub mod failure;
mod mended;
pub mod secret_mask;
pub mod stream;
mod times;
pub mod tokens;
pub mod translate;
pub mod upstream;
