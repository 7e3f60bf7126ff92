//! How long an answer may be: what providers are told when the model can write only so much.

use providerpool::{
    config::Config,
    domain::{model::ServedModel, provider::ApiFormat},
};
use serde_json::{Value, json};

use crate::support::{Reply, Setup, TestApp, script::raw, served};

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m",
    "content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,
    "usage":{"input_tokens":5,"output_tokens":2}}"#;

/// One provider that speaks Messages, with one model that writes 3,000 tokens.
async fn app() -> TestApp {
    let configure: fn(&mut Config) = |config| {
        config.providers[0].api_format = Some(ApiFormat::Anthropic);
        let model = ServedModel { output_tokens: Some(3_000), ..served("test-model", None) };
        config.providers[0].models = vec![model, served("claude-opus-4-7", None)];
    };
    TestApp::with(Setup { configure, ..Setup::default() }).await
}

/// The limit that was sent, and what the client is told to have lost.
async fn sent(app: &TestApp, model: &str, limits: Value) -> (Value, String) {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    app.upstream.next(raw(200, ANSWER));
    let reply = Reply::to(app.relay(body.to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent: Value = serde_json::from_str(app.upstream.last().text()).unwrap();
    (sent["max_tokens"].clone(), reply.header("x-providerpool-translation").to_owned())
}

#[actix_web::test]
async fn an_answer_may_be_as_long_as_its_model_can_make_it() {
    let app = app().await;
    for (model, limits, told, lost) in [
        ("test-model", json!({}), 3_000, "lossless"),
        ("test-model", json!({"max_completion_tokens": 2_000}), 2_000, "lossless"),
        ("test-model", json!({"max_tokens": 90_000}), 3_000, "max_output_tokens"),
        ("claude-opus-4-7", json!({}), 128_000, "lossless"),
    ] {
        let sent = sent(&app, model, limits.clone()).await;
        assert_eq!(sent, (json!(told), lost.to_owned()), "{model} {limits}");
    }
}

#[actix_web::test]
async fn a_limit_that_is_passed_through_is_nobody_elses() {
    let app = app().await;
    app.upstream.next(raw(200, ANSWER));
    let body =
        r#"{"model":"test-model","max_tokens":90000,"messages":[{"role":"user","content":"hi"}]}"#;
    let request = app
        .request(reqwest::Method::POST, "/v1/messages")
        .header("x-api-key", &app.client_key)
        .body(body);
    assert_eq!(Reply::to(request).await.status, 200);
    assert_eq!(app.upstream.last().text(), body);
}

#[actix_web::test]
async fn clients_are_shown_how_much_a_model_writes() {
    let app = app().await;
    let request = app
        .request(reqwest::Method::GET, "/v1/models/test-model")
        .header("x-api-key", &app.client_key)
        .header("anthropic-version", "2023-06-01");
    assert_eq!(Reply::to(request).await.json["max_tokens"], 3_000);
}
