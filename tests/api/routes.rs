//! `/api/v1/routes` and `/api/v1/aliases`: made, listed, replaced and deleted, and what is refused.

use providerpool::{
    actors::supervise::Crash,
    config::{AliasConfig, Config, RouteConfig},
    domain::pattern::NamePattern,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Reply, Setup, TestApp, eventually, on_every_database, served, with_json};

async fn put(app: &TestApp, path: &str, body: Value) -> Reply {
    Reply::to(with_json(app.manage(Method::PUT, path), &body)).await
}

fn refused(reply: &Reply, status: u16, code: &str) {
    let error = &reply.json["error"];
    assert_eq!((reply.status, &error["code"]), (status, &json!(code)), "{}", reply.text());
    assert!(!error["message"].as_str().unwrap().is_empty());
}

/// Everything there is, as it is shown.
async fn everything(app: &TestApp) -> (Value, Value) {
    (app.get("/api/v1/routes").await.json, app.get("/api/v1/aliases").await.json)
}

/// With a route `fixed` and an alias `fixed-*` in the configuration.
fn configured() -> Setup {
    let configure = |config: &mut Config| {
        let name = |text| NamePattern::parse(text).unwrap();
        config.routes.push(RouteConfig {
            name: name("fixed"),
            targets: Vec::new(),
            strategy: None,
            fallbacks: Vec::new(),
            hedge: false,
            across_tiers: false,
            attempt_timeout_ms: None,
            cooling: None,
        });
        config.aliases.push(AliasConfig { name: name("fixed-*"), model: name("fixed") });
    };
    Setup { configure, ..Setup::default() }
}

#[actix_web::test]
async fn what_leads_to_nothing_or_in_a_circle_is_made_with_a_warning() {
    let app = TestApp::configured(|config| {
        config.providers[0].models = vec![served("test-model", None)];
    })
    .await;
    let body = json!({"targets": [{"provider": "acmee"}, {"provider": "acme", "model": "big"}],
        "fallbacks": ["test-model", "gone"]});
    let made = put(&app, "/api/v1/routes/smart", body).await;
    let warnings = json!([
        "targets.0: there is no provider acmee",
        "targets.1: provider acme does not list the model big",
        "fallbacks.1: no provider lists the model gone",
    ]);
    assert_eq!((made.status, &made.json["warnings"]), (201, &warnings));
    assert!(app.get("/api/v1/routes/smart").await.json.get("warnings").is_none());

    let first = put(&app, "/api/v1/aliases/a", json!({"model": "b"})).await;
    assert_eq!(first.json["warnings"], json!(["model: no provider lists the model b"]));
    let second = put(&app, "/api/v1/aliases/b", json!({"model": "a"})).await;
    let warning = "model: the aliases lead round in a circle: b → a → b";
    assert_eq!((second.status, &second.json["warnings"]), (201, &json!([warning])));
    let sound = put(&app, "/api/v1/aliases/b", json!({"model": "smart"})).await;
    assert!(sound.json.get("warnings").is_none(), "{}", sound.text());
}

#[actix_web::test]
async fn a_route_is_made_shown_replaced_and_deleted() {
    let app = TestApp::start().await;
    let body = json!({
        "targets": [{"provider": "Acme", "model": "big", "weight": 3}, {"model": "small"}],
        "strategy": "weighted", "fallbacks": ["other"], "hedge": false,
        "across_tiers": true, "attempt_timeout_ms": 45_000,
        "cooling": {"server": {"failures": 0}, "overload": {"cap_ms": 60_000}},
    });

    let made = put(&app, "/api/v1/routes/smart", body).await;

    let shown = json!({
        "name": "smart", "strategy": "weighted", "fallbacks": ["other"], "hedge": false,
        "across_tiers": true, "attempt_timeout_ms": 45_000,
        "cooling": {"server": {"failures": 0}, "overload": {"cap_ms": 60_000}},
        "targets": [{"provider": "acme", "model": "big", "weight": 3}, {"model": "small", "weight": 1}],
        "origin": "api",
    });
    assert_eq!((made.status, &made.json), (201, &shown));
    assert_eq!(app.get("/api/v1/routes/smart").await.json, shown);
    assert_eq!(app.get("/api/v1/routes").await.json, json!({"routes": [shown]}));

    let replaced = put(&app, "/api/v1/routes/smart", json!({})).await;

    let bare = json!({"name": "smart", "targets": [], "fallbacks": [], "hedge": true,
        "across_tiers": false, "origin": "api"});
    assert_eq!((replaced.status, &replaced.json), (200, &bare));
    assert_eq!(app.get("/api/v1/routes/smart").await.json, bare);
    assert_eq!(app.delete("/api/v1/routes/smart").await.status, 204);
    refused(&app.get("/api/v1/routes/smart").await, 404, "model_route_not_found");
    refused(&app.delete("/api/v1/routes/smart").await, 404, "model_route_not_found");
    assert_eq!(app.get("/api/v1/routes").await.json, json!({"routes": []}));
}

#[actix_web::test]
async fn an_alias_is_made_shown_replaced_and_deleted() {
    let app = TestApp::start().await;

    let made = put(&app, "/api/v1/aliases/*-latest", json!({"model": "*"})).await;

    let shown = json!({"name": "*-latest", "model": "*", "origin": "api"});
    assert_eq!((made.status, &made.json), (201, &shown));
    assert_eq!(app.get("/api/v1/aliases/*-latest").await.json, shown);
    assert_eq!(app.get("/api/v1/aliases").await.json, json!({"aliases": [shown]}));

    let replaced = put(&app, "/api/v1/aliases/*-latest", json!({"model": "newest"})).await;

    assert_eq!((replaced.status, &replaced.json["model"]), (200, &json!("newest")));
    assert_eq!(app.get("/api/v1/aliases/*-latest").await.json, replaced.json);
    assert_eq!(app.delete("/api/v1/aliases/*-latest").await.status, 204);
    refused(&app.get("/api/v1/aliases/*-latest").await, 404, "alias_not_found");
    refused(&app.delete("/api/v1/aliases/*-latest").await, 404, "alias_not_found");
}

#[actix_web::test]
async fn a_name_may_hold_slashes_stars_and_what_a_path_cannot() {
    let app = TestApp::start().await;
    for (path, name) in [
        ("vendor/model:free", "vendor/model:free"),
        ("vendor%2F*", "vendor/*"),
        ("a%20b%3Fc%25%C3%A9", "a b?c%é"),
        ("explain", "explain"),
    ] {
        let made = put(&app, &format!("/api/v1/routes/{path}"), json!({})).await;
        assert_eq!((made.status, &made.json["name"]), (201, &json!(name)), "{path}");
        let made = put(&app, &format!("/api/v1/aliases/{path}"), json!({"model": "m"})).await;
        assert_eq!((made.status, &made.json["name"]), (201, &json!(name)), "{path}");
        assert_eq!(app.get(&format!("/api/v1/routes/{path}")).await.json["name"], name);
        assert_eq!(app.delete(&format!("/api/v1/aliases/{path}")).await.status, 204, "{path}");
    }
    // The path of a name takes no more than it says.
    refused(&app.post("/api/v1/routes/smart", json!({})).await, 405, "method_not_allowed");
    refused(&app.post("/api/v1/aliases/smart", json!({})).await, 405, "method_not_allowed");
}

#[actix_web::test]
async fn lists_come_by_name_in_pages() {
    let app = TestApp::with(configured()).await;
    let expected = ["*", "a/b", "b", "fixed", "z*"];
    for name in ["z*", "b", "*", "a/b"] {
        put(&app, &format!("/api/v1/routes/{name}"), json!({})).await;
        put(&app, &format!("/api/v1/aliases/{name}"), json!({"model": "m"})).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let entries = list.as_array().unwrap().iter();
        entries.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    };

    let mut paged = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = app.get(&format!("/api/v1/routes{query}")).await.json;
        paged.extend(names(&page["routes"]));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }

    assert_eq!(paged, expected);
    let aliases = app.get("/api/v1/aliases").await.json;
    assert_eq!(names(&aliases["aliases"]), ["*", "a/b", "b", "fixed-*", "z*"]);
    for kind in ["routes", "aliases"] {
        for query in ["?limit=0", "?cursor=nobody", "?unknown=1"] {
            refused(&app.get(&format!("/api/v1/{kind}{query}")).await, 400, "invalid_request");
        }
    }
}

#[actix_web::test]
async fn what_was_made_outlives_a_restart_and_what_was_deleted_does_not_come_back() {
    on_every_database(async |database| {
        let mut app = TestApp::with(Setup { database, ..Setup::default() }).await;
        let body = json!({"targets": [{"provider": "acme", "weight": 0}], "strategy": "latency",
            "fallbacks": ["x", "y"], "hedge": false});
        for name in ["vendor/*", "gone"] {
            put(&app, &format!("/api/v1/routes/{name}"), json!({"fallbacks": ["z"]})).await;
            put(&app, &format!("/api/v1/aliases/{name}"), json!({"model": "m"})).await;
        }
        assert_eq!(put(&app, "/api/v1/routes/vendor/*", body).await.status, 200);
        assert_eq!(app.delete("/api/v1/routes/gone").await.status, 204);
        assert_eq!(app.delete("/api/v1/aliases/gone").await.status, 204);
        let before = everything(&app).await;

        app.restart().await;

        assert_eq!(everything(&app).await, before);
        assert_eq!(before.0["routes"].as_array().unwrap().len(), 1);
        assert_eq!(before.0["routes"][0]["strategy"], "latency");
        assert_eq!(before.1["aliases"][0]["name"], "vendor/*");
    })
    .await;
}

#[actix_web::test]
async fn a_crash_of_the_router_forgets_none() {
    let app = TestApp::with(configured()).await;
    put(&app, "/api/v1/routes/smart", json!({})).await;
    put(&app, "/api/v1/aliases/best", json!({"model": "smart"})).await;
    let before = everything(&app).await;

    app.actors.router.do_send(Crash);

    let restarts = "providerpool_actor_restarts_total{actor=\"router\"}";
    eventually("the restart is counted", async || (app.metric(restarts).await == 1).then_some(()))
        .await;
    assert_eq!(put(&app, "/api/v1/routes/smart", json!({})).await.status, 200);
    assert_eq!(everything(&app).await, before);
}

#[actix_web::test]
async fn what_the_configuration_says_is_shown_and_read_only() {
    let app = TestApp::with(configured()).await;
    let before = everything(&app).await;
    assert_eq!(
        app.get("/api/v1/routes/fixed").await.json,
        json!({"name": "fixed", "targets": [], "fallbacks": [], "hedge": false,
            "across_tiers": false, "origin": "config"})
    );
    assert_eq!(app.get("/api/v1/aliases/fixed-*").await.json["origin"], "config");

    for (path, body) in
        [("routes/fixed", json!({})), ("aliases/fixed-*", json!({"model": "other"}))]
    {
        let path = format!("/api/v1/{path}");
        refused(&put(&app, &path, body).await, 409, "owned_by_configuration");
        refused(&app.delete(&path).await, 409, "owned_by_configuration");
    }
    assert_eq!(everything(&app).await, before);
}

#[actix_web::test]
async fn bad_input_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    put(&app, "/api/v1/routes/smart", json!({"fallbacks": ["kept"]})).await;
    put(&app, "/api/v1/aliases/best", json!({"model": "kept"})).await;
    let before = everything(&app).await;
    let mut events = app.events("?types=route,alias,provider").await;

    for body in [
        json!({"name": "smart"}),
        json!({"target": []}),
        json!({"targets": [{"provider": "not an id"}]}),
        json!({"targets": [{"model": ""}]}),
        json!({"targets": [{"model": "gpt-*"}]}),
        json!({"targets": [{"weight": -1}]}),
        json!({"targets": [{"weight": 1_000_001}]}),
        json!({"targets": [{"unknown": 1}]}),
        json!({"targets": vec![json!({}); 65]}),
        json!({"targets": [{"weight": 0}], "strategy": "weighted"}),
        json!({"strategy": "cheapest"}),
        json!({"fallbacks": ["other", "smart"]}),
        json!({"fallbacks": [""]}),
        json!({"fallbacks": vec!["m"; 65]}),
        json!({"hedge": "perhaps"}),
        json!(null),
    ] {
        let reply = put(&app, "/api/v1/routes/smart", body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
        refused(&reply, 400, "invalid_request");
    }
    for body in [
        json!({}),
        json!({"model": ""}),
        json!({"model": "best"}),
        json!({"model": "best-*"}),
        json!({"model": "*a*"}),
        json!({"model": "a", "unknown": 1}),
    ] {
        let reply = put(&app, "/api/v1/aliases/best", body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
        refused(&reply, 400, "invalid_request");
    }
    let long = "m".repeat(257);
    for name in ["", "%20", "*a*", "a%0Ab", &long] {
        let route = put(&app, &format!("/api/v1/routes/{name}"), json!({})).await;
        refused(&route, 400, "invalid_model_name");
        let alias = put(&app, &format!("/api/v1/aliases/{name}"), json!({"model": "m"})).await;
        refused(&alias, 400, "invalid_model_name");
        refused(&app.get(&format!("/api/v1/routes/{name}")).await, 400, "invalid_model_name");
        refused(&app.delete(&format!("/api/v1/aliases/{name}")).await, 400, "invalid_model_name");
    }

    assert_eq!(everything(&app).await, before);
    app.patch("/api/v1/providers/openai", json!({"priority": 7})).await;
    assert_eq!(events.next().await["type"], "provider.updated", "what was refused was told");
}

#[actix_web::test]
async fn changes_are_told_with_the_name() {
    let app = TestApp::start().await;
    let mut events = app.events("?types=route.*,alias.*").await;

    put(&app, "/api/v1/routes/vendor/*", json!({})).await;
    put(&app, "/api/v1/routes/vendor/*", json!({})).await;
    app.delete("/api/v1/routes/vendor/*").await;
    app.delete("/api/v1/routes/vendor/*").await;
    put(&app, "/api/v1/aliases/best", json!({"model": "m"})).await;
    app.delete("/api/v1/aliases/best").await;

    for (kind, name) in [
        ("route.changed", "vendor/*"),
        ("route.changed", "vendor/*"),
        ("route.deleted", "vendor/*"),
        ("alias.changed", "best"),
        ("alias.deleted", "best"),
    ] {
        let event = events.next().await;
        assert_eq!((&event["type"], &event["data"]), (&json!(kind), &json!({"name": name})));
    }
}
