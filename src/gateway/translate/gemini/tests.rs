//! Fixtures there and back, and what the writers write.

mod answers;
mod malformed;
mod requests;
mod streams;

use serde_json::Value;

use super::{Gemini, answer_in};
use crate::{
    domain::{
        chat::{Answer, Delta, Request},
        id::ModelName,
        time::Timestamp,
    },
    gateway::translate::{
        ClientSide, EventOutcome, PathParams, ReadStream, ResponseContext, Target,
    },
};

/// The cases that each have a whole answer and the same one as a stream.
const ANSWERS: [&str; 14] = [
    "plain",
    "tools",
    "parallel_tools",
    "thinking",
    "thinking_tools",
    "refusal",
    "max_tokens",
    "stop_text",
    "cached_usage",
    "schema",
    "filtered",
    "grounding",
    "own_parts",
    "candidates",
];

fn fixture(path: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/gemini/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).expect(&path)
}

fn model(name: &str) -> ModelName {
    ModelName::parse(name).unwrap()
}

fn read_request(body: &[u8]) -> Request {
    let addressed = PathParams { model: Some(model("gemini-2.5-flash")), stream: Some(false) };
    Gemini.read_request(body, &addressed).unwrap()
}

fn target(model: &ModelName) -> Target<'_> {
    Target { model, max_output_tokens: None, asks_stream_usage: false }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(bytes)))
}

/// Shows an answer as one with a fixed id, to a request that says nothing.
fn with_shown<T>(use_it: impl FnOnce(&ResponseContext<'_>) -> T) -> T {
    let model = model("pool/gemini");
    let request = Request::new(model.clone(), Vec::new());
    let created = Timestamp::from_millis(1_767_225_600_000);
    use_it(&ResponseContext { id: "r1", created, model: &model, request: &request })
}

/// The data of each event, in order.
fn events(stream: &[u8]) -> Vec<&str> {
    let lines = std::str::from_utf8(stream).unwrap().lines();
    lines.filter_map(|line| line.strip_prefix("data: ")).collect()
}

/// What a reader makes of events, put together, and how each was taken.
fn assemble(reader: &mut dyn ReadStream, events: &[&str]) -> (Answer, Vec<EventOutcome>) {
    let mut answer = Answer::default();
    let said = events.iter().map(|event| {
        reader.read(event.as_bytes(), &mut |delta| answer_in::add(&mut answer, delta)).unwrap()
    });
    let said = said.collect();
    (answer, said)
}

/// The deltas of events, to be written again.
fn replay(reader: &mut dyn ReadStream, events: &[&str], sink: &mut dyn FnMut(Delta<'_>)) {
    for event in events {
        assert_eq!(reader.read(event.as_bytes(), sink), Ok(EventOutcome::More), "{event}");
    }
}
