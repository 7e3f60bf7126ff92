//! What a request was admitted for is what goes upstream: a body that two readers would take for two
//! requests is refused, whatever else picks a model is looked at, and a name stays in its place in a
//! path.

use std::fmt::Write as _;

use serde_json::json;

use crate::{
    scripted::{Scripted, Seen, json},
    support::{Process, Workplace, http},
};

/// The formats of the providers. Each serves the model of its name, and `forbidden-` before it.
const FORMATS: [&str; 6] = ["openai", "responses", "anthropic", "google", "cloudcode", "ollama"];

/// A route, the model that is asked there, and a body without a model.
struct Route {
    path: &'static str,
    model: &'static str,
    body: &'static str,
}

const CHAT: &str = r#""messages":[{"role":"user","content":"hi"}]"#;
const MESSAGES: &str = r#""max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#;
const CONTENTS: &str = r#""contents":[{"parts":[{"text":"hi"}]}]"#;
const COUNTED: &str = r#""generateContentRequest":{"contents":[{"parts":[{"text":"hi"}]}]}"#;
const CONTENT: &str = r#""content":{"parts":[{"text":"hi"}]}"#;
const REQUESTS: &str = r#""requests":[{"content":{"parts":[{"text":"hi"}]}}]"#;

const fn route(path: &'static str, model: &'static str, body: &'static str) -> Route {
    Route { path, model, body }
}

const ROUTES: [Route; 16] = [
    route("/v1/chat/completions", "openai", CHAT),
    route("/v1/completions", "openai", r#""prompt":"hi""#),
    route("/v1/embeddings", "openai", r#""input":"hi""#),
    route("/v1/responses", "responses", r#""input":"hi""#),
    route("/v1/messages", "anthropic", MESSAGES),
    route("/v1/messages/count_tokens", "anthropic", CHAT),
    route("/v1beta/models/google:generateContent", "google", CONTENTS),
    route("/v1beta/models/google:streamGenerateContent?alt=sse", "google", CONTENTS),
    route("/v1beta/models/google:streamGenerateContent", "google", CONTENTS),
    route("/v1beta/models/google:countTokens", "google", COUNTED),
    route("/v1beta/models/google:embedContent", "google", CONTENT),
    route("/v1beta/models/google:batchEmbedContents", "google", REQUESTS),
    route("/v1beta/models/cloudcode:generateContent", "cloudcode", CONTENTS),
    route("/api/chat", "ollama", CHAT),
    route("/api/generate", "ollama", r#""prompt":"hi""#),
    route("/api/embed", "ollama", r#""input":"hi""#),
];

impl Route {
    fn is_googles(&self) -> bool {
        self.path.starts_with("/v1beta")
    }

    fn usual_model(&self) -> String {
        format!("\"model\":\"{}\"", self.model)
    }

    fn body_with(&self, fields: &str) -> String {
        let model = self.usual_model();
        if self.is_googles() {
            format!("{{{},{fields}}}", self.body)
        } else {
            format!("{{{model},{},{fields}}}", self.body)
        }
    }
}

struct Pool {
    upstream: Scripted,
    process: Process,
    unlimited: String,
    /// May use the models that are named after the formats.
    limited: String,
    _workplace: Workplace,
}

/// What the provider says to everything. No word of ours.
const REFUSAL: &str =
    r#"{"error":{"message":"no, says the upstream","type":"invalid_request_error","code":"x"}}"#;

impl Pool {
    fn start() -> Self {
        let upstream = Scripted::start(|_| json(400, "", REFUSAL));
        let mut config = String::new();
        for format in FORMATS {
            write!(
                config,
                "[[providers]]\nid = \"{format}\"\napi_format = \"{format}\"\nlocation = \"local\"\n\
                 base_url = \"http://{}\"\napi_keys = [\"sk-{format}\"]\n\
                 models = [{{ name = \"{format}\" }}, {{ name = \"forbidden-{format}\" }}]\n",
                upstream.address
            )
            .unwrap();
        }
        let workplace = Workplace::new(&config);
        let (admin, unlimited) = (workplace.create_key("admin"), workplace.create_key("client"));
        let process = workplace.serve();
        let key = json!({"name": "limited", "allowed_models": FORMATS}).to_string();
        let made = http::ask(process.address, "POST /api/v1/client-keys", &admin, &key);
        assert_eq!(made.status, 201, "{}", made.body);
        let limited = made.json()["key"].as_str().unwrap().to_owned();
        Self { upstream, process, unlimited, limited, _workplace: workplace }
    }

    fn ask(&self, key: &str, path: &str, body: &str) -> (u16, String, Vec<Seen>) {
        let answer = http::ask(self.process.address, &format!("POST {path}"), key, body);
        (answer.status, answer.body, self.upstream.take())
    }
}

#[test]
fn a_body_that_two_readers_would_take_for_two_requests_is_refused_on_every_route() {
    let pool = Pool::start();
    for route in &ROUTES {
        let (model, rest) = (route.usual_model(), route.body);
        let forbidden = format!("\"forbidden-{}\"", route.model);
        let mut bodies = vec![
            format!("{{{rest},\"model\":{forbidden},{model}}}"),
            format!("{{{model},{rest},\"model\":{forbidden}}}"),
            format!("{{\"mod\\u0065l\":{forbidden},{rest},{model}}}"),
            format!("{{{rest},\"Model\":{forbidden},{model}}}"),
            format!("{{{rest},{model},\"MODE\\u004c\":{forbidden}}}"),
            format!("{{{rest},\"MODEL\":{forbidden}}}"),
            format!("{{{model},{rest},\"stream\":false,\"Stream\":true}}"),
            format!("[{forbidden},{{{rest}}}]"),
        ];
        if route.is_googles() {
            bodies.push(format!("{{{rest},\"model\":{forbidden}}}"));
            bodies.push(format!("{{{rest},\"generationConfig\":{{}},\"generation_config\":{{}}}}"));
            for within in ["generateContentRequest\":{", "generate_content_request\":{"] {
                bodies.push(format!("{{\"{within}{model},\"model\":{forbidden}}}}}"));
                bodies.push(format!("{{\"{within}\"model\":{forbidden}}}}}"));
            }
            bodies.push(format!("{{\"requests\":[{{{CONTENT},{model},\"Model\":{forbidden}}}]}}"));
            bodies.push(format!("{{\"requests\":[{{{CONTENT}}},{{\"model\":{forbidden}}}]}}"));
        }
        for body in bodies {
            for key in [&pool.limited, &pool.unlimited] {
                let (status, said, seen) = pool.ask(key, route.path, &body);
                assert_eq!((status, seen.len()), (400, 0), "{} {body}: {said}", route.path);
                assert!(!said.contains("says the upstream"), "{said}");
            }
        }
    }
}

#[test]
fn an_answer_that_is_continued_does_not_hide_that_a_body_is_two() {
    let pool = Pool::start();
    let body = r#"{"model":"forbidden-responses","model":"responses","input":"hi",
        "previous_response_id":"resp_1"}"#;
    let (status, said, seen) = pool.ask(&pool.limited, "/v1/responses", body);
    assert_eq!((status, seen.len()), (400, 0), "{said}");
}

#[test]
fn what_else_picks_a_model_is_refused_for_a_key_that_is_limited_and_no_other() {
    let pool = Pool::start();
    for route in &ROUTES {
        let mut fields = vec![
            r#""models":["forbidden-x"]"#,
            r#""Models":["forbidden-x"]"#,
            r#""route":"fallback""#,
            r#""preset":"forbidden-x""#,
            r#""fallbacks":[{"model":"forbidden-x"}]"#,
            r#""compound_custom":{"models":{"answering_model":"forbidden-x"}}"#,
            r#""draft_model":"forbidden-x""#,
            r#""providerOptions":{"gateway":{"models":["forbidden-x"]}}"#,
            r#""extra_body":{"model":"forbidden-x"}"#,
            r#""plugins":[{"id":"auto-router","allowed_models":["forbidden-*"]}]"#,
        ];
        if route.path == "/v1/responses" || route.path == "/v1/messages" {
            fields
                .push(r#""tools":[{"type":"image_generation","name":"x","model":"forbidden-x"}]"#);
        }
        if route.path.contains("enerateContent") {
            fields.push(
                r#""generationConfig":{"routingConfig":{"manualMode":{"modelName":"forbidden-x"}}}"#,
            );
        }
        for field in fields {
            let body = route.body_with(field);
            let (status, said, seen) = pool.ask(&pool.limited, route.path, &body);
            assert_eq!((status, seen.len()), (403, 0), "{} {body}: {said}", route.path);
        }
        // What the pool writes anew has no place for it.
        let is_passed_on = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"]
            .contains(&route.path);
        if is_passed_on {
            let body = route.body_with(r#""models" : ["forbidden-x"], "n\u0065w":1.50"#);
            let (status, said, seen) = pool.ask(&pool.unlimited, route.path, &body);
            assert_eq!(status, 400, "{said}");
            assert_eq!(seen.iter().map(|seen| &seen.body).collect::<Vec<_>>(), [&body]);
        }
        let model = route.model;
        let body = route.body_with(&format!(r#""models":["{model}","openai"]"#));
        let (_, said, seen) = pool.ask(&pool.limited, route.path, &body);
        assert_eq!(seen.len(), 1, "{} {body}: {said}", route.path);
    }
}

#[test]
fn the_model_of_a_body_is_that_of_the_path_also_upstream() {
    let upstream = Scripted::start(|_| json(400, "", REFUSAL));
    let config = format!(
        "[[providers]]\nid = \"g\"\napi_format = \"google\"\nlocation = \"local\"\n\
         base_url = \"http://{}\"\napi_keys = [\"sk-1\"]\nmodels = [{{ name = \"own\" }}]\n\
         [[aliases]]\nname = \"asked\"\nmodel = \"own\"\n",
        upstream.address
    );
    let workplace = Workplace::new(&config);
    let client = workplace.create_key("client");
    let pool = workplace.serve();
    for (method, body) in [
        ("generateContent", format!("{{\"model\":\"models/asked\",{CONTENTS}}}")),
        ("generateContent", format!("{{{CONTENTS},\"model\":\"asked\"}}")),
        (
            "countTokens",
            format!("{{\"generateContentRequest\":{{\"model\":\"asked\",{CONTENTS}}}}}"),
        ),
        (
            "batchEmbedContents",
            format!("{{\"requests\":[{{\"model\":\"models/asked\",{CONTENT}}}]}}"),
        ),
        ("embedContent", format!("{{\"model\":\"models/asked\",{CONTENT}}}")),
    ] {
        let path = format!("POST /v1beta/models/asked:{method}");
        let answer = http::ask(pool.address, &path, &client, &body);
        let seen = upstream.take();
        assert_eq!(seen.len(), 1, "{method} {body}: {}", answer.body);
        assert!(seen[0].path.starts_with("/v1beta/models/own:"), "{}", seen[0].path);
        assert!(seen[0].body.contains("own\""), "{}", seen[0].body);
        assert!(!seen[0].body.contains("asked"), "{}", seen[0].body);
    }
}

#[test]
fn a_models_name_stays_in_its_place_in_a_path() {
    let upstream = Scripted::start(|_| json(400, "", REFUSAL));
    let config = format!(
        "[[providers]]\nid = \"g\"\napi_format = \"google\"\nlocation = \"local\"\n\
         base_url = \"http://{}\"\napi_keys = [\"sk-1\"]\n",
        upstream.address
    );
    let workplace = Workplace::new(&config);
    let client = workplace.create_key("client");
    let pool = workplace.serve();
    let ask = |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let path = "POST /v1/chat/completions";
        let answer = http::ask(pool.address, path, &client, &body.to_string());
        (answer.status, upstream.take().pop().map(|seen| seen.path))
    };
    for name in ["../../../admin", "..", "a/../b", r"..\admin", "models/../../admin", "./a"] {
        assert_eq!(ask(name), (400, None), "{name}");
    }
    for (name, path) in [
        ("x?key=1", "x%3Fkey%3D1"),
        ("x#y", "x%23y"),
        ("x:countTokens?", "x%3AcountTokens%3F"),
        ("%2e%2e/%2e%2e/admin", "%252e%252e/%252e%252e/admin"),
        ("vendor/x", "vendor/x"),
        ("x y", "x%20y"),
    ] {
        let expected = format!("/v1beta/models/{path}:generateContent");
        assert_eq!(ask(name).1, Some(expected), "{name}");
    }
}

#[test]
fn a_list_is_taken_for_no_object() {
    let pool = Pool::start();
    for (path, body) in [
        ("/v1/chat/completions", r#"{"model":"openai","messages":[{}],"stream_options":[true]}"#),
        (
            // It is translated, and so is read.
            "/v1/chat/completions",
            r#"{"model":"anthropic","messages":[{"role":"user","content":[["text","hi"]]}]}"#,
        ),
        ("/v1/messages", r#"{"model":"openai","max_tokens":9,"messages":[["user","hi"]]}"#),
        ("/v1beta/models/openai:generateContent", r#"{"contents":[["hi"]]}"#),
        ("/api/chat", r#"{"model":"ollama","messages":[{}],"options":[1]}"#),
        ("/api/chat", r#"["ollama"]"#),
        ("/api/generate", r#"["ollama"]"#),
        ("/api/show", r#"["ollama"]"#),
    ] {
        let (status, said, seen) = pool.ask(&pool.unlimited, path, body);
        assert_eq!((status, seen.len()), (400, 0), "{path} {body}: {said}");
    }
    assert_eq!(pool.ask(&pool.unlimited, "/api/show", r#"{"name":"ollama","x":[]}"#).0, 200);
}

#[test]
fn explaining_refuses_what_would_be_refused() {
    let workplace = Workplace::new("");
    let admin = workplace.create_key("admin");
    let pool = workplace.serve();
    let key = r#"{"name":"limited","allowed_models":["a"]}"#;
    let made = http::ask(pool.address, "POST /api/v1/client-keys", &admin, key).json();
    let limited = made["id"].as_str().unwrap();
    let explain = |request: &str| {
        let body = format!(r#"{{"request":{request},"client_key":"{limited}"}}"#);
        http::ask(pool.address, "POST /api/v1/routes/explain", &admin, &body)
    };
    let other = explain(&format!(r#"{{"model":"b",{CHAT}}}"#));
    assert_eq!(other.status, 403, "{}", other.body);
    let field = explain(&format!(r#"{{"model":"a","models":["b"],{CHAT}}}"#));
    assert_eq!(field.status, 403, "{}", field.body);
    let twice = explain(&format!(r#"{{"model":"a","Model":"b",{CHAT}}}"#));
    assert_eq!(twice.status, 400, "{}", twice.body);
    assert!(twice.body.contains("Model"), "{}", twice.body);
    assert_eq!(explain(&format!(r#"{{"model":"a",{CHAT}}}"#)).status, 200);
}
