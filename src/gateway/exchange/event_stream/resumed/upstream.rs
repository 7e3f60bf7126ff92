//! Streams as upstreams send them.

use serde_json::{Value, json};

use crate::{
    domain::provider::ApiFormat,
    gateway::exchange::passed_log::TextKind::{self, Reasoning, Refusal, Text},
};

/// What one event says.
pub type Words<'a> = (TextKind, &'a str);

pub const FORMATS: [ApiFormat; 5] = [
    ApiFormat::Openai,
    ApiFormat::Responses,
    ApiFormat::Anthropic,
    ApiFormat::Google,
    ApiFormat::Ollama,
];

/// The same words in pieces of `size` characters.
pub fn in_pieces(said: &[Words<'_>], size: usize) -> Vec<(TextKind, String)> {
    let mut pieces: Vec<(TextKind, String)> = Vec::new();
    for (kind, words) in said {
        for letter in words.chars() {
            match pieces.last_mut() {
                Some((last, piece)) if last == kind && piece.chars().count() < size => {
                    piece.push(letter);
                }
                _ => pieces.push((*kind, letter.to_string())),
            }
        }
    }
    pieces
}

/// The events of a whole answer, named after `id` where they have names.
pub fn events(format: ApiFormat, id: &str, said: &[Words<'_>]) -> Vec<String> {
    match format {
        ApiFormat::Responses => responses(id, said),
        ApiFormat::Anthropic => messages(id, said),
        ApiFormat::Google => gemini(id, said, |chunk| chunk),
        ApiFormat::Cloudcode => gemini(id, said, |chunk| json!({"response": chunk})),
        ApiFormat::Ollama => ollama(said),
        ApiFormat::Openai | ApiFormat::Copilot => chat(id, said),
    }
}

fn event(data: &Value) -> String {
    match data["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}

fn chat(id: &str, said: &[Words<'_>]) -> Vec<String> {
    let chunk = |delta: Value, finish: Option<&str>| {
        event(&json!({
            "id": id, "object": "chat.completion.chunk", "created": 7, "model": format!("of {id}"),
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "provider": id,
        }))
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    for (kind, words) in said {
        let field = match kind {
            Text => "content",
            Reasoning => "reasoning_content",
            Refusal => "refusal",
        };
        events.push(chunk(json!({field: words}), None));
    }
    events.push(chunk(json!({}), Some("stop")));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn messages(id: &str, said: &[Words<'_>]) -> Vec<String> {
    let mut events = vec![
        event(&json!({"type": "message_start", "message": {
            "id": id, "type": "message", "role": "assistant", "model": format!("of {id}"),
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 5, "output_tokens": 1}}})),
        event(&json!({"type": "ping"})),
    ];
    for (index, part) in said.chunk_by(|a, b| a.0 == b.0).enumerate() {
        let (block, kind, field) = match part[0].0 {
            Reasoning => (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                "thinking_delta",
                "thinking",
            ),
            Text | Refusal => (json!({"type": "text", "text": ""}), "text_delta", "text"),
        };
        events.push(event(
            &json!({"type": "content_block_start", "index": index, "content_block": block}),
        ));
        for (_, words) in part {
            events.push(event(&json!({"type": "content_block_delta", "index": index,
                "delta": {"type": kind, field: words}})));
            events.push(event(&json!({"type": "ping"})));
        }
        events.push(event(&json!({"type": "content_block_stop", "index": index})));
    }
    events.push(event(&json!({"type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 9}})));
    events.push(event(&json!({"type": "message_stop"})));
    events
}

fn gemini(id: &str, said: &[Words<'_>], around: impl Fn(Value) -> Value) -> Vec<String> {
    let mut told = 1;
    let mut chunk = |part: Value, finish: Option<&str>| {
        told += 1;
        let mut candidate = json!({"content": {"role": "model", "parts": [part]}, "index": 0});
        if let Some(reason) = finish {
            candidate["finishReason"] = reason.into();
        }
        event(&around(json!({"candidates": [candidate], "responseId": id,
            "modelVersion": format!("of {id}"),
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": told}})))
    };
    let mut events: Vec<String> = said
        .iter()
        .map(|(kind, words)| match kind {
            Reasoning => chunk(json!({"text": words, "thought": true}), None),
            Text | Refusal => chunk(json!({"text": words}), None),
        })
        .collect();
    events.push(chunk(json!({"text": ""}), Some("STOP")));
    events
}

fn ollama(said: &[Words<'_>]) -> Vec<String> {
    let line = |message: Value, done: bool| {
        let mut line = json!({"model": "m", "created_at": "2026-01-01T00:00:00Z",
            "message": message, "done": done});
        if done {
            line["done_reason"] = "stop".into();
            line["eval_count"] = 2.into();
        }
        format!("{line}\n")
    };
    let mut lines: Vec<String> = said
        .iter()
        .map(|(kind, words)| match kind {
            Reasoning => {
                line(json!({"role": "assistant", "content": "", "thinking": words}), false)
            }
            Text | Refusal => line(json!({"role": "assistant", "content": words}), false),
        })
        .collect();
    lines.push(line(json!({"role": "assistant", "content": ""}), true));
    lines
}

/// Numbers the events as they are added.
#[derive(Default)]
struct Numbered(Vec<String>);

impl Numbered {
    fn add(&mut self, mut data: Value) {
        data["sequence_number"] = self.0.len().into();
        self.0.push(event(&data));
    }
}

fn responses(id: &str, said: &[Words<'_>]) -> Vec<String> {
    let response = |status: &str, output: &[Value]| {
        json!({"id": id, "object": "response", "created_at": 7, "status": status,
            "model": format!("of {id}"), "output": output,
            "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}})
    };
    let mut events = Numbered::default();
    for kind in ["response.created", "response.in_progress"] {
        events.add(json!({"type": kind, "response": response("in_progress", &[])}));
    }
    let mut output = Vec::new();
    for (index, part) in said.chunk_by(|a, b| a.0 == b.0).enumerate() {
        let text: String = part.iter().map(|(_, words)| *words).collect();
        let item_id = format!("item_{id}_{index}");
        let is_thought = part[0].0 == Reasoning;
        let kind = if is_thought { "reasoning_summary" } else { "output" };
        let (part_kind, part_name) = if is_thought {
            ("summary_text", "response.reasoning_summary_part")
        } else {
            ("output_text", "response.content_part")
        };
        let at = if is_thought { "summary_index" } else { "content_index" };
        let whole = |text: &str| {
            let mut part = json!({"type": part_kind, "text": text});
            if !is_thought {
                part["annotations"] = json!([]);
            }
            part
        };
        let item = |parts: Vec<Value>| {
            if is_thought {
                json!({"type": "reasoning", "id": item_id, "summary": parts})
            } else {
                json!({"type": "message", "id": item_id, "role": "assistant",
                    "status": "completed", "content": parts})
            }
        };
        let about =
            |kind: &str| json!({"type": kind, "item_id": item_id, "output_index": index, at: 0});
        events.add(json!({"type": "response.output_item.added", "output_index": index,
            "item": item(vec![])}));
        let mut added = about(&format!("{part_name}.added"));
        added["part"] = whole("");
        events.add(added);
        for (_, words) in part {
            let mut delta = about(&format!("response.{kind}_text.delta"));
            delta["delta"] = (*words).into();
            events.add(delta);
        }
        let mut done = about(&format!("response.{kind}_text.done"));
        done["text"] = text.clone().into();
        events.add(done);
        let mut done = about(&format!("{part_name}.done"));
        done["part"] = whole(&text);
        events.add(done);
        output.push(item(vec![whole(&text)]));
        events.add(json!({"type": "response.output_item.done", "output_index": index,
            "item": output[index]}));
    }
    events.add(json!({"type": "response.completed", "response": response("completed", &output)}));
    events.0
}
