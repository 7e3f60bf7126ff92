//! Calling upstreams over HTTP: by hyper where the way is straight, by reqwest where it leads through a
//! proxy. Both appear here and nowhere else.
//!
//! One [`Upstream`] per worker thread; what all of them share is loaded once, in
//! [`UpstreamSettings`]. Every failure leaves here as a [`Failure`](crate::domain::failure::Failure).

mod address;
mod anthropic_limits;
mod body;
mod client;
mod direct;
mod proxy_clients;
mod request;
mod resolver;
mod response;
mod retry_after;
mod reused_connection;
mod settings;
mod transport;
mod verdict;

#[cfg(test)]
mod tests;

pub use address::{AddressRefused, BaseUrlError, check_address, check_base_url};
pub use client::Upstream;
pub use request::{UpstreamRequest, Waits};
pub use response::UpstreamResponse;
pub use settings::{UpstreamSettings, UpstreamSetupError};
pub use verdict::ruled_inside;
