//! The way there and back: what is passed on untouched, and what is not.

use reqwest::Method;
use serde_json::json;

use super::support::{
    Reply, Setup, Streaming, TestApp, chat_body,
    script::{DONE, content, finish, raw, stream, usage_chunk},
    served,
};

/// A body with everything that would get lost by reading and writing it again.
const ODD_BODY: &str = r#" { "unknown" : [ 1.0 ,1e400, 123456789012345678901234567890 ],
	"model"  :  "test-model", "messages":[{"role":"user","content":"\u00e9 é 🙂"}], "z":0.10, "a":{ } } "#;

#[actix_web::test]
async fn a_body_is_forwarded_byte_for_byte() {
    let app = TestApp::start().await;

    let answer = Reply::to(app.relay(ODD_BODY)).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(app.upstream.last().text(), ODD_BODY);
    assert_eq!(app.upstream.last().path, "/v1/chat/completions");
}

#[actix_web::test]
async fn only_the_name_of_a_model_is_changed() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("test-model", Some("vendor/test-model@2"))];
    })
    .await;

    let answer = Reply::to(app.relay(ODD_BODY)).await;

    let expected = ODD_BODY.replace("\"test-model\"", "\"vendor/test-model@2\"");
    assert_eq!(app.upstream.last().text(), expected);
    assert_eq!(answer.header("x-providerpool-model"), "vendor/test-model@2");
}

#[actix_web::test]
async fn an_answer_says_who_gave_it() {
    let app = TestApp::start().await;

    let answer = app.chat("hello").await;

    assert_eq!(answer.said(), "Hello world");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-providerpool-provider"), "acme");
    assert_eq!(answer.header("x-providerpool-model"), "test-model");
    assert_eq!(answer.header("x-providerpool-attempts"), "1");
    assert_eq!(answer.header("x-providerpool-translation"), "lossless");
    assert!(answer.header("x-request-id").starts_with("req_"));
}

#[actix_web::test]
async fn an_answer_is_passed_on_byte_for_byte() {
    let app = TestApp::start().await;
    let odd = "\n{ \"choices\" : [{\"index\":0,\"message\":{\"content\":\"\\u00e9\"},\"x\":1e400}],\n\"big\":123456789012345678901234567890 } ";
    app.upstream.next(raw(200, odd).header("x-upstream-secret", "1"));

    let answer = app.chat("hello").await;

    assert_eq!(answer.text(), odd);
    assert!(!answer.headers.contains_key("x-upstream-secret"), "an upstream header got through");
}

#[actix_web::test]
async fn a_stream_is_passed_on_byte_for_byte() {
    let app = TestApp::start().await;
    let events = [
        "data:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é\"}}],\"odd\" : 1e400}\r\n\r\n",
        "event: x\nid: 7\ndata: {\"choices\":[],\"unknown\":1}\n\n",
    ];
    let all = format!("{}{}{}{DONE}", events[0], events[1], finish());
    app.upstream.next(stream().send(events[0]).send(events[1]).send(finish()).send(DONE));

    let answer = app.stream("hello").await;

    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    assert_eq!(answer.header("x-providerpool-provider"), "acme");
    assert_eq!(answer.rest().await, all);
}

#[actix_web::test]
async fn an_upstream_sees_the_providers_key_and_nothing_of_the_caller() {
    let app = TestApp::configured(|config| {
        config.providers[0].headers.insert("x-team".into(), "blue".into());
    })
    .await;

    let request = app.relay(ODD_BODY).header("x-private", "caller").header("cookie", "c=1");
    Reply::to(request).await;

    let seen = app.upstream.last();
    assert_eq!(seen.header("authorization"), Some("Bearer sk-acme-1"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-team"), Some("blue"));
    assert!(!seen.head().contains(&app.client_key), "the client key was sent upstream");
    assert!(!seen.head().contains("caller") && seen.header("cookie").is_none());
}

#[actix_web::test]
async fn the_usage_of_a_stream_is_asked_for_and_kept_from_who_did_not_ask() {
    let app = TestApp::start().await;

    let answer = app.stream("hello").await.rest().await;

    assert_eq!(app.upstream.last().json()["stream_options"]["include_usage"], true);
    assert!(!answer.contains("\"usage\""), "{answer}");
    assert!(answer.ends_with(DONE), "{answer}");
    let ledger = app.ledger().await;
    assert_eq!((ledger.completed, ledger.input, ledger.output), (1, 5, 2));
}

#[actix_web::test]
async fn a_client_that_asks_for_usage_gets_it() {
    let app = TestApp::start().await;
    let mut body = chat_body("hello", true);
    body["stream_options"] = json!({"include_usage": true});

    let answer = Streaming::to(app.relay(body.to_string())).await.rest().await;

    assert_eq!(app.upstream.last().text(), body.to_string());
    assert!(answer.contains(&usage_chunk()), "{answer}");
    assert_eq!(app.ledger().await.output, 2);
}

#[actix_web::test]
async fn a_client_that_wants_no_usage_is_not_asked_again() {
    let app = TestApp::start().await;
    let mut body = chat_body("hello", true);
    body["stream_options"] = json!({"include_usage": false});
    app.upstream.next(stream().send(content("a")).send(finish()).send(DONE));

    let answer = Streaming::to(app.relay(body.to_string())).await.rest().await;

    assert_eq!(app.upstream.last().text(), body.to_string());
    assert_eq!(answer, format!("{}{}{DONE}", content("a"), finish()));
}

#[actix_web::test]
async fn the_models_of_all_providers_are_listed_by_name() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            config.providers[0].models =
                vec![served("b", None), served("vendor/a:free", Some("x"))];
            config.providers[1].models = vec![served("b", None), served("c", None)];
        },
        ..Setup::default()
    })
    .await;

    let list = Reply::to(app.request(Method::GET, "/v1/models").bearer_auth(&app.client_key)).await;

    let models = list.json["data"].as_array().unwrap();
    let shown: Vec<_> = models
        .iter()
        .map(|model| (model["id"].as_str().unwrap(), model["owned_by"].as_str().unwrap()))
        .collect();
    assert_eq!(shown, [("b", "acme"), ("c", "backup"), ("vendor/a:free", "acme")]);
    assert_eq!((&list.json["object"], &models[0]["object"]), (&json!("list"), &json!("model")));
}

#[actix_web::test]
async fn a_model_with_slashes_in_its_name_can_be_looked_up() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("vendor/a:free", None)];
    })
    .await;
    let show = async |path: &str| {
        Reply::to(app.request(Method::GET, path).bearer_auth(&app.client_key)).await
    };

    assert_eq!(show("/v1/models/vendor/a:free").await.json["id"], "vendor/a:free");
    assert_eq!(show("/v1/models/vendor%2Fa%3Afree").await.json["id"], "vendor/a:free");
    let missing = show("/v1/models/vendor/b").await;
    assert_eq!((missing.status, &missing.json["error"]["code"]), (404, &json!("model_not_found")));
}

#[actix_web::test]
async fn a_key_for_some_models_sees_and_gets_no_others() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("a", None), served("test-model", None)];
    })
    .await;
    let made = app.post("/api/v1/client-keys", json!({"name": "x", "allowed_models": ["a"]})).await;
    let key = made.json["key"].as_str().unwrap();

    let list = Reply::to(app.request(Method::GET, "/v1/models").bearer_auth(key)).await;
    let body = chat_body("hello", false).to_string();
    let request = app.request(Method::POST, "/v1/chat/completions").bearer_auth(key).body(body);
    let refused = Reply::to(request).await;

    assert_eq!(list.json["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (refused.status, &refused.json["error"]["code"]),
        (403, &json!("model_not_allowed"))
    );
    assert_eq!(app.upstream.calls(), 0);
}
