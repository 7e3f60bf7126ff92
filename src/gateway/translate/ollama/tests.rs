//! Fixtures there and back, exact forms of the important ones, and what must not break it.

mod clients;
mod fixtures;
mod malformed;
mod upstreams;

use std::fs;

use serde_json::Value;

use super::{OllamaChat, OllamaGenerate};
use crate::{
    domain::{
        chat::{Answer, Choice, Content, Delta, Part, Reasoning, Request, ToolCall, Usage},
        id::ModelName,
        time::Timestamp,
    },
    gateway::translate::{
        ClientSide, ErrorView, EventOutcome, PathParams, ReadStream, ResponseContext, Target,
        UpstreamSide, Written,
    },
};

/// Thu, 01 Jan 2026 00:00:00 GMT.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The files of a folder of fixtures, by name and sorted.
fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/tests/fixtures/ollama/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect(&folder)
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn fixture(folder: &str, name: &str) -> Vec<u8> {
    let found = fixtures(folder).into_iter().find(|(found, _)| found == name);
    found.unwrap_or_else(|| panic!("{folder}/{name}")).1
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("it is JSON")
}

fn model(name: &str) -> ModelName {
    ModelName::parse(name).unwrap()
}

fn read_chat(body: &[u8]) -> Request {
    OllamaChat.read_request(body, &PathParams::default()).expect("it is a request")
}

fn read_chat_fixture(name: &str) -> Request {
    read_chat(&fixture("requests", name))
}

fn write_chat(request: &Request) -> Written {
    let target =
        Target { model: &request.model, max_output_tokens: None, asks_stream_usage: false };
    OllamaChat.write_request(request, &target)
}

fn any_request() -> Request {
    Request::new(model("asked-for"), Vec::new())
}

fn shown(request: &Request) -> ResponseContext<'_> {
    ResponseContext { id: "abc123", created: NOW, model: &request.model, request }
}

/// Feeds lines to a reader. What it made of the last.
fn feed(
    reader: &mut dyn ReadStream,
    stream: &[u8],
    sink: &mut dyn FnMut(Delta<'_>),
) -> Option<EventOutcome> {
    let lines = stream.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| reader.read(line, sink).expect("it is a line of the stream")).last()
}

/// The deltas of a stream, as they are shown for debugging.
fn deltas(stream: &[u8]) -> Vec<String> {
    let mut seen = Vec::new();
    let said = feed(&mut *OllamaChat.stream_reader(), stream, &mut |delta| {
        seen.push(format!("{delta:?}"));
    });
    assert_eq!(said, Some(EventOutcome::Done));
    seen
}

/// An answer put together of what a stream adds to it.
#[derive(Default)]
struct Folded(Answer);

impl Folded {
    fn add(&mut self, delta: Delta<'_>) {
        if let Delta::Begin { model, .. } = &delta {
            self.0.model = model.as_ref().map(|model| model.clone().into_owned());
            self.0.choices.push(Choice::default());
            return;
        }
        if let Delta::Usage(usage) = delta {
            self.0.usage = Some(usage);
            return;
        }
        let choice = self.0.choices.last_mut().expect("it has begun");
        let last = choice.parts.last_mut().map(|part| &mut part.content);
        match (delta, last) {
            (Delta::Text { text: more, .. }, Some(Content::Text { text, .. }))
            | (
                Delta::Reasoning { text: more, .. },
                Some(Content::Reasoning(Reasoning { text, .. })),
            ) => {
                text.push_str(&more);
            }
            (Delta::CallInput { text: more, .. }, Some(Content::ToolCall(call))) => {
                call.input.push_str(&more);
            }
            (Delta::Text { text, .. }, _) => choice.parts.push(Part::text(text)),
            (Delta::Reasoning { text, is_summary, .. }, _) => {
                let text = text.into_owned();
                let thoughts = Reasoning { text, is_summary, ..Reasoning::default() };
                choice.parts.push(Content::Reasoning(thoughts).into());
            }
            (Delta::CallBegin { id, name, kind, signature, .. }, _) => {
                let (id, name, input) = (id.into_owned(), name.into_owned(), String::new());
                let call = ToolCall { id, name, kind, input, signature };
                choice.parts.push(Content::ToolCall(call).into());
            }
            (Delta::Logprobs { tokens, .. }, _) => {
                choice.logprobs.get_or_insert_default().extend(tokens);
            }
            (Delta::Stop { reason, .. }, _) => choice.stop = reason,
            (other, _) => panic!("unexpected {other:?}"),
        }
    }
}
