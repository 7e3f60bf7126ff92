//! Settings: what is in effect, what is refused, and with which words.

use crate::support::Workplace;

#[test]
fn check_config_shows_what_is_in_effect_and_no_secret() {
    let workplace = Workplace::new(
        r#"
        [relay]
        timeout_ms = 90000
        [database]
        url = "postgres://me:hunter2@127.0.0.1/pool"
        [[providers]]
        id = "acme"
        base_url = "https://acme.test/v1"
        api_keys = ["hunter2", "${ACME_KEY}"]
        headers = { X-Team = "hunter2" }
        "#,
    );
    let mut command = workplace.command(&["check-config", "--bind", "127.0.0.1:4200"]);
    let output = command
        .env("ACME_KEY", "hunter3")
        .env("PROVIDERPOOL__USAGE__RETENTION_DAYS", "7")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for line in [
        "bind = \"127.0.0.1:4200\"",
        "timeout_ms = 90000 # 90 s",
        "retention_days = 7",
        "url = \"postgres://me:****@127.0.0.1/pool\"",
        "api_keys = [\"****\", \"****\"]",
    ] {
        assert!(shown.lines().any(|shown| shown.trim() == line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(!workplace.path("data").exists(), "looking at settings made a data directory");
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    let workplace = Workplace::new("[relay]\ntimout_ms = 1000\n");
    for command in ["check-config", "serve", "migrate", "demo"] {
        let refused = workplace.run(&[command]);
        assert_eq!(refused.code, Some(2), "{command}");
        let words =
            "unknown key relay.timout_ms (in providerpool.toml): did you mean relay.timeout_ms?";
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
}

#[test]
fn a_database_that_nothing_is_known_of_is_refused_before_anything_is_made() {
    let workplace = Workplace::new("");
    for (url, scheme) in [
        ("mysql://me:hunter2@h/d", "mysql"),
        ("postgre://me:hunter2@h/d", "postgre"),
        ("postgres:/me:hunter2@h/d", "postgres"),
    ] {
        for command in ["check-config", "serve", "migrate", "demo"] {
            let refused = workplace.run(&[command, "--database-url", url]);
            assert_eq!(refused.code, Some(2), "{command} {url}");
            let words = format!(
                "database.url (in the flag --database-url): must be a path, sqlite:PATH, :memory: or \
                 postgres://USER@HOST/NAME, not {scheme}:…"
            );
            assert!(refused.stderr.contains(&words), "{}", refused.stderr);
            assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
        }
    }
    assert!(!workplace.path("data").exists(), "a data directory was made");
    assert!(!workplace.path("postgres:").exists(), "a file was made");
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let workplace = Workplace::new("");
    let refused = workplace.run(&["serve", "--config", "other.toml"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("cannot read other.toml"), "{}", refused.stderr);
}

#[test]
fn check_config_refuses_a_provider_that_could_not_be_called() {
    let workplace = Workplace::new(
        "[[providers]]\nid = \"near\"\nbase_url = \"http://10.0.0.7/v1\"\nlocation = \"cloud\"\n",
    );
    for command in ["check-config", "serve"] {
        let refused = workplace.run(&[command]);
        assert_eq!(refused.code, Some(2), "{command}");
        assert!(refused.stderr.contains("provider near: "), "{command}: {}", refused.stderr);
    }
}

#[test]
fn a_variable_that_cannot_be_used_is_named_before_anything_starts() {
    for (name, value, words) in [
        ("RUST_LOG", "verbose", "RUST_LOG is \"verbose\": verbose is no level"),
        ("HTTPS_PROXY", "socks9://proxy.test", "HTTPS_PROXY is not the address of a proxy"),
        (
            "DATABASE_URL",
            "postgres://me:hunter2@127.0.0.1:1/pool?sslmode=require",
            "database.url (in the environment variable DATABASE_URL): asks for TLS",
        ),
        ("PROVIDERPOOL__LOG__LEVEL", "loud", "PROVIDERPOOL__LOG__LEVEL): must be error, warn"),
    ] {
        let workplace = Workplace::new("");
        for command in ["check-config", "serve"] {
            let mut refused = workplace.command(&[command, "--bind", "127.0.0.1:0"]);
            let refused = refused.env(name, value).output().unwrap();
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(2), "{command} with {name}: {said}");
            assert!(said.contains(words) && !said.contains("hunter2"), "{command}: {said}");
        }
    }
}

#[test]
fn check_config_warns_of_routes_that_lead_nowhere_and_refuses_aliases_that_go_round() {
    let routes = "[[routes]]\nname = \"smart\"\ntargets = [{ provider = \"nosuch\" }]\n\
                  fallbacks = [\"no-such-model\"]\n";
    let workplace = Workplace::new(routes);
    let warned = workplace.run(&["check-config"]);
    assert_eq!(warned.code, Some(0), "{}", warned.stderr);
    let pool = workplace.serve();
    for doubt in [
        "route smart: targets.0: there is no provider nosuch",
        "route smart: fallbacks.0: no provider lists the model no-such-model",
    ] {
        assert!(warned.stderr.contains(doubt), "{}", warned.stderr);
        assert!(pool.said().contains(doubt), "{}", pool.said());
    }

    let round =
        "[[aliases]]\nname = \"a\"\nmodel = \"b\"\n[[aliases]]\nname = \"b\"\nmodel = \"a\"\n";
    for command in ["check-config", "serve"] {
        let refused = Workplace::new(round).run(&[command]);
        assert_eq!(refused.code, Some(2), "{command}");
        assert!(refused.stderr.contains("in a circle: a → b → a"), "{}", refused.stderr);
    }
}

#[test]
fn check_config_refuses_a_rule_or_a_header_that_cannot_be_used() {
    let provider = "[[providers]]\nid = \"acme\"\nbase_url = \"https://acme.test/v1\"\n";
    for (wrong, words) in [
        ("rules = [{ status = 204, action = \"stop\" }]", "rule 1: status must be 400 to 599"),
        (
            "api_keys = [{ key = \"sk-1\", headers = { Host = \"a\" } }]",
            "the header host is set by the pool itself",
        ),
    ] {
        let refused = Workplace::new(&format!("{provider}{wrong}\n")).run(&["check-config"]);
        assert_eq!(refused.code, Some(2), "{wrong}");
        assert!(refused.stderr.contains("providers.0."), "{}", refused.stderr);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
}
