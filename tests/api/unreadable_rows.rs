//! Rows that are not understood: left out, left alone, and in nobody's way.

use diesel::{RunQueryDsl as _, r2d2::PooledConnection, sql_query};
use providerpool::persistence::connection::{Connector, open};
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Reply, TestApp, named_body, with_json};

const SPOILS: [&str; 7] = [
    "UPDATE providers SET location = 'moon' WHERE id = 'broken'",
    "UPDATE providers SET models = '[{}]' WHERE id = 'openai'",
    "UPDATE credentials SET provider_id = '' WHERE provider_id = 'broken'",
    "UPDATE access_keys SET role = 'king' WHERE name = 'another'",
    "INSERT INTO cooldowns VALUES ('x', 'sound', NULL, NULL, 'bad mood', NULL, 0, 9999999999999, 1)",
    "UPDATE routes SET strategy = 'by mood' WHERE name = 'broken'",
    "UPDATE model_aliases SET model = '**' WHERE name = 'broken'",
];

/// Each finds its row only when nothing has written over it.
const STILL_THERE: [&str; 7] = [
    "UPDATE providers SET id = id WHERE id = 'broken' AND location = 'moon'",
    "UPDATE providers SET id = id WHERE id = 'openai' AND models = '[{}]'",
    "UPDATE credentials SET id = id WHERE provider_id = ''",
    "UPDATE access_keys SET id = id WHERE role = 'king'",
    "UPDATE cooldowns SET until = until WHERE cause = 'bad mood'",
    "UPDATE routes SET name = name WHERE name = 'broken' AND strategy = 'by mood'",
    "UPDATE model_aliases SET name = name WHERE name = 'broken' AND model = '**'",
];

fn connect(app: &TestApp) -> PooledConnection<Connector> {
    let file = app.config.data.dir.join("providerpool.db");
    open(&format!("sqlite:{}", file.display()), 1).unwrap().get().unwrap()
}

fn each_changes_one_row(app: &TestApp, statements: [&str; 7]) {
    let mut conn = connect(app);
    for statement in statements {
        assert_eq!(sql_query(statement).execute(&mut *conn).unwrap(), 1, "{statement}");
    }
}

async fn create(app: &TestApp, id: &str, priority: i32) -> Reply {
    let base_url = format!("http://{}", app.backup.address);
    let provider = json!({"id": id, "name": id, "api_format": "openai",
        "base_url": base_url, "location": "local",
        "priority": priority, "api_key": format!("sk-{id}-0123456789")});
    app.post("/api/v1/providers", provider).await
}

async fn put(app: &TestApp, path: &str, body: Value) -> Reply {
    Reply::to(with_json(app.manage(Method::PUT, path), &body)).await
}

#[actix_web::test]
async fn one_bad_row_in_each_table_stops_nothing_else_and_is_left_alone() {
    let mut app = TestApp::start().await;
    assert_eq!(create(&app, "sound", 90).await.status, 201);
    assert_eq!(create(&app, "broken", 95).await.status, 201);
    assert_eq!(app.patch("/api/v1/providers/openai", json!({"priority": 3})).await.status, 200);
    for name in ["broken", "sound"] {
        assert_eq!(put(&app, &format!("/api/v1/routes/{name}"), json!({})).await.status, 201);
        let alias = put(&app, &format!("/api/v1/aliases/{name}"), json!({"model": "m"})).await;
        assert_eq!(alias.status, 201);
    }
    let another = app.mint_admin_key().await;
    app.stop().await;
    each_changes_one_row(&app, SPOILS);

    app.start_again().await.unwrap();

    assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "sound");
    assert_eq!(app.get("/api/v1/providers/broken").await.status, 404);
    let admin = std::mem::replace(&mut app.admin_key, another);
    assert_eq!(app.get("/api/v1/providers").await.status, 401, "an unreadable key opens");
    app.admin_key = admin;
    let change = json!({"priority": 4});
    for refused in [
        create(&app, "broken", 95).await,
        create(&app, "openai", 95).await,
        app.patch("/api/v1/providers/openai", change).await,
        app.delete("/api/v1/providers/broken").await,
    ] {
        let code = &refused.json["error"]["code"];
        assert_eq!((refused.status, code), (409, &json!("provider_unreadable")));
    }
    for (kind, code, body) in [
        ("routes", "model_route_unreadable", json!({})),
        ("aliases", "alias_unreadable", json!({"model": "m"})),
    ] {
        let broken = format!("/api/v1/{kind}/broken");
        assert_eq!(app.get(&format!("/api/v1/{kind}/sound")).await.status, 200);
        assert_eq!(app.get(&broken).await.status, 404);
        for refused in [put(&app, &broken, body).await, app.delete(&broken).await] {
            assert_eq!((refused.status, &refused.json["error"]["code"]), (409, &json!(code)));
        }
    }
    app.stop().await;
    each_changes_one_row(&app, STILL_THERE);
}

#[actix_web::test]
async fn nobody_is_asked_in_the_place_of_a_route_or_an_alias_that_is_not_understood() {
    let mut app = TestApp::start().await;
    let led_elsewhere = json!({"targets": [{"provider": "nobody"}]});
    assert_eq!(put(&app, "/api/v1/routes/broken", led_elsewhere).await.status, 201);
    let alias = json!({"model": "m"});
    assert_eq!(put(&app, "/api/v1/aliases/secret-*", alias).await.status, 201);
    app.stop().await;
    let mut conn = connect(&app);
    for spoil in [
        "UPDATE routes SET strategy = 'by mood' WHERE name = 'broken'",
        "UPDATE model_aliases SET model = '**' WHERE name = 'secret-*'",
    ] {
        assert_eq!(sql_query(spoil).execute(&mut *conn).unwrap(), 1, "{spoil}");
    }
    drop(conn);

    app.start_again().await.unwrap();

    for (model, code) in [("broken", "model_route_unreadable"), ("secret-1", "alias_unreadable")] {
        let refused = Reply::to(app.relay(named_body(model, "hello").to_string())).await;
        assert_eq!((refused.status, &refused.json["error"]["code"]), (503, &json!(code)));
        assert!(refused.retry_after() > 0);
        let explained = app.post("/api/v1/routes/explain", json!({"model": model})).await;
        let reason = &explained.json["stages"][0]["exclusions"][0]["reason"];
        assert_eq!(reason, "route_unreadable", "{}", explained.text());
    }
    assert_eq!(app.upstream.calls(), 0);
    assert_eq!(app.chat("hello").await.status, 200);
}
