//! What the tests stand on: the application, its callers, and the upstream behind it.

use std::io::{self, Write as _};

mod app;
mod database;
pub mod dialect;
mod events;
mod pool;
#[path = "../../support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the commands, which use more of it")]
mod process;
mod released;
mod reply;
pub mod script;
mod upstream;
mod wait;

pub use app::{Setup, TestApp, provider, served};
pub use database::{Database, on_every_database};
pub use events::EventStream;
pub use pool::{Ledger, Pool, chat_body, named_body, secret_of, with_json};
pub use released::Released;
pub use reply::{Reply, Streaming};
pub use upstream::{Seen, Upstream, Which, closed_port};
pub use wait::{eventually, settled, within};

/// Says which tests are skipped, or run in another way than the usual.
pub fn tell(what: &str) {
    // Not `eprintln!`, which the test harness swallows when a test passes.
    let mut stderr = io::stderr();
    writeln!(stderr, "{what}").unwrap();
}
