//! The commands, run as a person or a supervisor runs them: the real binary in a folder of its own.

#![expect(
    clippy::unwrap_used,
    reason = "in tests, helpers of tests included, it says what is wrong"
)]

mod demo;
mod first_start;
mod keys;
mod logs;
mod settings;
mod stopping;
mod storage;
#[path = "../support/mod.rs"]
mod support;
mod upstream;

use std::net::SocketAddr;

/// A configuration with one provider, which serves the model `m`.
fn with_provider(upstream: SocketAddr) -> String {
    format!(
        r#"
        [[providers]]
        id = "upstream"
        base_url = "http://{upstream}/v1"
        location = "local"
        models = [{{ name = "m" }}]
        api_keys = ["sk-not-to-be-seen"]
        "#
    )
}

/// A question to the model `m`.
const QUESTION: &str = r#"{"model":"m","messages":[{"role":"user","content":"Say hello."}]}"#;
const STREAMED_QUESTION: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Say hello."}]}"#;
/// Where questions go.
const CHAT: &str = "POST /v1/chat/completions";
