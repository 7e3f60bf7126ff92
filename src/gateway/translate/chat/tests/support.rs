//! Fixtures, and deltas put together again.

use std::{fs, path::PathBuf, sync::LazyLock};

use bytes::Bytes;
use serde_json::Value;

use crate::{
    domain::{
        chat::{
            Answer, Choice, Content, Delta, Losses, Part, Reasoning, Request, StopReason, ToolCall,
        },
        failure::Failure,
        id::ModelName,
        time::Timestamp,
    },
    gateway::{
        stream::sse::{Framer, MAX_EVENT_BYTES},
        translate::{
            ClientSide, EventOutcome, Framing, PathParams, ReadStream, ResponseContext, Target,
            UpstreamSide, Written, chat::Chat,
        },
    },
};

pub fn folder(kind: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/chat").join(kind)
}

/// The bytes of a fixture, by a name such as `answers/plain.json`.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = folder(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of all cases of a kind, without their endings.
pub fn cases(kind: &str) -> Vec<String> {
    let entries = fs::read_dir(folder(kind)).expect(kind);
    let mut names: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect(kind).path();
            path.file_stem().expect(kind).to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{kind}");
    names
}

pub fn model(name: &str) -> ModelName {
    ModelName::parse(name).expect(name)
}

pub fn read_request(body: &[u8]) -> Request {
    Chat.read_request(body, &PathParams::default()).expect("a request")
}

pub fn write_request(request: &Request) -> Written {
    let asks_stream_usage = request.wants_stream_usage;
    let target = Target { model: &request.model, max_output_tokens: None, asks_stream_usage };
    Chat.write_request(request, &target)
}

static REQUEST: LazyLock<Request> = LazyLock::new(|| Request::new(model("asked"), Vec::new()));
static MODEL: LazyLock<ModelName> = LazyLock::new(|| model("asked"));

pub fn shown() -> ResponseContext<'static> {
    shown_for(&REQUEST)
}

pub fn shown_for(request: &Request) -> ResponseContext<'_> {
    let created = Timestamp::from_millis(1_763_776_800_123);
    ResponseContext { id: "01", created, model: &MODEL, request }
}

pub fn write_answer(answer: &Answer, shown: &ResponseContext<'_>) -> (Value, Losses) {
    let mut losses = Losses::default();
    let bytes = Chat.write_answer(answer, shown, &mut losses);
    (serde_json::from_slice(&bytes).expect("JSON"), losses)
}

/// JSON without what says nothing, so that two ways of saying the same are equal.
pub fn meaning(mut json: Value, of_no_meaning: &[&str]) -> Value {
    fn clean(json: &mut Value, of_no_meaning: &[&str]) {
        match json {
            Value::Object(fields) => {
                fields.retain(|name, value| {
                    clean(value, of_no_meaning);
                    let is_nothing = value.is_null()
                        || value.as_array().is_some_and(Vec::is_empty)
                        || value.as_object().is_some_and(serde_json::Map::is_empty)
                        || *value == 0;
                    (!is_nothing || name == "index" || name == "start_index")
                        && !of_no_meaning.contains(&&**name)
                });
            }
            Value::Array(items) => items.iter_mut().for_each(|item| clean(item, of_no_meaning)),
            _ => (),
        }
    }

    clean(&mut json, of_no_meaning);
    json
}

/// Everything a stream has said: the answer it amounts to, or its failure.
pub fn read_stream(bytes: &[u8], piece: usize) -> Result<Answer, Box<Failure>> {
    assert_eq!(Chat.framing(), Framing::Sse);
    let mut framer = Framer::new(MAX_EVENT_BYTES);
    let mut reader = Chat.stream_reader();
    let mut whole = Assembly::default();
    let mut is_done = false;
    for piece in bytes.chunks(piece) {
        let frames = framer.feed(Bytes::copy_from_slice(piece));
        let buffer = frames.buffer().clone();
        for frame in frames {
            let event = frame.expect("an event of a usual length");
            let said = reader.read(event.data(&buffer), &mut |delta| whole.add(delta));
            match said.expect("a chunk") {
                EventOutcome::More | EventOutcome::Idle | EventOutcome::Foreign => {
                    assert!(!is_done, "something after the end");
                }
                EventOutcome::Done => is_done = true,
                EventOutcome::DoneInPart => panic!("something was not read"),
                EventOutcome::Failed(failure) => return Err(failure),
            }
        }
    }
    assert!(is_done, "no terminal event");
    whole.answer.losses = reader.losses().clone();
    Ok(whole.answer)
}

/// All deltas of a stream, one by one.
pub fn each_delta(bytes: &[u8], sink: &mut dyn FnMut(Delta<'_>)) {
    let mut framer = Framer::new(MAX_EVENT_BYTES);
    let mut reader: Box<dyn ReadStream> = Chat.stream_reader();
    let frames = framer.feed(Bytes::copy_from_slice(bytes));
    let buffer = frames.buffer().clone();
    for frame in frames {
        reader.read(frame.unwrap().data(&buffer), sink).unwrap();
    }
}

/// Puts an answer together as [`Delta`] says its pieces belong together.
#[derive(Default)]
pub struct Assembly {
    pub answer: Answer,
    broken: bool,
}

impl Assembly {
    fn choice(&mut self, index: u32) -> &mut Choice {
        let index = index as usize;
        while self.answer.choices.len() <= index {
            self.answer.choices.push(Choice::default());
        }
        &mut self.answer.choices[index]
    }

    pub fn add(&mut self, delta: Delta<'_>) {
        let broken = std::mem::take(&mut self.broken);
        match delta {
            Delta::Begin { id, model } => {
                self.answer.id = id.map(Into::into);
                self.answer.model = model.map(Into::into);
            }
            Delta::Tier(tier) => self.answer.service_tier = Some(tier.into_owned()),
            Delta::ReasoningBegin { .. } => panic!("ids of thoughts are in their signatures"),
            Delta::Text { choice, text } => {
                let parts = &mut self.choice(choice).parts;
                match parts.last_mut().map(|part| &mut part.content) {
                    Some(Content::Text { text: all, .. }) if !broken => all.push_str(&text),
                    _ => parts.push(Part::text(text)),
                }
            }
            Delta::Reasoning { choice, text, is_summary } => {
                let parts = &mut self.choice(choice).parts;
                match parts.last_mut().map(|part| &mut part.content) {
                    Some(Content::Reasoning(all))
                        if !broken && all.signature.is_none() && all.is_summary == is_summary =>
                    {
                        all.text.push_str(&text);
                    }
                    _ => {
                        let text = text.into_owned();
                        let thought = Reasoning { text, is_summary, ..Reasoning::default() };
                        parts.push(Content::Reasoning(thought).into());
                    }
                }
            }
            Delta::ReasoningSignature { choice, signature, is_redacted } => {
                let parts = &mut self.choice(choice).parts;
                match parts.last_mut().map(|part| &mut part.content) {
                    Some(Content::Reasoning(all)) if !is_redacted => {
                        all.signature = Some(signature);
                    }
                    _ => {
                        let signature = Some(signature);
                        let thought = Reasoning { signature, is_redacted, ..Reasoning::default() };
                        parts.push(Content::Reasoning(thought).into());
                    }
                }
            }
            Delta::Refusal { choice, text } => {
                let parts = &mut self.choice(choice).parts;
                match parts.last_mut().map(|part| &mut part.content) {
                    Some(Content::Refusal(all)) => all.push_str(&text),
                    _ => parts.push(Content::Refusal(text.into_owned()).into()),
                }
            }
            Delta::CallBegin { choice, id, name, kind, signature, .. } => {
                let call = ToolCall {
                    id: id.into_owned(),
                    name: name.into_owned(),
                    kind,
                    input: String::new(),
                    signature,
                };
                self.choice(choice).parts.push(Content::ToolCall(call).into());
            }
            Delta::CallInput { choice, number, text } => {
                let parts = self.choice(choice).parts.iter_mut();
                let mut calls = parts.filter_map(|part| match &mut part.content {
                    Content::ToolCall(call) => Some(call),
                    _ => None,
                });
                calls.nth(number as usize).expect("a call that has begun").input.push_str(&text);
            }
            Delta::Citation { choice, citation } => {
                let parts = self.choice(choice).parts.iter_mut().rev();
                let mut texts = parts.filter_map(|part| match &mut part.content {
                    Content::Text { citations, .. } => Some(citations),
                    _ => None,
                });
                texts.next().expect("a text that cites").push(*citation);
            }
            Delta::Whole { choice, part } => self.choice(choice).parts.push(*part),
            Delta::Logprobs { choice, tokens } => {
                self.choice(choice).logprobs.get_or_insert_default().extend(tokens);
            }
            Delta::Break { .. } => self.broken = true,
            Delta::Stop { choice, reason } => self.choice(choice).stop = reason,
            Delta::Usage(usage) => self.answer.usage = Some(usage),
        }
    }
}

/// An answer of one choice.
pub fn answer_of(parts: Vec<Part>, stop: StopReason) -> Answer {
    let choice = Choice { parts, stop, logprobs: None };
    Answer { choices: vec![choice], ..Answer::default() }
}
