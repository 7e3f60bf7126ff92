//! `keys`: made, listed and revoked beside a running pool.

use std::{fs, time::Instant};

use crate::{
    CHAT, QUESTION,
    support::{PATIENCE, Process, Workplace, http},
    upstream::Upstream,
    with_provider,
};

/// Asks until the pool answers with this status: it looks for keys made by others now and then.
fn ask_until(pool: &Process, key: &str, status: u16) {
    let until = Instant::now() + PATIENCE;
    while http::ask(pool.address, CHAT, key, QUESTION).status != status {
        assert!(Instant::now() < until, "never answered with {status}");
    }
}

/// The part of a key that may be shown.
fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

#[test]
fn a_key_made_beside_a_running_pool_works_there_until_it_is_revoked() {
    let workplace = Workplace::new(&with_provider(Upstream::start().address));
    let pool = workplace.serve();

    let made = workplace.run(&["keys", "create", "--role", "client", "--name", "for tests"]);
    let key = made.stdout.trim();
    assert!(key.starts_with("ppk_") && made.stderr.contains("this once"), "{}", made.stderr);
    ask_until(&pool, key, 200);

    let revoked = workplace.run(&["keys", "revoke", key]);
    assert_eq!((revoked.code, revoked.stdout), (Some(0), format!("key {} is revoked\n", id(key))));
    ask_until(&pool, key, 401);
    let again = workplace.run(&["keys", "revoke", id(key)]);
    assert!(again.code == Some(1) && again.stderr.contains("was revoked at"), "{}", again.stderr);
}

#[test]
fn the_list_shows_what_a_key_may_and_not_the_key() {
    let workplace = Workplace::new("");
    let keys = ["admin", "viewer", "client"].map(|role| (role, workplace.create_key(role)));
    workplace.run(&["keys", "revoke", id(&keys[2].1)]);

    let list = workplace.run(&["keys", "list"]);
    assert_eq!(list.stdout.lines().count(), 3, "{}", list.stdout);
    for (role, key) in &keys {
        let line = list.stdout.lines().find(|line| line.starts_with(id(key))).unwrap();
        assert!(line.contains(role), "{line}");
        assert_eq!(line.contains("revoked"), *role == "client", "{line}");
        assert!(!list.stdout.contains(&**key));
        assert!(!list.stdout.contains(key.splitn(3, '_').nth(2).unwrap()));
    }
}

#[test]
fn under_another_master_key_the_start_warns_and_the_list_says_which_keys_open_nothing() {
    let workplace = Workplace::new(&with_provider(Upstream::start().address));
    let (old, admin) = (workplace.create_key("client"), workplace.create_key("admin"));
    let pool = workplace.serve();
    assert!(!pool.said().contains("master key ("), "{}", pool.said());
    drop(pool);
    let key_file = workplace.path("data/master.key");
    let first = fs::read(&key_file).unwrap();
    fs::remove_file(&key_file).unwrap();

    let pool = workplace.serve();
    let said = pool.said();
    assert!(
        said.contains("written under another master key (") && said.contains("2 of its"),
        "{said}"
    );
    let new = workplace.create_key("client");
    ask_until(&pool, &new, 200);
    ask_until(&pool, &old, 401);
    let list = workplace.run(&["keys", "list"]).stdout;
    for (key, state) in
        [(&old, "  other master key  "), (&admin, "  other master key  "), (&new, "  in use  ")]
    {
        let line = list.lines().find(|line| line.starts_with(id(key))).unwrap();
        assert!(line.contains(state), "{line}");
    }
    drop(pool);
    let refused = workplace.run(&["serve", "--bind", "0.0.0.0:0"]);
    assert!(refused.stderr.contains("before an admin key exists"), "{}", refused.stderr);

    fs::write(&key_file, first).unwrap();
    let list = workplace.run(&["keys", "list"]).stdout;
    for (key, state) in [(&old, "  in use  "), (&new, "  other master key  ")] {
        let line = list.lines().find(|line| line.starts_with(id(key))).unwrap();
        assert!(line.contains(state), "{line}");
    }
}

#[test]
fn what_cannot_be_made_or_revoked_is_an_error() {
    let workplace = Workplace::new("");
    for command in [&["keys", "list"][..], &["keys", "revoke", "0123456789ab"]] {
        let nowhere = workplace.run(command);
        assert_eq!(nowhere.code, Some(1));
        assert!(nowhere.stderr.contains("there is no pool in"), "{}", nowhere.stderr);
    }
    let made = workplace.run(&["keys", "create", "--role", "client"]);
    assert!(made.stderr.contains("was made for it"), "{}", made.stderr);
    let unknown = workplace.run(&["keys", "revoke", "0123456789ab"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("key 0123456789ab does not exist"), "{}", unknown.stderr);
    let cut = &made.stdout.trim()[..40];
    let refused = workplace.run(&["keys", "revoke", cut]);
    assert!(refused.code == Some(2) && !refused.stderr.contains(cut), "{}", refused.stderr);
    let roleless = workplace.run(&["keys", "create", "--role", "king"]);
    assert_eq!(roleless.code, Some(2));
    assert!(roleless.stderr.contains("client, viewer, admin"), "{}", roleless.stderr);
}

#[test]
fn a_key_that_cannot_be_meant_is_a_wrong_command_line_and_makes_no_pool() {
    let workplace = Workplace::new("");
    for wrong in [["--name", " "], ["--expires", "2020-01-01T00:00:00Z"], ["--expires", "0d"]] {
        let refused =
            workplace.run(&[&["keys", "create", "--role", "client"], &wrong[..]].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(refused.stderr.contains("must "), "{wrong:?}: {}", refused.stderr);
    }
    assert!(!workplace.path("data").exists(), "a pool was made");
}
