//! What the tests stand on: the application, its callers, and the upstream behind it.

mod app;
mod database;
pub mod dialect;
mod events;
mod reply;
pub mod script;
mod upstream;
mod wait;

pub use app::{
    Ledger, Setup, TestApp, chat_body, named_body, provider, secret_of, served, with_json,
};
pub use database::{Database, on_every_database};
pub use events::EventStream;
pub use reply::{Reply, Streaming};
pub use upstream::{Seen, Upstream, Which, closed_port};
pub use wait::{eventually, settled, within};
