//! The HTTP surface: who may call, what they ask, how they are answered.
//!
//! Handlers extract, ask and show. No rule lives here but which status and words an error gets.

mod actors;
mod auth;
mod body;
mod connection;
mod endpoint;
mod json;
mod paging;
mod plane;
mod problem;
mod query;
mod relayed;
mod routes;
mod routing_headers;
mod servable;
mod server;
mod settings;

pub use actors::Actors;
pub use body::BodyLimits;
pub use connection::{Limits, Timeouts, TrustedProxies};
pub use routes::openapi::document;
pub use server::Server;
pub use settings::ServerSettings;
