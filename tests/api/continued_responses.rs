//! Requests of the Responses API that continue an answer by its id.

use providerpool::domain::provider::ApiFormat;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    Reply, Streaming, TestApp,
    dialect::{FORMATS, streamed, whole as answered},
    script::{Script, raw, stream, stream_of},
};

fn ask(app: &TestApp, key: &str, body: &Value) -> RequestBuilder {
    app.request(Method::POST, "/v1/responses").bearer_auth(key).body(body.to_string())
}

async fn first(app: &TestApp, body: &Value) -> String {
    let reply = Reply::to(ask(app, &app.client_key, body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json["id"].as_str().unwrap().to_owned()
}

fn continuing(id: &str) -> Value {
    json!({"model": "test-model", "input": "and more", "previous_response_id": id})
}

#[actix_web::test]
async fn the_conversation_is_put_back_for_an_upstream_that_keeps_none() {
    let app = TestApp::start().await;
    let id = first(&app, &json!({"model": "test-model", "input": "hi"})).await;

    let second = Reply::to(ask(&app, &app.client_key, &continuing(&id))).await;

    assert_eq!(second.status, 200, "{}", second.text());
    let sent = app.upstream.last().json();
    let said: Vec<(&str, &str)> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| (turn["role"].as_str().unwrap(), turn["content"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("user", "hi"), ("assistant", "Hello world"), ("user", "and more")]);
}

#[actix_web::test]
async fn a_streamed_answer_can_be_continued_too() {
    for format in FORMATS {
        let app = TestApp::speaking(format).await;
        app.upstream.next(streamed(format));
        let body = json!({"model": "test-model", "input": "hi", "stream": true});
        let text = Streaming::to(ask(&app, &app.client_key, &body)).await.rest().await;
        let last = text.trim_end().rsplit("data: ").next().unwrap();
        let last: Value = serde_json::from_str(last).expect(last);
        let id = last["response"]["id"].as_str().unwrap();

        app.upstream.next(answered(format));
        let second = Reply::to(ask(&app, &app.client_key, &continuing(id))).await;

        assert_eq!(second.status, 200, "{format:?}: {}", second.text());
        let sent = app.upstream.last().json().to_string();
        assert!(sent.contains("Hello world") && sent.contains("and more"), "{format:?}: {sent}");
    }
}

/// The answers that the events of a stream tell of.
fn responses(stream: &str) -> Vec<Value> {
    let events = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = events.map(|event| serde_json::from_str::<Value>(event).expect(event));
    events.map(|mut event| event["response"].take()).filter(Value::is_object).collect()
}

#[actix_web::test]
async fn an_answer_names_the_one_that_it_continues() {
    for format in [ApiFormat::Openai, ApiFormat::Responses] {
        let app = TestApp::speaking(format).await;
        if format == ApiFormat::Responses {
            app.upstream.next(raw(200, native("resp_a").to_string()));
        }
        let id = first(&app, &json!({"model": "test-model", "input": "hi"})).await;

        if format == ApiFormat::Responses {
            app.upstream.next(raw(200, native("resp_b").to_string()));
        }
        let whole = Reply::to(ask(&app, &app.client_key, &continuing(&id))).await;
        assert_eq!(whole.json["previous_response_id"], *id, "{format:?}: {}", whole.text());

        app.upstream.next(match format {
            ApiFormat::Responses => native_stream(),
            _ => stream_of(&["Hello", " there"]),
        });
        let mut streamed = continuing(&id);
        streamed["stream"] = true.into();
        let text = Streaming::to(ask(&app, &app.client_key, &streamed)).await.rest().await;
        let told = responses(&text);
        assert!(told.len() >= 2, "{format:?}: {text}");
        assert!(told.iter().all(|told| told["previous_response_id"] == *id), "{format:?}: {text}");
    }
}

/// What an upstream answers that was not told of an answer before.
fn native(id: &str) -> Value {
    json!({"id": id, "object": "response", "status": "completed", "model": "test-model",
        "previous_response_id": null, "output": [{"type": "message", "id": "msg_1",
        "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
}

fn native_stream() -> Script {
    let begun = json!({"id": "resp_c", "object": "response", "status": "in_progress",
        "model": "test-model", "previous_response_id": null, "output": []});
    let events = [
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
            "delta": "Hello"}),
        json!({"type": "response.completed", "response": native("resp_c")}),
    ];
    events.iter().fold(stream(), |script, event| script.send(format!("data: {event}\n\n")))
}

#[actix_web::test]
async fn nobody_continues_what_is_unknown_forgotten_or_anothers() {
    let app = TestApp::start().await;
    let forgotten = json!({"model": "test-model", "input": "hi", "store": false});
    let forgotten = first(&app, &forgotten).await;
    let kept = first(&app, &json!({"model": "test-model", "input": "hi"})).await;
    let other = app.post("/api/v1/client-keys", json!({"name": "other"})).await;
    let other = other.json["key"].as_str().unwrap().to_owned();
    let calls = app.upstream.calls();
    for (id, key) in
        [("resp_unknown", &app.client_key), (&*forgotten, &app.client_key), (&*kept, &other)]
    {
        let reply = Reply::to(ask(&app, key, &continuing(id))).await;
        assert_eq!(reply.status, 400, "{id}: {}", reply.text());
        assert_eq!(reply.json["error"]["code"], "previous_response_not_found", "{id}");
    }
    assert_eq!(app.upstream.calls(), calls);
}

#[actix_web::test]
async fn what_is_unknown_here_may_be_known_to_an_upstream_of_the_same_dialect() {
    let app = TestApp::speaking(ApiFormat::Responses).await;
    Reply::to(ask(&app, &app.client_key, &continuing("resp_theirs"))).await;
    assert_eq!(app.upstream.last().json(), continuing("resp_theirs"));
}
