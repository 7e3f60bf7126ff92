//! Every client API over every upstream format: what the client reads, whole and streamed, what the
//! upstream is sent, and how each stream ends.

use providerpool::domain::provider::ApiFormat;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Reply, Setup, Streaming, TestApp,
    dialect::{CLIENTS, Client, FORMATS, events, events_saying, script, streamed, whole},
    script::{End, Script, raw},
};

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

#[actix_web::test]
async fn a_stream_that_is_gone_on_with_says_all_of_its_text() {
    // What comes after the break is told in several pieces that are alike.
    let texts = ["pay ", "1", "0", "0", "0"];
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        for client in CLIENTS {
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

#[actix_web::test]
async fn a_whole_answer_is_not_held_open_by_an_upstream_that_does_not_end_its_stream() {
    for format in FORMATS {
        let configure = |config: &mut providerpool::config::Config| {
            config.relay.timeout_ms = 10_000;
            config.relay.end_wait_ms = 20;
        };
        let app =
            TestApp::with(Setup { speaks: Some(format), configure, ..Setup::default() }).await;
        for client in CLIENTS {
            let (events, last) = events(format);
            // Of these the last event has the reason why it ends.
            let has_end = matches!(format, ApiFormat::Openai | ApiFormat::Anthropic);
            let last = (!has_end).then_some(last);
            let all = events.into_iter().chain(last).fold(script(format), Script::send);
            app.upstream.next(all.then(End::Stall));

            let text = Streaming::to(client.ask(&app, true)).await.rest().await;

            assert!(client.is_complete(&text), "{client:?} of {format:?}: {text}");
        }
        let ledger = app.ledger().await;
        assert_eq!((ledger.completed, ledger.failed), (CLIENTS.len() as u64, 0), "{format:?}");
    }
}

#[actix_web::test]
async fn an_answer_that_is_here_is_complete_whatever_its_upstream_sends_then() {
    for (format, error) in [
        (ApiFormat::Openai, json!({"error": {"message": "m", "code": "rate_limit_exceeded"}})),
        (ApiFormat::Anthropic, json!({"type": "error", "error": {"type": "rate_limit_error"}})),
        (ApiFormat::Google, json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}})),
    ] {
        let app = TestApp::speaking(format).await;
        let (events, last) = events(format);
        let last = (format == ApiFormat::Google).then_some(last);
        for client in CLIENTS {
            let all = events.iter().cloned().chain(last.clone()).fold(script(format), Script::send);
            app.upstream.next(all.send(format!("data: {error}\n\n")));

            let streaming = Streaming::to(client.ask(&app, true)).await;
            let id = streaming.header("x-request-id").to_owned();
            let text = streaming.rest().await;

            assert!(client.is_complete(&text), "{client:?} of {format:?}: {text}");
            let trace = app.trace(&id).await;
            assert_eq!(trace["outcome"], "completed", "{client:?} of {format:?}");
            let losses = &trace["attempts"][0]["losses"];
            let has_receipt = |name: &Value| name == "stream.error.rate_limit";
            assert!(losses.as_array().unwrap().iter().any(has_receipt), "{client:?}: {trace}");
        }
        assert_eq!(app.cooldowns().await, [json!(null); 0], "{format:?}");
    }
}

#[actix_web::test]
async fn an_upstream_that_may_end_each_event_is_not_cut_short() {
    let configure = |config: &mut providerpool::config::Config| {
        config.relay.end_wait_ms = 1;
        config.relay.timeout_ms = 10_000;
    };
    let format = ApiFormat::Google;
    let app = TestApp::with(Setup { speaks: Some(format), configure, ..Setup::default() }).await;
    let chunk = |text: &str| {
        let candidate = json!({"content": {"role": "model", "parts": [{"text": text}]},
            "finishReason": "STOP", "index": 0});
        let usage = json!({"promptTokenCount": 5, "candidatesTokenCount": 2});
        format!("data: {}\n\n", json!({"candidates": [candidate], "usageMetadata": usage}))
    };
    for client in CLIENTS {
        let pause = std::time::Duration::from_millis(30);
        let begun = script(format).send(chunk("one")).pause(pause).send(chunk(" two"));
        app.upstream.next(begun.pause(pause).send(chunk(" three")));

        let text = Streaming::to(client.ask(&app, true)).await.rest().await;

        let seen = client.events(&text);
        let said: String = seen.iter().map(|event| client.said_in(event)).collect();
        assert_eq!(said, "one two three", "{client:?}: {text}");
        assert!(client.is_complete(&text), "{client:?}: {text}");
    }
}

#[actix_web::test]
async fn a_stream_of_responses_is_complete_only_when_it_says_so() {
    let configure = |config: &mut providerpool::config::Config| {
        config.relay.timeout_ms = 200;
        config.relay.end_wait_ms = 1;
    };
    let format = ApiFormat::Responses;
    let app = TestApp::with(Setup { speaks: Some(format), configure, ..Setup::default() }).await;
    let (events, _) = events(format);
    for client in CLIENTS {
        let all = events.iter().cloned().fold(script(format), Script::send);
        app.upstream.next(all.then(End::Stall));
        let text = Streaming::to(client.ask(&app, true)).await.rest().await;
        assert!(client.is_failed(&text), "{client:?}: {text}");
    }
}
