//! The journal or the database is away while answers are given.

use std::fs;

use crate::{Database, Stage, run, support::http::Events};

/// Answers received during an outage, at least.
const ANSWERS: usize = 100;

impl Stage {
    /// Has the clients receive so many answers more, and waits for it.
    fn serve_more(&self) {
        run(async {
            let enough = self.clients.receipts().len() + ANSWERS;
            self.clients.set_on(self.pool.address, enough).gone().await;
        });
        assert!(self.clients.receipts().len() >= ANSWERS);
    }
}

#[test]
fn what_the_journal_cannot_take_is_committed_before_the_answer_ends() {
    let mut stage = Stage::start(Database::Sqlite, "");
    let journal = stage.workplace.path("data/journal");
    fs::remove_dir_all(&journal).unwrap();
    fs::write(&journal, "not a folder").unwrap();

    stage.serve_more();
    stage.pool.kill();

    fs::remove_file(&journal).unwrap();
    stage.restart();
    stage.check_ledger();
}

fn answers_go_on_without_the_database(database: Database) {
    let mut stage = Stage::start(database, "");
    let mut events = Events::subscribe(stage.pool.address, &stage.admin);
    let away = stage.database.take_away(&stage.workplace);

    stage.serve_more();
    events.wait_for("system.ledger_failing");
    stage.serve_more();

    drop(away);
    events.wait_for("system.ledger_recovered");
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
