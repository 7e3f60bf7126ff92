//! Where requests go: by routes and aliases, strategies, and what they wish themselves.

use providerpool::{
    config::Config,
    domain::{
        model::{Capabilities, Capability, ServedModel},
        route::Strategy,
    },
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::support::{
    Reply, Setup, TestApp, chat_body, eventually, named_body,
    script::{error, error_with_code},
    served,
};

/// Two providers, and repeats without a pause.
async fn two_providers() -> TestApp {
    let configure = |config: &mut Config| config.relay.retry_pause_ms = 1;
    TestApp::with(Setup { backup: true, configure, ..Setup::default() }).await
}

/// Two providers, of which each lists its own models.
async fn listing(configure: fn(&mut Config)) -> TestApp {
    TestApp::with(Setup { backup: true, configure, ..Setup::default() }).await
}

fn asking(app: &TestApp, model: &str) -> RequestBuilder {
    app.relay(named_body(model, "hello").to_string())
}

async fn ask(app: &TestApp, model: &str) -> Reply {
    Reply::to(asking(app, model)).await
}

/// Asks for `test-model` with a header more.
async fn wish(app: &TestApp, name: &str, value: &str) -> Reply {
    let header = format!("x-providerpool-{name}");
    Reply::to(asking(app, "test-model").header(header, value)).await
}

/// Who has answered, and under which name the model is known there.
fn by(answer: &Reply) -> (&str, &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer.header("x-providerpool-provider"), answer.header("x-providerpool-model"))
}

/// The providers of so many answers, one after the other.
async fn served_by(app: &TestApp, model: &str, count: usize) -> Vec<String> {
    let mut providers = Vec::new();
    for _ in 0..count {
        providers.push(by(&ask(app, model).await).0.to_owned());
    }
    providers
}

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(
        (reply.status, &reply.json["error"]["code"]),
        (status, &json!(code)),
        "{}",
        reply.text()
    );
}

async fn set(app: &TestApp, path: &str, body: Value) {
    let made = app.put(&format!("/api/v1/{path}"), body).await;
    assert!(matches!(made.status, 200 | 201), "{}", made.text());
}

fn count(keys: &[String], key: &str) -> usize {
    keys.iter().filter(|used| *used == key).count()
}

#[actix_web::test]
async fn a_provider_that_is_not_there_is_told_in_the_answer() {
    let app = TestApp::start().await;
    for (header, value, warning) in [
        ("x-providerpool-exclude", "acmee, acme2", Some("there is no provider acmee, acme2")),
        ("x-providerpool-prefer", "acmee", Some("there is no provider acmee")),
        ("x-providerpool-prefer", "Acme", None),
    ] {
        for (body, status) in [
            (chat_body("hello", false).to_string(), 200),
            (chat_body("hello", true).to_string(), 200),
            (named_body("refused", "hello").to_string(), 400),
            (r#"{"model": "m"}"#.to_owned(), 400),
        ] {
            if body.contains("refused") {
                app.upstream.next(error(400));
            }
            let answer = Reply::to(app.relay(body).header(header, value)).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            let told = Some(answer.header("x-providerpool-warning")).filter(|it| !it.is_empty());
            assert_eq!(told, warning, "{header}: {value}");
        }
    }
    let mistyped = app.relay(chat_body("hello", false).to_string());
    let refused = Reply::to(mistyped.header("x-providerpool-exlude", "acme")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("did you mean x-providerpool-exclude?"), "{}", refused.text());
}

#[actix_web::test]
async fn a_route_leads_to_its_targets_in_order() {
    let app = two_providers().await;
    let targets = json!([{"provider": "backup", "model": "b"}, {"provider": "acme", "model": "a"}]);
    set(&app, "routes/smart", json!({"targets": targets})).await;

    let first = ask(&app, "smart").await;
    app.backup.next(error(500));
    app.backup.next(error(500));
    let second = ask(&app, "smart").await;

    assert_eq!((by(&first), by(&second)), (("backup", "b"), ("acme", "a")));
    assert_eq!(app.backup.last().json()["model"], "b");
    assert_eq!(app.upstream.last().json()["model"], "a");
    assert_eq!(second.header("x-providerpool-attempts"), "3");
}

#[actix_web::test]
async fn a_route_with_a_star_passes_the_name_on() {
    let app = two_providers().await;
    set(&app, "routes/vendor/*", json!({"targets": [{"provider": "backup"}]})).await;
    assert_eq!(by(&ask(&app, "vendor/big").await), ("backup", "vendor/big"));
    assert_eq!(by(&ask(&app, "other/big").await), ("acme", "other/big"));
}

#[actix_web::test]
async fn an_alias_leads_to_another_name_but_hides_no_model() {
    let app = listing(|config| {
        config.providers[0].models = vec![served("big", None), served("new-latest", None)];
        config.providers[1].models = vec![served("small", None)];
    })
    .await;
    set(&app, "aliases/tiny", json!({"model": "small"})).await;
    set(&app, "aliases/*-latest", json!({"model": "*"})).await;

    for (asked, provider, model) in [
        ("tiny", "backup", "small"),
        ("big-latest", "acme", "big"),
        ("new-latest", "acme", "new-latest"),
    ] {
        assert_eq!(by(&ask(&app, asked).await), (provider, model), "{asked}");
    }
    refused(&ask(&app, "old-latest").await, 404, "model_not_found");
}

#[actix_web::test]
async fn fallbacks_are_asked_in_order_when_no_target_can_answer() {
    let app = listing(|config| {
        config.relay.retry_pause_ms = 1;
        config.providers[0].models = vec![served("big", None)];
        config.providers[1].models = vec![served("small", None), served("tiny", None)];
    })
    .await;
    set(&app, "routes/big", json!({"fallbacks": ["unheard-of", "small", "tiny"]})).await;
    assert_eq!(by(&ask(&app, "big").await), ("acme", "big"));

    app.upstream.next(error_with_code(404, &json!("model_not_found")));
    app.backup.next(error_with_code(404, &json!("model_not_found")));
    let fallen = ask(&app, "big").await;

    assert_eq!(by(&fallen), ("backup", "tiny"));
    assert_eq!(fallen.header("x-providerpool-attempts"), "3");
    app.delete("/api/v1/cooldowns").await;
    app.upstream.next(error(400));
    assert_eq!(ask(&app, "big").await.status, 400, "a fallback does not mend a wrong request");
    assert_eq!(app.backup.calls(), 2);
}

#[actix_web::test]
async fn under_round_robin_each_has_its_turn() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            config.routing.strategy = Strategy::RoundRobin;
            config.providers[1].priority = config.providers[0].priority;
        },
        ..Setup::default()
    })
    .await;
    assert_eq!(served_by(&app, "test-model", 4).await, ["acme", "backup", "acme", "backup"]);
    assert_eq!(served_by(&app, "another", 2).await, ["acme", "backup"]);
}

#[actix_web::test]
async fn under_round_robin_the_highest_priority_has_all_turns_unless_the_route_says_otherwise() {
    let app = two_providers().await;
    add_provider(&app, json!({"id": "aaa", "priority": -5})).await;
    let strategy = |across_tiers| json!({"strategy": "round_robin", "across_tiers": across_tiers});
    set(&app, "routes/test-model", strategy(false)).await;
    let providers = served_by(&app, "test-model", 6).await;
    assert_eq!(count(&providers, "aaa"), 0, "{providers:?}");

    set(&app, "routes/test-model", strategy(true)).await;
    let providers = served_by(&app, "test-model", 6).await;
    assert_eq!(count(&providers, "aaa"), 2, "{providers:?}");

    let header = wish(&app, "across-tiers", "false").await;
    assert_ne!(by(&header).0, "aaa");
    let asked = json!({"model": "test-model", "across_tiers": true});
    let explained = app.post("/api/v1/routes/explain", asked).await;
    assert_eq!(explained.json["stages"][0]["across_tiers"], true);
    assert_eq!(explained.json["stages"][0]["candidates"][0]["same_dialect"], true);
}

#[actix_web::test]
async fn a_model_for_embeddings_is_refused_for_a_chat_with_words() {
    let app = two_providers().await;

    let answer = ask(&app, "text-embedding-3-small").await;

    refused(&answer, 400, "model_for_embeddings");
    assert!(answer.json["error"]["message"].as_str().unwrap().contains("is for embeddings"));
    assert_eq!((app.upstream.calls(), app.backup.calls()), (0, 0));
}

#[actix_web::test]
async fn weights_are_kept_exactly_and_a_weight_of_nought_is_never_used() {
    let app = two_providers().await;
    let third = json!({"id": "third", "name": "third", "location": "local",
        "api_format": "openai", "base_url": format!("http://{}", app.backup.address)});
    assert_eq!(app.post("/api/v1/providers", third).await.status, 201);
    let targets = json!([{"provider": "acme", "weight": 3}, {"provider": "backup", "weight": 1},
        {"provider": "third", "weight": 0}]);
    set(&app, "routes/shared", json!({"targets": targets, "strategy": "weighted"})).await;

    let providers = served_by(&app, "shared", 20).await;

    assert_eq!((count(&providers, "acme"), count(&providers, "backup")), (15, 5), "{providers:?}");
    for four in providers.chunks(4) {
        assert_eq!(count(four, "backup"), 1, "in blocks: {providers:?}");
    }
}

#[actix_web::test]
async fn fill_first_keeps_to_the_first_until_it_cannot_be_used() {
    let app = two_providers().await;
    let strategy =
        |app: &TestApp| asking(app, "test-model").header("x-providerpool-strategy", "fill_first");
    let provider = async |app: &TestApp| by(&Reply::to(strategy(app)).await).0.to_owned();
    assert_eq!([provider(&app).await, provider(&app).await], ["acme", "acme"]);

    app.upstream.next(error(429).header("retry-after", "300"));

    assert_eq!(provider(&app).await, "backup");
    eventually("the key cools", async || (app.cooldowns().await.len() == 1).then_some(())).await;
    assert_eq!(provider(&app).await, "backup");
    app.delete("/api/v1/cooldowns").await;
    assert_eq!(provider(&app).await, "acme");
}

#[actix_web::test]
async fn where_no_price_is_known_the_cheapest_is_the_most_preferred() {
    let app = two_providers().await;
    add_provider(&app, json!({"id": "aaa", "priority": 1})).await;
    for _ in 0..2 {
        assert_eq!(by(&wish(&app, "strategy", "cost").await).0, "acme");
    }
    set(
        &app,
        "routes/placed",
        json!({"strategy": "cost",
        "targets": [{"provider": "backup"}, {"provider": "acme"}]}),
    )
    .await;
    assert_eq!(by(&ask(&app, "placed").await).0, "backup");
}

#[actix_web::test]
async fn the_least_busy_is_asked_while_another_request_is_open() {
    let app = TestApp::with(Setup {
        backup: true,
        configure: |config| {
            config.routing.strategy = Strategy::LeastBusy;
            config.providers[1].priority = config.providers[0].priority;
        },
        ..Setup::default()
    })
    .await;
    assert_eq!(served_by(&app, "test-model", 2).await, ["acme", "acme"]);

    let (gate, open) = app.hold_one(&app.upstream).await;

    assert_eq!(served_by(&app, "test-model", 2).await, ["backup", "backup"]);
    assert_eq!(app.get("/api/v1/providers/acme").await.json["in_flight"], 1);
    gate.open();
    open.rest().await;
    eventually("the place is free", async || {
        (app.get("/api/v1/providers/acme").await.json["in_flight"] == 0).then_some(())
    })
    .await;
    assert_eq!(served_by(&app, "test-model", 1).await, ["acme"]);
}

/// Adds a provider in front of the upstream of `backup`, with a key of its own.
async fn add_provider(app: &TestApp, settings: Value) {
    let mut body = json!({"name": "another", "location": "local", "api_key": "sk-another",
        "api_format": "openai", "base_url": format!("http://{}", app.backup.address)});
    for (field, value) in settings.as_object().unwrap() {
        body[field] = value.clone();
    }
    let made = app.post("/api/v1/providers", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

#[actix_web::test]
async fn a_mode_keeps_a_request_in_the_house_or_out_of_it() {
    let app = listing(|config| {
        config.providers.truncate(1);
        config.providers[0].models = vec![served("test-model", None)];
    })
    .await;
    refused(&wish(&app, "mode", "cloud").await, 400, "no_provider_allowed");
    refused(&ask(&app, "cloud").await, 400, "no_provider_allowed");
    // No cloud is on loopback, but a proxy to it may be.
    let far = json!({"id": "far", "name": "far", "base_url": "http://far.test", "priority": 90,
        "models": [{"name": "test-model"}]});
    assert_eq!(app.post("/api/v1/providers", far).await.status, 201);
    let key = json!({"key": "sk-far", "proxy_url": format!("http://{}", app.backup.address)});
    assert_eq!(app.post("/api/v1/providers/far/keys", key).await.status, 201);

    for (mode, provider) in [("local", "acme"), ("cloud", "far"), ("auto", "far")] {
        assert_eq!(by(&wish(&app, "mode", mode).await).0, provider, "{mode}");
        assert_eq!(by(&ask(&app, mode).await).0, provider, "{mode}");
    }

    app.backup.always(|| error(401).into());
    refused(&wish(&app, "mode", "cloud").await, 502, "upstream_auth");
    assert_eq!(app.upstream.calls(), 2, "a request for the cloud stayed in the house");
}

#[actix_web::test]
async fn a_request_may_exclude_and_prefer_providers() {
    let app = two_providers().await;
    for (name, value, provider) in [
        ("exclude", "acme", "backup"),
        ("exclude", "ACME, nobody", "backup"),
        ("prefer", "backup", "backup"),
        ("prefer", "nobody", "acme"),
        ("exclude", "", "acme"),
    ] {
        assert_eq!(by(&wish(&app, name, value).await).0, provider, "{name}: {value}");
    }
    let calls = (app.upstream.calls(), app.backup.calls());
    refused(&wish(&app, "exclude", "acme,backup").await, 400, "no_provider_allowed");
    assert_eq!((app.upstream.calls(), app.backup.calls()), calls);
}

#[actix_web::test]
async fn what_a_request_needs_is_only_asked_of_those_who_have_it() {
    let app = listing(|config| {
        for (provider, known) in
            config.providers.iter_mut().zip([Capability::Tools, Capability::Vision])
        {
            let capabilities = Some(Capabilities::NONE.with(known));
            provider.models = vec![ServedModel { capabilities, ..served("test-model", None) }];
        }
    })
    .await;
    assert_eq!(by(&wish(&app, "require", "vision").await).0, "backup");
    assert_eq!(by(&wish(&app, "require", "tools").await).0, "acme");
    let image = json!({"model": "test-model", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]});
    assert_eq!(by(&Reply::to(app.relay(image.to_string())).await).0, "backup");
    let calls = (app.upstream.calls(), app.backup.calls());

    let both = || asking(&app, "test-model").header("x-providerpool-require", "audio");
    let lacking = Reply::to(both()).await;

    refused(&lacking, 400, "capability_missing");
    let message = lacking.json["error"]["message"].as_str().unwrap();
    assert!(message.contains("audio") && message.contains("x-providerpool-relax"), "{message}");
    assert_eq!((app.upstream.calls(), app.backup.calls()), calls);
    let relaxed = Reply::to(both().header("x-providerpool-relax", "true")).await;
    assert_eq!(by(&relaxed).0, "acme");
}

#[actix_web::test]
async fn a_wish_that_is_not_understood_is_refused_and_nobody_is_asked() {
    let app = TestApp::start().await;
    for (name, value) in [
        ("mode", "cheap"),
        ("strategy", "best"),
        ("exclude", "a b"),
        ("prefer", "?"),
        ("require", "taste"),
        ("relax", "perhaps"),
    ] {
        let reply = wish(&app, name, value).await;
        refused(&reply, 400, "invalid_request");
        let message = reply.json["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("x-providerpool-{name}")), "{message}");
    }
    assert_eq!(app.upstream.calls(), 0);
}

#[actix_web::test]
async fn a_request_that_names_no_model_gets_one_that_fits() {
    let app = listing(|config| {
        config.providers[0].models = vec![
            ServedModel { auto_rank: Some(1), ..served("good", None) },
            ServedModel { auto_rank: Some(2), ..served("better", Some("best")) },
            served("unranked", None),
        ];
        config.providers[1].models = vec![served("other", None)];
    })
    .await;
    assert_eq!(by(&ask(&app, "auto").await), ("acme", "best"));
    assert_eq!(by(&ask(&app, "local").await), ("acme", "best"));
    refused(&ask(&app, "cloud").await, 400, "no_provider_allowed");

    app.upstream.next(error_with_code(404, &json!("model_not_found")));
    app.upstream.next(error_with_code(404, &json!("model_not_found")));

    assert_eq!(by(&ask(&app, "auto").await), ("backup", "other"));
    set(&app, "routes/auto", json!({"targets": [{"model": "other"}]})).await;
    assert_eq!(by(&ask(&app, "auto").await), ("backup", "other"));
}

#[actix_web::test]
async fn a_name_goes_to_exactly_those_who_list_it_and_is_never_swapped_for_a_relative() {
    let app = listing(|config| {
        config.relay.retry_pause_ms = 1;
        config.providers[0].models = vec![served("gpt-4o", None), served("claude-sonnet-4", None)];
        config.providers[1].models =
            vec![served("gpt-4o-mini", None), served("gpt-4o-2024-11-20", None)];
    })
    .await;
    assert_eq!(by(&ask(&app, "gpt-4o").await), ("acme", "gpt-4o"));
    assert_eq!(by(&ask(&app, "gpt-4o-mini").await), ("backup", "gpt-4o-mini"));
    let calls = (app.upstream.calls(), app.backup.calls());

    for relative in ["gpt-4", "gpt-4o-latest", "GPT-4o", "openai/gpt-4o", "claude-sonnet-4-5"] {
        refused(&ask(&app, relative).await, 404, "model_not_found");
    }
    assert_eq!((app.upstream.calls(), app.backup.calls()), calls);

    app.upstream.always(|| error(500).into());
    let failed = ask(&app, "gpt-4o").await;

    refused(&failed, 502, "upstream_error");
    assert_eq!(app.backup.calls(), calls.1, "another model was asked instead");
}
