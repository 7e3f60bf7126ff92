//! The examples: configurations, JSON, and the requests, which are sent to the demo.

use std::process::{Command, Stdio};

use providerpool::config::{Config, Environment, Overrides};
use regex::Regex;

use crate::{
    blocks_of,
    support::{Process, Workplace},
};

#[test]
fn every_configuration_that_is_shown_is_taken() {
    let environment: Environment = [("ACME_API_KEY", "sk-1")].into_iter().collect();
    let blocks = blocks_of("toml");
    assert!(!blocks.is_empty());
    for (page, text) in blocks {
        let workplace = Workplace::new(&text);
        let path = workplace.path("providerpool.toml");
        let loaded = Config::load(Some(&path), &environment, &Overrides::default());
        assert!(loaded.is_ok(), "{page}: {}\n{text}", loaded.err().unwrap());
    }
}

#[test]
fn every_json_that_is_shown_is_json() {
    for (page, text) in blocks_of("json") {
        let read: Result<serde_json::Value, _> = serde_json::from_str(&text);
        assert!(read.is_ok(), "{page}: {}\n{text}", read.unwrap_err());
    }
}

/// What a page tells to paste, and what is put in its place: the demo has other models, and nothing beyond
/// this machine is asked.
const PUT: [(&str, &str); 4] = [
    ("gpt-5.5", "demo"),
    ("gpt-5.4-mini", "demo-2"),
    (
        r#""base_url": "https://api.acme.example/v1""#,
        r#""location": "local", "base_url": "http://127.0.0.1:9/v1""#,
    ),
    ("provider_id=acme", "provider_id=flaky"),
];

/// The first key of a kind in what the demo prints.
fn key(demo: &Process, kind: &str) -> String {
    let printed = demo.printed();
    let rest = &printed[printed.find(kind).unwrap()..];
    rest.split(['\'', '"']).next().unwrap().to_owned()
}

/// Runs a block, and gives what each curl of it asked and the status that was answered.
fn run(block: &str, demo: &Process) -> Vec<(String, u16)> {
    // What is asked is told behind the status, and the answer itself is left out.
    let head = r#"curl() { command curl --noproxy '*' -sS -o /dev/null -w '%{http_code} %{method} %{url_effective}\n' "$@"; }"#;
    let mut text = block.replace("127.0.0.1:4100", &demo.address.to_string());
    for (shown, put) in PUT {
        text = text.replace(shown, put);
    }
    let output = Command::new("sh")
        .args(["-c", &format!("{head}\n{text}")])
        .env("CLIENT_KEY", key(demo, "ppk_"))
        .env("ADMIN_KEY", key(demo, "ppa_"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<(String, u16)> = printed
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(status, asked)| (asked.to_owned(), status.parse().unwrap()))
        .collect();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(answers.len(), block.matches("curl ").count(), "{block}\n{printed}{said}");
    answers
}

#[test]
fn every_request_that_is_shown_is_answered() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED (no curl): every_request_that_is_shown_is_answered");
        return;
    }
    let workplace = Workplace::new("");
    let mut demo = workplace.start(&["demo", "--bind", "127.0.0.1:0"]);
    demo.line_with("Stop with Ctrl-C.");
    let exported = Regex::new("(?m)^ *export .*$").unwrap();
    let mut count = 0;
    for (page, block) in blocks_of("sh") {
        // The event stream goes on until somebody leaves; it is tried with the demo.
        if !block.contains("curl ") || block.contains("Upgrade: websocket") {
            continue;
        }
        let block = exported.replace_all(&block, "");
        for (asked, status) in run(&block, &demo) {
            // Ids that are to be filled in name nothing, and another page may have made the same before.
            let is_placeholder = status == 404 && asked.contains("REPLACE_ME");
            let is_there = status == 409 && asked.starts_with("POST ");
            assert!(
                (200..300).contains(&status) || is_placeholder || is_there,
                "{page}: {status} for {asked}"
            );
            count += 1;
        }
    }
    assert!(count > 20, "{count} requests were found");
}
