//! The database is away, or memory is full, while answers are given.

use std::{fs, path::PathBuf, thread, time::Instant};

use crate::{
    Database, Stage,
    support::{
        PATIENCE,
        http::{self, Events},
    },
};

fn answers_go_on_without_the_database(database: Database) {
    let mut stage = Stage::start(database, "");
    let mut events = Events::subscribe(stage.pool.address, &stage.admin, "system");
    let away = stage.database.take_away(&stage.workplace);

    stage.serve_more();
    events.wait_for("system.ledger_failing");
    stage.serve_more();
    let (address, admin) = (stage.pool.address, stage.admin.as_str());
    let refused = http::ask(address, "POST /api/v1/client-keys", admin, r#"{"name":"refused"}"#);
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some());

    drop(away);
    events.wait_for("system.ledger_recovered");
    let keys = http::get(address, "/api/v1/client-keys", admin);
    assert_eq!(keys.status, 200, "{}", keys.body);
    assert!(!keys.body.contains("refused"), "it was made after all: {}", keys.body);
    stage.recorded();
    stage.check_ledger();

    let away = stage.database.take_away(&stage.workplace);
    stage.serve_more();
    stage.pool.kill();
    drop(away);
    stage.restart();
    stage.check_ledger();
}

#[test]
fn answers_are_given_while_the_database_is_away_on_sqlite() {
    answers_go_on_without_the_database(Database::Sqlite);
}

#[test]
fn answers_are_given_while_the_database_is_away_on_postgresql() {
    let test = "outage::answers_are_given_while_the_database_is_away_on_postgresql";
    if let Some(database) = Database::on_postgres(test) {
        answers_go_on_without_the_database(database);
    }
}

impl Stage {
    /// Makes the journal a thing that nothing can be written to.
    fn break_journal(&self) -> PathBuf {
        let journal = self.workplace.path("data/journal");
        fs::remove_dir_all(&journal).unwrap();
        fs::write(&journal, "not a folder").unwrap();
        journal
    }

    /// The ids of requests whose answers are withheld, because neither the journal nor the database takes
    /// their entries.
    fn withheld(&self) -> Vec<String> {
        let (address, client) = (self.pool.address, self.clients.key());
        let ask = |input: u64| {
            let body = format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":"{input} 5 0"}}]}}"#
            );
            let answer = http::ask(address, "POST /v1/chat/completions", client, &body);
            assert_eq!(answer.status, 503, "{}", answer.body);
            answer.header("x-request-id").unwrap().to_owned()
        };
        thread::scope(|scope| {
            let asks: Vec<_> = (1..=4).map(|input| scope.spawn(move || ask(input))).collect();
            asks.into_iter().map(|ask| ask.join().unwrap()).collect()
        })
    }
}

/// As on a full disk.
fn what_was_withheld_is_on_the_ledger_when_it_can_be_written_again(database: Database) {
    let mut stage = Stage::start(database, "");
    stage.break_journal();
    let away = stage.database.take_away(&stage.workplace);
    let withheld = stage.withheld();

    drop(away);

    stage.until_recorded(&withheld);
    stage.pool.terminate();
    assert!(stage.pool.ended().success());
    assert_eq!(stage.database.rows(&stage.workplace).len(), withheld.len());
}

#[test]
fn what_was_withheld_is_on_the_ledger_later_on_sqlite() {
    what_was_withheld_is_on_the_ledger_when_it_can_be_written_again(Database::Sqlite);
}

#[test]
fn what_was_withheld_is_on_the_ledger_later_on_postgresql() {
    let test = "outage::what_was_withheld_is_on_the_ledger_later_on_postgresql";
    if let Some(database) = Database::on_postgres(test) {
        what_was_withheld_is_on_the_ledger_when_it_can_be_written_again(database);
    }
}

#[test]
fn what_was_withheld_is_in_the_journal_when_the_pool_stops_before_the_database_is_back() {
    let mut stage = Stage::start(Database::Sqlite, "");
    let journal = stage.break_journal();
    let away = stage.database.take_away(&stage.workplace);
    let withheld = stage.withheld();
    let waiting = format!("providerpool_usage_pending {}\n", withheld.len());
    let until = Instant::now() + PATIENCE;
    while !http::get(stage.pool.address, "/metrics", &stage.admin).body.contains(&waiting) {
        assert!(Instant::now() < until, "they do not wait in memory");
    }

    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    stage.pool.terminate();
    stage.pool.ended();
    drop(away);

    stage.restart();
    stage.until_recorded(&withheld);
}

#[test]
fn what_memory_had_no_room_for_is_not_lost_when_the_pool_stops() {
    // Nothing is flushed before the end, and only one entry may wait for it.
    let mut stage = Stage::start(Database::Sqlite, "max_pending = 1\nflush_interval_ms = 60000");

    stage.serve_more();
    stage.pool.terminate();
    assert!(stage.pool.ended().success());

    stage.restart();
    stage.check_ledger();
}
