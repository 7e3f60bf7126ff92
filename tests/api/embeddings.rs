//! Texts that become vectors, over each upstream that makes them.

use providerpool::domain::provider::ApiFormat;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    Reply, TestApp,
    script::{error, raw},
};

#[actix_web::test]
async fn texts_become_vectors_over_every_upstream_that_makes_them() {
    let request = json!({"model": "test-model", "input": ["a", "b"]});
    let ask = |app: &TestApp| {
        app.request(Method::POST, "/v1/embeddings")
            .bearer_auth(&app.client_key)
            .body(request.to_string())
    };
    for (format, path, answer) in [
        (
            ApiFormat::Openai,
            "/v1/embeddings",
            json!({"object": "list", "model": "m", "data": [
                {"object": "embedding", "index": 0, "embedding": [0.5, 1.0]},
                {"object": "embedding", "index": 1, "embedding": [2.0, 0.25]}],
                "usage": {"prompt_tokens": 2, "total_tokens": 2}}),
        ),
        (
            ApiFormat::Google,
            "/v1beta/models/test-model:batchEmbedContents",
            json!({"embeddings": [{"values": [0.5, 1.0]}, {"values": [2.0, 0.25]}]}),
        ),
        (
            ApiFormat::Ollama,
            "/api/embed",
            json!({"model": "m", "embeddings": [[0.5, 1.0], [2.0, 0.25]], "prompt_eval_count": 2}),
        ),
    ] {
        let app = TestApp::speaking(format).await;
        app.upstream.next(raw(200, answer.to_string()));
        let reply = Reply::to(ask(&app)).await;
        assert_eq!(reply.status, 200, "{format:?}: {}", reply.text());
        assert_eq!(app.upstream.last().path, path);
        let second = json!([2.0, 0.25]);
        assert_eq!(reply.json["data"][1]["embedding"], second, "{format:?}: {}", reply.text());
    }
    let app = TestApp::speaking(ApiFormat::Anthropic).await;
    let refused = Reply::to(ask(&app)).await;
    assert_eq!(refused.json["error"]["code"], "not_offered", "{}", refused.text());
    assert_eq!(app.upstream.calls(), 0);
}

#[actix_web::test]
async fn vectors_come_in_the_encoding_that_was_asked_for() {
    let answer = |embedding: &str| {
        let item = format!(r#"{{"object":"embedding", "index":0,"embedding":{embedding}}}"#);
        let usage = r#"{"prompt_tokens":1,"total_tokens":1}"#;
        format!(r#"{{"object":"list","data":[{item}],"model":"m","usage":{usage},"of_ours":1.50}}"#)
    };
    let (floats, base64) = (answer("[0.5, 1.0]"), answer(r#""AAAAPwAAgD8=""#));
    let app = TestApp::speaking(ApiFormat::Openai).await;
    for (format, sent, expected) in [
        (Some("base64"), &floats, &base64),
        (Some("float"), &base64, &answer("[0.5,1.0]")),
        (None, &base64, &answer("[0.5,1.0]")),
        (Some("base64"), &base64, &base64),
        (Some("float"), &floats, &floats),
        (None, &floats, &floats),
    ] {
        let mut request = json!({"model": "test-model", "input": "a"});
        if let Some(format) = format {
            request["encoding_format"] = format.into();
        }
        app.upstream.next(raw(200, sent.clone()));
        let ask = app.request(Method::POST, "/v1/embeddings").bearer_auth(&app.client_key);
        let reply = Reply::to(ask.body(request.to_string())).await;
        assert_eq!(&reply.text(), expected, "{format:?}");
    }
}

// What is asked beside answers cools nothing, so that nothing would keep it away meanwhile.
#[actix_web::test]
async fn who_is_limited_is_asked_once_for_embeddings_and_told_until_when() {
    for status in [429, 503] {
        let app = TestApp::start().await;
        app.upstream.always(match status {
            429 => || error(429).header("retry-after", "20").into(),
            _ => || error(503).header("retry-after", "20").into(),
        });

        let refused = Reply::to(
            app.request(Method::POST, "/v1/embeddings")
                .bearer_auth(&app.client_key)
                .body(json!({"model": "test-model", "input": "a"}).to_string()),
        )
        .await;

        assert_eq!((refused.status, refused.retry_after()), (status, 20), "{}", refused.text());
        assert_eq!((app.upstream.calls(), app.cooldowns().await.len()), (1, 0));
    }
}
