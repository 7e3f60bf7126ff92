//! What is on the ledger of a request that was not answered to its end: what the upstream has told, else
//! what was asked and given, and marked so.

use std::collections::HashSet;

use providerpool::domain::provider::ApiFormat;
use serde_json::{Value, json};

use super::support::{
    EventStream, Reply, Setup, Streaming, TestApp, chat_body,
    dialect::{CLIENTS, Client, FORMATS, events, script},
    eventually,
    script::{End, Script, Step, content, error, finish, gate, stream},
};

/// What the next entry says: outcome, prompt tokens, output tokens, and whether they are estimated.
async fn next_entry(recorded: &mut EventStream) -> (String, Option<(u64, u64)>, bool) {
    let data = recorded.until("usage.recorded").await["data"].clone();
    let tokens = |class: &str| data["tokens"][class].as_u64();
    let told = tokens("input").zip(tokens("output"));
    let outcome = data["outcome"].as_str().unwrap().to_owned();
    (outcome, told, data["usage_estimated"] == true)
}

async fn recorded(app: &TestApp) -> EventStream {
    app.events("?types=usage.recorded").await
}

/// Has a client leave in the middle of a stream.
async fn leave(
    app: &TestApp,
    client: Client,
    events: impl IntoIterator<Item = String>,
    begun: Script,
) {
    let (_gate, opened) = gate();
    let begun = events.into_iter().fold(begun, Script::send);
    app.upstream.next(begun.wait(opened));
    let mut answer = Streaming::to(client.ask(app, true)).await;
    answer.until("Hell").await;
}

#[actix_web::test]
async fn whoever_leaves_a_stream_leaves_tokens_whatever_the_two_speak() {
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        let mut recorded = recorded(&app).await;
        let events = events(format).0;
        let said = events.iter().position(|event| event.contains(" world")).unwrap();
        for client in CLIENTS {
            leave(&app, client, events[..=said].to_vec(), script(format)).await;

            let (outcome, tokens, is_estimated) = next_entry(&mut recorded).await;

            let what = format!("{client:?} over {format:?}: {outcome} {tokens:?}");
            assert_eq!(outcome, "cancelled", "{what}");
            let (input, output) = tokens.expect(&what);
            // Messages tells the prompt when it begins; the others tell nothing before the end.
            let prompt = if format == ApiFormat::Anthropic { 5..=5 } else { 5..=60 };
            assert!(prompt.contains(&input) && (2..=6).contains(&output), "{what}");
            assert!(is_estimated, "{what}");
        }
    }
}

#[actix_web::test]
async fn what_an_upstream_tells_with_each_event_is_believed() {
    let usage = json!({"prompt_tokens": 50, "completion_tokens": 30});
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": null}],
        "usage": usage,
    });
    let gemini = json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 50, "candidatesTokenCount": 30, "totalTokenCount": 80},
        "modelVersion": "upstream-model",
    });
    for (format, told) in [(ApiFormat::Openai, chunk), (ApiFormat::Google, gemini)] {
        let app = TestApp::speaking(format).await;
        let mut recorded = recorded(&app).await;
        let told = format!("data: {told}\n\n");
        let untold = events(format).0.into_iter().find(|event| event.contains(" world")).unwrap();
        for client in [Client::Chat, Client::Messages, Client::Gemini] {
            // Twice: Gemini says the last letter of a piece only when it is not the last piece.
            leave(&app, client, [told.clone(), told.clone()], script(format)).await;
            let entry = next_entry(&mut recorded).await;
            assert_eq!(entry, ("cancelled".into(), Some((50, 30)), false), "{client:?}");

            if client == Client::Gemini {
                continue;
            }
            // What comes after it is counted.
            let (_gate, opened) = gate();
            app.upstream.next(script(format).send(&told).send(&untold).wait(opened));
            let mut answer = Streaming::to(client.ask(&app, true)).await;
            answer.until(" world").await;
            drop(answer);
            let (_, tokens, is_estimated) = next_entry(&mut recorded).await;
            let (input, output) = tokens.unwrap();
            assert!(input == 50 && (31..=33).contains(&output) && is_estimated, "{tokens:?}");
        }
    }
}

#[actix_web::test]
async fn whoever_leaves_while_an_upstream_is_at_work_has_had_the_prompt_read() {
    let app = TestApp::start().await;
    let mut recorded = recorded(&app).await;
    let text = "A question of some length. ".repeat(200);
    for is_streamed in [false, true] {
        app.upstream.next(Step::Silent);
        let calls = app.upstream.calls();
        let asking = tokio::spawn(app.relay(chat_body(&text, is_streamed).to_string()).send());
        eventually("the upstream is asked", async || (app.upstream.calls() > calls).then_some(()))
            .await;

        asking.abort();

        let (outcome, tokens, is_estimated) = next_entry(&mut recorded).await;
        let (input, output) = tokens.unwrap();
        assert!((1_000..2_500).contains(&input), "{input}");
        assert_eq!((outcome.as_str(), output, is_estimated), ("cancelled", 0, true));
    }
}

#[actix_web::test]
async fn a_failure_that_no_upstream_charges_for_has_no_tokens() {
    let app = TestApp::start().await;
    let mut recorded = recorded(&app).await;
    app.upstream.next(error(400));
    assert_eq!(app.chat("hello").await.status, 400);
    assert_eq!(next_entry(&mut recorded).await, ("failed".into(), None, false));
}

#[actix_web::test]
async fn a_stream_that_breaks_off_or_takes_too_long_leaves_what_was_given() {
    let configure = |config: &mut providerpool::config::Config| {
        config.relay.resume = false;
        config.relay.timeout_ms = 500;
    };
    let app = TestApp::with(Setup { configure, ..Setup::default() }).await;
    let mut recorded = recorded(&app).await;
    let (_gate, opened) = gate();
    let text = "some words that were given ".repeat(40);
    let begun = || stream().send(content(&text));
    for ends in [begun().then(End::Cut), begun().wait(opened).send(finish())] {
        app.upstream.next(ends);
        assert!(!app.stream("hello").await.rest().await.contains("[DONE]"));
        let (outcome, tokens, is_estimated) = next_entry(&mut recorded).await;
        let (input, output) = tokens.unwrap();
        assert!(input > 0 && (200..450).contains(&output), "{input} and {output}");
        assert_eq!((outcome.as_str(), is_estimated), ("failed", true));
    }
}

#[actix_web::test]
async fn what_a_stop_cuts_off_is_on_the_ledger_of_the_next_start() {
    let mut app = TestApp::start().await;
    let (_gate, opened) = gate();
    let text = "some words that were given ".repeat(40);
    app.upstream.next(stream().send(content(&text)).wait(opened));
    let mut answer = app.stream("hello").await;
    answer.until("some words").await;

    app.restart().await;

    let ledger = app.ledger().await;
    assert!(ledger.input > 0 && (200..450).contains(&ledger.output), "{ledger:?}");
}

#[actix_web::test]
async fn names_that_clients_make_up_leave_a_bounded_number_of_cooldowns() {
    let app = TestApp::start().await;
    app.upstream
        .always(|| crate::support::script::error_with_code(404, &json!("model_not_found")).into());
    let mut asked = HashSet::new();
    for n in 0..300 {
        let body = crate::support::named_body(&format!("made-up-{n}"), "hello");
        assert_eq!(Reply::to(app.relay(body.to_string())).await.status, 404);
        asked.insert(n);
    }

    let cooldowns = app.cooldowns().await;
    assert_eq!(cooldowns.len(), 64);
    let models: HashSet<&str> = cooldowns.iter().filter_map(|it| it["model_id"].as_str()).collect();
    assert!(models.contains("made-up-299"), "the last one to come is there");
    assert_eq!(app.metric("providerpool_dropped_total{what=\"cooldown\"}").await, 300 - 64);
    eventually("storage has those and no others", async || {
        let stored = app.actors.db.load_cooldowns().await.unwrap();
        let stored: HashSet<Value> =
            stored.iter().filter_map(|it| Some(json!(it.scope.model()?))).collect();
        (stored == models.iter().map(|it| json!(it)).collect()).then_some(())
    })
    .await;
}
