//! `POST /api/v1/routes/explain`: where a request would go, and that asking changes nothing.

use providerpool::{
    config::Config,
    domain::{
        model::{Capabilities, Capability},
        provider::ApiFormat,
        route::{CredentialStrategy, Strategy},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{
    Ledger, Reply, Setup, TestApp, eventually, named_body, script::error, served, with_json,
};

const PATH: &str = "/api/v1/routes/explain";

async fn explain(app: &TestApp, body: Value) -> Value {
    let explained = app.post(PATH, body).await;
    assert_eq!(explained.status, 200, "{}", explained.text());
    explained.json
}

/// The providers of a list, in order.
fn providers(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["provider_id"].as_str().unwrap()).collect()
}

/// Why a provider is left out of the first stage.
fn reason<'e>(explained: &'e Value, list: &str, provider: &str) -> &'e Value {
    let entries = explained["stages"][0][list].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["provider_id"] == provider);
    entry.unwrap_or_else(|| panic!("{provider} is not in {list} of {explained}"))
}

/// Two providers, with labelled keys.
fn labelled() -> Setup {
    let configure = |config: &mut Config| {
        for provider in &mut config.providers {
            for (number, key) in provider.api_keys.iter_mut().enumerate() {
                key.label = Some(format!("{} {}", provider.id, number + 1));
            }
        }
    };
    Setup { keys: 2, backup: true, configure, ..Setup::default() }
}

#[actix_web::test]
async fn it_says_who_would_be_asked_in_which_order_and_with_which_key() {
    let app = TestApp::with(labelled()).await;

    let explained = explain(&app, json!({"model": "test-model"})).await;

    assert_eq!(explained["model"], "test-model");
    assert_eq!((explained.get("substitution"), explained.get("available_at")), (None, None));
    let [stage] = explained["stages"].as_array().unwrap().as_slice() else { panic!("{explained}") };
    assert_eq!((&stage["model"], &stage["strategy"]), (&json!("test-model"), &json!("priority")));
    assert_eq!((stage.get("route"), stage.get("mode")), (None, None));
    assert_eq!(providers(&stage["candidates"]), ["acme", "backup"]);
    assert_eq!(stage["exclusions"], json!([]));
    let (first, second) = (&stage["candidates"][0], &stage["candidates"][1]);
    assert!(first["score"].as_f64() > second["score"].as_f64(), "{stage}");
    assert_eq!(second["credential"]["label"], "backup 1");
    let label = first["credential"]["label"].as_str().unwrap();
    let answer = app.chat("hello").await;
    assert_eq!(answer.header("x-providerpool-provider"), "acme");
    let key = app.upstream.last().header("authorization").unwrap().replace("Bearer sk-acme-", "");
    assert_eq!(label, format!("acme {key}"), "another key was used than was told");
    assert_eq!(reason(&explained, "never_asked", "openai")["reason"], "disabled");
    assert!(!explained.to_string().contains("sk-acme"), "{explained}");
}

#[actix_web::test]
async fn asking_sends_nothing_takes_no_turn_and_leaves_no_trace() {
    let app = TestApp::with(Setup {
        keys: 3,
        backup: true,
        configure: |config| config.routing.strategy = Strategy::RoundRobin,
        ..Setup::default()
    })
    .await;
    app.chat("hello").await;
    let mut events = app.events("?types=request.*").await;
    let counters = async || -> Vec<String> {
        let page = app.get("/metrics").await;
        let lines = page.text().lines().filter(|line| !line.contains("usage_pending"));
        lines.map(str::to_owned).collect()
    };
    let before = counters().await;

    let question = json!({"model": "test-model", "request": named_body("test-model", "hello")});
    let once = explain(&app, question.clone()).await;
    let again = explain(&app, question).await;

    assert_eq!(once, again);
    assert_eq!((app.upstream.calls(), app.backup.calls()), (1, 0));
    assert_eq!(
        app.ledger().await,
        Ledger { requests: 1, completed: 1, input: 5, output: 2, ..Ledger::default() }
    );
    assert_eq!(counters().await, before);
    let told = once["stages"][0]["candidates"][0].clone();
    let answer = app.chat("hello").await;
    assert_eq!(told["provider_id"], answer.header("x-providerpool-provider"));
    let started = events.until("request.started").await;
    assert_eq!(started["data"]["request_id"], answer.header("x-request-id"));
}

#[actix_web::test]
async fn it_says_what_a_name_leads_to_and_what_comes_after_it() {
    let app = TestApp::with_backup().await;
    app.put("/api/v1/aliases/best", json!({"model": "smart"})).await;
    let route = json!({"strategy": "fill_first", "fallbacks": ["small"],
        "targets": [{"provider": "backup", "model": "big"}, {"provider": "acme", "model": "big"}]});
    app.put("/api/v1/routes/smart", route).await;

    let explained = explain(&app, json!({"model": "best"})).await;

    assert_eq!(explained["substitution"], json!({"to": "smart", "by": "best"}));
    let [first, second] = explained["stages"].as_array().unwrap().as_slice() else {
        panic!("{explained}")
    };
    assert_eq!((&first["model"], &first["route"]), (&json!("smart"), &json!("smart")));
    assert_eq!(first["strategy"], "fill_first");
    assert_eq!(providers(&first["candidates"]), ["backup", "acme"]);
    assert_eq!(first["candidates"][0]["model_id"], "big");
    assert_eq!((&second["model"], second.get("route")), (&json!("small"), None));
    assert_eq!(providers(&second["candidates"]), ["acme", "backup"]);

    let named = explain(&app, json!({"model": "best", "strategy": "priority"})).await;
    assert_eq!(named["stages"][0]["strategy"], "priority");
}

#[actix_web::test]
async fn a_name_that_stands_for_a_mode_has_a_stage_without_a_route() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("one", None)];
    })
    .await;

    let local = explain(&app, json!({"model": "local"})).await;
    let cloud = explain(&app, json!({"model": "cloud"})).await;
    let wish = explain(&app, json!({"model": "one", "mode": "cloud"})).await;

    assert_eq!(local["stages"][0]["mode"], "local");
    assert_eq!(local["stages"][0]["candidates"][0]["model_id"], "one");
    assert_eq!(cloud["stages"][0]["candidates"], json!([]));
    assert_eq!(reason(&cloud, "exclusions", "acme")["reason"], "other_mode");
    assert_eq!(reason(&wish, "exclusions", "acme")["reason"], "other_mode");
    assert_eq!(wish["stages"][0].get("mode"), None);
}

#[actix_web::test]
async fn everyone_who_is_left_out_is_named_with_the_reason() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            let able = |capabilities: &[Capability]| {
                let known: Capabilities = capabilities.iter().copied().collect();
                vec![providerpool::domain::model::ServedModel {
                    capabilities: Some(known),
                    ..served("sees", None)
                }]
            };
            config.providers[0].models = able(&[Capability::Vision]);
            config.providers[1].models = able(&[Capability::Tools]);
        },
        ..Setup::default()
    })
    .await;
    let off = json!({"id": "off", "name": "off", "base_url": "http://127.0.0.1:9", "location": "local", "enabled": false});
    assert_eq!(app.post("/api/v1/providers", off).await.status, 201);

    let wants_tools = explain(&app, json!({"model": "sees", "require": ["tools"]})).await;

    assert_eq!(providers(&wants_tools["stages"][0]["candidates"]), ["backup"]);
    let lacking = reason(&wants_tools, "exclusions", "acme");
    assert_eq!(
        (&lacking["reason"], &lacking["lacks"]),
        (&json!("lacks_capability"), &json!(["tools"]))
    );
    assert_eq!(reason(&wants_tools, "never_asked", "off")["reason"], "disabled");

    let image = json!({"model": "sees", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]});
    let shows_image = explain(&app, json!({"request": image})).await;
    assert_eq!(shows_image["model"], "sees");
    assert_eq!(providers(&shows_image["stages"][0]["candidates"]), ["acme"]);
    assert_eq!(reason(&shows_image, "exclusions", "backup")["lacks"], json!(["vision"]));

    let relaxed = json!({"model": "sees", "require": ["tools"], "relax": true});
    let relaxed = explain(&app, relaxed).await;
    assert_eq!(providers(&relaxed["stages"][0]["candidates"]), ["backup", "acme"]);
    assert_eq!(relaxed["stages"][0]["candidates"][1]["lacks"], json!(["tools"]));

    let excluded = explain(&app, json!({"model": "sees", "exclude": ["ACME"]})).await;
    assert_eq!(reason(&excluded, "exclusions", "acme")["reason"], "excluded_by_request");
    let preferred = explain(&app, json!({"model": "sees", "prefer": "backup"})).await;
    assert_eq!(providers(&preferred["stages"][0]["candidates"]), ["backup", "acme"]);

    let unknown = explain(&app, json!({"model": "unheard-of"})).await;
    assert_eq!(unknown["stages"][0]["candidates"], json!([]));
    assert_eq!(reason(&unknown, "never_asked", "acme")["reason"], "other_model");
    assert_eq!(unknown.get("available_at"), None);
}

#[actix_web::test]
async fn when_all_are_cooling_it_says_when_the_first_comes_back() {
    let app = TestApp::with_backup().await;
    app.upstream.next(error(429).header("retry-after", "300"));
    app.backup.next(error(429).header("retry-after", "60"));
    app.chat("hello").await;
    let cooldowns = eventually("both cool", async || {
        Some(app.cooldowns().await).filter(|cooldowns| cooldowns.len() == 2)
    })
    .await;

    let explained = explain(&app, json!({"model": "test-model"})).await;

    assert_eq!(explained["stages"][0]["candidates"], json!([]));
    let of_backup = cooldowns.iter().find(|cooldown| cooldown["provider_id"] == "backup").unwrap();
    assert_eq!(explained["available_at"], of_backup["until"]);
    let cooling = reason(&explained, "exclusions", "backup");
    assert_eq!((&cooling["reason"], &cooling["cause"]), (&json!("cooling"), &json!("rate_limit")));
    assert_eq!(cooling["until"], of_backup["until"]);
    let other = explain(&app, json!({"model": "another"})).await;
    assert_eq!(
        (providers(&other["stages"][0]["candidates"]), other.get("available_at")),
        (vec!["acme", "backup"], None)
    );
}

#[actix_web::test]
async fn a_prompt_that_is_too_long_for_a_window_is_seen() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            for (provider, tokens) in config.providers.iter_mut().zip([10, 1_000_000]) {
                provider.models = vec![providerpool::domain::model::ServedModel {
                    context_tokens: Some(tokens),
                    ..served("reads", None)
                }];
            }
        },
        ..Setup::default()
    })
    .await;
    let long = named_body("reads", &"word".repeat(1_000));

    let explained = explain(&app, json!({"request": long})).await;

    assert_eq!(providers(&explained["stages"][0]["candidates"]), ["backup"]);
    assert_eq!(reason(&explained, "exclusions", "acme")["reason"], "window_too_small");
}

#[actix_web::test]
async fn it_says_in_which_formats_and_what_would_be_lost() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            config.providers[0].also_speaks = vec![ApiFormat::Anthropic];
            config.providers[1].api_format = None;
        },
        ..Setup::default()
    })
    .await;
    app.is_asked_what_it_speaks(&app.backup).await;
    let formats = |explained: &Value, at: usize| {
        let candidate = &explained["stages"][0]["candidates"][at];
        let formats = candidate["formats"].as_array().unwrap().iter();
        let told = |format: &Value| {
            let lost = format["translation"].as_str().unwrap_or("-").to_owned();
            (format["api_format"].as_str().unwrap().to_owned(), lost)
        };
        let source = candidate["format_source"].as_str().unwrap().to_owned();
        (formats.map(told).collect::<Vec<_>>(), source)
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(format, lost)| ((*format).to_owned(), (*lost).to_owned())).collect()
    };

    let named = explain(&app, json!({"model": "test-model", "api": "messages"})).await;
    let by_messages = explain(
        &app,
        json!({"api": "messages", "request": {"model": "test-model", "max_tokens": 5, "top_k": 3,
            "messages": [{"role": "user", "content": "hi"}]}}),
    )
    .await;
    let by_chat = explain(
        &app,
        json!({"request": {"model": "test-model", "seed": 7,
            "messages": [{"role": "user", "content": "hi"}]}}),
    )
    .await;

    let own_first = (pairs(&[("anthropic", "-"), ("openai", "-")]), "user_pinned".to_owned());
    assert_eq!(formats(&named, 0), own_first);
    let told = pairs(&[("anthropic", "lossless"), ("openai", "top_k")]);
    assert_eq!(formats(&by_messages, 0).0, told, "{by_messages}");
    let told = pairs(&[("openai", "lossless"), ("anthropic", "seed")]);
    assert_eq!(formats(&by_chat, 0).0, told, "{by_chat}");
    let (guessed, source) = formats(&by_messages, 1);
    assert_eq!((guessed[0].0.as_str(), source.as_str()), ("anthropic", "family_default"));
    assert_eq!((app.upstream.calls(), app.backup.calls()), (0, 0));
}

#[actix_web::test]
async fn requests_of_every_api_are_understood() {
    let app = TestApp::start().await;
    for (api, body, model) in [
        ("chat", json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}), None),
        ("responses", json!({"model": "m", "input": "hi"}), None),
        (
            "messages",
            json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}),
            None,
        ),
        ("gemini", json!({"contents": [{"parts": [{"text": "hi"}]}]}), Some("m")),
        ("ollama", json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}), None),
    ] {
        let mut question = json!({"api": api, "request": body});
        if let Some(model) = model {
            question["model"] = json!(model);
        }
        let explained = explain(&app, question).await;
        assert_eq!(explained["model"], "m", "{api}");
        let format = &explained["stages"][0]["candidates"][0]["formats"][0];
        assert_eq!(
            (&format["api_format"], &format["translation"]),
            (&json!("openai"), &json!("lossless")),
            "{api}"
        );
    }
    let refused = app.post(PATH, json!({"api": "responses", "request": {"model": "m"}})).await;
    assert_eq!(refused.status, 400);
    let unknown = app.post(PATH, json!({"api": "telepathy", "model": "m"})).await;
    assert_eq!(unknown.status, 400);
}

#[actix_web::test]
async fn a_provider_without_keys_is_asked_without_one() {
    let app = TestApp::with(Setup { keys: 0, ..Setup::default() }).await;
    let explained = explain(&app, json!({"model": "test-model"})).await;
    let candidate = &explained["stages"][0]["candidates"][0];
    assert_eq!(
        (candidate.get("credential"), &candidate["no_credential"]),
        (None, &json!("not_needed"))
    );
}

#[actix_web::test]
async fn a_session_is_looked_up_and_stays_where_it_is() {
    let app = TestApp::with(Setup {
        keys: 3,
        configure: |config| {
            config.providers[0].credential_strategy = CredentialStrategy::RoundRobin;
        },
        ..Setup::default()
    })
    .await;
    let body = named_body("test-model", "hello").to_string();
    app.chat("one").await;
    let named = app.relay(body).header("x-providerpool-session", "mine");
    let answer = Reply::to(named).await;
    assert_eq!(answer.status, 200);
    let keys = app.get("/api/v1/client-keys").await.json;
    let owner = keys["client_keys"][0]["id"].clone();

    let bound = explain(&app, json!({"model": "test-model", "session": "mine"})).await;
    let again = explain(&app, json!({"model": "test-model", "session": "mine"})).await;
    let fresh = explain(&app, json!({"model": "test-model", "session": "other"})).await;
    let of_nobody =
        explain(&app, json!({"model": "test-model", "session": "mine", "client_key": "x"})).await;
    let of_owner =
        explain(&app, json!({"model": "test-model", "session": "mine", "client_key": owner})).await;

    assert_eq!((&bound, &of_owner), (&again, &bound));
    assert_eq!(
        (&bound["session"]["client_key"], &bound["session"]["provider_id"]),
        (&owner, &json!("acme"))
    );
    let used = &bound["stages"][0]["candidates"][0]["credential"]["id"];
    assert_eq!(used, &bound["session"]["credential_id"]);
    for unbound in [&fresh, &of_nobody] {
        assert_eq!(unbound.get("session"), None);
        let next = &unbound["stages"][0]["candidates"][0]["credential"]["id"];
        assert_ne!(next, used, "the turn is another key's");
    }
    let in_body = json!({"model": "test-model", "prompt_cache_key": "p", "messages": [{"role": "user", "content": "hi"}]});
    Reply::to(app.relay(in_body.to_string())).await;
    let by_body = explain(&app, json!({"request": in_body})).await;
    assert!(by_body["session"]["credential_id"].is_string(), "{by_body}");
}

#[actix_web::test]
async fn what_cannot_be_meant_is_refused_and_a_route_may_bear_the_name() {
    let app = TestApp::start().await;
    let chat = |messages: Value| json!({"request": {"model": "m", "messages": messages}});
    for (body, word) in [
        (json!({}), "model"),
        (json!({"model": ""}), "model"),
        (json!({"model": "m", "modus": "auto"}), "modus"),
        (json!({"model": "m", "mode": "cheap"}), "cheap"),
        (json!({"model": "m", "strategy": "best"}), "best"),
        (json!({"model": "m", "exclude": ["a b"]}), "a b"),
        (json!({"model": "m", "exclude": vec!["a"; 65]}), "exclude"),
        (json!({"model": "m", "prefer": "?"}), "?"),
        (json!({"model": "m", "require": ["taste"]}), "taste"),
        (json!({"model": "m", "relax": "perhaps"}), "perhaps"),
        (json!({"model": "m", "session": " "}), "session"),
        (json!({"request": {"model": "m"}}), "request: messages"),
        (chat(json!([])), "request: messages"),
        (chat(json!("hello")), "request: messages"),
        (json!({"request": 7}), "request: "),
        (json!([]), "body"),
    ] {
        let refused = app.post(PATH, body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(refused.json["error"]["code"], "invalid_request", "{body}");
        let message = refused.json["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{word} is not in {message}");
    }
    let broken = app.manage(Method::POST, PATH).body("{");
    assert_eq!(Reply::to(broken).await.status, 400);
    let as_client = app.request(Method::POST, PATH).bearer_auth(&app.client_key);
    assert_eq!(Reply::to(with_json(as_client, &json!({"model": "m"}))).await.status, 403);

    assert_eq!(app.put(PATH, json!({})).await.status, 201);
    assert_eq!(app.get(PATH).await.json["name"], "explain");
    assert_eq!(explain(&app, json!({"model": "explain"})).await["stages"][0]["route"], "explain");
    assert_eq!(app.delete(PATH).await.status, 204);
}
