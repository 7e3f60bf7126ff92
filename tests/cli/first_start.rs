//! The first start: keys, once, and a request that works as it is printed.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::MetadataExt as _,
    process::Command,
};

use crate::{
    CHAT, QUESTION,
    support::{Process, Workplace, http},
    upstream::Upstream,
    with_provider,
};

/// The last word of the line that begins with `name`.
fn key(pool: &Process, name: &str) -> String {
    let line = pool.printed().lines().find(|line| line.trim().starts_with(name)).unwrap();
    line.split(' ').next_back().unwrap().to_owned()
}

fn has_keys(printed: &str) -> bool {
    printed.contains("ppa_") || printed.contains("ppk_")
}

/// What the command that is printed below "Try it:" answers. Where there is no curl, the same
/// request is made in its place.
fn try_it(pool: &Process) -> String {
    let (_, command) = pool.printed().split_once("Try it:\n").unwrap();
    let mut shell = Command::new("sh");
    if shell.args(["-c", "command -v curl"]).output().unwrap().status.success() {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}");
        return String::from_utf8(output.stdout).unwrap();
    }
    let client = key(pool, "client key");
    assert!(command.contains(&client) && command.contains("/v1/chat/completions"));
    http::ask(pool.address, CHAT, &client, QUESTION).body
}

#[test]
fn the_first_start_prints_keys_and_a_request_that_works_as_pasted() {
    let workplace = Workplace::new(&with_provider(Upstream::start().address));
    let mut pool = workplace.start(&["--bind", "127.0.0.1:0"]);
    pool.line_with("-d '");

    let answer = try_it(&pool);
    assert!(answer.contains("Hello."), "{answer}");
    let (admin, client) = (key(&pool, "admin key"), key(&pool, "client key"));
    assert_eq!(http::get(pool.address, "/api/v1/providers", &admin).status, 200);
    assert_eq!(http::get(pool.address, "/api/v1/providers", &client).status, 403);

    pool.terminate();
    assert_eq!(pool.ended().code(), Some(0));
    let mut again = workplace.serve();
    assert_eq!(http::ask(again.address, CHAT, &client, QUESTION).status, 200);
    again.terminate();
    again.ended();
    assert!(!has_keys(&again.said()), "{}", again.said());
}

#[test]
fn without_a_provider_the_first_request_lists_models() {
    let workplace = Workplace::new("");
    let mut pool = workplace.serve();
    pool.line_with("/v1/models");
    assert!(pool.printed().contains("no provider is set up yet"), "{}", pool.printed());
    let client = key(&pool, "client key");
    assert_eq!(http::get(pool.address, "/v1/models", &client).status, 200);
}

#[test]
fn what_is_stored_is_open_to_its_owner_alone() {
    let workplace = Workplace::new("");
    let mut pool = workplace.serve();
    pool.line_with("/v1/models");
    let mode = |name: &str| fs::metadata(workplace.path(name)).unwrap().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for file in ["master.key", "providerpool.db", "providerpool.db-wal", "providerpool.db-shm"] {
        assert_eq!(mode(&format!("data/{file}")), 0o600, "{file}");
    }
}

#[test]
fn a_first_start_that_cannot_listen_leaves_the_keys_to_the_next() {
    let workplace = Workplace::new("");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let failed = workplace.run(&["serve", "--bind", &address]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains(&format!("cannot listen on {address}")), "{}", failed.stderr);
    let advice = "--bind or server.bind sets another address";
    assert!(failed.stderr.contains(advice), "{}", failed.stderr);
    assert!(!failed.stderr.contains("could not be removed"), "{}", failed.stderr);
    assert!(!has_keys(&failed.stdout));

    let mut pool = workplace.serve();
    pool.line_with("/v1/models");
    assert!(has_keys(pool.printed()), "{}", pool.printed());
}

#[test]
fn a_first_start_that_cannot_print_the_keys_leaves_them_to_the_next() {
    let workplace = Workplace::new("");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut serve = workplace.command(&["serve", "--bind", "127.0.0.1:0"]);

    let failed = serve.stdout(full()).output().unwrap();

    let said = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot print the first keys") && !has_keys(&said), "{said}");
    let mut pool = workplace.serve();
    pool.line_with("/v1/models");
    assert!(has_keys(pool.printed()), "{}", pool.printed());
    assert_eq!(workplace.run(&["keys", "list"]).stdout.lines().count(), 2);

    let mut create = workplace.command(&["keys", "create", "--role", "client"]);
    let failed = create.stdout(full()).output().unwrap();
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert_eq!(workplace.run(&["keys", "list"]).stdout.lines().count(), 2, "it was stored");
}

#[test]
fn others_are_let_in_only_when_somebody_is_in_charge() {
    let workplace = Workplace::new("");
    let serve = ["serve", "--bind", "0.0.0.0:0"];
    for key_that_is_not_enough in [None, Some("client"), Some("viewer")] {
        if let Some(role) = key_that_is_not_enough {
            workplace.create_key(role);
        }
        let refused = workplace.run(&serve);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("keys create --role admin"), "{}", refused.stderr);
    }

    let admin = workplace.create_key("admin");
    let mut pool = workplace.start(&serve);
    assert_eq!(http::get(pool.address, "/api/v1/providers", &admin).status, 200);
    pool.terminate();
    pool.ended();
    assert!(!has_keys(pool.printed()), "{}", pool.printed());
}
