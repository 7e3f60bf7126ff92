//! Streams that break off and are gone on with: only where the client cannot tell.

use serde_json::{Value, json};

use super::support::{
    Ledger, Setup, Streaming, TestApp,
    dialect::CLIENTS,
    script::{
        DONE, End, Script, content, error_event, finish, role, stream, stream_of, usage_chunk,
    },
};

/// A stream that says these texts and is cut.
fn cut_after(texts: &[&str]) -> Script {
    let script =
        texts.iter().fold(stream().send(role()), |script, text| script.send(content(text)));
    script.then(End::Cut)
}

/// The chunks of a stream.
fn chunks(stream: &str) -> Vec<Value> {
    let events = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    events
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// What a client that puts the deltas together has in the end.
fn said(stream: &str) -> String {
    let chunks = chunks(stream);
    chunks.iter().filter_map(|c| c.pointer("/choices/0/delta/content")?.as_str()).collect()
}

#[actix_web::test]
async fn a_stream_that_breaks_off_is_gone_on_with_by_another_provider() {
    let app = TestApp::with_backup().await;
    app.upstream.next(cut_after(&["Hel", "lo w"]));
    app.backup.next(stream_of(&["H", "ello", " world", "!"]));

    let text = app.stream("hello").await.rest().await;

    assert_eq!(said(&text), "Hello world!");
    assert!(text.ends_with(DONE), "{text}");
    let ids: Vec<_> = chunks(&text).iter().map(|chunk| chunk["id"].clone()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 1));
    let usage = app.get("/api/v1/usage?period=all").await;
    assert_eq!(usage.json["totals"][0]["provider_id"], "backup");
    let ledger = app.ledger().await;
    assert_eq!(ledger, Ledger { requests: 1, completed: 1, ..ledger });
    // What the first one has read and said is there too, although it told nothing of it.
    assert!(ledger.input > 5 && (3..=8).contains(&ledger.output), "{ledger:?}");
}

// What is about the key or the model is not about the request; what is, goes on where the operator says so.
#[actix_web::test]
async fn an_error_in_mid_stream_is_gone_on_with_elsewhere_by_its_class_or_a_rule() {
    for (code, is_by_class) in [
        ("insufficient_quota", true),
        ("invalid_api_key", true),
        ("model_not_found", true),
        ("rate_limit_exceeded", true),
        ("context_length_exceeded", false),
        ("invalid_request_error", false),
        ("content_filter", false),
    ] {
        for has_rule in [false, true] {
            let app = TestApp::with_backup().await;
            let rules = json!([{"status": 200, "contains": ["no, says"], "action": "continue"}]);
            let first = json!({"id": "first", "location": "local", "priority": 90, "api_format": "openai",
                "base_url": format!("http://{}", app.upstream.address),
                "rules": if has_rule { rules } else { json!([]) }});
            assert_eq!(app.post("/api/v1/providers", first).await.status, 201);
            let error =
                json!({"error": {"message": "no, says the upstream", "type": code, "code": code}});
            let begun = stream().send(role()).send(content("Hel")).send(content("lo"));
            app.upstream.next(begun.send(format!("data: {error}\n\n")));
            app.upstream.always(|| stream_of(&["Hello", " world"]).into());
            app.backup.always(|| stream_of(&["Hello", " world"]).into());

            let text = app.stream("hello").await.rest().await;

            let goes_on = is_by_class || has_rule;
            let expected = if goes_on { "Hello world" } else { "Hello" };
            assert_eq!(said(&text), expected, "{code} {has_rule}: {text}");
            assert_eq!(text.ends_with(DONE), goes_on, "{code} {has_rule}: {text}");
        }
    }
}

#[actix_web::test]
async fn without_another_provider_the_same_one_is_asked_again() {
    let app = TestApp::start().await;
    app.upstream.next(cut_after(&["one ", "two"]));
    app.upstream.next(stream_of(&["one two three"]));

    let text = app.stream("hello").await.rest().await;

    assert_eq!(said(&text), "one two three");
    assert!(text.ends_with(DONE));
}

#[actix_web::test]
async fn one_that_says_something_else_is_not_heard() {
    let app = TestApp::with_backup().await;
    app.upstream.next(cut_after(&["Hello"]));
    app.backup.always(|| stream_of(&["Hullo", " sailor"]).into());
    app.upstream.always(|| stream_of(&["Help", " yourself"]).into());

    let text = app.stream("hello").await.rest().await;

    assert_eq!(said(&text), "Hello");
    assert!(text.contains("stream_broken"), "{text}");
    assert!(!text.contains("sailor") && !text.contains("yourself") && !text.contains("[DONE]"));
    assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 1));
    assert_eq!(app.ledger().await.failed, 1);
    let usage = app.get("/api/v1/usage?period=all").await;
    assert_eq!(usage.json["totals"][0]["provider_id"], "acme", "who differed has not answered");
}

#[actix_web::test]
async fn after_a_tool_call_began_nothing_is_tried_again() {
    let app = TestApp::with_backup().await;
    let call = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
        "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c",
        "type": "function", "function": {"name": "f", "arguments": ""}}]}, "finish_reason": null}]});
    let begun = stream().send(role()).send(format!("data: {call}\n\n"));
    app.upstream.next(begun.then(End::Cut));

    let text = app.stream("hello").await.rest().await;

    assert!(text.contains("stream_broken"), "{text}");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 0));
}

#[actix_web::test]
async fn when_all_break_off_the_first_is_asked_once_more_and_then_it_is_given_up() {
    let app = TestApp::with_backup().await;
    app.upstream.next(cut_after(&["a"]));
    app.backup.next(cut_after(&["a", "b"]));
    app.upstream.next(cut_after(&["a", "b", "c"]));

    let text = app.stream("hello").await.rest().await;

    assert_eq!(said(&text), "abc");
    assert!(text.contains("stream_broken"), "{text}");
    assert_eq!((app.upstream.calls(), app.backup.calls()), (2, 1));
}

#[actix_web::test]
async fn an_operator_can_switch_it_off() {
    let configure = |config: &mut providerpool::config::Config| config.relay.resume = false;
    let app = TestApp::with(Setup { backup: true, configure, ..Setup::default() }).await;
    app.upstream.next(cut_after(&["Hello"]));

    let text = app.stream("hello").await.rest().await;

    assert!(text.contains("stream_broken"));
    assert_eq!(app.backup.calls(), 0);
}

#[actix_web::test]
async fn wherever_a_stream_is_cut_the_client_gets_the_whole_text() {
    let texts = ["The ", "quick ", "brünette ", "fox", " jumps."];
    for at in 1..=texts.len() {
        let app = TestApp::with_backup().await;
        app.upstream.next(cut_after(&texts[..at]));
        app.backup.next(
            stream()
                .send(role())
                .send(content("The quick brünette"))
                .send(content(" fox jumps."))
                .send(finish())
                .send(usage_chunk())
                .send(DONE),
        );

        let text = app.stream("hello").await.rest().await;

        assert_eq!(said(&text), texts.concat(), "cut after {at}");
        assert!(text.ends_with(DONE), "cut after {at}: {text}");
    }
}

#[actix_web::test]
async fn one_that_goes_on_and_fails_in_the_same_breath_is_gone_on_with() {
    for client in CLIENTS {
        let app = TestApp::with_backup().await;
        app.upstream.next(cut_after(&["one "]));
        let at_once = [role(), content("one two"), error_event()].concat();
        app.backup.next(stream().send(at_once));
        app.upstream.next(stream_of(&["one ", "two ", "three"]));

        let text = Streaming::to(client.ask(&app, true)).await.rest().await;

        assert!(client.is_complete(&text), "{client:?}: {text}");
        let events = client.events(&text);
        let said: String = events.iter().map(|event| client.said_in(event)).collect();
        assert_eq!(said, "one two three", "{client:?}: {text}");
    }
}
