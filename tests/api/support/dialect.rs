//! What clients and upstreams of every dialect say to each other.

use providerpool::domain::provider::ApiFormat;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    Pool,
    script::{Answer, Script, raw, stream},
};

pub const FORMATS: [ApiFormat; 5] = [
    ApiFormat::Openai,
    ApiFormat::Responses,
    ApiFormat::Anthropic,
    ApiFormat::Google,
    ApiFormat::Ollama,
];

/// A client's way of asking and reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Chat,
    Completions,
    Responses,
    Messages,
    Gemini,
    GeminiArray,
    OllamaChat,
    OllamaGenerate,
}

pub const CLIENTS: [Client; 8] = [
    Client::Chat,
    Client::Completions,
    Client::Responses,
    Client::Messages,
    Client::Gemini,
    Client::GeminiArray,
    Client::OllamaChat,
    Client::OllamaGenerate,
];

/// A good answer, "Hello world", of 5 prompt and 2 output tokens.
pub fn whole(format: ApiFormat) -> Answer {
    saying(format, "Hello world")
}

/// A good answer of this text.
pub fn saying(format: ApiFormat, said: &str) -> Answer {
    let body = match format {
        ApiFormat::Responses => json!({
            "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
            "model": "upstream-model", "output": [{
                "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": said, "annotations": []}],
            }],
            "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
        }),
        ApiFormat::Anthropic => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model",
            "content": [{"type": "text", "text": said}], "stop_reason": "end_turn",
            "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 2},
        }),
        ApiFormat::Google => json!({
            "candidates": [{
                "content": {"role": "model", "parts": [{"text": said}]},
                "finishReason": "STOP", "index": 0,
            }],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
            "modelVersion": "upstream-model", "responseId": "r1",
        }),
        ApiFormat::Ollama => json!({
            "model": "upstream-model", "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": said},
            "done": true, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2,
        }),
        _ => return super::script::whole(said),
    };
    raw(200, body.to_string())
}

fn event(data: &Value) -> String {
    match data["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}

/// The events of the same answer up to its last one, and that.
pub fn events(format: ApiFormat) -> (Vec<String>, String) {
    events_saying(format, &["Hello", " world"])
}

/// The events of an answer of these texts up to its last one, and that.
pub fn events_saying(format: ApiFormat, texts: &[&str]) -> (Vec<String>, String) {
    match format {
        ApiFormat::Responses => {
            let item = json!({
                "type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant",
                "content": [],
            });
            let response: Value =
                serde_json::from_str(&saying(format, &texts.concat()).body).unwrap();
            let delta = |text: &str| {
                event(&json!({
                    "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "delta": text,
                }))
            };
            let begun = json!({"type": "response.created", "response": {"id": "resp_1",
                "object": "response", "status": "in_progress", "model": "upstream-model", "output": []}});
            let added =
                json!({"type": "response.output_item.added", "output_index": 0, "item": item});
            let mut events = vec![event(&begun), event(&added)];
            events.extend(texts.iter().map(|text| delta(text)));
            (events, event(&json!({"type": "response.completed", "response": response})))
        }
        ApiFormat::Anthropic => {
            let delta = |text: &str| {
                event(&json!({"type": "content_block_delta", "index": 0,
                    "delta": {"type": "text_delta", "text": text}}))
            };
            let begun = json!({"type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model",
                "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": 5, "output_tokens": 1},
            }});
            let block = json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "text", "text": ""}});
            let ended = json!({"type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"input_tokens": 5, "output_tokens": 2}});
            let mut events = vec![event(&begun), event(&block), event(&json!({"type": "ping"}))];
            events.extend(texts.iter().map(|text| delta(text)));
            events.push(event(&json!({"type": "content_block_stop", "index": 0})));
            events.push(event(&ended));
            (events, event(&json!({"type": "message_stop"})))
        }
        ApiFormat::Google => {
            let chunk = |text: &str| {
                event(&json!({"candidates": [{
                    "content": {"role": "model", "parts": [{"text": text}]}, "index": 0,
                }], "modelVersion": "upstream-model"}))
            };
            let last = json!({
                "candidates": [{"content": {"role": "model", "parts": [{"text": ""}]},
                    "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2,
                    "totalTokenCount": 7},
                "modelVersion": "upstream-model",
            });
            (texts.iter().map(|text| chunk(text)).collect(), event(&last))
        }
        ApiFormat::Ollama => {
            let line = |text: &str| {
                let line = json!({
                    "model": "upstream-model", "created_at": "2026-01-01T00:00:00Z",
                    "message": {"role": "assistant", "content": text}, "done": false,
                });
                format!("{line}\n")
            };
            let last = json!({
                "model": "upstream-model", "created_at": "2026-01-01T00:00:00Z",
                "message": {"role": "assistant", "content": ""}, "done": true,
                "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2,
            });
            (texts.iter().map(|text| line(text)).collect(), format!("{last}\n"))
        }
        _ => {
            use super::script::{DONE, content, finish, role, usage_chunk};
            let mut events = vec![role()];
            events.extend(texts.iter().map(|text| content(text)));
            events.extend([finish(), usage_chunk()]);
            (events, DONE.to_owned())
        }
    }
}

pub fn script(format: ApiFormat) -> Script {
    let is_ollama = format == ApiFormat::Ollama;
    stream().called(if is_ollama { "application/x-ndjson" } else { "text/event-stream" })
}

pub fn streamed(format: ApiFormat) -> Script {
    let (events, last) = events(format);
    events.into_iter().fold(script(format), Script::send).send(last)
}

impl Client {
    /// A request for the model that every upstream serves.
    pub fn ask(self, pool: &Pool, stream: bool) -> RequestBuilder {
        self.ask_for("test-model", pool, stream)
    }

    pub fn ask_for(self, model: &str, pool: &Pool, stream: bool) -> RequestBuilder {
        let turns = json!([{"role": "user", "content": "hi"}]);
        let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        let method = if stream { "streamGenerateContent" } else { "generateContent" };
        let gemini = format!("/v1beta/models/{model}:{method}");
        let (path, body) = match self {
            Self::Chat => (
                "/v1/chat/completions".to_owned(),
                json!({"model": model, "messages": turns, "stream": stream}),
            ),
            Self::Completions => (
                "/v1/completions".to_owned(),
                json!({"model": model, "prompt": "hi", "stream": stream}),
            ),
            Self::Responses => (
                "/v1/responses".to_owned(),
                json!({"model": model, "input": "hi", "stream": stream}),
            ),
            Self::Messages => (
                "/v1/messages".to_owned(),
                json!({"model": model, "messages": turns, "max_tokens": 100,
                    "stream": stream}),
            ),
            Self::Gemini => (format!("{gemini}?alt=sse"), contents),
            Self::GeminiArray => (gemini, contents),
            Self::OllamaChat => (
                "/api/chat".to_owned(),
                json!({"model": model, "messages": turns, "stream": stream}),
            ),
            Self::OllamaGenerate => (
                "/api/generate".to_owned(),
                json!({"model": model, "prompt": "hi", "stream": stream}),
            ),
        };
        let request = pool.request(Method::POST, &path).body(body.to_string());
        match self {
            Self::Messages => request.header("x-api-key", &pool.client_key),
            Self::Gemini => request.header("x-goog-api-key", &pool.client_key),
            _ => request.bearer_auth(&pool.client_key),
        }
    }

    /// What a whole answer says.
    pub fn said(self, answer: &Value) -> String {
        let text = match self {
            Self::Chat => answer.pointer("/choices/0/message/content"),
            Self::Completions => answer.pointer("/choices/0/text"),
            Self::Responses => answer.pointer("/output/0/content/0/text"),
            Self::Messages => answer.pointer("/content/0/text"),
            Self::Gemini | Self::GeminiArray => {
                answer.pointer("/candidates/0/content/parts/0/text")
            }
            Self::OllamaChat => answer.pointer("/message/content"),
            Self::OllamaGenerate => answer.pointer("/response"),
        };
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The prompt and output tokens an answer, or the last that is told of them in a stream, has.
    pub fn tokens(self, answer: &Value) -> Option<(u64, u64)> {
        let (input, output) = match self {
            Self::Chat | Self::Completions => ("/usage/prompt_tokens", "/usage/completion_tokens"),
            Self::Responses if answer.get("response").is_some() => {
                ("/response/usage/input_tokens", "/response/usage/output_tokens")
            }
            Self::Responses | Self::Messages => ("/usage/input_tokens", "/usage/output_tokens"),
            Self::Gemini | Self::GeminiArray => {
                ("/usageMetadata/promptTokenCount", "/usageMetadata/candidatesTokenCount")
            }
            Self::OllamaChat | Self::OllamaGenerate => ("/prompt_eval_count", "/eval_count"),
        };
        Some((answer.pointer(input)?.as_u64()?, answer.pointer(output)?.as_u64()?))
    }

    /// The JSON of each event of a stream.
    pub fn events(self, text: &str) -> Vec<Value> {
        match self {
            Self::GeminiArray => {
                let list: Value = serde_json::from_str(text).expect(text);
                list.as_array().unwrap().clone()
            }
            Self::OllamaChat | Self::OllamaGenerate => {
                text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
            }
            _ => text
                .split_terminator("\n\n")
                .filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")))
                .filter(|data| *data != "[DONE]")
                .map(|data| serde_json::from_str(data).expect(data))
                .collect(),
        }
    }

    /// What an event of a stream says.
    pub fn said_in(self, event: &Value) -> String {
        let text = match self {
            Self::Chat => event.pointer("/choices/0/delta/content"),
            Self::Responses if event["type"] == "response.output_text.delta" => event.get("delta"),
            Self::Messages => event.pointer("/delta/text"),
            Self::Responses => None,
            _ => return self.said(event),
        };
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Whether a stream has ended as its dialect says it must.
    pub fn is_complete(self, text: &str) -> bool {
        let events = self.events(text);
        let last = events.last().cloned().unwrap_or_default();
        match self {
            Self::Chat | Self::Completions => text.ends_with("data: [DONE]\n\n"),
            Self::Responses => last["type"] == "response.completed",
            Self::Messages => last["type"] == "message_stop",
            Self::Gemini | Self::GeminiArray => last["candidates"][0]["finishReason"] == "STOP",
            Self::OllamaChat | Self::OllamaGenerate => last["done"] == true,
        }
    }

    /// Whether it has ended with its dialect's error.
    pub fn is_failed(self, text: &str) -> bool {
        let events = self.events(text);
        let last = events.last().cloned().unwrap_or_default();
        match self {
            Self::Responses => last["type"] == "error" || last["type"] == "response.failed",
            Self::Messages => last["type"] == "error" && last["error"]["type"].is_string(),
            Self::OllamaChat | Self::OllamaGenerate => last["error"].is_string(),
            _ => last["error"]["message"].is_string(),
        }
    }
}
