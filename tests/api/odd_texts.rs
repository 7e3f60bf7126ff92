//! Texts that are not quite Unicode: characters that are cut in two, and halves that stand alone. Between
//! equal dialects they pass as they came; otherwise they are joined or replaced, and nothing is lost.

use providerpool::domain::provider::ApiFormat;

use crate::support::{
    Reply, Streaming, TestApp,
    dialect::{CLIENTS, Client, FORMATS, events_saying, saying, script},
    script::{Script, raw},
};

/// Writes halves in the place of what JSON cannot be made of.
fn with_halves(json: &str) -> String {
    json.replace("<first>", r"\ud83d").replace("<second>", r"\ude00")
}

fn passes(client: Client, format: ApiFormat) -> bool {
    matches!(
        (client, format),
        (Client::Chat, ApiFormat::Openai)
            | (Client::Responses, ApiFormat::Responses)
            | (Client::Messages, ApiFormat::Anthropic)
            | (Client::Gemini, ApiFormat::Google)
            | (Client::OllamaChat, ApiFormat::Ollama)
    )
}

/// Every client over every format: what a stream of these texts says in the end.
async fn check(texts: &[&str], expected: &str) {
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        let (events, last) = events_saying(format, texts);
        let events: Vec<String> =
            events.into_iter().chain([last]).map(|event| with_halves(&event)).collect();
        for client in CLIENTS {
            let sent = events.iter().cloned();
            app.upstream.next(sent.fold(script(format), Script::send));

            let streaming = Streaming::to(client.ask(&app, true)).await;
            let id = streaming.header("x-request-id").to_owned();
            let text = streaming.rest().await;

            let what = format!("{client:?} over {format:?} {texts:?}: {text}");
            let trace = app.trace(&id).await;
            assert_eq!(trace["outcome"], "completed", "{what}");
            if passes(client, format) {
                let said = events.iter().filter(|event| event.contains("\\ud"));
                assert!(said.into_iter().all(|event| text.contains(event.trim())), "{what}");
                continue;
            }
            let seen = client.events(&text);
            let said: String = seen.iter().map(|event| client.said_in(event)).collect();
            assert_eq!(said, expected, "{what}");
            assert!(client.is_complete(&text), "{what}");
        }
        let ledger = app.ledger().await;
        assert_eq!((ledger.completed, ledger.input, ledger.output), (8, 40, 16), "{format:?}");
    }
}

#[actix_web::test]
async fn a_character_that_is_cut_in_two_is_joined() {
    check(&["Hi <first>", "<second><first>", "<second> there"], "Hi 😀😀 there").await;
}

#[actix_web::test]
async fn half_a_character_is_replaced_and_no_text_is_lost() {
    check(
        &["Hi <first>", "you <second> there", "<second>!"],
        "Hi \u{fffd}you \u{fffd} there\u{fffd}!",
    )
    .await;
    check(&["so <first>"], "so \u{fffd}").await;
}

#[actix_web::test]
async fn half_a_character_in_a_whole_answer_is_replaced() {
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        let body = with_halves(&saying(format, "Hi <first> there").body);
        for client in CLIENTS {
            app.upstream.next(raw(200, body.clone()));
            // Without a stream both ways of Gemini's are one.
            let client = if client == Client::GeminiArray { Client::Gemini } else { client };
            let reply = Reply::to(client.ask(&app, false)).await;
            let what = format!("{client:?} over {format:?}: {}", reply.text());
            assert_eq!(reply.status, 200, "{what}");
            if passes(client, format) {
                assert_eq!(reply.text(), body, "{what}");
            } else {
                assert_eq!(client.said(&reply.json), "Hi \u{fffd} there", "{what}");
            }
        }
        let ledger = app.ledger().await;
        assert_eq!((ledger.completed, ledger.input, ledger.output), (8, 40, 16), "{format:?}");
    }
}

#[actix_web::test]
async fn half_a_character_in_a_request_is_replaced_when_it_is_translated() {
    for (format, expected) in
        [(ApiFormat::Openai, r"hi \ud83d"), (ApiFormat::Anthropic, "hi \u{fffd}")]
    {
        let app = TestApp::speaking(format).await;
        app.upstream.next(saying(format, "Hello"));
        let body = r#"{"model":"test-model","messages":[{"role":"user","content":"hi \ud83d"}]}"#;
        let reply = Reply::to(app.relay(body)).await;
        assert_eq!(reply.status, 200, "{format:?}: {}", reply.text());
        assert!(app.upstream.last().text().contains(expected), "{format:?}");
    }
}

/// Each format's answer with its text in a shape that nobody has promised.
fn in_another_shape(format: ApiFormat) -> String {
    let body = saying(format, "Hello").body;
    match format {
        ApiFormat::Google => body.replace("\"text\":", "\"Text\":"),
        ApiFormat::Ollama => body.replace("\"content\":", "\"Content\":"),
        _ => body.replace("\"Hello\"", r#"{"text":"Hello"}"#),
    }
}

#[actix_web::test]
async fn a_whole_answer_whose_text_cannot_be_read_passes_or_fails() {
    for format in FORMATS {
        let body = in_another_shape(format);
        for client in [Client::Chat, Client::Responses, Client::Messages, Client::Gemini] {
            let app = TestApp::speaking(format).await;
            let answer = body.clone();
            app.upstream.answer(move |_| raw(200, answer.clone()).into());
            let reply = Reply::to(client.ask(&app, false)).await;
            let what = format!("{client:?} over {format:?}: {}", reply.text());
            if passes(client, format) {
                assert_eq!((reply.status, reply.text()), (200, &*body), "{what}");
            } else {
                assert_eq!(reply.status, 502, "{what}");
            }
        }
    }
}
