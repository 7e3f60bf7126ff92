//! Our secrets never travel back: an upstream that quotes all it was sent, wherever it has words, tells
//! nobody anything.

use std::{
    collections::HashSet,
    fmt::Write as _,
    io::Read as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    scripted::{Scripted, Seen, events, json, typed},
    support::{Process, Workplace, http},
    wait::until,
};

const KEY: &str = "sk-planted/key+0123456789";
const GITHUB: &str = "gho_planted0123456789";
const COPILOT: &str = "tid=planted-token-0123456789;exp=4102444800";
const HEADER: &str = "planted-header-0123456789";
const OWN_HEADER: &str = "Bearer planted-own-0123456789";

const SECRETS: [&str; 5] = [KEY, GITHUB, COPILOT, HEADER, OWN_HEADER];

/// How the upstream quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Echo {
    /// In an error with this status.
    Refusal(u16),
    /// In an error that comes as an answer.
    Inside,
    /// In a good answer, beside its text.
    Beside,
    /// In a stream, before any content.
    FirstEvent,
    /// In a stream, after some.
    LaterEvent,
    /// In a stream, in events that no dialect has, before and after content.
    ForeignEvents,
}

const ECHOES: [Echo; 10] = [
    Echo::Refusal(400),
    Echo::Refusal(401),
    Echo::Refusal(404),
    Echo::Refusal(422),
    Echo::Refusal(500),
    Echo::Inside,
    Echo::Beside,
    Echo::FirstEvent,
    Echo::LaterEvent,
    Echo::ForeignEvents,
];

/// All that was sent, as it is, and in other ways of writing.
fn quoted(seen: &Seen) -> String {
    let value = |header: &str| Some(header.split_once(": ")?.1.trim().to_owned());
    let values: Vec<String> = seen.head.lines().filter_map(value).collect();
    let mut quoted = values.join(" | ");
    for value in &values {
        let escaped: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        write!(quoted, " {} {escaped} {value:?}", STANDARD.encode(value)).unwrap();
    }
    quoted
}

/// An error of the upstream's own dialect that quotes in each of its fields. `kind`: one whose words a
/// client is shown, where that does not depend on the status.
fn error_of(format: &str, quoted: &str, kind: Option<&str>) -> String {
    let word = &quoted[..quoted.len().min(2_000)];
    let key = quoted.split(" | ").find(|part| part.contains("planted")).unwrap_or_default();
    let kind = kind.unwrap_or(key);
    match format {
        "anthropic" => json!({"type": "error", "error": {"type": kind, "message": word}}),
        "google" => json!({"error": {"code": 400, "message": word, "status": key,
            "details": [{"reason": key}]}}),
        "ollama" => json!({"error": word, "type": kind, "code": key, "param": key}),
        "responses" => json!({"type": "error", "code": key, "message": word, "param": key,
            "error": {"message": word, "type": kind, "code": key, "param": key}}),
        _ => json!({"error": {"message": word, "type": kind, "code": key, "param": key}}),
    }
    .to_string()
}

/// The beginning of a good stream.
fn begun(format: &str) -> &'static str {
    match format {
        "anthropic" => {
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"1\",\
             \"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\
             \"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n\
             event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
             \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
             event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n"
        }
        "google" => "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello\"}]}}]}\n\n",
        "ollama" => {
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"},\
             \"done\":false}\n"
        }
        "responses" => {
            "data: {\"type\":\"response.created\",\"response\":{\"id\":\"1\",\"output\":[]}}\n\n\
             data: {\"type\":\"response.output_item.added\",\"output_index\":0,\
             \"item\":{\"id\":\"i\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}\n\n\
             data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"item_id\":\"i\",\
             \"content_index\":0,\"delta\":\"Hello\"}\n\n"
        }
        _ => {
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"m\",\
             \"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n"
        }
    }
}

fn answer(format: &str, echo: Echo, seen: &Seen) -> String {
    let quoted = quoted(seen);
    let kind = (!matches!(echo, Echo::Refusal(_))).then_some("invalid_request_error");
    let error = error_of(format, &quoted, kind);
    let key = seen.head.lines().find(|line| line.contains("planted")).unwrap_or_default();
    let headers = format!("x-echo: {quoted}\r\nretry-after: {key}\r\nx-request-id: {key}\r\n");
    let event = if format == "ollama" {
        format!("{error}\n")
    } else {
        format!("event: error\ndata: {error}\n\n")
    };
    let stream = |body: String| match format {
        "ollama" => typed(200, "application/x-ndjson", &headers, &body),
        _ => events(&headers, &body),
    };
    match echo {
        Echo::Refusal(status) => json(status, &headers, &error),
        Echo::Inside => json(200, &headers, &error),
        Echo::Beside => {
            let blocked = json!({"promptFeedback": {"blockReason": "SAFETY",
                "blockReasonMessage": quoted}, "candidates": []});
            let remarked = json!({"id": "1", "object": "chat.completion", "created": 0,
                "model": "m", "debug": quoted, "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello"},
                "error": {"message": quoted}}]});
            match format {
                "google" => json(200, "", &blocked.to_string()),
                "cloudcode" => json(200, "", &json!({"response": blocked}).to_string()),
                _ => json(200, "", &remarked.to_string()),
            }
        }
        Echo::FirstEvent => stream(event),
        Echo::LaterEvent => stream(format!("{}{event}", begun(format))),
        Echo::ForeignEvents => {
            let foreign = json!({"type": "vendor.notice", "notice": quoted});
            let foreign = match format {
                "ollama" => format!("{foreign}\n"),
                _ => format!("data: {foreign}\n\n"),
            };
            stream(format!("{foreign}{}{foreign}", begun(format)))
        }
    }
}

/// What is secret of what was sent, in every way of writing that is looked for here.
fn traces_of_secrets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for secret in SECRETS {
        let bare = secret.rsplit(' ').next().unwrap();
        let whole: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let encoded = STANDARD.encode(secret);
        let bearer = STANDARD.encode(format!("Bearer {secret}"));
        for written in [bare.to_owned(), whole, encoded[..16].to_owned(), bearer[12..28].to_owned()]
        {
            if text.contains(&written) {
                found.push(written);
            }
        }
    }
    found
}

/// Everything that a client can be answered with, in each dialect.
const CLIENTS: [(&str, &str); 8] = [
    (
        "/v1/chat/completions",
        r#"{"model":"m","stream":STREAM,"messages":[{"role":"user","content":"hi"}]}"#,
    ),
    ("/v1/completions", r#"{"model":"m","stream":STREAM,"prompt":"hi"}"#),
    ("/v1/responses", r#"{"model":"m","stream":STREAM,"input":"hi"}"#),
    (
        "/v1/messages",
        r#"{"model":"m","stream":STREAM,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
    ),
    ("/v1beta/models/m:METHOD", r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#),
    ("/api/chat", r#"{"model":"m","stream":STREAM,"messages":[{"role":"user","content":"hi"}]}"#),
    ("/v1/embeddings", r#"{"model":"m","input":"hi"}"#),
    ("/v1/messages/count_tokens", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#),
];

fn config(format: &str, address: SocketAddr) -> String {
    let key = if format == "copilot" { GITHUB } else { KEY };
    format!(
        r#"
        log.level = "debug"
        [relay]
        retry_pause_ms = 1
        [[providers]]
        id = "upstream"
        api_format = "{format}"
        base_url = "http://{address}"
        location = "local"
        headers = {{ "x-planted" = "{HEADER}" }}
        models = [{{ name = "m" }}]
        [[providers.api_keys]]
        key = "{key}"
        headers = {{ "x-own" = "{OWN_HEADER}" }}
        "#
    )
}

fn request_id(head: &str) -> Option<String> {
    let line = head.lines().find(|line| line.starts_with("x-request-id: "))?;
    Some(line["x-request-id: ".len()..].trim().to_owned())
}

fn clear_cooldowns(pool: &Process, admin: &str) {
    let cleared = http::ask(pool.address, "DELETE /api/v1/cooldowns", admin, "");
    assert!(cleared.status < 300, "{}", cleared.body);
}

/// All events so far. The frames of a server are plain text with a short head.
fn all_events(address: SocketAddr, admin: &str) -> String {
    let last = json!({"id": "the-last", "name": "n", "base_url": "http://127.0.0.1:9",
        "location": "local", "api_format": "openai"});
    let made = http::ask(address, "POST /api/v1/providers", admin, &last.to_string());
    assert_eq!(made.status, 201, "{}", made.body);
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: c2l4dGVlbiBieXRlcyE9PQ==\r\n";
    let mut events = http::open(address, "GET /api/v1/events?since=0", admin, upgrade, "");
    assert_eq!(events.status, 101, "{}", events.head);
    let (mut all, mut piece) = (String::new(), [0; 4096]);
    while !all.contains("the-last") {
        let length = events.body.read(&mut piece).unwrap();
        assert_ne!(length, 0, "the event stream ended: {all}");
        all.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    all
}

fn nothing_comes_back(format: &'static str) {
    let echo = Arc::new(Mutex::new(ECHOES[0]));
    let told = Arc::clone(&echo);
    let upstream = Scripted::start(move |seen| {
        if seen.path == "/copilot_internal/v2/token" {
            let body = json!({"token": COPILOT, "expires_at": 4_102_444_800_u64});
            return json(200, "", &body.to_string());
        }
        answer(format, *told.lock().unwrap(), seen)
    });
    let workplace = Workplace::new(&config(format, upstream.address));
    let (admin, client) = (workplace.create_key("admin"), workplace.create_key("client"));
    let mut pool = workplace.serve();
    let mut said = String::new();
    let (mut statuses, mut leaks) = (HashSet::new(), Vec::new());
    for how in ECHOES {
        *echo.lock().unwrap() = how;
        for (path, body) in CLIENTS {
            let may_stream = body.contains("STREAM") || path.contains("METHOD");
            for stream in [false, true].into_iter().filter(|stream| may_stream || !stream) {
                let method =
                    if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let path = format!("POST {}", path.replace("METHOD", method));
                let body = body.replace("STREAM", if stream { "true" } else { "false" });
                let answer = http::ask(pool.address, &path, &client, &body);
                let found = traces_of_secrets(&format!("{}{}", answer.head, answer.body));
                if !found.is_empty() {
                    leaks.push(format!("{how:?} {path}: {found:?}"));
                }
                statuses.insert(answer.status);
                if let Some(id) = request_id(&answer.head) {
                    said +=
                        &http::get(pool.address, &format!("/api/v1/requests/{id}/trace"), &admin)
                            .body;
                }
                clear_cooldowns(&pool, &admin);
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    let sent: Vec<Seen> = upstream.take();
    let heads: String = sent.iter().map(|seen| seen.head.as_str()).collect();
    assert!(heads.contains(OWN_HEADER) && heads.contains(HEADER), "{heads}");
    assert!(statuses.contains(&400), "{statuses:?}");
    for path in [
        "/api/v1/providers",
        "/api/v1/providers/upstream",
        "/api/v1/cooldowns",
        "/api/v1/usage",
        "/metrics",
    ] {
        said += &http::get(pool.address, path, &admin).body;
    }
    said += &http::ask(pool.address, "POST /api/v1/providers/upstream/detect-format", &admin, "{}")
        .body;
    said += &all_events(pool.address, &admin);
    pool.terminate();
    pool.ended();
    said += &pool.said();
    let found = traces_of_secrets(&said);
    assert!(found.is_empty(), "{format}: {found:?} in {said}");
    assert!(said.contains("an attempt failed"), "nothing was looked through: {said}");
}

#[test]
fn nothing_comes_back_of_what_was_sent_to_chat_completions() {
    nothing_comes_back("openai");
}

#[test]
fn nothing_comes_back_of_what_was_sent_to_copilot() {
    nothing_comes_back("copilot");
}

#[test]
fn nothing_comes_back_of_what_was_sent_to_responses() {
    nothing_comes_back("responses");
}

#[test]
fn nothing_comes_back_of_what_was_sent_to_messages() {
    nothing_comes_back("anthropic");
}

#[test]
fn nothing_comes_back_of_what_was_sent_to_gemini() {
    nothing_comes_back("google");
}

#[test]
fn nothing_comes_back_of_what_was_sent_to_ollama() {
    nothing_comes_back("ollama");
}

/// A key and headers of which one is a secret and the others are words, as upstreams and servers have them.
const WORDY: &str = r#"
    [[providers]]
    id = "upstream"
    api_format = "openai"
    base_url = "http://ADDRESS"
    location = "local"
    api_keys = ["lm-studio"]
    headers = { "x-title" = "documentation", "x-planted" = "planted/header+0123456789" }
    models = [{ name = "m" }]
"#;

/// What a client gets when the upstream sends this, and the trace of it.
fn answered(stream: bool, sent: String) -> (String, String) {
    let upstream = Scripted::start(move |_| sent.clone());
    let workplace = Workplace::new(&WORDY.replace("ADDRESS", &upstream.address.to_string()));
    let (admin, client) = (workplace.create_key("admin"), workplace.create_key("client"));
    let pool = workplace.serve();
    let body = json!({"model": "m", "stream": stream,
        "messages": [{"role": "user", "content": "hi"}]});
    let answer = http::ask(pool.address, "POST /v1/chat/completions", &client, &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let id = request_id(&answer.head).unwrap();
    // A moment after the answer.
    let trace = until(|| {
        let trace = http::get(pool.address, &format!("/api/v1/requests/{id}/trace"), &admin);
        (trace.status == 200).then_some(trace.body)
    });
    (answer.body, trace)
}

/// `text`: as it stands in JSON.
fn whole(text: &str) -> String {
    let message = format!(r#"{{"role":"assistant","content":"{text}"}}"#);
    let choice = format!(r#"{{"index":0,"message":{message},"finish_reason":"stop"}}"#);
    json(200, "", &format!(r#"{{"id":"1","choices":[{choice}]}}"#))
}

/// `before`: events before the one with the text.
fn streamed(before: &str, text: &str) -> String {
    let choice = format!(r#"{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":"stop"}}"#);
    let event = format!("data: {{\"id\":\"1\",\"choices\":[{choice}]}}\n\n");
    events("", &format!("{before}{event}data: [DONE]\n\n"))
}

const IS_TOLD: &str = r#""losses":["secret"]"#;

#[test]
fn words_of_an_answer_that_are_a_key_or_a_header_too_arrive() {
    let words = "pip install lm-studio: the documentation";
    for (stream, sent) in [(false, whole(words)), (true, streamed("", words))] {
        let (answer, trace) = answered(stream, sent);
        assert!(answer.contains(words), "{answer}");
        assert!(!trace.contains(IS_TOLD), "{trace}");
    }
    let foreign = "data: {\"vendor\":\"lm-studio\"}\n\n";
    let (answer, trace) = answered(true, streamed(foreign, words));
    assert!(answer.contains(words) && answer.contains(r#"{"vendor":"****"}"#), "{answer}");
    assert!(trace.contains(IS_TOLD), "{trace}");
}

#[test]
fn a_secret_that_an_answer_quotes_as_its_encoder_escapes_it_is_masked_and_the_receipt_tells() {
    for written in [
        "planted/header+0123456789",
        "planted\\/header+0123456789",
        "planted/header\\u002B0123456789",
    ] {
        let text = format!("you sent {written}\\n");
        for (stream, sent) in [(false, whole(&text)), (true, streamed("", &text))] {
            let (answer, trace) = answered(stream, sent);
            assert!(answer.contains("you sent ****\\n"), "{written}: {answer}");
            assert!(trace.contains(IS_TOLD), "{written}: {trace}");
        }
    }
}
