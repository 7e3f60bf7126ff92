//! The database and the data directory: brought to this version, and shared with nobody.

use std::fs;

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};

use crate::support::Workplace;

#[test]
fn migrate_says_what_it_would_do_does_it_and_has_nothing_left_to_do() {
    let workplace = Workplace::new("");
    let would = workplace.run(&["migrate", "--dry-run"]);
    assert_eq!(would.code, Some(0), "{}", would.stderr);
    assert!(would.stdout.lines().count() > 0);
    assert!(would.stdout.lines().all(|line| line.starts_with("would apply ")), "{}", would.stdout);
    assert_eq!(workplace.run(&["migrate", "--dry-run"]).stdout, would.stdout);
    assert!(!workplace.path("data").exists(), "it was only to be looked at");

    let done = workplace.run(&["migrate"]);
    assert_eq!(done.stdout, would.stdout.replace("would apply", "applied"));
    for again in [&["migrate"][..], &["migrate", "--dry-run"]] {
        assert_eq!(workplace.run(again).stdout, "the database is of this version\n");
    }
}

#[test]
fn a_database_of_something_else_is_refused_and_left_as_it_was() {
    let workplace = Workplace::new("");
    let path = workplace.path("other.db");
    let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    other.batch_execute("CREATE TABLE customers (id INTEGER)").unwrap();
    drop(other);
    for command in [&["serve", "--bind", "127.0.0.1:0"][..], &["migrate"], &["keys", "list"]] {
        let refused =
            workplace.run(&[command, &["--database-url", path.to_str().unwrap()]].concat());
        assert_eq!(refused.code, Some(1), "{command:?}");
        let words = "the database belongs to something else (it has a table \"customers\"";
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
}

#[test]
fn a_data_directory_serves_one_process() {
    let workplace = Workplace::new("");
    let mut first = workplace.serve();
    let second = workplace.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!((second.code, second.stdout.as_str()), (Some(1), ""));
    let words = "another providerpool uses the data directory data; stop it, or";
    assert!(second.stderr.contains(words), "{}", second.stderr);

    // The one that is killed leaves nothing locked.
    first.kill();
    workplace.serve();
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let workplace = Workplace::new("");
    fs::write(workplace.path("data"), "not a folder").unwrap();
    let failed = workplace.run(&["serve"]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("the data directory data cannot be used"), "{}", failed.stderr);
}
