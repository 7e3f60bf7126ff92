//! Every client API over every upstream format: what the client reads, whole and streamed, what the
//! upstream is sent, and how each stream ends.

use providerpool::domain::provider::ApiFormat;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    Reply, Streaming, TestApp,
    script::{Answer, End, Script, raw, stream},
};

pub(crate) const FORMATS: [ApiFormat; 5] = [
    ApiFormat::Openai,
    ApiFormat::Responses,
    ApiFormat::Anthropic,
    ApiFormat::Google,
    ApiFormat::Ollama,
];

/// A client's way of asking and reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Chat,
    Completions,
    Responses,
    Messages,
    Gemini,
    GeminiArray,
    OllamaChat,
    OllamaGenerate,
}

pub(crate) const CLIENTS: [Client; 8] = [
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
fn whole(format: ApiFormat) -> Answer {
    saying(format, "Hello world")
}

/// A good answer of this text.
fn saying(format: ApiFormat, said: &str) -> Answer {
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
        _ => return crate::support::script::whole(said),
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
pub(crate) fn events(format: ApiFormat) -> (Vec<String>, String) {
    events_saying(format, &["Hello", " world"])
}

/// The events of an answer of these texts up to its last one, and that.
fn events_saying(format: ApiFormat, texts: &[&str]) -> (Vec<String>, String) {
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
            use crate::support::script::{DONE, content, finish, role, usage_chunk};
            let mut events = vec![role()];
            events.extend(texts.iter().map(|text| content(text)));
            events.extend([finish(), usage_chunk()]);
            (events, DONE.to_owned())
        }
    }
}

pub(crate) fn script(format: ApiFormat) -> Script {
    let is_ollama = format == ApiFormat::Ollama;
    stream().called(if is_ollama { "application/x-ndjson" } else { "text/event-stream" })
}

fn streamed(format: ApiFormat) -> Script {
    let (events, last) = events(format);
    events.into_iter().fold(script(format), Script::send).send(last)
}

impl Client {
    pub(crate) fn ask(self, app: &TestApp, stream: bool) -> RequestBuilder {
        let turns = json!([{"role": "user", "content": "hi"}]);
        let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        let method = if stream { "streamGenerateContent" } else { "generateContent" };
        let gemini = format!("/v1beta/models/test-model:{method}");
        let (path, body) = match self {
            Self::Chat => (
                "/v1/chat/completions".to_owned(),
                json!({"model": "test-model", "messages": turns, "stream": stream}),
            ),
            Self::Completions => (
                "/v1/completions".to_owned(),
                json!({"model": "test-model", "prompt": "hi", "stream": stream}),
            ),
            Self::Responses => (
                "/v1/responses".to_owned(),
                json!({"model": "test-model", "input": "hi", "stream": stream}),
            ),
            Self::Messages => (
                "/v1/messages".to_owned(),
                json!({"model": "test-model", "messages": turns, "max_tokens": 100,
                    "stream": stream}),
            ),
            Self::Gemini => (format!("{gemini}?alt=sse"), contents),
            Self::GeminiArray => (gemini, contents),
            Self::OllamaChat => (
                "/api/chat".to_owned(),
                json!({"model": "test-model", "messages": turns, "stream": stream}),
            ),
            Self::OllamaGenerate => (
                "/api/generate".to_owned(),
                json!({"model": "test-model", "prompt": "hi", "stream": stream}),
            ),
        };
        let request = app.request(Method::POST, &path).body(body.to_string());
        match self {
            Self::Messages => request.header("x-api-key", &app.client_key),
            Self::Gemini => request.header("x-goog-api-key", &app.client_key),
            _ => request.bearer_auth(&app.client_key),
        }
    }

    /// What a whole answer says.
    fn said(self, answer: &Value) -> String {
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
    fn tokens(self, answer: &Value) -> Option<(u64, u64)> {
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
    fn events(self, text: &str) -> Vec<Value> {
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

    fn said_in(self, event: &Value) -> String {
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
    fn is_complete(self, text: &str) -> bool {
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
    fn is_failed(self, text: &str) -> bool {
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

#[actix_web::test]
async fn every_client_reads_a_whole_answer_of_every_upstream() {
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        for client in CLIENTS {
            app.upstream.next(whole(format));
            // Without a stream both ways of Gemini's are one.
            let client = if client == Client::GeminiArray { Client::Gemini } else { client };
            let reply = Reply::to(client.ask(&app, false)).await;
            let what = format!("{client:?} over {format:?}: {}", reply.text());
            assert_eq!(reply.status, 200, "{what}");
            assert_eq!(client.said(&reply.json), "Hello world", "{what}");
            assert_eq!(client.tokens(&reply.json), Some((5, 2)), "{what}");
        }
        let ledger = app.ledger().await;
        assert_eq!((ledger.completed, ledger.input, ledger.output), (8, 40, 16), "{format:?}");
    }
}

#[actix_web::test]
async fn every_client_reads_a_stream_of_every_upstream() {
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        for client in CLIENTS {
            app.upstream.next(streamed(format));
            let streaming = Streaming::to(client.ask(&app, true)).await;
            assert_eq!(streaming.status(), 200, "{client:?} over {format:?}");
            let text = streaming.rest().await;
            let what = format!("{client:?} over {format:?}: {text}");
            let events = client.events(&text);
            let said: String = events.iter().map(|event| client.said_in(event)).collect();
            assert_eq!(said, "Hello world", "{what}");
            assert!(client.is_complete(&text), "{what}");
            let tokens = events.iter().rev().find_map(|event| client.tokens(event));
            // OpenAI's clients are told only when they ask.
            if !matches!(client, Client::Chat | Client::Completions) {
                assert_eq!(tokens, Some((5, 2)), "{what}");
            }
        }
        let ledger = app.ledger().await;
        assert_eq!((ledger.completed, ledger.input, ledger.output), (8, 40, 16), "{format:?}");
    }
}

#[actix_web::test]
async fn a_stream_that_is_cut_ends_with_the_clients_own_error() {
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        for client in CLIENTS {
            let (events, _) = events(format);
            let first = events.iter().position(|event| event.contains("Hello")).unwrap();
            let cut = events.into_iter().take(first + 1).fold(script(format), Script::send);
            app.upstream.next(cut.then(End::Cut));
            // Whoever is asked to go on with it says something else.
            app.upstream.next(raw(400, "{}"));
            let streaming = Streaming::to(client.ask(&app, true)).await;
            let text = streaming.rest().await;
            let what = format!("{client:?} over {format:?}: {text}");
            assert!(client.is_failed(&text), "{what}");
            assert!(!client.is_complete(&text), "{what}");
            app.upstream.recover();
            app.delete("/api/v1/cooldowns").await;
        }
    }
}

/// Whether a client's stream is passed through as it comes, and cannot be gone on with.
fn is_passed_through(client: Client, format: ApiFormat) -> bool {
    matches!(
        (client, format),
        (Client::Responses, ApiFormat::Responses)
            | (Client::Messages, ApiFormat::Anthropic)
            | (Client::Gemini | Client::GeminiArray, ApiFormat::Google)
            | (Client::OllamaChat | Client::OllamaGenerate, ApiFormat::Ollama)
    )
}

#[actix_web::test]
async fn a_stream_that_is_gone_on_with_says_all_of_its_text() {
    // What comes after the break is told in several pieces that are alike.
    let texts = ["pay ", "1", "0", "0", "0"];
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        for client in CLIENTS.into_iter().filter(|client| !is_passed_through(*client, format)) {
            let (events, last) = events_saying(format, &texts);
            let second = events.iter().position(|event| event.contains("\"1\"")).unwrap();
            let cut = events.iter().take(second + 1).cloned();
            app.upstream.next(cut.fold(script(format), Script::send).then(End::Cut));
            app.upstream.next(events.into_iter().fold(script(format), Script::send).send(last));

            let text = Streaming::to(client.ask(&app, true)).await.rest().await;

            let what = format!("{client:?} over {format:?}: {text}");
            assert!(client.is_complete(&text), "{what}");
            let said: String =
                client.events(&text).iter().map(|event| client.said_in(event)).collect();
            assert_eq!(said, "pay 1000", "{what}");
        }
    }
}

#[actix_web::test]
async fn every_client_is_told_errors_in_its_own_dialect() {
    let app = TestApp::speaking(ApiFormat::Anthropic).await;
    for client in CLIENTS {
        app.upstream.next(raw(
            400,
            json!({"type": "error", "error": {"type": "invalid_request_error",
                "message": "no, says the upstream"}})
            .to_string(),
        ));
        let reply = Reply::to(client.ask(&app, false)).await;
        assert_eq!(reply.status, 400, "{client:?}");
        assert!(reply.text().contains("no, says the upstream"), "{client:?}: {}", reply.text());
        match client {
            Client::Messages => assert_eq!(reply.json["type"], "error"),
            Client::Gemini | Client::GeminiArray => {
                assert_eq!(reply.json["error"]["status"], "INVALID_ARGUMENT");
            }
            Client::OllamaChat | Client::OllamaGenerate => assert!(reply.json["error"].is_string()),
            _ => assert_eq!(reply.json["error"]["type"], "invalid_request_error"),
        }
    }
}

#[actix_web::test]
async fn each_upstream_is_asked_at_its_own_address_with_the_key_where_it_wants_it() {
    for (format, path, header) in [
        (ApiFormat::Openai, "/v1/chat/completions", "authorization"),
        (ApiFormat::Responses, "/v1/responses", "authorization"),
        (ApiFormat::Anthropic, "/v1/messages", "x-api-key"),
        (ApiFormat::Google, "/v1beta/models/test-model:generateContent", "x-goog-api-key"),
        (ApiFormat::Ollama, "/api/chat", "authorization"),
    ] {
        let app = TestApp::speaking(format).await;
        app.upstream.next(whole(format));
        Reply::to(Client::Chat.ask(&app, false)).await;
        let seen = app.upstream.last();
        assert_eq!(seen.path, path);
        assert!(seen.header(header).is_some_and(|key| key.ends_with("sk-acme-1")), "{format:?}");
        assert!(!seen.head().contains(&app.client_key), "the client's key was passed on");
    }
}

#[actix_web::test]
async fn what_is_lost_in_translation_is_told_or_refused() {
    let app = TestApp::speaking(ApiFormat::Anthropic).await;
    let body = json!({"model": "test-model", "seed": 7,
        "messages": [{"role": "user", "content": "hi"}]});
    app.upstream.next(whole(ApiFormat::Anthropic));
    let told = Reply::to(app.relay(body.to_string())).await;
    assert_eq!(told.header("x-providerpool-translation"), "seed");
    let trace = app.trace(told.header("x-request-id")).await;
    assert_eq!(trace["attempts"][0]["losses"], json!(["seed"]));
    assert_eq!(trace["attempts"][0]["api_format"], "anthropic");

    let strict = app.relay(body.to_string()).header("x-providerpool-strict", "true");
    let refused = Reply::to(strict).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(refused.json["error"]["code"], "translation_lossy");
    assert!(refused.text().contains("seed"));
    assert_eq!(app.upstream.calls(), 1);
}

#[actix_web::test]
async fn between_equal_dialects_fields_that_nobody_knows_survive() {
    let app = TestApp::speaking(ApiFormat::Anthropic).await;
    app.upstream.next(whole(ApiFormat::Anthropic));
    let body = r#"{ "model":"test-model","max_tokens":5, "x_new": {"b":[1.50]},
        "messages":[{"role":"user","content":[{"type":"text","text":"hi","x":1}]}] }"#;
    let request = app
        .request(Method::POST, "/v1/messages")
        .header("x-api-key", &app.client_key)
        .header("anthropic-beta", "some-beta-2026")
        .body(body);
    let reply = Reply::to(request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.text(), whole(ApiFormat::Anthropic).body);
    assert_eq!(app.upstream.last().text(), body);
    assert_eq!(app.upstream.last().header("anthropic-beta"), Some("some-beta-2026"));
}

#[actix_web::test]
async fn tokens_are_counted_by_the_provider_where_it_can_and_here_where_not() {
    let count = json!({"model": "test-model", "messages": [{"role": "user", "content": "hi"}]});
    let ask = |app: &TestApp| {
        app.request(Method::POST, "/v1/messages/count_tokens")
            .header("x-api-key", &app.client_key)
            .body(count.to_string())
    };
    let anthropic = TestApp::speaking(ApiFormat::Anthropic).await;
    anthropic.upstream.next(raw(200, r#"{"input_tokens":41}"#));
    let counted = Reply::to(ask(&anthropic)).await;
    assert_eq!(counted.json, json!({"input_tokens": 41}));
    assert_eq!(anthropic.upstream.last().path, "/v1/messages/count_tokens");

    let google = TestApp::speaking(ApiFormat::Google).await;
    google.upstream.next(raw(200, r#"{"totalTokens":42}"#));
    let counted = Reply::to(ask(&google)).await;
    assert_eq!(counted.json, json!({"input_tokens": 42}));
    assert_eq!(google.upstream.last().path, "/v1beta/models/test-model:countTokens");

    let openai = TestApp::speaking(ApiFormat::Openai).await;
    let estimated = Reply::to(ask(&openai)).await;
    assert_eq!(estimated.status, 200, "{}", estimated.text());
    assert!(estimated.json["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
    assert_eq!(openai.upstream.calls(), 0);
    assert_eq!(openai.ledger().await.completed, 1);
}
