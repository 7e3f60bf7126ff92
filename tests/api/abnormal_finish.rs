//! Finish reasons by which an upstream says that its answer has failed: another candidate answers or goes on
//! with it, or the client is told an error; none is a good end, neither to the client nor on the ledger.

use providerpool::domain::provider::ApiFormat;

use crate::support::{
    Reply, Setup, Streaming, TestApp,
    dialect::{CLIENTS, Client, events_saying, saying, script},
    script::{Script, Step},
};

/// Who has which word, and its class.
const WORDS: [(ApiFormat, &str, &str); 4] = [
    (ApiFormat::Openai, "network_error", "server"),
    (ApiFormat::Openai, "insufficient_system_resource", "overload"),
    (ApiFormat::Google, "MALFORMED_FUNCTION_CALL", "server"),
    (ApiFormat::Google, "OTHER", "server"),
];

/// An answer of these texts that ends with this word.
fn ended_with(format: ApiFormat, word: &'static str, texts: &[&str], stream: bool) -> Step {
    let reason = |end: &str| match format {
        ApiFormat::Google => format!("\"finishReason\":\"{end}\""),
        _ => format!("\"finish_reason\":\"{end}\""),
    };
    let end = if format == ApiFormat::Google { "STOP" } else { "stop" };
    let put = |text: &str| text.replace(&reason(end), &reason(word));
    if !stream {
        let mut answer = saying(format, &texts.concat());
        answer.body = put(&answer.body);
        assert!(answer.body.contains(word));
        return answer.into();
    }
    let (events, last) = events_saying(format, texts);
    let events = events.iter().chain([&last]).map(|event| put(event));
    events.fold(script(format), Script::send).into()
}

async fn pool(format: ApiFormat, backup: bool) -> TestApp {
    TestApp::with(Setup { backup, speaks: Some(format), ..Setup::default() }).await
}

/// All that a client reads of a stream.
fn said(client: Client, text: &str) -> String {
    client.events(text).iter().map(|event| client.said_in(event)).collect()
}

#[actix_web::test]
async fn before_the_first_word_another_candidate_answers() {
    for (format, word, class) in WORDS {
        let app = pool(format, true).await;
        for (client, stream) in CLIENTS.into_iter().flat_map(|it| [(it, true), (it, false)]) {
            app.upstream.answer(move |_| ended_with(format, word, &[], stream));
            let what = format!("{client:?} over {format:?}: {word}, streamed: {stream}");
            // Without a stream both ways of Gemini's are one.
            let is_array = client == Client::GeminiArray && !stream;
            let client = if is_array { Client::Gemini } else { client };

            let (id, text) = if stream {
                let streaming = Streaming::to(client.ask(&app, true)).await;
                let id = streaming.header("x-request-id").to_owned();
                let text = streaming.rest().await;
                assert!(client.is_complete(&text), "{what}: {text}");
                (id, said(client, &text))
            } else {
                let reply = Reply::to(client.ask(&app, false)).await;
                assert_eq!(reply.status, 200, "{what}: {}", reply.text());
                (reply.header("x-request-id").to_owned(), client.said(&reply.json))
            };

            assert_eq!(text, "Hello world", "{what}");
            let trace = app.trace(&id).await;
            assert_eq!(trace["outcome"], "completed", "{what}");
            let failure = &trace["attempts"][0]["failure"];
            assert_eq!(failure["class"], class, "{what}: {failure}");
            let detail = failure["detail"].as_str().unwrap();
            assert!(detail.contains(word), "{what}: {detail}");
            app.delete("/api/v1/cooldowns").await;
        }
        let ledger = app.ledger().await;
        assert_eq!((ledger.requests, ledger.completed), (16, 16), "{format:?} {word}");
    }
}

#[actix_web::test]
async fn after_words_another_candidate_goes_on() {
    for (format, word, _) in WORDS {
        let app = pool(format, true).await;
        for client in CLIENTS {
            app.upstream.answer(move |_| ended_with(format, word, &["Hel", "lo"], true));
            app.backup.forget_calls();

            let text = Streaming::to(client.ask(&app, true)).await.rest().await;

            let what = format!("{client:?} over {format:?}: {word}: {text}");
            assert_eq!(said(client, &text), "Hello world", "{what}");
            assert!(client.is_complete(&text) && !text.contains(word), "{what}");
            assert_eq!(app.backup.calls(), 1, "{what}");
            app.delete("/api/v1/cooldowns").await;
        }
        let ledger = app.ledger().await;
        assert_eq!((ledger.requests, ledger.completed), (8, 8), "{format:?} {word}");
    }
}

#[actix_web::test]
async fn where_nobody_can_go_on_it_is_an_error_and_never_completed() {
    for (format, word, class) in WORDS {
        let app = pool(format, false).await;
        for client in CLIENTS {
            app.upstream.answer(move |_| ended_with(format, word, &["Hello"], true));

            let streaming = Streaming::to(client.ask(&app, true)).await;
            let id = streaming.header("x-request-id").to_owned();
            let text = streaming.rest().await;

            let what = format!("{client:?} over {format:?}: {word}: {text}");
            assert_eq!(said(client, &text), "Hello", "{what}");
            assert!(client.is_failed(&text) && !client.is_complete(&text), "{what}");
            let trace = app.trace(&id).await;
            assert_eq!(trace["attempts"][0]["failure"]["class"], class, "{what}");
            assert_ne!(trace["outcome"], "completed", "{what}");
            app.delete("/api/v1/cooldowns").await;
        }
        let ledger = app.ledger().await;
        assert_eq!((ledger.completed, ledger.failed), (0, 8), "{format:?} {word}");
        assert!(ledger.input > 0 && ledger.output > 0, "what came was used: {ledger:?}");

        app.upstream.answer(move |_| ended_with(format, word, &["Hello"], false));
        let refused = Reply::to(Client::Chat.ask(&app, false)).await;
        let status = if class == "overload" { 503 } else { 502 };
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(!refused.text().contains("Hello"), "{}", refused.text());
        assert_eq!(app.ledger().await.failed, 9);
    }
}
