//! The edge, tried from outside: the real binary, with sockets written by hand where a client library
//! would be too polite. Nobody gets in, nobody holds it open, nothing leaks.

#![expect(
    clippy::unwrap_used,
    reason = "in tests, helpers of tests included, it says what is wrong"
)]

mod checked_is_sent;
mod chunks;
mod clock;
mod echoed_secrets;
mod heads;
mod limits;
mod malformed;
mod pasted_keys;
mod routes;
mod scripted;
mod slow_clients;
mod storage;
#[path = "../support/mod.rs"]
mod support;
mod wait;

mod revoked;
