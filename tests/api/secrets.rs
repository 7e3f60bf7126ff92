//! Secrets: sealed at rest, never shown, and locked rather than lost under another master key.

use std::{fs, io::ErrorKind, path::Path};

use reqwest::Method;
use serde_json::json;

use super::support::{
    Reply, Setup, TestApp, eventually, on_every_database, script::error, secret_of,
};

const KEY: &str = "sk-planted-0123456789-abcdefghij";
const HEADER: &str = "planted-header-value-0123456789";

async fn plant(app: &TestApp) {
    let created = app
        .post(
            "/api/v1/providers",
            json!({"id": "mine", "name": "m", "api_format": "openai",
                "base_url": format!("http://{}", app.backup.address),
                "location": "local", "priority": 90, "api_key": KEY, "headers": {"x-team": HEADER}}),
        )
        .await;
    assert_eq!(created.status, 201, "{}", created.text());
}

fn files_with(folder: &Path, secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, secret));
            continue;
        }
        let bytes = match fs::read(&path) {
            // The database comes and goes with its log.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            read => read.unwrap(),
        };
        if bytes.windows(secret.len()).any(|part| part == secret.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[actix_web::test]
async fn no_secret_is_on_disk_in_the_clear() {
    let mut app = TestApp::start().await;
    plant(&app).await;
    app.chat("a very private question").await;
    let client_secret = secret_of(&app.client_key).to_owned();
    let admin_secret = secret_of(&app.admin_key).to_owned();

    let secrets = [KEY, HEADER, "sk-acme-1", &client_secret, &admin_secret, "private question"];
    for secret in secrets {
        assert_eq!(files_with(app.folder(), secret), Vec::<String>::new(), "{secret}");
    }
    app.stop().await;
    for secret in secrets {
        assert_eq!(files_with(app.folder(), secret), Vec::<String>::new(), "{secret}");
    }
}

#[actix_web::test]
async fn no_secret_is_in_any_answer_or_event() {
    let app = TestApp::start().await;
    let mut events = app.events("?since=0").await;
    plant(&app).await;
    app.chat("a very private question").await;
    app.backup.next(error(401));
    app.upstream.always(|| error(400).into());
    let refused = app.chat("a very private question").await;
    app.delete("/api/v1/providers/mine").await;

    let mut all = refused.text().to_owned();
    for path in [
        "/api/v1/providers",
        "/api/v1/providers/acme",
        "/api/v1/client-keys",
        "/api/v1/usage",
        "/api/v1/cooldowns",
        "/metrics",
        "/api/openapi.json",
    ] {
        let reply = app.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        all.push_str(reply.text());
    }
    loop {
        let event = events.next().await;
        all.push_str(&event.to_string());
        if event["type"] == "provider.deleted" {
            break;
        }
    }
    let client_secret = secret_of(&app.client_key);
    let admin_secret = secret_of(&app.admin_key);
    for secret in [KEY, HEADER, "sk-acme-1", client_secret, admin_secret, "private question"] {
        assert!(!all.contains(secret), "{secret} is shown in {all}");
    }
}

#[actix_web::test]
async fn what_is_set_for_a_key_is_sealed_and_locked_with_it() {
    on_every_database(async |database| {
        let mut app = TestApp::with(Setup { database, ..Setup::default() }).await;
        let keys = "/api/v1/providers/openai/keys";
        let proxy = "http://planted-user:planted-password@proxy.test:3128";
        let key = json!({"key": KEY, "proxy_url": proxy, "headers": {"x-org": HEADER}});
        let added = app.post(keys, key).await;
        let path = format!("{keys}/{}", added.json["id"].as_str().unwrap());
        let mut shown = added.text().to_owned();
        for reply in [app.patch(&path, json!({})).await, app.get("/api/v1/providers").await] {
            assert_eq!(reply.status, 200, "{}", reply.text());
            shown.push_str(reply.text());
        }
        for secret in ["planted-user", "planted-password", HEADER] {
            assert!(!shown.contains(secret), "{secret} is shown in {shown}");
            assert_eq!(files_with(app.folder(), secret), Vec::<String>::new(), "{secret}");
        }
        let admin = app.admin_key.clone();
        app.stop().await;
        app.config.secrets.master_key = Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into());
        app.start_again().await.unwrap();
        app.admin_key = app.mint_admin_key().await;

        for secret in [json!({"proxy_url": "direct"}), json!({"headers": null})] {
            let refused = app.patch(&path, secret).await;
            let code = &refused.json["error"]["code"];
            assert_eq!((refused.status, code), (409, &json!("key_is_locked")));
        }
        let plain = app.patch(&path, json!({"label": "locked", "enabled": false})).await;
        assert_eq!(plain.status, 200, "{}", plain.text());

        app.stop().await;
        app.config.secrets.master_key = None;
        app.admin_key = admin;
        app.start_again().await.unwrap();
        let openai = app.get("/api/v1/providers/openai").await;
        let key = &openai.json["api_keys"][0];
        assert_eq!((&key["label"], &key["enabled"]), (&json!("locked"), &json!(false)));
        assert_eq!(key["proxy_url"], "http://proxy.test:3128/");
        assert_eq!(key["headers"], json!({"x-org": "****"}));
        assert!(key.get("locked_by_key").is_none(), "{}", openai.text());
    })
    .await;
}

#[actix_web::test]
async fn under_another_master_key_secrets_are_locked_and_not_lost() {
    on_every_database(async |database| {
        let mut app = TestApp::with(Setup { database, ..Setup::default() }).await;
        plant(&app).await;
        app.post("/api/v1/providers/openai/keys", json!({"key": KEY})).await;
        assert_eq!(app.chat("hello").await.header("x-providerpool-provider"), "mine");
        let admin = app.admin_key.clone();
        app.stop().await;
        let file = app.config.data.dir.join("master.key");
        let right_key = fs::read(&file).unwrap();
        app.config.secrets.master_key = Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into());

        app.start_again().await.unwrap();

        // Hashes of callers' keys are under the master key too: a new admin key lets us look.
        assert_eq!(app.get("/api/v1/providers").await.status, 401);
        app.admin_key = app.mint_admin_key().await;
        let mine = app.get("/api/v1/providers/mine").await;
        assert_eq!(mine.json["status"], "error");
        assert!(mine.json["locked_by_key"].is_string(), "{}", mine.text());
        assert!(mine.json["api_keys"][0]["locked_by_key"].is_string(), "{}", mine.text());
        let mut events = app.events("?since=0&types=credential.locked,provider.locked").await;
        let kinds = [events.next().await, events.next().await, events.next().await];
        assert_eq!(kinds.iter().filter(|event| event["type"] == "credential.locked").count(), 2);
        let openai = app.get("/api/v1/providers/openai").await;
        assert_eq!(openai.json["enabled"], false, "a locked key counts");
        // What would write the row again must not destroy what is sealed in it.
        let touched = app.patch("/api/v1/providers/mine", json!({"priority": 91})).await;
        assert!(touched.status == 200 || touched.status == 409, "{}", touched.text());
        Reply::to(app.manage(Method::POST, "/api/v1/providers/mine/clear-error")).await;
        drop(events);
        app.stop().await;

        assert_eq!(fs::read(&file).unwrap(), right_key, "the key file was overwritten");
        app.config.secrets.master_key = None;
        app.admin_key = admin;
        app.start_again().await.unwrap();

        let mine = app.get("/api/v1/providers/mine").await;
        assert!(mine.json.get("locked_by_key").is_none(), "{}", mine.text());
        eventually("mine serves again", async || {
            let answer = app.chat("hello").await;
            (answer.header("x-providerpool-provider") == "mine").then_some(())
        })
        .await;
        assert_eq!(
            app.backup.last().header("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
        assert_eq!(app.backup.last().header("x-team"), Some(HEADER));
        assert_eq!(app.get("/api/v1/providers/openai").await.json["enabled"], true);
    })
    .await;
}
